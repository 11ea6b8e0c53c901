#include "sched/bandwidth.h"

#include "runtime/clock.h"
#include "runtime/cpu.h"
#include "sched/engine.h"

#define CHUNK_BYTES ((uint64_t)1 << 20)
#define N_PASS 4
#define AHEAD 256 /* elements: 2 KB */
#define MIN_BYTES ((uint64_t)256 << 20) /* small models are read several times per pass */

struct read_args {
    uint64_t size_bytes;
};

static void read_chunks(const struct cpu_call *c, uint32_t begin, uint32_t end, struct cpu_worker *w) {
    const struct read_args *a = (const void *)c->args;
    uint64_t n_chunk = (a->size_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES, sum = 0;
    for (uint32_t i = begin; i < end; i++) {
        uint64_t off = i % n_chunk * CHUNK_BYTES, len = a->size_bytes - off < CHUNK_BYTES ? a->size_bytes - off : CHUNK_BYTES;
        const uint64_t *p = (const uint64_t *)((const unsigned char *)c->bind[0] + off);
        uint64_t quarter = len / 32; /* four streams, and each announced: as much as the memory gives */
        for (uint64_t k = 0; k + 8 <= quarter; k += 8)
            for (uint64_t r = 0; r < 4; r++) {
                const uint64_t *line = p + r * quarter + k;
                __builtin_prefetch(line + AHEAD);
                for (int word = 0; word < 8; word++) sum += line[word];
            }
    }
    *(volatile uint64_t *)w->scratch = sum; /* so that the reads are not left out */
}

double bandwidth_read(struct device *dev, struct buf *b, uint64_t size_bytes) {
    if (device_kind(dev) != DEVICE_CPU) return 0;
    struct read_args a = {size_bytes};
    uint64_t n_chunk = (size_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    uint64_t repeat = size_bytes < MIN_BYTES ? MIN_BYTES / size_bytes + 1 : 1;
    double best = 0;
    for (int pass = 0; pass < N_PASS; pass++) {
        struct cmd *c = cmd_begin(dev);
        uint64_t fence;
        struct ref w = {b, 0};
        cpu_encode(c, read_chunks, (uint32_t)(n_chunk * repeat), 1, &a, sizeof a, &w, 1);
        uint64_t t0 = clock_ns();
        if (cmd_commit(c, &fence, NULL) || device_wait(dev, fence, NULL)) return 0;
        double rate = (double)(size_bytes * repeat) / ((double)(clock_ns() - t0) / 1e9);
        if (rate > best) best = rate;
    }
    return best;
}

double hy_read_bandwidth(struct hy_engine *en) { return bandwidth_read(en->dev, &en->weights[0], en->place.buf_bytes[0]); }
