/* libFuzzer: any bytes as the body of a request. The first byte picks the endpoint; what parses must hold what it promises. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "tools/serve/duration.h"
#include "tools/serve/listen.h"
#include "tools/serve/names.h"
#include "tools/serve/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(const struct request *r) {
    CHECK(r->model && *r->model);
    CHECK(!r->chat || json_is_array(r->messages));
    CHECK(r->n_top <= BATCH_MAX_TOP);
    CHECK((r->format == FORMAT_SCHEMA) == (r->schema != NULL));
    for (size_t i = 0; i < json_array_size(r->messages); i++) {
        const json_t *m = json_array_get(r->messages, i);
        CHECK(json_is_string(json_object_get(m, "role")) && json_is_string(json_object_get(m, "content")));
    }
    for (uint32_t i = 0; i < r->options.n_stop; i++) CHECK(r->options.stop[i].len);
    struct sampler_params p = options_sampling(&r->options, 4096);
    struct sampler *s;
    CHECK(sampler_new(&p, 8, &s, NULL) == ERR_OK);
    sampler_free(s);
    struct name n;
    if (names_parse(r->model, &n)) CHECK(names_equal(&n, &n));
}

/* The bytes as the small texts that come from outside, too. */
static void try_texts(const uint8_t *data, size_t size) {
    char text[300];
    size_t len = size < sizeof text - 1 ? size : sizeof text - 1;
    struct name n, again;
    struct listen_at at = {0};
    int64_t ns;
    memcpy(text, data, len);
    text[len] = 0;
    names_parse(text, &n);
    names_of_file(text, &n);
    CHECK(names_parse(n.model, &again));
    duration_parse(text, &ns);
    listen_parse(text, &at, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int (*const parse[])(json_t *, struct request *, struct err *) = {request_generate, request_chat, request_openai_chat, request_openai_completion};
    if (size == 0) return 0;
    try_texts(data + 1, size - 1);
    struct strbuf body = {0};
    struct err e;
    json_t *root;
    strbuf_add(&body, (const char *)data + 1, size - 1);
    int rc = fields_parse(&body, &root, &e);
    strbuf_deinit(&body);
    if (rc) return 0;
    struct request r;
    rc = parse[data[0] % 4](root, &r, &e);
    CHECK(rc == e.code);
    if (!rc) check_request(&r);
    request_deinit(&r);
    return 0;
}
