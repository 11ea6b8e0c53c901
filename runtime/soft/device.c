/* MTLDevice: limits, and what a device makes. */
#include <unistd.h>

#include "runtime/soft/types.h"

static uint64_t memory_bytes(void) { return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE); }

id MTLCreateSystemDefaultDevice(void) {
    return soft_fault(FAULT_NODEVICE, NULL) ? NULL : (id)soft_new(SOFT_MTLDevice);
}

id MTLCopyAllDevices(void) { return soft_array_new(NULL, 0); }

id soft_mtl_name(id self, SEL cmd) { return oc_autorelease(soft_string_new("soft Metal")); }

bool soft_mtl_supports_family(id self, SEL cmd, NSInteger family) {
    return family >= 1001 && family <= MTLGPUFamilyApple7;
}

bool soft_mtl_unified_memory(id self, SEL cmd) { return true; }
uint64_t soft_mtl_max_working_set(id self, SEL cmd) { return memory_bytes() / 4 * 3; }
NSUInteger soft_mtl_max_buffer(id self, SEL cmd) { return memory_bytes(); }
NSUInteger soft_mtl_max_tg_memory(id self, SEL cmd) { return SOFT_THREADGROUP_BYTES; }

MTLSize soft_mtl_max_threads(id self, SEL cmd) {
    return (MTLSize){SOFT_MAX_THREADS, SOFT_MAX_THREADS, SOFT_MAX_THREADS};
}

id soft_mtl_new_fence(id self, SEL cmd) { return soft_new(SOFT_MTLFence); }
