/* Any bytes as the head and table of a sidecar, once as they are and once with the head's hash put right, so that the
 * checks behind it are reached. What parses is what packs to the same bytes. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "sched/sidecar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sidecar_group groups[] = {{.n_record = 1, .n_hash = 6},
                                        {.n_record = 4, .first_record = 1, .n_hash = 3, .first_hash = 6}};
static const struct sidecar_layout layout = {.groups = groups,
                                             .n_group = 2,
                                             .n_record = 5,
                                             .n_hash = 18,
                                             .file_bytes = 5 * SIDECAR_PAGE,
                                             .model_hash = 0x1111,
                                             .layout_hash = 0x2222};

static void take(const uint8_t *data, size_t size) {
    uint64_t hashes[18] = {0};
    struct sidecar_head head;
    struct err e = {0};
    if (sidecar_parse(&layout, data, size, hashes, &head, &e)) {
        CHECK(e.code < 0 && strlen(e.text) > 0 && head.n_done == 0);
        return;
    }
    unsigned char again[SIDECAR_HEAD_BYTES];
    CHECK(head.n_done <= layout.n_record && size >= sizeof again + 8 * sidecar_hashes_done(&layout, head.n_done));
    sidecar_pack(&layout, &head, hashes, again);
    CHECK(memcmp(again, data, SIDECAR_HEAD_BYTES - 16) == 0); /* but for what is reserved, and the hash over it */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    take(data, size);
    if (size < SIDECAR_HEAD_BYTES) return 0;
    uint8_t *copy = malloc(size);
    memcpy(copy, data, size);
    uint64_t hash = XXH3_64bits(copy, SIDECAR_HEAD_BYTES - 8);
    for (int i = 0; i < 8; i++) copy[SIDECAR_HEAD_BYTES - 8 + i] = (uint8_t)(hash >> 8 * i);
    take(copy, size);
    free(copy);
    return 0;
}
