/* Private to matmul_rows_cpu: the matrix-matrix form of the instruction sets that matmul_plain serves.
 *
 * For each 256 columns some rows of weights are unpacked once into panels that stay in L1 and meet every token.
 * A panel is a tile of rows in which a lane is a row: unit k (W_UNIT bytes) of all rows lies side by side. The
 * instruction set gives the tile (TILE_ROWS x TILE_TOK): how integers are multiplied and summed, exactly;
 * the order of the float steps is matmul.h's, so the bits are those of matmul_plain. A last tile repeats its last
 * token; what it makes of the repetitions goes to spare sums. */
#pragma once
#include "kernels/matmul_plain.h"

#if defined(ISA_avx2) || defined(ISA_neon)

/* Address checks of unrolled tiles make a compiler work for minutes; the address sanitizer covers them. */
#define GEMM_INLINE MM_INLINE __attribute__((no_sanitize("alignment", "bounds", "null", "object-size", "pointer-overflow")))
#define TILE_TOK 4

MM_INLINE int type_super(enum dtype t) { /* blocks of 256 */
    return t == DT_Q2_K || t == DT_Q3_K || t == DT_Q4_K || t == DT_Q5_K || t == DT_Q6_K || t == DT_IQ4_XS;
}
MM_INLINE int type_sub_block(enum dtype t) { return t == DT_Q2_K || t == DT_Q3_K || t == DT_Q6_K ? 16 : 32; }

#if defined(ISA_avx2)
#define TILE_ROWS 16
#define W_UNIT 4
#define W_BYTES 2 /* of one weight, at most */
#define N_COPY 1  /* of a scale */
#define GEMM_ROWS 32
#else
#define TILE_ROWS 8
#ifdef __ARM_FEATURE_MATMUL_INT8
#define W_UNIT 8
#define N_COPY 2
#else
#define W_UNIT 4
#define N_COPY 1
#endif
#define W_BYTES 1
#define GEMM_ROWS 64
#endif

struct panel { /* TILE_ROWS rows x 256 columns */
    _Alignas(64) int8_t w[256 * W_BYTES / W_UNIT][TILE_ROWS][W_UNIT];
    int32_t scale[16][TILE_ROWS * N_COPY]; /* 256: per 16 columns */
    int16_t min[8][TILE_ROWS][2];          /* 256: per pair of sub-blocks */
    int32_t start[8][TILE_ROWS];           /* what the sum of a block starts from */
    float d[8][TILE_ROWS], m[8][TILE_ROWS]; /* per block; 256: d and dmin in [0] */
};

struct tile_x { /* TILE_TOK tokens x 256 columns */
    _Alignas(64) uint8_t q[256 * W_BYTES * TILE_TOK];
    const void *block[TILE_TOK]; /* struct act_q8_256 or act_q8_32 */
};

struct gemm_scratch {
    struct panel panel[GEMM_ROWS / TILE_ROWS];
    struct tile_x x;
    float sum[MM_TOK + TILE_TOK - 1][GEMM_ROWS];
};
_Static_assert(sizeof(struct gemm_scratch) <= MM_SCRATCH_BYTES, "scratch");

/* n_unit units of four rows, from unit `first` of the panel on. */
GEMM_INLINE void pack_units(struct panel *p, uint32_t row, uint32_t first, const void *const q[4], uint32_t n_unit) {
#if W_UNIT == 4
    for (uint32_t k = 0; k < n_unit; k += 4) {
        i32x4 v[4];
        for (int r = 0; r < 4; r++) memcpy(&v[r], (const char *)q[r] + 4 * k, 16);
        i32x4 a = __builtin_shufflevector(v[0], v[1], 0, 4, 1, 5), b = __builtin_shufflevector(v[2], v[3], 0, 4, 1, 5);
        i32x4 c = __builtin_shufflevector(v[0], v[1], 2, 6, 3, 7), d = __builtin_shufflevector(v[2], v[3], 2, 6, 3, 7);
        const i32x4 out[4] = {__builtin_shufflevector(a, b, 0, 1, 4, 5), __builtin_shufflevector(a, b, 2, 3, 6, 7),
                              __builtin_shufflevector(c, d, 0, 1, 4, 5), __builtin_shufflevector(c, d, 2, 3, 6, 7)};
        for (int i = 0; i < 4; i++) memcpy(p->w[first + k + (uint32_t)i][row], &out[i], 16);
    }
#else
    for (uint32_t k = 0; k < n_unit; k++)
        for (uint32_t r = 0; r < 4; r++) memcpy(p->w[first + k][row + r], (const char *)q[r] + W_UNIT * k, W_UNIT);
#endif
}

#if defined(ISA_avx2)
#include "kernels/matmul_avx2_gemm.h"
#else
#include "kernels/matmul_neon_gemm.h"
#endif

/* ---- packing: four rows from `row` of a panel */

GEMM_INLINE void pack256(enum dtype t, const unsigned char *const *w, struct panel *p, uint32_t row) {
    struct plain256 b[4];
    const int skip = type_sub_block(t) / 16; /* sub-blocks of 32 are there twice */
    for (uint32_t r = 0; r < 4; r++) {
        plain_unpack256(t, w[r], &b[r]);
        p->d[0][row + r] = b[r].d;
        for (int g = 0; g < 16; g += skip)
            for (int c = 0; c < N_COPY; c++) p->scale[g][(row + r) * N_COPY + (uint32_t)c] = lane_scale(b[r].sc[g]);
        if (!type_has_min(t)) continue;
        p->m[0][row + r] = b[r].dmin;
        for (int g = 0; g < 16 / skip; g++) p->min[g / 2][row + r][g % 2] = b[r].min[g * skip];
    }
    const int8_t *const q[4] = {b[0].q, b[1].q, b[2].q, b[3].q};
    const int16_t *const sc[4] = {b[0].sc, b[1].sc, b[2].sc, b[3].sc};
    pack_quants(t, p, row, 0, q, sc, 256);
    if (type_start(t)) store_start(dot256(b, ones), &p->start[0][row]);
}

GEMM_INLINE void pack32(enum dtype t, const unsigned char *const *w, struct panel *p, uint32_t row, uint32_t block) {
    struct plain32 b[4];
    for (uint32_t r = 0; r < 4; r++) {
        plain_unpack32(t, w[r], &b[r]);
        p->d[block][row + r] = b[r].d, p->m[block][row + r] = b[r].m;
    }
    const int8_t *const q[4] = {b[0].q, b[1].q, b[2].q, b[3].q};
    pack_quants(t, p, row, 32 * block, q, NULL, 32);
    if (type_start(t)) store_start(dot32(b, ones), &p->start[block][row]);
}

/* Columns 256 g.. of n_row rows from w; those that are missing in the last panel repeat the last. */
GEMM_INLINE void pack_rows(enum dtype t, const struct mm_job *j, const unsigned char *w, uint32_t n_row, uint32_t n_block,
                           struct panel *panel) {
    const uint32_t block_bytes = dtype_info((uint32_t)t)->block_bytes;
    for (uint32_t row = 0; row < (n_row + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS; row += 4) {
        struct panel *p = &panel[row / TILE_ROWS];
        const unsigned char *at[4];
        for (uint32_t r = 0; r < 4; r++) at[r] = w + (row + r < n_row ? row + r : n_row - 1) * j->row_bytes;
        if (type_super(t)) {
            pack256(t, at, p, row % TILE_ROWS);
            continue;
        }
        for (uint32_t b = 0; b < n_block; b++) {
            pack32(t, at, p, row % TILE_ROWS, b);
            for (int r = 0; r < 4; r++) at[r] += block_bytes;
        }
    }
}

/* ---- rows begin..end-1, at most GEMM_ROWS, times all tokens */

GEMM_INLINE void load_x(enum dtype t, const struct mm_job *j, uint32_t tok, uint32_t group, struct tile_x *x) {
    for (uint32_t i = 0; i < TILE_TOK; i++) {
        const unsigned char *row = j->x[tok + i < j->n_tok ? tok + i : j->n_tok - 1];
        const struct act_q8_256 *wide = (const struct act_q8_256 *)(const void *)row + group;
        const struct act_q8_32 *small = (const struct act_q8_32 *)(const void *)row + group;
        x->block[i] = type_super(t) ? (const void *)wide : small;
        load_token(t, type_super(t) ? wide->q : small->q, i, x);
    }
}

static void gemm_store(const struct mm_job *j, uint32_t begin, uint32_t n_row, float (*sum)[GEMM_ROWS]) {
    for (uint32_t k = 0; k < j->n_tok; k++)
        for (uint32_t r = 0; r < n_row; r++) j->y[k][begin + r] = j->bias ? sum[k][r] + j->bias[begin + r] : sum[k][r];
}

GEMM_INLINE void gemm_rows(enum dtype t, const struct mm_job *j, uint32_t begin, uint32_t end, struct gemm_scratch *s) {
    const uint32_t n_row = end - begin, n_group = (j->n_in + 255) / 256;
    const uint32_t group_bytes = dtype_info((uint32_t)t)->block_bytes * (type_super(t) ? 1 : 8);
    memset(s->sum, 0, (j->n_tok + TILE_TOK - 1) * sizeof s->sum[0]);
    for (uint32_t g = 0; g < n_group; g++) {
        const uint32_t n_block = j->n_in - 256 * g < 256 ? j->n_in % 256 / 32 : 8;
        const unsigned char *w = j->w + (uint64_t)begin * j->row_bytes + (uint64_t)g * group_bytes;
        pack_rows(t, j, w, n_row, n_block, s->panel);
        for (uint32_t tok = 0; tok < j->n_tok; tok += TILE_TOK) {
            for (uint32_t r = n_row * tok / j->n_tok; r < n_row * (tok + TILE_TOK) / j->n_tok; r++)
                for (uint32_t i = 0; i < group_bytes; i += 64) /* what is packed next */
                    __builtin_prefetch(w + r * j->row_bytes + group_bytes + i);
            load_x(t, j, tok, g, &s->x);
            for (uint32_t i = 0; i < (n_row + TILE_ROWS - 1) / TILE_ROWS; i++) {
                float *out = &s->sum[tok][i * TILE_ROWS];
                if (type_super(t)) tile256(t, &s->panel[i], &s->x, out);
                else tile32(t, &s->panel[i], &s->x, n_block, out);
            }
        }
    }
    gemm_store(j, begin, n_row, s->sum);
}
#endif
