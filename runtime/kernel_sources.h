/* The kernels' text as the device is given it: one self-contained source per .metal file, made at build time from
 * kernels/ by tools/scan_kernels.c (what a file includes is inlined). Constant; any thread. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct kernel_source {
    const char *path; /* "kernels/rms_norm.metal" */
    const char *text; /* NUL-terminated */
    size_t text_bytes;
    const char *const *names; /* host names of its kernels */
    uint32_t n_name;
};

extern const struct kernel_source kernel_sources[];
extern const uint32_t n_kernel_sources;
