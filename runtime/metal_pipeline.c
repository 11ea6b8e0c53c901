#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/kernel_source.h"
#include "runtime/metal_impl.h"

#define FIRST_SLOTS 128
#define LINE_BYTES 320

static char *compiler_text;

const char *metal_compiler_text(void) { return compiler_text ? compiler_text : ""; }

static void keep_compiler_text(const char *text) {
    free(compiler_text);
    compiler_text = strdup(text);
}

/* The first line of the compiler's text that names an error, or its first line. */
static void first_error(const char *text, char out[LINE_BYTES]) {
    const char *p = strstr(text, "error:");
    while (p && p > text && p[-1] != '\n') p--;
    if (!p) p = text;
    size_t len = strcspn(p, "\n");
    snprintf(out, LINE_BYTES, "%.*s", (int)(len < LINE_BYTES ? len : LINE_BYTES - 1), p);
}

/* The kernel around `line` of a source: the last `kernel void name` at or before it. */
static void kernel_at(const struct kernel_source *source, unsigned long line, char out[64]) {
    snprintf(out, 64, "none");
    const char *p = source->text, *end = p + source->text_bytes;
    for (unsigned long at = 1; p < end && at <= line; at++) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        if (!eol) eol = end;
        const char *k = memmem(p, (size_t)(eol - p), "kernel void ", 12);
        if (k) snprintf(out, 64, "%.*s", (int)strcspn(k + 12, "(\n "), k + 12);
        p = eol + 1;
    }
}

/* Apple names lines of the text it was given as program_source:LINE:COLUMN. */
static int library_failed(const struct kernel_source *source, id error, struct err *e) {
    const char *text = error ? oc_utf8(oc_error_text(error)) : "";
    keep_compiler_text(text);
    char line[LINE_BYTES], kernel[64];
    first_error(text, line);
    const char *at = strstr(line, "program_source:");
    if (!at)
        return err_set(e, ERR_DEVICE, "%s does not compile: %s", source->path,
                       *line ? line : "the system does not say why");
    kernel_at(source, strtoul(at + 15, NULL, 10), kernel);
    return err_set(e, ERR_DEVICE, "%s does not compile (kernel %s): %s", source->path, kernel, line);
}

static id new_compile_options(void) {
    id options = oc_new_object(oc_class("MTLCompileOptions"));
    if (!options) return NULL;
    if (oc_responds(options, "setMathMode:")) mtl_set_math_mode(options, MTLMathModeSafe);
    else mtl_set_fast_math(options, false);
    mtl_set_language(options, MTLLanguageVersion3_1);
    return options;
}

int metal_pipelines_init(struct metal_pipelines *p, struct err *e) {
    p->libraries = calloc(kernel_n_source + 1, sizeof(id));
    p->slots = calloc(FIRST_SLOTS, sizeof *p->slots);
    if (!p->slots || !p->libraries) return err_set(e, ERR_NOMEM, "no memory for the table of pipelines");
    p->cap = FIRST_SLOTS;
    return ERR_OK;
}

static int compile(const struct kernel_source *source, id device, id *out, struct err *e) {
    id text = oc_new_string(source->text, source->text_bytes), options = new_compile_options(), error = NULL;
    int rc = ERR_OK;
    if (!text || !options) rc = err_set(e, ERR_NOMEM, "no memory for the text of %s", source->path);
    else *out = mtl_new_library(device, text, options, &error);
    if (!rc && !*out) rc = library_failed(source, error, e);
    oc_drop(&options);
    oc_drop(&text);
    return rc;
}

static bool source_has(const struct kernel_source *s, const char *kernel) {
    for (uint32_t i = 0; i < s->n_name; i++)
        if (strcmp(s->names[i], kernel) == 0) return true;
    return false;
}

/* The library that holds the kernel. */
static int library_of(struct metal_pipelines *p, id device, const char *kernel, id *out, struct err *e) {
    uint32_t i = 0;
    while (i < kernel_n_source && !source_has(&kernel_sources[i], kernel)) i++;
    if (i == kernel_n_source)
        return err_set(e, ERR_NOT_FOUND, "no .metal file of this build holds a kernel %s", kernel);
    int rc = p->libraries[i] ? ERR_OK : compile(&kernel_sources[i], device, &p->libraries[i], e);
    *out = p->libraries[i];
    return rc;
}

static void pipeline_free(struct metal_pipeline *p) {
    oc_drop(&p->state);
    free(p->kernel);
    free(p);
}

void metal_pipelines_deinit(struct metal_pipelines *p) {
    for (uint32_t i = 0; i < p->cap; i++)
        if (p->slots[i]) pipeline_free(p->slots[i]);
    free(p->slots);
    for (uint32_t i = 0; p->libraries && i < kernel_n_source; i++) oc_drop(&p->libraries[i]);
    free(p->libraries);
    *p = (struct metal_pipelines){0};
}

static uint64_t mix(uint64_t h, uint64_t x) { return (h ^ x) * 0x100000001b3u; }

static uint64_t key_hash(const char *kernel, const struct mtl_const *c, uint32_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    for (; *kernel; kernel++) h = mix(h, (unsigned char)*kernel);
    for (uint32_t i = 0; i < n; i++) h = mix(mix(mix(h, c[i].index), c[i].type), c[i].bits);
    return h ^ h >> 29;
}

static bool same_consts(const struct mtl_const *a, const struct mtl_const *b, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (a[i].index != b[i].index || a[i].type != b[i].type || a[i].bits != b[i].bits) return false;
    return true;
}

static uint32_t find(const struct metal_pipelines *p, uint64_t hash, const char *kernel, const struct mtl_const *c,
                     uint32_t n) {
    uint32_t i = (uint32_t)hash & (p->cap - 1);
    for (; p->slots[i]; i = (i + 1) & (p->cap - 1)) {
        const struct metal_pipeline *s = p->slots[i];
        if (s->hash == hash && s->n_const == n && strcmp(s->kernel, kernel) == 0 && same_consts(s->consts, c, n))
            break;
    }
    return i;
}

static int grow(struct metal_pipelines *p, struct err *e) {
    struct metal_pipeline **slots = calloc((size_t)p->cap * 2, sizeof *slots);
    if (!slots) return err_set(e, ERR_NOMEM, "no memory for the table of pipelines");
    uint32_t cap = p->cap * 2;
    for (uint32_t i = 0; i < p->cap; i++) {
        if (!p->slots[i]) continue;
        uint32_t at = (uint32_t)p->slots[i]->hash & (cap - 1);
        while (slots[at]) at = (at + 1) & (cap - 1);
        slots[at] = p->slots[i];
    }
    free(p->slots);
    p->slots = slots;
    p->cap = cap;
    return ERR_OK;
}

static void set_constants(id values, const struct mtl_const *c, uint32_t n) {
    static const NSUInteger types[] = {MTLDataTypeBool, MTLDataTypeInt, MTLDataTypeUInt, MTLDataTypeFloat};
    for (uint32_t i = 0; i < n; i++) {
        bool flag = c[i].bits != 0;
        const void *value = c[i].type == MTL_CONST_BOOL ? (const void *)&flag : &c[i].bits;
        mtl_set_constant(values, value, types[c[i].type], c[i].index);
    }
}

static int make_function(id library, const char *kernel, const struct mtl_const *c, uint32_t n, id *out,
                         struct err *e) {
    id name = oc_new_string(kernel, strlen(kernel)), values = oc_new_object(oc_class("MTLFunctionConstantValues"));
    id error = NULL;
    int rc = ERR_OK;
    if (!name || !values) rc = err_set(e, ERR_NOMEM, "no memory for kernel %s", kernel);
    if (!rc) {
        set_constants(values, c, n);
        *out = mtl_new_function(library, name, values, &error);
        if (!*out) rc = oc_error(e, ERR_DEVICE, error, "kernel %s cannot be specialised", kernel);
    }
    oc_drop(&values);
    oc_drop(&name);
    return rc;
}

static int make_state(struct metal_pipelines *p, id device, struct metal_pipeline *s, struct err *e) {
    id library = NULL, function = NULL, error = NULL;
    int rc = library_of(p, device, s->kernel, &library, e);
    if (!rc) rc = make_function(library, s->kernel, s->consts, s->n_const, &function, e);
    if (rc) return rc;
    s->state = mtl_new_pipeline(device, function, &error);
    oc_drop(&function);
    if (!s->state) {
        if (error) keep_compiler_text(oc_utf8(oc_error_text(error)));
        return oc_error(e, ERR_DEVICE, error, "kernel %s does not compile for this GPU", s->kernel);
    }
    s->info = (struct metal_pipeline_info){.max_threads = (uint32_t)mtl_pipeline_max_threads(s->state),
                                           .simd_width = (uint32_t)mtl_pipeline_width(s->state),
                                           .tg_static_bytes = (uint32_t)mtl_pipeline_tg_memory(s->state)};
    if (s->info.simd_width != 32)
        return err_set(e, ERR_UNSUPPORTED,
                       "kernel %s would run with %u threads in a simdgroup on this GPU; hy's kernels need 32",
                       s->kernel, s->info.simd_width);
    return ERR_OK;
}

static int make(struct metal_pipelines *p, id device, uint64_t hash, const char *kernel, const struct mtl_const *c,
                uint32_t n, struct metal_pipeline **out, struct err *e) {
    struct metal_pipeline *s = calloc(1, sizeof *s);
    if (s) s->kernel = strdup(kernel);
    if (!s || !s->kernel) {
        free(s);
        return err_set(e, ERR_NOMEM, "no memory for kernel %s", kernel);
    }
    s->hash = hash;
    s->n_const = n;
    if (n) memcpy(s->consts, c, n * sizeof *c);
    void *pool = oc_pool_push();
    uint64_t start = clock_ns();
    int rc = make_state(p, device, s, e);
    p->compile_ns += clock_ns() - start;
    oc_pool_pop(pool);
    if (rc) pipeline_free(s);
    else *out = s;
    return rc;
}

int metal_pipelines_get(struct metal_pipelines *p, id device, const char *kernel, const struct mtl_const *consts,
                        uint32_t n_const, const struct metal_pipeline **out, struct err *e) {
    CHECK(n_const <= MTL_MAX_CONST);
    uint64_t hash = key_hash(kernel, consts, n_const);
    uint32_t i = find(p, hash, kernel, consts, n_const);
    if (!p->slots[i]) {
        struct metal_pipeline *s = NULL;
        int rc = p->n * 2 >= p->cap ? grow(p, e) : ERR_OK;
        if (!rc) rc = make(p, device, hash, kernel, consts, n_const, &s, e);
        if (rc) return rc;
        i = find(p, hash, kernel, consts, n_const);
        p->slots[i] = s;
        p->n++;
    }
    *out = p->slots[i];
    return ERR_OK;
}
