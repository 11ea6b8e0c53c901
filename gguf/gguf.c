#include "gguf/gguf.h"

#include "gguf/gguf_impl.h"

#define MIN_KV_BYTES 14     /* key length, one byte of key, type, one byte of value */
#define MIN_TENSOR_BYTES 25 /* name length, one byte of name, n_dims, type, offset */

/* Reads forward; the first failure sticks and all later reads give zeros. */
struct reader {
    const uint8_t *p;
    uint64_t pos, len, file_size;
    const char *file; /* for messages, with `kind` and `subject`: what is being read */
    const char *kind;
    struct gguf_str subject;
    int code;
    uint64_t need;
    struct arena *arena;
    struct err *e;
};

__attribute__((format(printf, 3, 4))) static void fail(struct reader *r, int code, const char *fmt, ...) {
    if (r->code) return;
    char text[ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->code = err_set(r->e, code, "%.200s %s", r->file, text);
}

static void fail_nomem(struct reader *r) { fail(r, ERR_NOMEM, "has a header too large for the memory there is"); }

/* "key 'general.name'", or just "the header". */
static const char *subject(const struct reader *r, char *out, size_t out_bytes) {
    if (r->subject.p) snprintf(out, out_bytes, "%s %s", r->kind, gguf_show(r->subject).text);
    else snprintf(out, out_bytes, "%s", r->kind);
    return out;
}

/* True when n more bytes are there; otherwise fails. */
static bool want(struct reader *r, uint64_t n) {
    if (r->code) return false;
    if (n <= r->len - r->pos) return true;
    char what[400];
    if (n <= r->file_size - r->pos) {
        r->need = r->pos + n;
        fail(r, ERR_SHORT, "has a longer header than the %llu bytes read so far", (unsigned long long)r->len);
        return false;
    }
    fail(r, r->len == r->file_size ? ERR_SHORT : ERR_FORMAT,
         "is truncated or damaged: %s needs %llu bytes at offset %llu, the file has %llu",
         subject(r, what, sizeof what), (unsigned long long)n, (unsigned long long)r->pos,
         (unsigned long long)r->file_size);
    return false;
}

static const uint8_t *take(struct reader *r, uint64_t n) {
    static const uint8_t zeros[8];
    if (!want(r, n)) return zeros;
    const uint8_t *p = r->p + r->pos;
    r->pos += n;
    return p;
}

static uint32_t read_u32(struct reader *r) { return gguf_load_u32(take(r, 4)); }
static uint64_t read_u64(struct reader *r) { return gguf_load_u64(take(r, 8)); }

static struct gguf_str read_str(struct reader *r) {
    uint64_t len = read_u64(r);
    if (!want(r, len)) return (struct gguf_str){"", 0};
    return (struct gguf_str){(const char *)take(r, len), len};
}

/* True when n entries of at least min_bytes each can still follow. */
static bool plausible(struct reader *r, uint64_t n, uint64_t min_bytes, const char *what) {
    if (r->code) return false;
    uint64_t bytes;
    if (!__builtin_mul_overflow(n, min_bytes, &bytes) && bytes <= r->file_size - r->pos) return want(r, bytes);
    fail(r, ERR_FORMAT, "is truncated or damaged: it announces %llu %s but has only %llu bytes", (unsigned long long)n,
         what, (unsigned long long)r->file_size);
    return false;
}

static void check_magic(struct reader *r) {
    if (r->file_size == 0) {
        fail(r, ERR_FORMAT, "is empty");
        return;
    }
    uint64_t n = r->file_size < 4 ? r->file_size : 4;
    if (!want(r, n)) return;
    if (memcmp(r->p, "GGUF", n) != 0)
        fail(r, ERR_FORMAT, "is not a GGUF model: it begins with %s",
             gguf_show((struct gguf_str){(const char *)r->p, n}).text);
    take(r, 4);
}

static void read_version(struct reader *r, struct gguf *g) {
    g->version = read_u32(r);
    if (r->code || g->version == 2 || g->version == 3) return;
    if (g->version != 0 && (g->version & 0xffff) == 0)
        fail(r, ERR_UNSUPPORTED, "is a big-endian GGUF file; convert it to little-endian");
    else
        fail(r, ERR_UNSUPPORTED, "has GGUF version %u; versions 2 and 3 can be read", g->version);
}

static void read_header(struct reader *r, struct gguf *g) {
    check_magic(r);
    read_version(r, g);
    g->n_tensor = read_u64(r);
    g->n_kv = read_u64(r);
    if (plausible(r, g->n_kv, MIN_KV_BYTES, "metadata keys"))
        plausible(r, g->n_tensor, MIN_TENSOR_BYTES, "tensors");
}

static enum gguf_type read_type(struct reader *r) {
    uint32_t t = read_u32(r);
    if (t < GGUF_N_TYPES) return (enum gguf_type)t;
    fail(r, ERR_FORMAT, "has the key %s of unknown value type %u", gguf_show(r->subject).text, t);
    return GGUF_U8;
}

static void check_bools(struct reader *r, const uint8_t *p, uint64_t n) {
    for (uint64_t i = 0; i < n && !r->code; i++)
        if (p[i] > 1) fail(r, ERR_FORMAT, "has the key %s with a bool of value %u", gguf_show(r->subject).text, p[i]);
}

static struct gguf_arr read_arr(struct reader *r, int depth) {
    struct gguf_arr a = {.type = read_type(r), .n = read_u64(r)};
    if (depth > GGUF_MAX_DEPTH)
        fail(r, ERR_UNSUPPORTED, "has the key %s with arrays nested more than %d deep", gguf_show(r->subject).text,
             GGUF_MAX_DEPTH);
    if (!plausible(r, a.n, gguf_type_bytes[a.type], "array elements")) return (struct gguf_arr){0};
    a.data = r->p + r->pos;
    uint64_t begin = r->pos;
    if (a.type == GGUF_STR)
        for (uint64_t i = 0; i < a.n && !r->code; i++) read_str(r);
    else if (a.type == GGUF_ARR)
        for (uint64_t i = 0; i < a.n && !r->code; i++) read_arr(r, depth + 1);
    else
        take(r, a.n * gguf_type_bytes[a.type]);
    if (a.type == GGUF_BOOL) check_bools(r, a.data, a.n);
    a.size_bytes = r->pos - begin;
    return a;
}

static void read_scalar(struct reader *r, struct gguf_kv *kv) {
    const uint8_t *p = take(r, gguf_type_bytes[kv->type]);
    if (kv->type == GGUF_F32 || kv->type == GGUF_F64) kv->f = gguf_load_f64(p, kv->type);
    else kv->i = gguf_load_i64(p, kv->type);
    if (kv->type == GGUF_BOOL) check_bools(r, p, 1);
}

static void read_kv(struct reader *r, struct gguf_kv *kv) {
    kv->key = read_str(r);
    if (!r->code && (kv->key.len == 0 || kv->key.len > GGUF_MAX_KEY_BYTES))
        fail(r, ERR_FORMAT, "has a metadata key of %llu bytes; 1 to %d are allowed", (unsigned long long)kv->key.len,
             GGUF_MAX_KEY_BYTES);
    r->kind = "key";
    r->subject = kv->key;
    kv->type = read_type(r);
    if (kv->type == GGUF_STR) kv->s = read_str(r);
    else if (kv->type == GGUF_ARR) kv->a = read_arr(r, 1);
    else read_scalar(r, kv);
}

static void read_metadata(struct reader *r, struct gguf *g) {
    if (r->code) return;
    g->kv = arena_array(r->arena, g->n_kv, sizeof *g->kv);
    if (!g->kv || !gguf_index_init(&g->key_index, g->n_kv, r->arena)) {
        fail_nomem(r);
        return;
    }
    for (uint32_t i = 0; i < g->n_kv && !r->code; i++) {
        r->kind = "the metadata";
        r->subject.p = NULL;
        read_kv(r, &g->kv[i]);
        if (!r->code && !gguf_index_add(&g->key_index, g, gguf_key_name, i))
            fail(r, ERR_FORMAT, "has the key %s twice", gguf_show(g->kv[i].key).text);
    }
}

static void read_alignment(struct reader *r, struct gguf *g) {
    g->alignment = 32;
    if (r->code || !gguf_find(g, "general.alignment")) return;
    uint32_t n = 0;
    if (!gguf_get_u32(g, "general.alignment", &n) || n < 8 || (n & (n - 1)) != 0)
        fail(r, ERR_FORMAT, "has a general.alignment that is not a power of two from 8 on");
    else
        g->alignment = n;
}

static void read_name(struct reader *r, struct gguf_tensor *t) {
    struct gguf_str s = read_str(r);
    if (r->code) return;
    if (s.len == 0 || s.len > GGUF_MAX_NAME_BYTES)
        fail(r, ERR_FORMAT, "has a tensor name of %llu bytes; 1 to %d are allowed", (unsigned long long)s.len,
             GGUF_MAX_NAME_BYTES);
    else if (memchr(s.p, 0, s.len))
        fail(r, ERR_FORMAT, "has a tensor name with a zero byte: %s", gguf_show(s).text);
    else if (!(t->name = arena_strndup(r->arena, s.p, s.len)))
        fail_nomem(r);
    r->kind = "tensor";
    r->subject = s;
}

static void read_dims(struct reader *r, struct gguf_tensor *t) {
    t->n_dims = read_u32(r);
    if (t->n_dims > GGUF_MAX_DIMS)
        fail(r, ERR_UNSUPPORTED, "has the tensor %s with %u dimensions; at most %d are possible",
             gguf_show(r->subject).text, t->n_dims, GGUF_MAX_DIMS);
    for (uint32_t d = 0; d < GGUF_MAX_DIMS; d++) {
        t->dims[d] = d < t->n_dims && !r->code ? read_u64(r) : 1;
        if (!r->code && t->dims[d] == 0)
            fail(r, ERR_FORMAT, "has the tensor %s with a dimension of 0", gguf_show(r->subject).text);
    }
}

static void read_dtype(struct reader *r, struct gguf_tensor *t) {
    uint32_t id = read_u32(r);
    t->type = (enum dtype)id;
    if (r->code) return;
    const struct dtype_info *info = dtype_info(id);
    if (!info->name)
        fail(r, ERR_UNSUPPORTED, "has the tensor %s of unknown type %u", gguf_show(r->subject).text, id);
    else if (t->dims[0] % info->block_elems != 0)
        fail(r, ERR_FORMAT, "has the tensor %s with rows of %llu elements, not a multiple of %s's block of %u",
             gguf_show(r->subject).text, (unsigned long long)t->dims[0], info->name, info->block_elems);
}

static void size_tensor(struct reader *r, struct gguf_tensor *t) {
    if (r->code) return;
    const struct dtype_info *info = dtype_info((uint32_t)t->type);
    uint64_t n = t->dims[0] / info->block_elems;
    bool over = __builtin_mul_overflow(n, (uint64_t)info->block_bytes, &n);
    for (uint32_t d = 1; d < GGUF_MAX_DIMS; d++) over |= __builtin_mul_overflow(n, t->dims[d], &n);
    if (over || n > INT64_MAX / 8) /* also keeps the number of elements within 63 bits */
        fail(r, ERR_FORMAT, "has the tensor %s whose size overflows", gguf_show(r->subject).text);
    t->size_bytes = n;
}

static void read_tensor(struct reader *r, struct gguf_tensor *t) {
    read_name(r, t);
    read_dims(r, t);
    read_dtype(r, t);
    size_tensor(r, t);
    t->offset = read_u64(r); /* from data_offset; made absolute by place_tensors */
}

static void read_tensors(struct reader *r, struct gguf *g) {
    if (!plausible(r, g->n_tensor, MIN_TENSOR_BYTES, "tensors")) return;
    g->tensors = arena_array(r->arena, g->n_tensor, sizeof *g->tensors);
    if (!g->tensors || !gguf_index_init(&g->tensor_index, g->n_tensor, r->arena)) {
        fail_nomem(r);
        return;
    }
    for (uint32_t i = 0; i < g->n_tensor && !r->code; i++) {
        r->kind = "the tensor directory";
        r->subject.p = NULL;
        read_tensor(r, &g->tensors[i]);
        if (!r->code && !gguf_index_add(&g->tensor_index, g, gguf_tensor_name, i))
            fail(r, ERR_FORMAT, "has the tensor %s twice", gguf_show_c(g->tensors[i].name).text);
    }
}

static void place_tensors(struct reader *r, struct gguf *g) {
    g->data_offset = (r->pos + g->alignment - 1) / g->alignment * g->alignment;
    for (uint64_t i = 0; i < g->n_tensor && !r->code; i++) {
        struct gguf_tensor *t = &g->tensors[i];
        uint64_t end;
        if (t->offset % g->alignment != 0)
            fail(r, ERR_FORMAT, "has the tensor %s at offset %llu, not a multiple of the alignment %u",
                 gguf_show_c(t->name).text, (unsigned long long)t->offset, g->alignment);
        else if (__builtin_add_overflow(t->offset, g->data_offset, &t->offset) ||
                 __builtin_add_overflow(t->offset, t->size_bytes, &end) || end > r->file_size)
            fail(r, ERR_FORMAT,
                 "is truncated or damaged: tensor %s needs %llu bytes at offset %llu, the file has %llu",
                 gguf_show_c(t->name).text, (unsigned long long)t->size_bytes, (unsigned long long)t->offset,
                 (unsigned long long)r->file_size);
    }
}

int gguf_parse(const void *bytes, uint64_t len, uint64_t file_size, const char *name, struct arena *a,
               struct gguf *out, uint64_t *need, struct err *e) {
    CHECK(len <= file_size && file_size <= INT64_MAX);
    struct reader r = {.p = bytes, .len = len, .file_size = file_size, .file = name, .kind = "the header",
                       .arena = a, .e = e};
    *out = (struct gguf){.n_file = 1};
    read_header(&r, out);
    read_metadata(&r, out);
    read_alignment(&r, out);
    read_tensors(&r, out);
    if (!r.code) place_tensors(&r, out);
    if (need) *need = r.need;
    return r.code;
}
