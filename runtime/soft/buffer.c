/* MTLBuffer. The memory has exactly the length that was asked for where a sanitizer can see its end. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/soft/types.h"

#define KNOWN_OPTIONS                                                                                              \
    (NSUInteger)(MTLResourceStorageModeShared | MTLResourceStorageModePrivate |                                    \
                 MTLResourceHazardTrackingModeUntracked)

static atomic_uint_fast64_t allocated;

static struct soft_buffer *buffer_of(id b) { return (struct soft_buffer *)(void *)b; }

#if defined(__SANITIZE_ADDRESS__)
#define EXACT_BUFFERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EXACT_BUFFERS 1
#endif
#endif

#ifdef EXACT_BUFFERS
static void *memory_new(uint64_t length, uint64_t page) {
    void *p = NULL;
    return posix_memalign(&p, page, length) == 0 ? memset(p, 0, length) : NULL;
}
static void memory_free(void *p, uint64_t length) { free(p); }
#else
static void *memory_new(uint64_t length, uint64_t page) {
    void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}
static void memory_free(void *p, uint64_t length) { munmap(p, length); }
#endif

static struct soft_buffer *buffer_new(NSUInteger length, NSUInteger options, void *bytes) {
    if (options & ~KNOWN_OPTIONS) soft_abort("a buffer with options %lu, which hy has no name for", options);
    if (length == 0) soft_abort("a buffer of no bytes");
    if (soft_fault(FAULT_BUFFER, NULL) || length > (NSUInteger)1 << 46) return NULL;
    struct soft_buffer *b = soft_new(SOFT_MTLBuffer);
    if (!b) return NULL;
    b->no_copy = bytes != NULL;
    b->bytes = bytes ? bytes : memory_new(length, (uint64_t)sysconf(_SC_PAGESIZE));
    b->length = length;
    b->is_private = options & MTLResourceStorageModePrivate;
    if (!b->bytes) {
        b->no_copy = true;
        oc_release((id)(void *)b);
        return NULL;
    }
    if (!bytes) atomic_fetch_add(&allocated, length);
    return b;
}

id soft_mtl_new_buffer(id self, SEL cmd, NSUInteger length, NSUInteger options) {
    return (id)(void *)buffer_new(length, options, NULL);
}

id soft_mtl_new_buffer_no_copy(id self, SEL cmd, void *bytes, NSUInteger length, NSUInteger options,
                               oc_block deallocator) {
    NSUInteger page = (NSUInteger)sysconf(_SC_PAGESIZE);
    if ((uintptr_t)bytes % page || length % page || (options & MTLResourceStorageModePrivate))
        soft_abort("newBufferWithBytesNoCopy: wants whole pages of shared memory, not %lu bytes at %p", length,
                   bytes);
    if (deallocator) soft_abort("newBufferWithBytesNoCopy: no blocks here");
    return (id)(void *)buffer_new(length, options, bytes);
}

void soft_buffer_dealloc(void *p) {
    struct soft_buffer *b = p;
    free(b->parts);
    if (b->no_copy) return;
    memory_free(b->bytes, b->length);
    atomic_fetch_sub(&allocated, b->length);
}

NSUInteger soft_mtl_allocated(id self, SEL cmd) { return atomic_load(&allocated); }
void *soft_mtl_contents(id self, SEL cmd) { return buffer_of(self)->is_private ? NULL : buffer_of(self)->bytes; }
NSUInteger soft_mtl_length(id self, SEL cmd) { return buffer_of(self)->length; }
uint64_t soft_mtl_gpu_address(id self, SEL cmd) { return (uint64_t)(uintptr_t)buffer_of(self)->bytes; }

void soft_mtl_set_buffer_label(id self, SEL cmd, id label) {
    snprintf(buffer_of(self)->label, sizeof buffer_of(self)->label, "%s", oc_utf8(label));
}

/* The first part that ends behind offset. */
static uint32_t part_after(const struct soft_buffer *b, uint64_t offset) {
    uint32_t lo = 0, hi = b->n_part;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (b->parts[mid].location + b->parts[mid].length <= offset) lo = mid + 1;
        else hi = mid;
    }
    return lo;
}

void soft_mtl_add_debug_marker(id self, SEL cmd, id marker, NSRange range) {
    struct soft_buffer *b = buffer_of(self);
    uint32_t at = part_after(b, range.location);
    if (range.location + range.length > b->length || !range.length) soft_abort("addDebugMarker: beyond the buffer's %lu bytes", b->length);
    if (at < b->n_part && b->parts[at].location < range.location + range.length)
        soft_abort("addDebugMarker: bytes %lu to %lu overlap a part that is marked", range.location, range.location + range.length);
    if (b->n_part == b->cap_part) {
        b->cap_part = b->cap_part ? b->cap_part * 2 : 16;
        b->parts = realloc(b->parts, b->cap_part * sizeof *b->parts);
        CHECK(b->parts);
    }
    memmove(b->parts + at + 1, b->parts + at, (b->n_part++ - at) * sizeof *b->parts);
    b->parts[at] = range;
}

uint64_t soft_part_end(const struct soft_buffer *b, uint64_t offset) {
    uint32_t at = part_after(b, offset);
    bool inside = at < b->n_part && b->parts[at].location <= offset;
    return inside ? b->parts[at].location + b->parts[at].length : b->length;
}
