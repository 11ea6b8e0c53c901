/* What several tests share: a folder that is removed at the end, generated models, and changed copies of
 * their heads. Each test program is one C file, so everything here is static. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gguf/gguf.h"
#include "gguf/gguf_write.h"
#include "runtime/cpu.h"
#include "runtime/err.h"

#define LEN(a) (sizeof(a) / sizeof *(a))
#define OK(call) support_ok((call), &support_err, #call, __LINE__)
#define SUPPORT __attribute__((unused)) static

SUPPORT struct err support_err;

SUPPORT void support_ok(int rc, const struct err *e, const char *what, int line) {
    if (rc) fail_msg("line %d: %s gave %s: %s", line, what, err_name(rc), e->text);
}

/* The code, and every one of the words in the sentence. */
SUPPORT void support_refused(int rc, int want, const struct err *e, const char *const *words, size_t n, int line) {
    if (rc != want || e->code != want) fail_msg("line %d: %s, not %s: %s", line, err_name(rc), err_name(want), rc ? e->text : "-");
    for (size_t i = 0; i < n; i++)
        if (!strstr(e->text, words[i])) fail_msg("line %d: '%s' is not in: %s", line, words[i], e->text);
}
#define REFUSED(call, want, ...)                                                                                     \
    do {                                                                                                             \
        const char *const words_[] = {__VA_ARGS__};                                                                  \
        support_err = (struct err){0};                                                                               \
        support_refused((call), (want), &support_err, words_, LEN(words_), __LINE__);                                \
    } while (0)

SUPPORT uint64_t support_random_state = 88172645463325252u;
SUPPORT uint32_t support_random(uint32_t below) {
    uint64_t x = support_random_state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    support_random_state = x;
    return (uint32_t)(x >> 33) % below;
}

SUPPORT char support_dir[64], support_genmodel[512];

/* The generator lies beside the folder of this program; $GEN says where else. */
SUPPORT void support_init(const char *argv0) {
    const char *gen = getenv("GEN"), *slash = strrchr(argv0, '/');
    if (gen) snprintf(support_genmodel, sizeof support_genmodel, "%s", gen);
    else snprintf(support_genmodel, sizeof support_genmodel, "%.*s/../hy-genmodel", slash ? (int)(slash - argv0) : 1, slash ? argv0 : ".");
    snprintf(support_dir, sizeof support_dir, "/tmp/hy-test-XXXXXX");
    if (!mkdtemp(support_dir)) {
        perror(support_dir);
        exit(1);
    }
}

SUPPORT int support_finish(int rc) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", support_dir);
    return system(command) || rc;
}

/* A path in the folder; good until the fourth call from here. */
SUPPORT const char *support_path(const char *name) {
    static char paths[4][160];
    static unsigned at;
    char *p = paths[at++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", support_dir, name);
    return p;
}

/* Writes a model once; options are the generator's. */
SUPPORT const char *support_model(const char *name, const char *options) {
    const char *path = support_path(name);
    FILE *f = fopen(path, "rb");
    if (f) {
        fclose(f);
        return path;
    }
    char command[1024];
    snprintf(command, sizeof command, "'%s' %s -o '%s'", support_genmodel, options, path);
    if (system(command) != 0) fail_msg("cannot make a model: %s", command);
    return path;
}

SUPPORT unsigned char *support_read(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    unsigned char *p = malloc(*n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, *n, f), *n);
    fclose(f);
    return p;
}

SUPPORT void support_write(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* A parsed head and the bytes that it points into. */
struct head {
    unsigned char *bytes;
    size_t n;
    struct arena arena;
    struct gguf g;
};

SUPPORT void head_parse(struct head *h, uint64_t file_size, const char *name) {
    arena_init(&h->arena, 0);
    OK(gguf_parse(h->bytes, h->n, file_size, name, &h->arena, &h->g, NULL, &support_err));
}

SUPPORT void head_read(struct head *h, const char *path) {
    h->bytes = support_read(path, &h->n);
    head_parse(h, h->n, path);
}

SUPPORT void head_free(struct head *h) {
    arena_deinit(&h->arena);
    free(h->bytes);
}

/* One change to a head: what is NULL or 0 stays. */
struct edit {
    const char *key;    /* drops it... */
    const struct gguf_kv *put; /* ...and puts this (also without key) */
    const char *tensor; /* drops it, or... */
    const char *rename; /* ...gives it this name, */
    uint64_t dims[GGUF_MAX_DIMS]; /* these dims, */
    bool retype;
    enum dtype type;    /* this type; */
    bool change;        /* the three above count */
    const char *extra;  /* adds an F32 vector of this name... */
    uint64_t extra_dim; /* ...and length */
};

SUPPORT bool head_sink(void *ctx, const void *bytes, size_t n) {
    struct head *h = ctx;
    h->bytes = realloc(h->bytes, h->n + n);
    assert_non_null(h->bytes);
    memcpy(h->bytes + h->n, bytes, n);
    h->n += n;
    return true;
}

SUPPORT void edit_tensor(struct gguf_writer *w, const struct gguf_tensor *t, const struct edit *ed) {
    bool mine = ed->tensor && strcmp(ed->tensor, t->name) == 0;
    if (mine && !ed->change) return;
    const uint64_t *dims = mine && ed->dims[0] ? ed->dims : t->dims;
    uint32_t n = mine && ed->dims[0] ? 0 : t->n_dims;
    while (n < GGUF_MAX_DIMS && dims == ed->dims && dims[n]) n++;
    gguf_put_tensor(w, mine && ed->rename ? ed->rename : t->name, mine && ed->retype ? ed->type : t->type, n, dims);
}

/* A copy of from with one change; the data section is imagined. */
SUPPORT void head_edit(struct head *h, const struct gguf *from, const struct edit *ed) {
    struct gguf_writer w;
    gguf_writer_init(&w);
    for (uint64_t i = 0; i < from->n_kv; i++) {
        const struct gguf_kv *kv = &from->kv[i];
        bool drop = ed->key && strlen(ed->key) == kv->key.len && memcmp(ed->key, kv->key.p, kv->key.len) == 0;
        if (!drop) gguf_put_kv(&w, kv);
    }
    if (ed->put) gguf_put_kv(&w, ed->put);
    for (uint64_t i = 0; i < from->n_tensor; i++) edit_tensor(&w, &from->tensors[i], ed);
    if (ed->extra) gguf_put_tensor(&w, ed->extra, DT_F32, 1, &ed->extra_dim);
    *h = (struct head){0};
    OK(gguf_write_head(&w, head_sink, h, &support_err));
    head_parse(h, h->n + w.offset, "edited");
    gguf_writer_deinit(&w);
}

/* All the architectures of the generator, small. gemma3 needs 6 layers for one without a window. */
struct support_arch {
    const char *name, *options;
};
SUPPORT const struct support_arch support_archs[] = {
    {"llama", "--arch llama --n-layer 2"},       {"mixtral", "--arch mixtral --n-layer 2"},
    {"qwen2", "--arch qwen2 --n-layer 2"},       {"qwen3", "--arch qwen3 --n-layer 2"},
    {"qwen3moe", "--arch qwen3moe --n-layer 2"}, {"phi3", "--arch phi3 --n-layer 2"},
    {"gemma2", "--arch gemma2 --n-layer 2"},     {"gemma3", "--arch gemma3 --n-layer 6 --n-embd 128 --n-ff 128"},
};

SUPPORT const char *support_arch_model(const struct support_arch *a, const char *type) {
    char name[64], options[256];
    snprintf(name, sizeof name, "%s-%s.gguf", a->name, type);
    snprintf(options, sizeof options, "%s --type %s --n-vocab 400 --n-ff 256 --n-ff-exp 256", a->options, type);
    return support_model(name, options);
}

/* A CPU device with one thread. */
SUPPORT struct device *support_cpu(enum cpu_isa isa) {
    struct device *d;
    OK(device_open(&(struct device_options){.kind = DEVICE_CPU, .n_thread = 1, .cpu_isa = cpu_isa_name(isa)}, &d, &support_err));
    return d;
}
