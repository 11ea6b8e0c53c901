/* The GGUF parser and writer: round trips, every refusal with its sentence, truncation at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gguf/gguf.h"
#include "gguf/gguf_write.h"
#include "gguf/half.h"

/* A file in memory; grown one exact allocation at a time so that ASan sees every byte beyond. */
struct image {
    uint8_t *p;
    size_t n;
};

static bool to_image(void *ctx, const void *bytes, size_t n) {
    struct image *im = ctx;
    im->p = realloc(im->p, im->n + n);
    memcpy(im->p + im->n, bytes, n);
    im->n += n;
    return true;
}

static void finish(struct gguf_writer *w, struct image *im) {
    struct err e;
    *im = (struct image){0};
    assert_int_equal(gguf_write_head(w, to_image, im, &e), 0);
    while (w->at_tensor < w->n_tensor) assert_int_equal(gguf_write_data(w, "wx", 2, &e), 0);
    assert_int_equal(gguf_write_end(w, &e), 0);
    gguf_writer_deinit(w);
}

static void add_tensor(struct gguf_writer *w, const char *name, enum dtype t, uint64_t a, uint64_t b) {
    gguf_put_tensor(w, name, t, 2, (uint64_t[]){a, b});
}

/* The bytes of an array of two arrays: [[1, 2], ["a", "bc"]]. */
static const uint8_t nested[] = {0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 2, 8, 0, 0, 0, 2, 0, 0, 0, 0,   0,   0,
                                 0, 1, 0, 0, 0, 0, 0, 0, 0, 'a', 2, 0, 0, 0, 0, 0, 0, 0, 'b', 'c'};

static struct gguf_str str(const char *s) { return (struct gguf_str){s, strlen(s)}; }

static void put_everything(struct gguf_writer *w) {
    gguf_put_int(w, "u8", GGUF_U8, 200);
    gguf_put_int(w, "i8", GGUF_I8, -100);
    gguf_put_int(w, "u16", GGUF_U16, 60000);
    gguf_put_int(w, "i16", GGUF_I16, -30000);
    gguf_put_u32(w, "u32", 4000000000u);
    gguf_put_int(w, "i32", GGUF_I32, -2000000000);
    gguf_put_int(w, "u64", GGUF_U64, -1);
    gguf_put_int(w, "i64", GGUF_I64, INT64_MIN);
    gguf_put_f32(w, "f32", 1.5f);
    gguf_put_f64(w, "f64", -0.1);
    gguf_put_bool(w, "yes", true);
    gguf_put_bool(w, "no", false);
    gguf_put_str(w, "str", "h\xc3\xa9llo");
    gguf_put_str(w, "empty", "");
    gguf_put_arr(w, "i16s", GGUF_I16, (int16_t[]){-1, 2, 300}, 3);
    gguf_put_arr(w, "f32s", GGUF_F32, (float[]){0.5f, -2}, 2);
    gguf_put_arr(w, "f64s", GGUF_F64, (double[]){0.25}, 1);
    gguf_put_arr(w, "bools", GGUF_BOOL, (uint8_t[]){1, 0, 1}, 3);
    gguf_put_arr(w, "none", GGUF_U64, NULL, 0);
    gguf_put_arr_str(w, "strs", (struct gguf_str[]){str("one"), str(""), str("three")}, 3);
    gguf_put_kv(w, &(struct gguf_kv){.key = str("nested"), .type = GGUF_ARR, .a = {GGUF_ARR, 2, nested, sizeof nested}});
}

static void build_small(struct image *im) {
    struct gguf_writer w;
    gguf_writer_init(&w);
    put_everything(&w);
    add_tensor(&w, "a", DT_F32, 3, 2);
    add_tensor(&w, "b", DT_Q4_K, 256, 2);
    gguf_put_tensor(&w, "c", DT_Q8_0, 1, (uint64_t[]){32});
    finish(&w, im);
}

static int parse(const struct image *im, struct arena *a, struct gguf *g, struct err *e) {
    arena_init(a, 0);
    return gguf_parse(im->p, im->n, im->n, "m.gguf", a, g, NULL, e);
}

/* Parsing must fail with exactly this sentence; frees the image. */
static void refused(struct image *im, int code, const char *sentence) {
    struct arena a;
    struct gguf g;
    struct err e = {.text = "nothing"};
    int got = parse(im, &a, &g, &e);
    arena_deinit(&a);
    free(im->p);
    assert_string_equal(e.text, sentence);
    assert_int_equal(got, code);
}

static void reads_all_value_types(void **state) {
    struct image im;
    struct arena a;
    struct gguf g;
    struct err e;
    build_small(&im);
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    assert_int_equal(g.version, 3);
    assert_int_equal(g.n_kv, 21);
    assert_true(gguf_find(&g, "u8")->u == 200 && gguf_find(&g, "i8")->i == -100);
    assert_true(gguf_find(&g, "u16")->u == 60000 && gguf_find(&g, "i16")->i == -30000);
    assert_true(gguf_find(&g, "u32")->u == 4000000000u && gguf_find(&g, "i32")->i == -2000000000);
    assert_true(gguf_find(&g, "u64")->u == UINT64_MAX && gguf_find(&g, "i64")->i == INT64_MIN);
    assert_true(gguf_find(&g, "f32")->f == 1.5 && gguf_find(&g, "f64")->f == -0.1);
    uint32_t u;
    uint64_t big;
    float f;
    bool yes = false, no = true;
    struct gguf_str s;
    assert_true(gguf_get_u32(&g, "u8", &u) && u == 200);
    assert_false(gguf_get_u32(&g, "i8", &u) || gguf_get_u32(&g, "u64", &u) || gguf_get_u32(&g, "f32", &u));
    assert_false(gguf_get_u32(&g, "yes", &u) || gguf_get_u32(&g, "absent", &u) || gguf_find(&g, ""));
    assert_true(gguf_get_u64(&g, "u64", &big) && big == UINT64_MAX);
    assert_true(gguf_get_f32(&g, "f64", &f) && f == -0.1f && !gguf_get_f32(&g, "u8", &f));
    assert_true(gguf_get_bool(&g, "yes", &yes) && gguf_get_bool(&g, "no", &no) && yes && !no);
    assert_true(gguf_get_str(&g, "str", &s) && s.len == 6 && memcmp(s.p, "h\xc3\xa9llo", 6) == 0);
    assert_true(gguf_get_str(&g, "empty", &s) && s.len == 0 && !gguf_get_str(&g, "u8", &s));
    arena_deinit(&a);
    free(im.p);
}

static void reads_arrays(void **state) {
    struct image im;
    struct arena a;
    struct gguf g;
    struct err e;
    struct gguf_arr r, sub;
    struct gguf_str s;
    uint64_t pos = 0;
    build_small(&im);
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    assert_true(gguf_get_arr(&g, "i16s", GGUF_I16, &r) && r.n == 3 && r.size_bytes == 6);
    assert_true(gguf_arr_i64(&r, 0) == -1 && gguf_arr_u64(&r, 2) == 300 && gguf_arr_f64(&r, 0) == -1.0);
    assert_false(gguf_get_arr(&g, "i16s", GGUF_I32, &r) || gguf_get_arr(&g, "u8", GGUF_N_TYPES, &r));
    assert_true(gguf_get_arr(&g, "f32s", GGUF_N_TYPES, &r) && gguf_arr_f64(&r, 1) == -2.0);
    assert_true(gguf_get_arr(&g, "f64s", GGUF_F64, &r) && gguf_arr_f64(&r, 0) == 0.25);
    assert_true(gguf_get_arr(&g, "bools", GGUF_BOOL, &r) && gguf_arr_u64(&r, 0) == 1 && gguf_arr_u64(&r, 1) == 0);
    assert_true(gguf_get_arr(&g, "none", GGUF_U64, &r) && r.n == 0);
    assert_true(gguf_get_arr(&g, "strs", GGUF_STR, &r) && r.n == 3);
    assert_true(gguf_arr_next_str(&r, &pos, &s) && s.len == 3 && memcmp(s.p, "one", 3) == 0);
    assert_true(gguf_arr_next_str(&r, &pos, &s) && s.len == 0);
    assert_true(gguf_arr_next_str(&r, &pos, &s) && s.len == 5 && !gguf_arr_next_str(&r, &pos, &s));
    assert_true(gguf_get_arr(&g, "nested", GGUF_ARR, &r) && r.n == 2 && r.size_bytes == sizeof nested);
    pos = 0;
    assert_true(gguf_arr_next_arr(&r, &pos, &sub) && sub.type == GGUF_U8 && sub.n == 2 && gguf_arr_u64(&sub, 1) == 2);
    assert_true(gguf_arr_next_arr(&r, &pos, &sub) && sub.type == GGUF_STR && !gguf_arr_next_arr(&r, &pos, &r));
    pos = 0;
    assert_true(gguf_arr_next_str(&sub, &pos, &s) && s.len == 1 && gguf_arr_next_str(&sub, &pos, &s));
    assert_true(s.len == 2 && memcmp(s.p, "bc", 2) == 0 && !gguf_arr_next_str(&sub, &pos, &s));
    arena_deinit(&a);
    free(im.p);
}

static void reads_tensors(void **state) {
    struct image im;
    struct arena a;
    struct gguf g;
    struct err e;
    build_small(&im);
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    assert_int_equal(g.n_tensor, 3);
    const struct gguf_tensor *t = gguf_tensor_find(&g, "b");
    assert_true(t && t == &g.tensors[1] && t->type == DT_Q4_K && t->n_dims == 2 && t->dims[0] == 256 && t->dims[1] == 2);
    assert_true(t->dims[2] == 1 && t->dims[3] == 1 && t->size_bytes == 288 && t->file == 0);
    assert_int_equal(g.data_offset % 32, 0);
    assert_int_equal(g.tensors[0].offset, g.data_offset);
    assert_int_equal(t->offset, g.data_offset + 32);
    assert_int_equal(g.tensors[2].offset, g.data_offset + 32 + 288);
    assert_null(gguf_tensor_find(&g, "bb"));
    assert_int_equal(im.n, g.tensors[2].offset + 64);
    arena_deinit(&a);
    free(im.p);
}

/* What was parsed, written again, is the same file. */
static void round_trip(void **state) {
    struct image im, again;
    struct arena a;
    struct gguf g;
    struct err e;
    build_small(&im);
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    struct gguf_writer w;
    gguf_writer_init(&w);
    for (uint64_t i = 0; i < g.n_kv; i++) gguf_put_kv(&w, &g.kv[i]);
    for (uint64_t i = 0; i < g.n_tensor; i++)
        gguf_put_tensor(&w, g.tensors[i].name, g.tensors[i].type, g.tensors[i].n_dims, g.tensors[i].dims);
    finish(&w, &again);
    assert_int_equal(im.n, again.n);
    assert_memory_equal(im.p, again.p, g.data_offset);
    arena_deinit(&a);
    free(im.p);
    free(again.p);
}

static void alignment_and_version_2(void **state) {
    struct gguf_writer w;
    struct image im;
    struct arena a;
    struct gguf g;
    struct err e;
    gguf_writer_init(&w);
    w.version = 2;
    w.alignment = 128;
    add_tensor(&w, "a", DT_F32, 1, 1);
    add_tensor(&w, "b", DT_F32, 1, 1);
    finish(&w, &im);
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    assert_true(g.version == 2 && g.alignment == 128 && g.data_offset % 128 == 0);
    assert_int_equal(g.tensors[1].offset, g.data_offset + 128);
    arena_deinit(&a);
    free(im.p);
}

/* Cut anywhere, the file is refused; given as a prefix it asks for more, and never for too much. */
static void truncation_at_every_byte(void **state) {
    struct image im;
    struct arena a;
    struct gguf g;
    struct err e;
    build_small(&im);
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    uint64_t head = g.data_offset, data_end = g.tensors[2].offset + g.tensors[2].size_bytes;
    arena_deinit(&a);
    for (size_t n = 0; n < data_end; n++) {
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, im.p, n);
        arena_init(&a, 0);
        int code = gguf_parse(cut, n, n, "m.gguf", &a, &g, NULL, &e);
        assert_true(code < 0 && e.code == code);
        assert_non_null(strstr(e.text, n == 0 ? "is empty" : "is truncated"));
        arena_deinit(&a);
        uint64_t need = 0;
        code = gguf_parse(cut, n, im.n, "m.gguf", &a, &g, &need, &e);
        if (code) assert_true(code == ERR_SHORT && need > n && need <= head);
        else assert_true(n + 31 >= head); /* padding before the data is not needed */
        arena_deinit(&a);
        free(cut);
    }
    free(im.p);
}

/* Any byte changed: an answer, whatever it is, and no crash. */
static void damage_at_every_byte(void **state) {
    struct image im;
    build_small(&im);
    for (size_t i = 0; i < im.n; i++) {
        for (int k = 0; k < 3; k++) {
            uint8_t old = im.p[i];
            im.p[i] = k == 0 ? 0 : k == 1 ? 0xff : (uint8_t)(old ^ 1);
            struct arena a;
            struct gguf g;
            struct err e;
            int code = parse(&im, &a, &g, &e);
            assert_true(code <= 0);
            arena_deinit(&a);
            im.p[i] = old;
        }
    }
    free(im.p);
}

static struct image bytes(const char *s, size_t n) {
    struct image im = {0};
    to_image(&im, s, n);
    return im;
}

static void refuses_other_files(void **state) {
    struct image im = bytes("", 0);
    refused(&im, ERR_FORMAT, "m.gguf is empty");
    im = bytes("#!/bin/sh\n", 10);
    refused(&im, ERR_FORMAT, "m.gguf is not a GGUF model: it begins with '#!/b'");
    im = bytes("\x1b[m\n", 4);
    refused(&im, ERR_FORMAT, "m.gguf is not a GGUF model: it begins with '\\x1b[m\\x0a'");
    im = bytes("GX", 2);
    refused(&im, ERR_FORMAT, "m.gguf is not a GGUF model: it begins with 'GX'");
    im = bytes("GGUF\0\0\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
    refused(&im, ERR_UNSUPPORTED, "m.gguf is a big-endian GGUF file; convert it to little-endian");
    im = bytes("GGUF\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
    refused(&im, ERR_UNSUPPORTED, "m.gguf has GGUF version 1; versions 2 and 3 can be read");
}

static void refuses_absurd_counts(void **state) {
    struct image im = bytes("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f", 24);
    refused(&im, ERR_FORMAT,
            "m.gguf is truncated or damaged: it announces 9223372036854775807 metadata keys but has only 24 bytes");
    im = bytes("GGUF\3\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0", 24);
    refused(&im, ERR_FORMAT, "m.gguf is truncated or damaged: it announces 4294967295 tensors but has only 24 bytes");
}

/* A file of one value: type, then its bytes. */
static struct image one_value(uint32_t type, const void *value, size_t n) {
    struct image im = bytes("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0k\ne", 35);
    to_image(&im, &type, 4);
    to_image(&im, value, n);
    return im;
}

static void refuses_bad_values(void **state) {
    struct image im = one_value(13, "\0\0\0\0\0\0\0\0", 8);
    refused(&im, ERR_FORMAT, "m.gguf has the key 'k\\x0ae' of unknown value type 13");
    im = one_value(GGUF_BOOL, "\2", 1);
    refused(&im, ERR_FORMAT, "m.gguf has the key 'k\\x0ae' with a bool of value 2");
    im = one_value(GGUF_ARR, "\7\0\0\0\2\0\0\0\0\0\0\0\1\3", 14);
    refused(&im, ERR_FORMAT, "m.gguf has the key 'k\\x0ae' with a bool of value 3");
    im = one_value(GGUF_ARR, "\x63\0\0\0\0\0\0\0\0\0\0\0", 12);
    refused(&im, ERR_FORMAT, "m.gguf has the key 'k\\x0ae' of unknown value type 99");
    im = one_value(GGUF_ARR, "\4\0\0\0\xff\xff\xff\xff\xff\xff\xff\x7f", 12);
    refused(&im, ERR_FORMAT,
            "m.gguf is truncated or damaged: it announces 9223372036854775807 array elements but has only 51 bytes");
    im = one_value(GGUF_STR, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
    refused(&im, ERR_SHORT, "m.gguf is truncated or damaged: key 'k\\x0ae' needs 18446744073709551615 bytes at offset "
                            "47, the file has 47");
}

static void nesting_is_bounded(void **state) {
    uint8_t deep[GGUF_MAX_DEPTH * 12 + 1] = {0};
    for (int i = 0; i < GGUF_MAX_DEPTH; i++) {
        deep[i * 12] = i < GGUF_MAX_DEPTH - 1 ? GGUF_ARR : GGUF_U8;
        deep[i * 12 + 4] = 1;
    }
    struct image im = one_value(GGUF_ARR, deep, sizeof deep);
    struct arena a;
    struct gguf g;
    struct err e;
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    arena_deinit(&a);
    free(im.p);
    uint8_t deeper[sizeof deep + 12] = {GGUF_ARR, 0, 0, 0, 1};
    memcpy(deeper + 12, deep, sizeof deep);
    im = one_value(GGUF_ARR, deeper, sizeof deeper);
    refused(&im, ERR_UNSUPPORTED, "m.gguf has the key 'k\\x0ae' with arrays nested more than 8 deep");
}

static void refuses_bad_keys(void **state) {
    struct gguf_writer w;
    struct image im;
    gguf_writer_init(&w);
    gguf_put_u32(&w, "same", 1);
    gguf_put_u32(&w, "same", 2);
    finish(&w, &im);
    refused(&im, ERR_FORMAT, "m.gguf has the key 'same' twice");
    gguf_writer_init(&w);
    gguf_put_u32(&w, "", 1);
    finish(&w, &im);
    refused(&im, ERR_FORMAT, "m.gguf has a metadata key of 0 bytes; 1 to 65535 are allowed");
    gguf_writer_init(&w);
    char *big = calloc(1, 70001);
    memset(big, 'x', 70000);
    gguf_put_u32(&w, big, 1);
    free(big);
    finish(&w, &im);
    refused(&im, ERR_FORMAT, "m.gguf has a metadata key of 70000 bytes; 1 to 65535 are allowed");
    for (uint32_t n = 0; n <= 24; n += 4) {
        if (n == 8 || n == 16) continue;
        gguf_writer_init(&w);
        gguf_put_u32(&w, "general.alignment", n);
        finish(&w, &im);
        refused(&im, ERR_FORMAT, "m.gguf has a general.alignment that is not a power of two from 8 on");
    }
    gguf_writer_init(&w);
    gguf_put_f32(&w, "general.alignment", 32);
    finish(&w, &im);
    refused(&im, ERR_FORMAT, "m.gguf has a general.alignment that is not a power of two from 8 on");
}

/* A file of one tensor 't' whose directory entry the test then changes: name length at 24, name at 32, n_dims at
 * 33, dims at 37 and 45, type at 53, offset at 57. */
static struct image one_tensor(void) {
    struct gguf_writer w;
    struct image im;
    gguf_writer_init(&w);
    add_tensor(&w, "t", DT_Q8_0, 32, 2);
    finish(&w, &im);
    return im;
}

static void refuses_bad_tensors(void **state) {
    struct image im = one_tensor();
    im.p[53] = 77;
    refused(&im, ERR_UNSUPPORTED, "m.gguf has the tensor 't' of unknown type 77");
    im = one_tensor();
    im.p[37] = 33;
    refused(&im, ERR_FORMAT, "m.gguf has the tensor 't' with rows of 33 elements, not a multiple of Q8_0's block of 32");
    im = one_tensor();
    im.p[45] = 0;
    refused(&im, ERR_FORMAT, "m.gguf has the tensor 't' with a dimension of 0");
    im = one_tensor();
    im.p[33] = 5;
    refused(&im, ERR_UNSUPPORTED, "m.gguf has the tensor 't' with 5 dimensions; at most 4 are possible");
    im = one_tensor();
    memset(im.p + 45, 0xff, 8);
    refused(&im, ERR_FORMAT, "m.gguf has the tensor 't' whose size overflows");
    im = one_tensor();
    im.p[57] = 8;
    refused(&im, ERR_FORMAT, "m.gguf has the tensor 't' at offset 8, not a multiple of the alignment 32");
    im = one_tensor();
    im.p[58] = 1;
    refused(&im, ERR_FORMAT,
            "m.gguf is truncated or damaged: tensor 't' needs 68 bytes at offset 352, the file has 192");
    im = one_tensor();
    memset(im.p + 58, 0xff, 7);
    refused(&im, ERR_FORMAT,
            "m.gguf is truncated or damaged: tensor 't' needs 68 bytes at offset 18446744073709551456, the file "
            "has 192");
}

static void refuses_bad_tensor_names(void **state) {
    struct image im = one_tensor();
    im.p[32] = 0;
    refused(&im, ERR_FORMAT, "m.gguf has a tensor name with a zero byte: '\\x00'");
    im = one_tensor();
    im.p[24] = 0;
    refused(&im, ERR_FORMAT, "m.gguf has a tensor name of 0 bytes; 1 to 255 are allowed");
    struct gguf_writer w;
    char big[300];
    memset(big, 'x', sizeof big);
    big[256] = 0;
    gguf_writer_init(&w);
    add_tensor(&w, big, DT_F32, 1, 1);
    finish(&w, &im);
    refused(&im, ERR_FORMAT, "m.gguf has a tensor name of 256 bytes; 1 to 255 are allowed");
    gguf_writer_init(&w);
    big[100] = 0;
    add_tensor(&w, big, DT_F32, 1, 1);
    add_tensor(&w, big, DT_F32, 1, 1);
    finish(&w, &im);
    refused(&im, ERR_FORMAT,
            "m.gguf has the tensor 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...' "
            "twice");
}

static void unsupported_types_are_known(void **state) {
    struct image im = one_tensor();
    struct arena a;
    struct gguf g;
    struct err e;
    im.p[53] = 24;
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    assert_string_equal(dtype_info(g.tensors[0].type)->name, "I8");
    assert_false(dtype_info(g.tensors[0].type)->supported);
    assert_int_equal(g.tensors[0].size_bytes, 64);
    arena_deinit(&a);
    free(im.p);
    assert_int_equal(dtype_from_name("q4_k"), DT_Q4_K);
    assert_int_equal(dtype_from_name("Q4"), -1);
    assert_null(dtype_info(4)->name);
    assert_null(dtype_info(UINT32_MAX)->name);
}

/* Many keys and tensors are found, and a memory limit gives an error at every step. */
static void many_entries_and_no_memory(void **state) {
    struct gguf_writer w;
    struct image im;
    struct arena a;
    struct gguf g;
    struct err e;
    char name[32];
    gguf_writer_init(&w);
    for (uint32_t i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "n%u", i);
        gguf_put_u32(&w, name, i);
        add_tensor(&w, name, DT_F32, 1, 1);
    }
    finish(&w, &im);
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    for (uint32_t i = 0, u; i < 3000; i++) {
        snprintf(name, sizeof name, "n%u", i);
        assert_true(gguf_get_u32(&g, name, &u) && u == i && gguf_tensor_find(&g, name) == &g.tensors[i]);
    }
    size_t used = a.used_bytes;
    arena_deinit(&a);
    for (size_t limit = 1; limit < used; limit += used / 50) {
        arena_init(&a, limit);
        assert_int_equal(gguf_parse(im.p, im.n, im.n, "m.gguf", &a, &g, NULL, &e), ERR_NOMEM);
        arena_deinit(&a);
    }
    free(im.p);
}

/* Split models. */

static void build_part(struct image *im, uint32_t no, uint32_t count, uint64_t total, const char *tensor) {
    struct gguf_writer w;
    gguf_writer_init(&w);
    gguf_put_split(&w, no, count, total);
    add_tensor(&w, tensor, DT_F32, 8, no + 1);
    finish(&w, im);
}

static int merge(const struct image *parts, uint32_t n, struct arena *a, struct gguf *g, struct err *e) {
    uint32_t count;
    assert_int_equal(parse(&parts[0], a, g, e), 0);
    int code = gguf_split_count(g, "m.gguf", &count, e);
    for (uint32_t i = 1; i < n && !code; i++) {
        struct gguf part;
        assert_int_equal(gguf_parse(parts[i].p, parts[i].n, parts[i].n, "p.gguf", a, &part, NULL, e), 0);
        code = gguf_split_add(g, &part, i, "p.gguf", a, e);
    }
    return code;
}

static void merges_parts(void **state) {
    struct image im[3];
    struct arena a;
    struct gguf g;
    struct err e;
    uint32_t count;
    build_part(&im[0], 0, 3, 3, "a");
    build_part(&im[1], 1, 3, 3, "b");
    build_part(&im[2], 2, 3, 3, "c");
    assert_int_equal(merge(im, 3, &a, &g, &e), 0);
    assert_true(gguf_split_count(&g, "m.gguf", &count, &e) == 0 && count == 3);
    assert_true(g.n_tensor == 3 && g.n_file == 3);
    const struct gguf_tensor *t = gguf_tensor_find(&g, "c");
    assert_true(t && t->file == 2 && t->dims[1] == 3 && gguf_tensor_find(&g, "a")->file == 0);
    arena_deinit(&a);
    for (int i = 0; i < 3; i++) free(im[i].p);
}

static void merge_refused(uint32_t no, uint32_t count, uint64_t total, const char *tensor, const char *sentence) {
    struct image im[2];
    struct arena a;
    struct gguf g;
    struct err e = {0};
    build_part(&im[0], 0, 2, 2, "a");
    build_part(&im[1], no, count, total, tensor);
    assert_true(merge(im, 2, &a, &g, &e) < 0);
    assert_string_equal(e.text, sentence);
    arena_deinit(&a);
    free(im[0].p);
    free(im[1].p);
}

static void refuses_wrong_parts(void **state) {
    merge_refused(1, 2, 2, "a", "p.gguf has the tensor 'a', which another part has too");
    merge_refused(2, 2, 2, "b", "p.gguf should be part 2 of the model but says it is part 3");
    merge_refused(1, 4, 2, "b", "p.gguf says the model has 4 parts, the first part says otherwise");
    struct image im;
    struct arena a;
    struct gguf g;
    struct err e;
    uint32_t count;
    build_part(&im, 1, 3, 3, "a");
    assert_int_equal(parse(&im, &a, &g, &e), 0);
    assert_int_equal(gguf_split_count(&g, "m.gguf", &count, &e), ERR_ARG);
    assert_string_equal(e.text, "m.gguf is part 2 of 3 of a split model; open its first part, named -00001-of-00003");
    arena_deinit(&a);
    free(im.p);
    build_part(&im, 0, 2, 5, "a");
    struct image im2;
    build_part(&im2, 1, 2, 5, "b");
    assert_int_equal(merge((struct image[]){im, im2}, 2, &a, &g, &e), ERR_FORMAT);
    assert_string_equal(e.text, "p.gguf completes a split model of 5 tensors, but its parts hold 2");
    arena_deinit(&a);
    free(im.p);
    free(im2.p);
}

static void split_paths(void **state) {
    char out[64];
    struct err e;
    assert_int_equal(gguf_split_path("d/m-00001-of-00012.gguf", 11, 12, out, sizeof out, &e), 0);
    assert_string_equal(out, "d/m-00012-of-00012.gguf");
    assert_int_equal(gguf_split_path("d/m.gguf", 1, 12, out, sizeof out, &e), ERR_ARG);
    assert_string_equal(e.text, "d/m.gguf is the first of 12 parts, but its name does not end in -00001-of-00012.gguf");
    assert_int_equal(gguf_split_path("d/m-00001-of-00012.gguf", 1, 12, out, 8, &e), ERR_ARG);
}

static void long_file_names_fit(void **state) {
    char name[4000];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    struct arena a;
    struct gguf g;
    struct err e;
    arena_init(&a, 0);
    assert_int_equal(gguf_parse("", 0, 0, name, &a, &g, NULL, &e), ERR_FORMAT);
    assert_non_null(strstr(e.text, "n is empty"));
    arena_deinit(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_value_types),
        cmocka_unit_test(reads_arrays),
        cmocka_unit_test(reads_tensors),
        cmocka_unit_test(round_trip),
        cmocka_unit_test(alignment_and_version_2),
        cmocka_unit_test(truncation_at_every_byte),
        cmocka_unit_test(damage_at_every_byte),
        cmocka_unit_test(refuses_other_files),
        cmocka_unit_test(refuses_absurd_counts),
        cmocka_unit_test(refuses_bad_values),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(refuses_bad_keys),
        cmocka_unit_test(refuses_bad_tensors),
        cmocka_unit_test(refuses_bad_tensor_names),
        cmocka_unit_test(unsupported_types_are_known),
        cmocka_unit_test(many_entries_and_no_memory),
        cmocka_unit_test(merges_parts),
        cmocka_unit_test(refuses_wrong_parts),
        cmocka_unit_test(split_paths),
        cmocka_unit_test(long_file_names_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
