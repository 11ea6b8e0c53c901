/* libFuzzer: parse any bytes; when they parse, walk everything that a reader may touch. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gguf/gguf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t touch_bytes(struct gguf_str s) {
    uint64_t sum = s.len;
    for (uint64_t i = 0; i < s.len; i++) sum += (unsigned char)s.p[i];
    return sum;
}

static uint64_t touch_arr(const struct gguf_arr *a) {
    uint64_t sum = 0, pos = 0, n = 0;
    struct gguf_str s;
    struct gguf_arr sub;
    if (a->type == GGUF_STR) {
        for (; gguf_arr_next_str(a, &pos, &s); n++) sum += touch_bytes(s);
        CHECK(n == a->n);
    } else if (a->type == GGUF_ARR) {
        for (; gguf_arr_next_arr(a, &pos, &sub); n++) sum += touch_arr(&sub);
        CHECK(n == a->n);
    } else if (a->type == GGUF_F32 || a->type == GGUF_F64) {
        for (uint64_t i = 0; i < a->n; i++) sum += gguf_arr_f64(a, i) > 0;
    } else {
        for (uint64_t i = 0; i < a->n; i++) sum += gguf_arr_u64(a, i);
    }
    return sum;
}

static uint64_t touch(const struct gguf *g, uint64_t file_size) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < g->n_kv; i++) {
        sum += touch_bytes(g->kv[i].key);
        if (g->kv[i].type == GGUF_STR) sum += touch_bytes(g->kv[i].s);
        if (g->kv[i].type == GGUF_ARR) sum += touch_arr(&g->kv[i].a);
    }
    for (uint64_t i = 0; i < g->n_tensor; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        CHECK(gguf_tensor_find(g, t->name) == t);
        CHECK(t->offset >= g->data_offset && t->size_bytes > 0 && t->offset + t->size_bytes <= file_size);
    }
    return sum;
}

/* Two of three inputs count as the beginning of a far longer file, whose tensors lie beyond the bytes given. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct arena a;
    struct gguf g, part;
    struct err e;
    uint64_t need = 0;
    uint64_t file_size = size % 3 == 0 ? size : size + ((uint64_t)1 << 32);
    arena_init(&a, 64 << 20);
    if (gguf_parse(data, size, file_size, "fuzz", &a, &g, &need, &e) == 0) {
        uint32_t n = 0;
        volatile uint64_t sum = touch(&g, file_size);
        (void)sum;
        if (gguf_split_count(&g, "fuzz", &n, &e) == 0) CHECK(n >= 1 && n <= GGUF_MAX_FILES);
        if (gguf_parse(data, size, file_size, "fuzz", &a, &part, NULL, &e) == 0) {
            uint32_t index = 0;
            gguf_get_u32(&part, "split.no", &index);
            gguf_split_add(&g, &part, index, "fuzz", &a, &e);
        }
    } else {
        CHECK(e.code < 0 && strlen(e.text) > 0 && (need == 0 || (need > size && need <= file_size)));
    }
    arena_deinit(&a);
    return 0;
}
