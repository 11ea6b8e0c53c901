/* Three trivial kernels for the tests of the metal device: their Metal text, and on Linux what the scanner would make
 * of it, written by hand so that these tests need no kernel compiler. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/kernel_source.h"
#include "runtime/device_impl.h"
#include "runtime/metal.h"

#define N_FLOAT 1000

struct step_args {
    uint32_t n;
    float add;
};

/* step: x = 2 x + add. fill: x = VALUE or -VALUE, z is bound and not read. reach: x = what table[0] points to. */
static const char host_text[] =
    "#include <metal_stdlib>\n"
    "using namespace metal;\n"
    "constant float VALUE [[function_constant(0)]];\n"
    "constant bool NEGATE [[function_constant(3)]];\n"
    "struct step_args { uint n; float add; };\n"
    "kernel void step(constant step_args &a [[buffer(0)]], device float *x [[buffer(1)]], uint i "
    "[[thread_position_in_grid]]) {\n"
    "    if (i < a.n) x[i] = 2 * x[i] + a.add;\n"
    "}\n"
    "kernel void fill(constant step_args &a [[buffer(0)]], device float *x [[buffer(1)]],\n"
    "                 device const float *z [[buffer(2)]], uint i [[thread_position_in_grid]]) {\n"
    "    if (i < a.n) x[i] = NEGATE ? -VALUE : VALUE;\n"
    "}\n"
    "kernel void reach(constant step_args &a [[buffer(0)]], device float *x [[buffer(1)]],\n"
    "                  device const ulong *table [[buffer(2)]], uint i [[thread_position_in_grid]]) {\n"
    "    if (i < a.n) x[i] = ((device const float *)table[0])[i];\n"
    "}\n";
static const char *const host_names[] = {"step", "fill", "reach", NULL};
const struct kernel_source kernel_sources[] = {
    {"host", "kernels/host.metal", host_text, sizeof host_text - 1, host_names, 3}};
const uint32_t kernel_n_source = 1;

#ifdef __linux__
#include "runtime/soft/exec.h"
#include "runtime/soft/group.h"

static __thread float value_const;
static __thread bool negate_const;
static void set_value(const void *v) { value_const = v ? *(const float *)v : 0; }
static void set_negate(const void *v) { negate_const = v && *(const bool *)v; }
static uint32_t no_bytes(void) { return 0; }

static float *lane_x(const struct soft_lane *l, uint32_t *i) {
    const struct step_args *a = l->group->dispatch->buf[0];
    *i = l->group->position[0] * l->group->size[0] + l->position[0];
    return *i < a->n ? l->group->dispatch->buf[1] : NULL;
}

static void step_entry(const struct soft_lane *l) {
    const struct step_args *a = l->group->dispatch->buf[0];
    uint32_t i;
    float *x = lane_x(l, &i);
    if (x) x[i] = 2 * x[i] + a->add;
}

static void fill_entry(const struct soft_lane *l) {
    uint32_t i;
    float *x = lane_x(l, &i);
    if (x) x[i] = negate_const ? -value_const : value_const;
}

static void reach_entry(const struct soft_lane *l) {
    uint32_t i;
    float *x = lane_x(l, &i);
    const uint64_t *table = l->group->dispatch->buf[2];
    if (x) x[i] = ((const float *)(uintptr_t)table[0])[i];
}

static const struct soft_slot host_slots[] = {
    {SOFT_CONSTANT, 0, 1, 1, 8, 4, "a"}, {SOFT_DEVICE, 1, 0, 0, 4, 4, "x"}, {SOFT_DEVICE, 2, 1, 0, 4, 4, "z"}};
static const struct soft_slot reach_slots[] = {
    {SOFT_CONSTANT, 0, 1, 1, 8, 4, "a"}, {SOFT_DEVICE, 1, 0, 0, 4, 4, "x"}, {SOFT_DEVICE, 2, 1, 0, 8, 8, "table"}};
static const struct soft_const host_consts[] = {{"VALUE", 0, 3, 4, set_value}, {"NEGATE", 3, 53, 1, set_negate}};
static const struct soft_file host_file;
static const struct soft_kernel host_kernels[] = {
    {"step", "step", &host_file, 6, 1024, host_slots, 2, step_entry, no_bytes},
    {"fill", "fill", &host_file, 9, 512, host_slots, 3, fill_entry, no_bytes},
    {"reach", "reach", &host_file, 13, 1024, reach_slots, 3, reach_entry, no_bytes},
};
static const struct soft_file host_file = {"kernels/host.metal", host_text, sizeof host_text - 1, host_kernels, 3,
                                           host_consts,          2};
const struct soft_file *const soft_files[] = {&host_file};
const uint32_t soft_n_file = 1;
#endif

static inline struct device *host_open(void) {
    struct device *d = NULL;
    struct err e = {0};
    if (metal_device_open(&(struct device_options){.kind = DEVICE_METAL}, &d, &e)) fail_msg("%s", e.text);
    return d;
}

static inline struct buf host_buf(struct device *d, uint64_t bytes) {
    struct buf b = {0};
    struct err e = {0};
    if (buf_new(d, bytes, "a test", &b, &e)) fail_msg("%s", e.text);
    return b;
}

static inline int host_step(struct cmd *c, struct buf *x, uint32_t n, float add, struct err *e) {
    return mtl_encode(c,
                      &(struct mtl_call){.kernel = "step",
                                         .args = &(struct step_args){n, add},
                                         .args_bytes = sizeof(struct step_args),
                                         .bind = &(struct ref){x, 0},
                                         .n_bind = 1,
                                         .groups = {(n + 63) / 64, 1, 1},
                                         .threads = {64, 1, 1}},
                      e);
}

static inline void host_ok(int rc, const struct err *e) {
    if (rc) fail_msg("%s", e->text);
}
