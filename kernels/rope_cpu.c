#include "kernels/rope_turn.h"

void ISA_FN(rope)(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct rope_args *a = (const struct rope_args *)c->args;
    struct rope_turner turner;
    rope_turner_init(&turner, a, (float *)w->scratch);
    for (uint64_t t = begin; t < end; t++) {
        rope_turner_set(&turner, ((const int32_t *)c->bind[1])[t], c->bind[2]);
        float *x = (float *)c->bind[0] + t * a->n_head * a->head_dim;
        for (uint32_t h = 0; h < a->n_head; h++, x += a->head_dim) rope_turn_head(&turner, x);
    }
}
