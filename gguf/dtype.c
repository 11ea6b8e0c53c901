#include "gguf/dtype.h"

#include <stddef.h>
#include <strings.h>

#include "gguf/blocks.h"

#define BLOCK(name, elems, type) {name, elems, sizeof(struct type), true}
#define KNOWN(name, elems, bytes) {name, elems, bytes, false} /* named in messages, not computed with */

static const struct dtype_info infos[] = {
    [DT_F32] = {"F32", 1, 4, true},
    [DT_F16] = {"F16", 1, 2, true},
    [DT_BF16] = {"BF16", 1, 2, true},
    [DT_Q4_0] = BLOCK("Q4_0", QK, block_q4_0),
    [DT_Q4_1] = BLOCK("Q4_1", QK, block_q4_1),
    [DT_Q5_0] = BLOCK("Q5_0", QK, block_q5_0),
    [DT_Q5_1] = BLOCK("Q5_1", QK, block_q5_1),
    [DT_Q8_0] = BLOCK("Q8_0", QK, block_q8_0),
    [DT_Q2_K] = BLOCK("Q2_K", QK_K, block_q2_K),
    [DT_Q3_K] = BLOCK("Q3_K", QK_K, block_q3_K),
    [DT_Q4_K] = BLOCK("Q4_K", QK_K, block_q4_K),
    [DT_Q5_K] = BLOCK("Q5_K", QK_K, block_q5_K),
    [DT_Q6_K] = BLOCK("Q6_K", QK_K, block_q6_K),
    [DT_IQ4_NL] = BLOCK("IQ4_NL", QK, block_iq4_nl),
    [DT_IQ4_XS] = BLOCK("IQ4_XS", QK_K, block_iq4_xs),
    [DT_MXFP4] = BLOCK("MXFP4", QK, block_mxfp4),
    [9] = KNOWN("Q8_1", 32, 36),
    [15] = KNOWN("Q8_K", 256, 292),
    [16] = KNOWN("IQ2_XXS", 256, 66),
    [17] = KNOWN("IQ2_XS", 256, 74),
    [18] = KNOWN("IQ3_XXS", 256, 98),
    [19] = KNOWN("IQ1_S", 256, 50),
    [21] = KNOWN("IQ3_S", 256, 110),
    [22] = KNOWN("IQ2_S", 256, 82),
    [24] = KNOWN("I8", 1, 1),
    [25] = KNOWN("I16", 1, 2),
    [26] = KNOWN("I32", 1, 4),
    [27] = KNOWN("I64", 1, 8),
    [28] = KNOWN("F64", 1, 8),
    [29] = KNOWN("IQ1_M", 256, 56),
    [34] = KNOWN("TQ1_0", 256, 54),
    [35] = KNOWN("TQ2_0", 256, 66),
};
#define N_INFO (sizeof infos / sizeof infos[0])

const struct dtype_info *dtype_info(uint32_t id) {
    static const struct dtype_info unknown = {NULL, 1, 0, false};
    return id < N_INFO && infos[id].name ? &infos[id] : &unknown;
}

int dtype_from_name(const char *name) {
    for (size_t i = 0; i < N_INFO; i++)
        if (infos[i].name && strcasecmp(infos[i].name, name) == 0) return (int)i;
    return -1;
}
