#include "kernels/matmul_metal.h"

#include <math.h>

#include "kernels/dequant.h"
#include "runtime/metal.h"

/* The vec form reads W once for up to 8 tokens, and its work grows with them; the mat form does the work of 32 tokens
 * always. On paper they meet between 6 and 12: at 8 tokens the vec form does 16 operations per weight, on floats
 * loaded from the cache for every second row, the mat form 64 at the rate of simdgroup matrices. Not measured on an Apple GPU. */
#define VEC_TOK MM_VEC_MAX
/* For matmul_id the vec form reads an expert again for each slot: with 4-bit weights that costs as much as a
 * 32-token tile at about 6 slots per expert; less, since few experts are near the mean. Not measured either. */
#define ID_VEC_SLOTS 4

enum { VEC1, VEC2, VEC4, VEC8, MAT, ID_VEC, ID_MAT, GLU1, GLU2, GLU4, GLU8, N_FORM };

static const char *const kernels[DT_MAX][N_FORM] = {
#define X(t)                                                                                       \
    [DT_##t] = {"matmul_vec1_" #t, "matmul_vec2_" #t, "matmul_vec4_" #t, "matmul_vec8_" #t,        \
                "matmul_mat_" #t, "matmul_id_vec_" #t, "matmul_id_mat_" #t,                                \
                "matmul_glu1_" #t, "matmul_glu2_" #t, "matmul_glu4_" #t, "matmul_glu8_" #t},
    X(F32) X(F16) X(BF16) X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(Q8_0) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K)
    X(IQ4_NL) X(IQ4_XS) X(MXFP4)
#undef X
};

static uint32_t div_up(uint32_t n, uint32_t by) { return n / by + (n % by != 0); }

/* Whether the mat form's tiles are float, not half. */
static bool is_float(uint32_t w_type) { return w_type == DT_F32; }

static int check_align(uint32_t w_type, struct ref w, struct err *e) {
    uint32_t align = w_type == DT_F32 ? 4 : 2;
    if (w.off % align == 0) return ERR_OK;
    return err_set(e, ERR_ARG, "matmul: w is at byte %llu, not a multiple of %u", (unsigned long long)w.off, align);
}

static int encode(struct cmd *c, uint32_t w_type, uint32_t form, const void *args, size_t args_bytes, const struct ref *bind,
                  uint32_t n_bind, uint32_t gx, uint32_t gy, struct err *e) {
    bool mat = form == MAT || form == ID_MAT;
    const struct mtl_const has_bias = {0, MTL_CONST_BOOL, bind[n_bind - 1].buf != NULL};
    uint32_t tile = is_float(w_type) ? MM_MAT_TILE_BYTES(4) : MM_MAT_TILE_BYTES(2);
    struct mtl_call call = {
        .kernel = kernels[w_type][form], .consts = &has_bias, .n_const = 1, .args = args, .args_bytes = args_bytes,
        .bind = bind, .n_bind = n_bind, .groups = {gx, gy, 1},
        .threads = {mat ? MM_MAT_THREADS : MM_VEC_SIMD * 32, 1, 1},
        .tg_bytes = !mat ? 0 : tile > MM_MAT_OUT_BYTES ? tile : MM_MAT_OUT_BYTES};
    return mtl_encode(c, &call, e);
}

int matmul_glu_metal(struct cmd *c, const struct matmul_glu_args *a, const struct ref *bind, struct err *e) {
    uint32_t n = a->n_tok, form = n <= 1 ? GLU1 : n <= 2 ? GLU2 : n <= 4 ? GLU4 : GLU8;
    const struct mtl_const consts[] = {{0, MTL_CONST_BOOL, bind[4].buf != NULL}, {1, MTL_CONST_BOOL, bind[5].buf != NULL}};
    const struct mtl_call call = {
        .kernel = kernels[a->w_type][form], .consts = consts, .n_const = 2, .args = a, .args_bytes = sizeof *a, .bind = bind,
        .n_bind = 6, .groups = {n ? div_up(a->n_out, MM_VEC_SIMD * (uint32_t)MM_VEC_ROWS(n) / 2) : 0, 1, 1},
        .threads = {MM_VEC_SIMD * 32, 1, 1}};
    int rc = check_align(a->w_type, bind[2], e);
    if (!rc) rc = check_align(a->w_type, bind[3], e);
    return rc ? rc : mtl_encode(c, &call, e);
}

bool matmul_metal_is_mat(uint32_t n_tok) { return n_tok > VEC_TOK; }

int matmul_metal(struct cmd *c, const struct matmul_args *a, const struct ref *bind, struct err *e) {
    uint32_t n = a->n_tok, gx, gy = 1, form;
    int rc = check_align(a->w_type, bind[2], e);
    if (rc) return rc;
    if (matmul_metal_is_mat(n)) {
        form = MAT, gx = div_up(n, MM_MAT_TOK), gy = div_up(a->n_out, MM_MAT_ROWS);
    } else {
        form = n <= 1 ? VEC1 : n <= 2 ? VEC2 : n <= 4 ? VEC4 : VEC8;
        gx = n ? div_up(a->n_out, MM_VEC_SIMD * (uint32_t)MM_VEC_ROWS(n)) : 0;
    }
    return encode(c, a->w_type, form, a, sizeof *a, bind, 4, gx, gy, e);
}

int matmul_id_metal(struct cmd *c, const struct matmul_id_args *a, const struct ref *bind, bool listed, struct err *e) {
    uint32_t n_slot = a->n_tok * a->n_used;
    if (listed)
        return encode(c, a->w_type, ID_MAT, a, sizeof *a, bind, 5, matmul_id_tile_max(n_slot, a->n_expert),
                      div_up(a->n_out, MM_MAT_ROWS), e);
    return encode(c, a->w_type, ID_VEC, a, sizeof *a, bind, 5, div_up(a->n_out, MM_VEC_SIMD * MM_VEC_ROWS(1)), n_slot, e);
}

static uint64_t lists_bytes(const struct matmul_id_args *a) {
    uint32_t n_slot = a->n_tok * a->n_used;
    return sizeof(struct matmul_id_tile) * (1 + (uint64_t)matmul_id_tile_max(n_slot, a->n_expert)) + 4ull * n_slot;
}

uint64_t matmul_id_lists_bytes(const struct device *d, const struct matmul_id_args *a) {
    bool few = (uint64_t)a->n_tok * a->n_used <= (uint64_t)ID_VEC_SLOTS * a->n_expert;
    return device_kind(d) != DEVICE_METAL || few || a->n_expert > MM_LIST_EXPERTS ? 0 : lists_bytes(a);
}

int matmul_id_lists_encode(struct cmd *c, const struct matmul_id_args *a, struct ref lists, struct ref ids, struct err *e) {
    if (device_kind(cmd_device(c)) != DEVICE_METAL || a->n_expert > MM_LIST_EXPERTS)
        return err_set(e, ERR_UNSUPPORTED, "matmul_id: no lists for %u experts on %s", a->n_expert, device_describe(cmd_device(c)));
    const struct operand v[] = {{"lists", lists, lists_bytes(a)}, {"ids", ids, op_bytes(a->n_tok, a->n_used, 4, 1)}};
    int rc = op_check("matmul_id lists", v, 2, e);
    if (rc) return rc;
    const struct ref bind[] = {lists, ids};
    const struct mtl_call call = {.kernel = "matmul_id_lists", .args = a, .args_bytes = sizeof *a, .bind = bind, .n_bind = 2,
                                  .groups = {1, 1, 1}, .threads = {MM_LIST_THREADS, 1, 1}};
    return mtl_encode(c, &call, e);
}

/* The error of rounding v to half, to nearest. */
static double half_step(double v) { return fmax(fabs(v) * 0x1p-11, 0x1p-25); }

void matmul_metal_limit(const struct matmul_args *a, const float *x, const void *w, double *limit) {
    if (is_float(a->w_type)) return;
    enum dtype t = (enum dtype)a->w_type;
    double *row = malloc(a->n_in * sizeof *row);
    CHECK(row);
    for (uint64_t o = 0; o < a->n_out; o++) {
        dequant_row_f64(t, (const unsigned char *)w + o * dtype_bytes(t, a->n_in), row, a->n_in);
        for (uint64_t i = 0; i < a->n_tok; i++) {
            double moved = 0;
            for (uint32_t k = 0; k < a->n_in; k++) {
                double xk = fabs((double)x[i * a->n_in + k]), sx = half_step(xk), sw = half_step(row[k]);
                moved += fabs(row[k]) * sx + (xk + sx) * sw;
            }
            limit[i * a->n_out + o] += moved;
        }
    }
    free(row);
}
