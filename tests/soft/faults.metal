// Kernels with one planted fault each; tests/test_softexec.c shows that each is found.
#include <metal_stdlib>
#include "tests/soft/sample.h"
using namespace metal;

// The barrier between writing and reading another thread's element is missing.
kernel void fault_no_barrier(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                             ushort tid [[thread_index_in_threadgroup]], ushort n [[threads_per_threadgroup]]) {
    threadgroup float part[256];
    part[tid] = x[tid];
    out[tid] = part[(tid + 1) % n];
}

// Written again while others may still read: the second barrier of a loop is missing.
kernel void fault_write_after_read(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                                   ushort tid [[thread_index_in_threadgroup]], ushort n [[threads_per_threadgroup]]) {
    threadgroup float part[256];
    float sum = 0;
    for (int i = 0; i < 4; i++) {
        part[tid] = x[tid] * (i + 1);
        threadgroup_barrier(mem_flags::mem_threadgroup);
        sum += part[(tid + 32) % n];
    }
    out[tid] = sum;
}

// A barrier that orders device memory, where threadgroup memory is exchanged.
kernel void fault_flags(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                        ushort tid [[thread_index_in_threadgroup]], ushort n [[threads_per_threadgroup]]) {
    threadgroup float part[256];
    part[tid] = x[tid];
    threadgroup_barrier(mem_flags::mem_device);
    out[tid] = part[(tid + 1) % n];
}

// The last element of part is never written.
kernel void fault_uninitialised(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                                ushort tid [[thread_index_in_threadgroup]]) {
    threadgroup float part[257];
    part[tid] = x[tid];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[tid] = part[tid + 1] > 1 ? 1 : 0;
}

// One element past the end of the argument.
kernel void fault_threadgroup_overrun(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                                      threadgroup float *part [[threadgroup(0)]], ushort tid [[thread_index_in_threadgroup]]) {
    part[tid + 1] = x[tid];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    out[tid] = part[tid + 1];
}

// One element past the end of a device buffer.
kernel void fault_device_overrun(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                                 ushort tid [[thread_index_in_threadgroup]]) {
    out[tid] = x[tid + 1];
}

kernel void fault_barrier_in_branch(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                                    ushort tid [[thread_index_in_threadgroup]]) {
    if (tid < 40) threadgroup_barrier(mem_flags::mem_threadgroup);
    out[tid] = x[tid];
}

kernel void fault_barrier_of_some_simdgroups(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                                             ushort tid [[thread_index_in_threadgroup]]) {
    if (tid < 64) threadgroup_barrier(mem_flags::mem_threadgroup);
    out[tid] = x[tid];
}

kernel void fault_simd_in_branch(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                                 ushort tid [[thread_index_in_threadgroup]]) {
    float v = x[tid];
    if (tid % 2) v = simd_sum(v);
    else v = simd_max(v);
    out[tid] = v;
}

kernel void fault_early_return(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                               ushort tid [[thread_index_in_threadgroup]]) {
    if (tid == 5) return;
    out[tid] = simd_sum(x[tid]);
}

kernel void fault_matrix_in_branch(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                                   ushort tid [[thread_index_in_threadgroup]]) {
    simdgroup_float8x8 m = make_filled_simdgroup_matrix<float, 8, 8>(1.0f);
    if (tid < 7) simdgroup_load(m, x, 8);
    simdgroup_barrier(mem_flags::mem_none);
    simdgroup_store(m, out, 8);
}

kernel void fault_shuffle(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                          ushort tid [[thread_index_in_threadgroup]]) {
    out[tid] = simd_shuffle_xor(x[tid], 32);
}

kernel void fault_too_much_memory(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                                  ushort tid [[thread_index_in_threadgroup]]) {
    threadgroup float part[8193];
    part[tid] = x[tid];
    out[tid] = part[tid];
}

// Two threadgroups write one element.
kernel void fault_device_race(device const float *x [[buffer(0)]], device float *out [[buffer(1)]],
                              ushort tid [[thread_index_in_threadgroup]], ushort group [[threadgroup_position_in_grid]]) {
    out[tid] = x[tid] + group;
}
