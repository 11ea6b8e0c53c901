#include "runtime/metal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/clock.h"
#include "runtime/metal_impl.h"
#include "runtime/size_text.h"

#define DUMMY_BYTES 256
#define DEFAULT_SPLIT 512
#define DEFAULT_TIMEOUT_MS 120000
#define TICK_MS 200 /* how often a wait looks whether a command buffer died without its signal */

/* Buffers */

static int new_shared(struct metal_device *d, uint64_t bytes, struct metal_buf *b) {
    const NSUInteger options = MTLResourceStorageModeShared | MTLResourceHazardTrackingModeUntracked;
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    b->mtl = mtl_new_buffer(d->device, bytes, options);
    if (!b->mtl || (uintptr_t)mtl_contents(b->mtl) % page == 0) return b->mtl != NULL;
    /* Direct reads need whole pages; where Metal packs small buffers, the memory is ours instead. */
    oc_drop(&b->mtl);
    uint64_t whole = (bytes + page - 1) / page * page;
    if (posix_memalign(&b->own, page, whole) != 0) return false;
    memset(b->own, 0, whole);
    b->mtl = mtl_new_buffer_no_copy(d->device, b->own, whole, options, NULL);
    return b->mtl != NULL;
}

/* For the validation layer and recordings. */
static void set_label(struct metal_buf *b, const char *what) {
    id label = oc_new_string(what, strlen(what));
    if (label) mtl_set_buffer_label(b->mtl, label);
    oc_drop(&label);
}

void metal_buf_mark(struct buf *buf, uint64_t off, uint64_t len, const char *what) {
    void *pool = oc_pool_push();
    id name = oc_new_string(what, strlen(what));
    if (name) mtl_add_debug_marker(((struct metal_buf *)buf->native)->mtl, name, (NSRange){off, len});
    oc_drop(&name);
    oc_pool_pop(pool);
}

static void buf_destroy(struct metal_buf *b) {
    oc_drop(&b->mtl);
    free(b->own);
    free(b);
}

/* Makes b known to the device under its name, and out of it. */
static int finish_buf(struct metal_device *d, struct metal_buf *b, uint64_t size_bytes, const char *what, struct buf *out, struct err *e) {
    int rc = metal_residency_add(&d->residency, d->device, d->queue, b, size_bytes, e);
    if (rc) return rc;
    set_label(b, what);
    d->stats.buffer_bytes += size_bytes;
    d->stats.n_buffer++;
    out->native = b;
    return ERR_OK;
}

int metal_buf_wrap(struct device *base, const char *what, struct buf *buf, struct err *e) {
    struct metal_device *d = metal_of(base);
    struct metal_buf *b = calloc(1, sizeof *b);
    if (!b) return err_set(e, ERR_NOMEM, "no memory for %s", what);
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), whole = (buf->size_bytes + page - 1) / page * page;
    void *pool = oc_pool_push();
    b->mtl = mtl_new_buffer_no_copy(d->device, buf->host, whole, MTLResourceStorageModeShared | MTLResourceHazardTrackingModeUntracked, NULL);
    int rc = b->mtl ? ERR_OK : err_set(e, ERR_NOMEM, "Metal takes no mapping of %s of %s", size_text(whole).s, what);
    if (!rc) rc = finish_buf(d, b, buf->size_bytes, what, buf, e);
    oc_pool_pop(pool);
    if (rc) buf_destroy(b);
    return rc;
}

static int metal_buf_new(struct device *base, uint64_t size_bytes, const char *what, struct buf *out,
                         struct err *e) {
    struct metal_device *d = metal_of(base);
    if (size_bytes > d->info.max_buffer_bytes)
        return err_set(e, ERR_NOMEM, "%.1f MB for %s in one piece are more than this GPU takes (%.1f MB)",
                       (double)size_bytes / 1e6, what, (double)d->info.max_buffer_bytes / 1e6);
    struct metal_buf *b = calloc(1, sizeof *b);
    if (!b) return err_set(e, ERR_NOMEM, "no memory for %s", what);
    void *pool = oc_pool_push();
    int rc = ERR_OK;
    if (!new_shared(d, size_bytes ? size_bytes : 1, b))
        rc = err_set(e, ERR_NOMEM,
                     "Metal has no %.1f MB left for %s; close other programs or use a smaller model or context",
                     (double)size_bytes / 1e6, what);
    if (!rc) *out = (struct buf){.host = mtl_contents(b->mtl), .size_bytes = size_bytes};
    if (!rc) rc = finish_buf(d, b, size_bytes, what, out, e);
    oc_pool_pop(pool);
    if (!rc) return ERR_OK;
    buf_destroy(b);
    *out = (struct buf){0};
    return rc;
}

static void metal_buf_free(struct device *base, struct buf *buf) {
    struct metal_device *d = metal_of(base);
    metal_residency_remove(&d->residency, buf->native, buf->size_bytes);
    d->stats.buffer_bytes -= buf->size_bytes;
    d->stats.n_buffer--;
    buf_destroy(buf->native);
}

uint64_t metal_gpu_address(const struct device *d, const struct buf *b) {
    return mtl_gpu_address(((const struct metal_buf *)b->native)->mtl);
}

/* Completion */

/* Remembers why a command buffer failed, for every fence handed out so far from its own on. */
static void note_failure(struct metal_device *d, id buffer, uint64_t fence) {
    id error = mtl_error(buffer);
    NSInteger code = error ? oc_error_code(error) : 0;
    if (fence <= d->failed_until) return;
    oc_error(&d->failure, ERR_DEVICE, error, "the GPU stopped list %llu", (unsigned long long)fence);
    d->failed_from = fence;
    d->failed_until = d->fence;
    d->dead = code == MTLCommandBufferErrorAccessRevoked || code == MTLCommandBufferErrorNotPermitted ||
              code == MTLCommandBufferErrorDeviceRemoved;
}

static struct metal_flight *flight(struct metal_device *d, uint32_t i) {
    return &d->flights[(d->first + i) % METAL_MAX_IN_FLIGHT];
}

/* Waits for the oldest command buffer and lets go of it. */
static void reap(struct metal_device *d) {
    struct metal_flight *f = flight(d, 0);
    mtl_wait_completed(f->buffer);
    if (mtl_status(f->buffer) != MTLCommandBufferStatusCompleted) note_failure(d, f->buffer, f->fence);
    double seconds = mtl_gpu_end(f->buffer) - mtl_gpu_start(f->buffer);
    uint64_t ns = seconds > 0 ? (uint64_t)(seconds * 1e9) : 0;
    d->stats.gpu_ns += ns;
    d->stats.last_gpu_ns += ns;
    oc_drop(&f->buffer);
    d->first = (d->first + 1) % METAL_MAX_IN_FLIGHT;
    d->n_flight--;
}

static bool all_ended(struct metal_device *d, uint64_t fence) {
    for (uint32_t i = 0; i < d->n_flight && flight(d, i)->fence <= fence; i++)
        if (mtl_status(flight(d, i)->buffer) < MTLCommandBufferStatusCompleted) return false;
    return true;
}

/* Blocks until the lists up to fence have ended. The signal is the fast way; a command buffer that the system
 * killed never signals, so its status is looked at too. */
static int await(struct metal_device *d, uint64_t fence, struct err *e) {
    for (uint64_t waited_ms = 0; !mtl_wait_event(d->event, fence, TICK_MS); waited_ms += TICK_MS) {
        if (all_ended(d, fence)) break;
        if (waited_ms < d->opt.timeout_ms) continue;
        d->dead = true;
        return err_set(&d->failure, ERR_DEVICE,
                       "the GPU has not ended list %llu after %u s; it hangs: start hy again",
                       (unsigned long long)fence, d->opt.timeout_ms / 1000);
    }
    return ERR_OK;
}

static void stop_capture(struct metal_device *d) {
    if (d->capturing) mtl_stop_capture(mtl_capture_manager(oc_class("MTLCaptureManager")));
    d->capturing = false;
}

static int give_failure(const struct metal_device *d, struct err *e) {
    return err_set(e, d->failure.code, "%s", d->failure.text);
}

static int metal_wait(struct device *base, uint64_t fence, struct err *e) {
    struct metal_device *d = metal_of(base);
    CHECK(fence <= d->fence);
    void *pool = oc_pool_push();
    int rc = d->n_flight && flight(d, 0)->fence <= fence ? await(d, fence, e) : ERR_OK;
    if (!rc) {
        if (d->n_flight && flight(d, 0)->fence <= fence) d->stats.last_gpu_ns = 0;
        while (d->n_flight && flight(d, 0)->fence <= fence) reap(d);
        if (fence > d->ended) __atomic_store_n(&d->ended, fence, __ATOMIC_RELEASE);
        stop_capture(d);
    }
    oc_pool_pop(pool);
    bool failed = d->failed_until && fence >= d->failed_from && fence <= d->failed_until;
    if (rc || failed) return give_failure(d, e);
    return ERR_OK;
}

bool metal_fence_done(struct device *base, uint64_t fence) {
    struct metal_device *d = metal_of(base);
    return __atomic_load_n(&d->ended, __ATOMIC_ACQUIRE) >= fence || mtl_event_value(d->event) >= fence;
}

/* Lists */

static void end_encoder(struct metal_device *d) {
    struct metal_cmd *c = &d->cmd;
    if (!c->encoder) return;
    mtl_update_fence(c->encoder, d->order);
    mtl_end_encoding(c->encoder);
    c->encoder = c->pipeline = NULL;
}

/* A further command buffer with its encoder, ordered behind the one before. */
static int next_buffer(struct metal_device *d, struct err *e) {
    struct metal_cmd *c = &d->cmd;
    if (c->n_buffer == METAL_MAX_IN_LIST)
        return err_set(e, ERR_LIMIT, "the list is longer than %d command buffers of %u calls", METAL_MAX_IN_LIST,
                       d->opt.split_calls);
    while (d->n_flight + c->n_buffer >= METAL_MAX_IN_FLIGHT) reap(d);
    id buffer = mtl_command_buffer_unretained(d->queue);
    if (!buffer) return err_set(e, ERR_DEVICE, "Metal has no command buffer left");
    bool behind = d->order_used || c->n_buffer;
    c->buffers[c->n_buffer++] = oc_retain(buffer);
    c->encoder = mtl_compute_encoder(buffer, MTLDispatchTypeConcurrent);
    if (!c->encoder) return err_set(e, ERR_DEVICE, "Metal has no compute encoder left");
    c->pipeline = NULL;
    c->tg_bytes = c->n_call = 0;
    if (behind) mtl_wait_fence(c->encoder, d->order);
    metal_residency_before_encoding(&d->residency, c->encoder);
    return ERR_OK;
}

static void hand_over(struct metal_device *d) {
    struct metal_cmd *c = &d->cmd;
    metal_residency_before_commit(&d->residency);
    for (uint32_t i = 0; i < c->n_buffer; i++) {
        mtl_commit(c->buffers[i]);
        *flight(d, d->n_flight++) = (struct metal_flight){c->buffers[i], d->fence + 1};
    }
    d->stats.n_cmd_buffer += c->n_buffer;
    d->order_used |= c->n_buffer > 0;
    c->n_buffer = 0;
}

/* Ends a list whose buffers are committed or are to be dropped. */
static void close_list(struct metal_device *d) {
    struct metal_cmd *c = &d->cmd;
    end_encoder(d);
    while (c->n_buffer) oc_drop(&c->buffers[--c->n_buffer]);
    if (c->open) oc_pool_pop(c->pool);
    c->open = false;
}

static struct cmd *metal_begin(struct device *base) {
    struct metal_device *d = metal_of(base);
    struct metal_cmd *c = &d->cmd;
    close_list(d); /* the one before may have been given up */
    c->open = true;
    c->pool = oc_pool_push();
    c->err.code = d->dead ? give_failure(d, &c->err) : next_buffer(d, &c->err);
    return &c->base;
}

static void metal_barrier(struct cmd *base) {
    struct metal_device *d = metal_of(base->dev);
    if (!d->cmd.encoder || !d->cmd.n_call) return;
    mtl_memory_barrier(d->cmd.encoder, MTLBarrierScopeBuffers);
    d->stats.n_barrier++;
}

static int broken(const struct metal_cmd *c, struct err *e) {
    CHECK(c->open);
    return c->err.code ? err_set(e, c->err.code, "%s", c->err.text) : ERR_OK;
}

int metal_flush(struct cmd *base, struct err *e) {
    struct metal_device *d = metal_of(base->dev);
    int rc = broken(&d->cmd, e);
    if (rc || !d->cmd.n_call) return rc;
    end_encoder(d);
    hand_over(d);
    d->cmd.err.code = next_buffer(d, &d->cmd.err);
    return broken(&d->cmd, e);
}

static int metal_commit(struct cmd *base, uint64_t *fence, struct err *e) {
    struct metal_device *d = metal_of(base->dev);
    struct metal_cmd *c = &d->cmd;
    int rc = broken(c, e);
    if (!rc) {
        end_encoder(d);
        mtl_signal_event(c->buffers[c->n_buffer - 1], d->event, d->fence + 1);
        hand_over(d);
        *fence = ++d->fence;
        d->stats.n_list++;
    }
    close_list(d);
    return rc;
}

static int check_call(const struct metal_device *d, const struct mtl_call *k, const struct metal_pipeline *p,
                      struct err *e) {
    CHECK(k->args_bytes <= MTL_MAX_SET_BYTES && k->n_bind <= MTL_MAX_BIND);
    uint64_t threads = (uint64_t)k->threads[0] * k->threads[1] * k->threads[2];
    if (threads > p->info.max_threads)
        return err_set(e, ERR_DEVICE,
                       "kernel %s was asked for %llu threads in a group; this GPU runs it with at most %u",
                       k->kernel, (unsigned long long)threads, p->info.max_threads);
    if (p->info.tg_static_bytes + k->tg_bytes > d->info.tg_memory_bytes)
        return err_set(e, ERR_DEVICE, "kernel %s needs %u bytes of threadgroup memory; this GPU has %u", k->kernel,
                       p->info.tg_static_bytes + k->tg_bytes, d->info.tg_memory_bytes);
    for (uint32_t i = 0; i < k->n_bind; i++)
        if (k->bind[i].buf && k->bind[i].off >= k->bind[i].buf->size_bytes)
            return err_set(e, ERR_ARG, "kernel %s: operand %u begins at byte %llu of a buffer of %llu", k->kernel,
                           i + 1, (unsigned long long)k->bind[i].off,
                           (unsigned long long)k->bind[i].buf->size_bytes);
    return ERR_OK;
}

static void set_arguments(struct metal_device *d, const struct mtl_call *k) {
    id enc = d->cmd.encoder;
    if (k->args_bytes) mtl_set_bytes(enc, k->args, k->args_bytes, 0);
    for (uint32_t i = 0; i < k->n_bind; i++) {
        const struct ref *r = &k->bind[i];
        if (r->buf) mtl_set_buffer(enc, ((struct metal_buf *)r->buf->native)->mtl, r->off, i + 1);
        else mtl_set_buffer(enc, d->dummy, 0, i + 1);
    }
    uint32_t tg_bytes = (k->tg_bytes + 15) / 16 * 16;
    if (tg_bytes == 0 && d->cmd.tg_bytes) tg_bytes = 16; /* what an earlier call asked for no longer counts */
    if (tg_bytes != d->cmd.tg_bytes) mtl_set_tg_memory(enc, tg_bytes, 0);
    d->cmd.tg_bytes = tg_bytes;
}

static bool is_empty(const struct mtl_call *k) {
    return !k->groups[0] || !k->groups[1] || !k->groups[2] || !k->threads[0] || !k->threads[1] || !k->threads[2];
}

int mtl_encode(struct cmd *base, const struct mtl_call *k, struct err *e) {
    struct metal_device *d = metal_of(base->dev);
    struct metal_cmd *c = &d->cmd;
    const struct metal_pipeline *p = NULL;
    int rc = broken(c, e);
    if (!rc) rc = metal_pipelines_get(&d->pipelines, d->device, k->kernel, k->consts, k->n_const, &p, e);
    if (!rc) rc = check_call(d, k, p, e);
    if (rc || is_empty(k)) return rc;
    if (c->n_call == d->opt.split_calls) {
        end_encoder(d);
        c->err.code = next_buffer(d, &c->err);
        if ((rc = broken(c, e))) return rc;
    }
    if (c->pipeline != p->state) mtl_set_pipeline(c->encoder, c->pipeline = p->state);
    set_arguments(d, k);
    mtl_dispatch(c->encoder, (MTLSize){k->groups[0], k->groups[1], k->groups[2]},
                 (MTLSize){k->threads[0], k->threads[1], k->threads[2]});
    c->n_call++;
    d->stats.n_call++;
    return ERR_OK;
}

int metal_pipeline(struct device *base, const char *kernel, const struct mtl_const *consts, uint32_t n_const,
                   struct metal_pipeline_info *out, struct err *e) {
    struct metal_device *d = metal_of(base);
    const struct metal_pipeline *p;
    int rc = metal_pipelines_get(&d->pipelines, d->device, kernel, consts, n_const, &p, e);
    if (!rc && out) *out = p->info;
    return rc;
}

static int metal_reserve(struct device *d, uint32_t n_call, struct err *e) { return ERR_OK; }

/* Opening and closing */

void metal_set_options(struct device *base, const struct metal_options *o) {
    metal_of(base)->opt = (struct metal_options){.split_calls = o->split_calls ? o->split_calls : DEFAULT_SPLIT,
                                                 .timeout_ms = o->timeout_ms ? o->timeout_ms : DEFAULT_TIMEOUT_MS};
}

void metal_get_stats(const struct device *base, struct metal_stats *out) {
    const struct metal_device *d = (const struct metal_device *)base;
    *out = d->stats;
    out->n_pipeline = d->pipelines.n;
    out->compile_ns = d->pipelines.compile_ns;
}

void metal_get_info(const struct device *base, struct metal_info *out) {
    *out = ((const struct metal_device *)base)->info;
}

static void metal_close(struct device *base) {
    struct metal_device *d = metal_of(base);
    close_list(d);
    void *pool = oc_pool_push();
    while (d->n_flight && !d->dead) reap(d);
    for (; d->n_flight; d->n_flight--)
        oc_drop(&flight(d, d->n_flight - 1)->buffer); /* the queue keeps what it runs */
    if (d->device) stop_capture(d);
    CHECK(d->stats.n_buffer == 0);
    if (d->queue) metal_residency_deinit(&d->residency, d->queue);
    metal_pipelines_deinit(&d->pipelines);
    oc_drop(&d->dummy);
    oc_drop(&d->order);
    oc_drop(&d->event);
    oc_drop(&d->queue);
    oc_drop(&d->device);
    oc_pool_pop(pool);
    free(d);
}

static const struct device_vtable metal_vtable = {
    .close = metal_close,
    .buf_new = metal_buf_new,
    .buf_free = metal_buf_free,
    .begin = metal_begin,
    .barrier = metal_barrier,
    .commit = metal_commit,
    .wait = metal_wait,
    .reserve = metal_reserve,
};

/* Programs without a window get no system default on some systems; the list of all has it. */
static id open_device(void) {
    id device = MTLCreateSystemDefaultDevice();
    if (device) return device;
    id all = MTLCopyAllDevices();
    if (all && oc_array_count(all)) device = oc_retain(oc_array_at(all, 0));
    oc_drop(&all);
    return device;
}

static void read_info(struct metal_device *d) {
    struct metal_info *i = &d->info;
    snprintf(i->name, sizeof i->name, "%s", oc_utf8(mtl_name(d->device)));
    i->working_set_bytes = mtl_max_working_set(d->device);
    i->max_buffer_bytes = mtl_max_buffer(d->device);
    i->tg_memory_bytes = (uint32_t)mtl_max_tg_memory(d->device);
    i->max_threads = (uint32_t)mtl_max_threads(d->device).width;
    i->residency_sets = oc_responds(d->device, "newResidencySetWithDescriptor:error:");
    for (NSInteger family = MTLGPUFamilyApple10; family >= MTLGPUFamilyApple7 && !i->apple_family; family--)
        if (mtl_supports_family(d->device, family)) i->apple_family = (uint32_t)(family - MTLGPUFamilyApple7) + 7;
}

static int start_capture(struct metal_device *d, const char *path, struct err *e) {
    id class = oc_class("MTLCaptureManager"), manager = class ? mtl_capture_manager(class) : NULL;
    if (!manager)
        return err_set(e, ERR_UNSUPPORTED, "HY_CAPTURE is set, and this system cannot record the GPU's work");
    id name = oc_new_string(path, strlen(path)), descriptor = oc_new_object(oc_class("MTLCaptureDescriptor")),
       error = NULL;
    int rc = ERR_OK;
    if (!name || !descriptor) rc = err_set(e, ERR_NOMEM, "no memory to record the GPU's work");
    if (!rc) {
        mtl_set_capture_object(descriptor, d->queue);
        mtl_set_capture_destination(descriptor, MTLCaptureDestinationGPUTraceDocument);
        mtl_set_capture_url(descriptor, oc_file_url(oc_class("NSURL"), name));
        d->capturing = mtl_start_capture(manager, descriptor, &error);
        if (!d->capturing)
            rc = oc_error(e, ERR_DEVICE, error, "cannot record to %s (MTL_CAPTURE_ENABLED=1 must be set)", path);
    }
    oc_drop(&descriptor);
    oc_drop(&name);
    return rc;
}

static int open_parts(struct metal_device *d, struct err *e) {
    d->device = open_device();
    if (!d->device)
        return err_set(e, ERR_DEVICE, "this machine has no Metal device that hy may use; use --device cpu");
    read_info(d);
    d->residency.has_sets = d->info.residency_sets;
    d->queue = mtl_new_queue(d->device, METAL_MAX_IN_FLIGHT);
    d->event = mtl_new_shared_event(d->device);
    d->order = mtl_new_fence(d->device);
    d->dummy = mtl_new_buffer(d->device, DUMMY_BYTES,
                              MTLResourceStorageModeShared | MTLResourceHazardTrackingModeUntracked);
    if (!d->queue || !d->event || !d->order || !d->dummy)
        return err_set(e, ERR_DEVICE, "Metal gives no queue, event, fence or buffer on %s", d->info.name);
    int rc = metal_pipelines_init(&d->pipelines, e);
    const char *capture = getenv("HY_CAPTURE");
    if (!rc && capture && *capture) rc = start_capture(d, capture, e);
    return rc;
}

int metal_device_open(const struct device_options *opt, struct device **out, struct err *e) {
    struct metal_device *d = calloc(1, sizeof *d);
    if (!d) return err_set(e, ERR_NOMEM, "no memory for the metal device");
    d->base = (struct device){.kind = DEVICE_METAL, .v = &metal_vtable, .n_thread = 1};
    d->cmd.base.dev = &d->base;
    metal_set_options(&d->base, &(struct metal_options){0});
    void *pool = oc_pool_push();
    int rc = open_parts(d, e);
    oc_pool_pop(pool);
    if (rc) {
        metal_close(&d->base);
        return rc;
    }
    snprintf(d->base.text, sizeof d->base.text, "metal: %s", d->info.name);
    *out = &d->base;
    return ERR_OK;
}
