/* The .metal files as text, one self-contained source each, as newLibraryWithSource gets them.
 * Made by tools/scan_kernels.c at build time; constant. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct kernel_source {
    const char *stem; /* "rms_norm" */
    const char *path; /* "kernels/rms_norm.metal" */
    const char *text; /* NUL-terminated */
    size_t text_bytes;
    const char *const *names; /* host names of its kernels, NULL at the end */
    uint32_t n_name;
};

extern const struct kernel_source kernel_sources[];
extern const uint32_t kernel_n_source;
