/* Devices: buffers, command lists and fences, the same for the CPU and for Metal.
 *
 * A device owns memory (struct buf) and runs command lists (struct cmd). Ops encode themselves
 * into a command list; nothing runs before cmd_commit. Calls in one list may run at the same time
 * unless cmd_barrier stands between them. Completion is a fence: a number that rises per device.
 * Device failures stick to the device and surface at device_wait.
 *
 * Threads: one thread encodes, commits and waits on a device; its buffers' bytes may be written by
 * any thread (readers) while no command that uses them is in flight.
 * Ownership: a buffer dies only behind the fence of its last use. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

enum device_kind { DEVICE_CPU, DEVICE_METAL };

struct device;
struct cmd;

struct device_options {
    enum device_kind kind;
    uint32_t n_thread;   /* CPU worker threads, the caller included; 0: one per physical core that may be used */
    const char *cpu_isa; /* NULL: the best one the machine has; else "scalar", "avx2", "avx512", "neon", "neon_i8mm" */
};

int device_open(const struct device_options *opt, struct device **out, struct err *e);
void device_close(struct device *d); /* NULL is fine */
enum device_kind device_kind(const struct device *d);
uint32_t device_n_thread(const struct device *d);
/* What runs, for people: "cpu: avx512, 2 threads". */
const char *device_describe(const struct device *d);

/* Memory that the device and the host both see. host is page-aligned. */
struct buf {
    unsigned char *host;
    uint64_t size_bytes;
    void *native; /* the device's own handle */
    bool mapped;  /* from buf_map */
};

int buf_new(struct device *d, uint64_t size_bytes, const char *what, struct buf *out, struct err *e);
/* The bytes of a file, read-only, as the page cache has them. The descriptor may be closed afterwards. */
int buf_map(struct device *d, int fd, uint64_t size_bytes, const char *what, struct buf *out, struct err *e);
/* Names a part that the host fills and the device reads on its own: shown by GPU debuggers, and the unit in which soft Metal looks for
 * bytes that change while they may be read. Parts do not overlap. */
void buf_mark(struct device *d, struct buf *b, uint64_t off, uint64_t len, const char *what);
void buf_free(struct device *d, struct buf *b);

/* The address of a buffer's first byte as the device's kernels see it, for tables of pointers. */
uint64_t buf_address(const struct device *d, const struct buf *b);

/* A place in a buffer. A ref with buf NULL means "absent" (an optional operand). */
struct ref {
    struct buf *buf;
    uint64_t off;
};
static inline void *ref_host(struct ref r) { return r.buf ? r.buf->host + r.off : NULL; }
static inline struct ref ref_at(struct ref r, uint64_t bytes) { return (struct ref){r.buf, r.off + bytes}; }

/* Begins the device's command list (one at a time; its storage is the device's and grows only
 * before the first step, see device_reserve). */
struct cmd *cmd_begin(struct device *d);
struct device *cmd_device(struct cmd *c);
/* What is encoded next starts after everything encoded before has finished. */
void cmd_barrier(struct cmd *c);
/* Lets the device start on what is encoded so far (the CPU device starts at cmd_commit). */
int cmd_flush(struct cmd *c, struct err *e);
/* Hands the list to the device; *fence becomes the number to wait for. */
int cmd_commit(struct cmd *c, uint64_t *fence, struct err *e);
int device_wait(struct device *d, uint64_t fence, struct err *e);
/* Whether the lists up to fence have ended, without waiting; fence 0: true. */
bool device_done(struct device *d, uint64_t fence);

/* Room for lists of n_call calls, so that encoding never allocates afterwards. */
int device_reserve(struct device *d, uint32_t n_call, struct err *e);
