/* Encoders: what they are told is checked as Metal's validation layer would, and recorded. */
#include <stdlib.h>
#include <string.h>

#include "runtime/soft/types.h"

#define CALL "-[MTLComputeCommandEncoder "
#define BLIT "-[MTLBlitCommandEncoder "

static struct soft_encoder *encoder_of(id e) { return (struct soft_encoder *)(void *)e; }
static struct soft_commands *commands_of(id c) { return (struct soft_commands *)(void *)c; }
static const struct soft_function *pipeline_of(id p) { return (struct soft_function *)(void *)p; }

/* Makes the command buffer fail when it runs; the first reason counts. */
__attribute__((format(printf, 2, 3))) static void refuse(struct soft_commands *c, const char *fmt, ...) {
    if (c->refused) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(c->why, sizeof c->why, fmt, ap);
    va_end(ap);
    c->refused = MTLCommandBufferErrorInternal;
}

static struct soft_op *op_new(struct soft_commands *c, enum soft_op_kind kind) {
    if (c->committed) soft_abort("a command is encoded after commit");
    if (c->n_op == c->cap_op) {
        c->cap_op = c->cap_op ? c->cap_op * 2 : 64;
        c->ops = realloc(c->ops, c->cap_op * sizeof *c->ops);
        CHECK(c->ops);
    }
    struct soft_op *op = &c->ops[c->n_op++];
    *op = (struct soft_op){.kind = kind};
    return op;
}

/* Keeps obj for the command buffer's life when the buffer retains what it uses. */
static id keep(struct soft_commands *c, id obj) {
    if (c->retains && obj) oc_retain(obj);
    return obj;
}

static void drop(const struct soft_commands *c, id obj) {
    if (c->retains && obj) oc_release(obj);
}

void soft_ops_free(struct soft_commands *c) {
    for (uint32_t i = 0; i < c->n_op; i++) {
        struct soft_op *op = &c->ops[i];
        for (uint32_t b = 0; op->binds && b < SOFT_N_BUFFER; b++) {
            drop(c, op->binds[b].buffer);
            free(op->binds[b].bytes);
        }
        free(op->binds);
        drop(c, op->object);
        drop(c, op->object2);
    }
    free(c->ops);
    c->ops = NULL;
    c->n_op = c->cap_op = 0;
    free(c->watches);
    c->watches = NULL;
    c->n_watch = c->cap_watch = 0;
}

static id encoder_new(id commands, enum soft_kind kind, bool concurrent) {
    struct soft_commands *c = commands_of(commands);
    if (c->committed) soft_abort("an encoder is made after commit");
    if (c->open_encoder) soft_abort("an encoder is made while another of the command buffer is open");
    struct soft_encoder *e = soft_new(kind);
    if (!e) return NULL;
    e->commands = commands_of(oc_retain(commands));
    c->open_encoder = (id)(void *)e;
    op_new(c, OP_ENCODER)->concurrent = concurrent;
    return oc_autorelease((id)(void *)e);
}

id soft_mtl_compute_encoder(id self, SEL cmd, NSUInteger type) {
    return encoder_new(self, SOFT_MTLComputeCommandEncoder, type == MTLDispatchTypeConcurrent);
}

id soft_mtl_blit_encoder(id self, SEL cmd) { return encoder_new(self, SOFT_MTLBlitCommandEncoder, false); }

static void forget(struct soft_bind *b) {
    free(b->bytes);
    *b = (struct soft_bind){0};
}

void soft_encoder_dealloc(void *p) {
    struct soft_encoder *e = p;
    if (!e->ended) soft_abort("an encoder goes without endEncoding");
    for (uint32_t i = 0; i < SOFT_N_BUFFER; i++) forget(&e->binds[i]);
    oc_release((id)(void *)e->commands);
}

/* The command buffer to encode into. */
static struct soft_commands *open_commands(id self, const char *call) {
    struct soft_encoder *e = encoder_of(self);
    if (e->ended) soft_abort("%s after endEncoding", call);
    return e->commands;
}

void soft_mtl_end_encoding(id self, SEL cmd) {
    struct soft_commands *c = open_commands(self, "-[MTLCommandEncoder endEncoding]");
    c->open_encoder = NULL;
    encoder_of(self)->ended = true;
}

void soft_mtl_set_pipeline(id self, SEL cmd, id pipeline) {
    struct soft_commands *c = open_commands(self, CALL "setComputePipelineState:]");
    if (!soft_is(pipeline, SOFT_MTLComputePipelineState))
        refuse(c, CALL "setComputePipelineState:]: a %s is no pipeline", soft_class_name(pipeline));
    else encoder_of(self)->pipeline = pipeline;
}

static bool slot_ok(struct soft_commands *c, const char *call, NSUInteger index) {
    if (index < SOFT_N_BUFFER) return true;
    refuse(c, "%s: slot %lu; there are slots 0 to %d", call, index, SOFT_N_BUFFER - 1);
    return false;
}

void soft_mtl_set_buffer(id self, SEL cmd, id buffer, NSUInteger offset, NSUInteger index) {
    const char *call = CALL "setBuffer:offset:atIndex:]";
    struct soft_commands *c = open_commands(self, call);
    if (!slot_ok(c, call, index)) return;
    struct soft_bind *b = &encoder_of(self)->binds[index];
    forget(b);
    if (!buffer) return;
    const struct soft_buffer *buf = (const struct soft_buffer *)(void *)buffer;
    if (!soft_is(buffer, SOFT_MTLBuffer))
        refuse(c, "%s: slot %lu: a %s is no buffer", call, index, soft_class_name(buffer));
    else if (offset >= buf->length)
        refuse(c, "%s: slot %lu: offset %lu is not inside a buffer of %lu bytes", call, index, offset,
                    (unsigned long)buf->length);
    else if (offset % 4) refuse(c, "%s: slot %lu: offset %lu is not a multiple of 4", call, index, offset);
    else *b = (struct soft_bind){.buffer = buffer, .offset = offset, .length = buf->length - offset};
}

void soft_mtl_set_bytes(id self, SEL cmd, const void *bytes, NSUInteger length, NSUInteger index) {
    const char *call = CALL "setBytes:length:atIndex:]";
    struct soft_commands *c = open_commands(self, call);
    if (!slot_ok(c, call, index)) return;
    struct soft_bind *b = &encoder_of(self)->binds[index];
    forget(b);
    if (length == 0 || length > MTL_MAX_SET_BYTES) {
        refuse(c, "%s: slot %lu: %lu bytes; 1 to %d are allowed", call, index, length, MTL_MAX_SET_BYTES);
        return;
    }
    *b = (struct soft_bind){.bytes = malloc(length), .length = length};
    CHECK(b->bytes);
    memcpy(b->bytes, bytes, length);
}

void soft_mtl_set_tg_memory(id self, SEL cmd, NSUInteger length, NSUInteger index) {
    const char *call = CALL "setThreadgroupMemoryLength:atIndex:]";
    struct soft_commands *c = open_commands(self, call);
    if (index >= SOFT_N_THREADGROUP) refuse(c, "%s: index %lu", call, index);
    else if (length % 16) refuse(c, "%s: %lu bytes are not a multiple of 16", call, length);
    else if (length > SOFT_THREADGROUP_BYTES)
        refuse(c, "%s: %lu bytes; there are %d", call, length, SOFT_THREADGROUP_BYTES);
    else encoder_of(self)->tg[index] = (uint32_t)length;
}

static bool argument_ok(struct soft_commands *c, const struct soft_encoder *e, const struct soft_kernel *k,
                        const struct soft_slot *s) {
    const char *call = CALL "dispatchThreadgroups:threadsPerThreadgroup:]";
    if (s->space == SOFT_THREADGROUP) {
        if (s->index < SOFT_N_THREADGROUP && e->tg[s->index] >= s->size && e->tg[s->index]) return true;
        refuse(c, "%s: kernel %s: threadgroup memory %u (%s) is not set", call, k->name, s->index, s->name);
        return false;
    }
    const struct soft_bind *b = &e->binds[s->index];
    if (!b->buffer && !b->bytes)
        refuse(c, "%s: kernel %s: missing argument: slot %u (%s)", call, k->name, s->index, s->name);
    else if (b->length < s->size)
        refuse(c, "%s: kernel %s: slot %u (%s) has %lu bytes and needs at least %u", call, k->name, s->index,
                    s->name, (unsigned long)b->length, s->size);
    else return true;
    return false;
}

static bool grid_ok(struct soft_commands *c, const struct soft_function *p, MTLSize groups, MTLSize threads) {
    const char *call = CALL "dispatchThreadgroups:threadsPerThreadgroup:]";
    NSUInteger n = threads.width * threads.height * threads.depth;
    if (!n || n > p->k->max_threads)
        refuse(c, "%s: kernel %s: %lu x %lu x %lu threads in a group; 1 to %u are allowed", call, p->k->name,
                    threads.width, threads.height, threads.depth, p->k->max_threads);
    else if (!groups.width || !groups.height || !groups.depth)
        refuse(c, "%s: kernel %s: no groups", call, p->k->name);
    else return true;
    return false;
}

static bool tg_memory_ok(struct soft_commands *c, const struct soft_encoder *e, const struct soft_function *p) {
    uint64_t total = p->tg_static_bytes;
    for (uint32_t i = 0; i < SOFT_N_THREADGROUP; i++) total += e->tg[i];
    if (total <= SOFT_THREADGROUP_BYTES) return true;
    refuse(
        c,
        CALL
        "dispatchThreadgroups:threadsPerThreadgroup:]: kernel %s: %lu bytes of threadgroup memory; there are %d",
        p->k->name, (unsigned long)total, SOFT_THREADGROUP_BYTES);
    return false;
}

static void note_write(id buffer) { atomic_store(&((struct soft_buffer *)(void *)buffer)->device_writes, true); }

static struct soft_bind *copy_binds(struct soft_commands *c, const struct soft_encoder *e,
                                    const struct soft_kernel *k) {
    struct soft_bind *out = calloc(SOFT_N_BUFFER, sizeof *out);
    CHECK(out);
    for (uint32_t i = 0; i < k->n_slot; i++) {
        if (k->slots[i].space == SOFT_THREADGROUP) continue;
        const struct soft_bind *b = &e->binds[k->slots[i].index];
        struct soft_bind *o = &out[k->slots[i].index];
        *o = *b;
        o->buffer = keep(c, b->buffer);
        if (b->buffer && !k->slots[i].read_only) note_write(b->buffer);
        if (!b->bytes) continue;
        o->bytes = malloc(b->length);
        CHECK(o->bytes);
        memcpy(o->bytes, b->bytes, b->length);
    }
    return out;
}

void soft_mtl_dispatch(id self, SEL cmd, MTLSize groups, MTLSize threads) {
    struct soft_encoder *e = encoder_of(self);
    struct soft_commands *c = open_commands(self, CALL "dispatchThreadgroups:threadsPerThreadgroup:]");
    if (!e->pipeline) refuse(c, CALL "dispatchThreadgroups:threadsPerThreadgroup:]: no pipeline is set");
    if (c->refused) return;
    const struct soft_function *p = pipeline_of(e->pipeline);
    bool ok = grid_ok(c, p, groups, threads) && tg_memory_ok(c, e, p);
    for (uint32_t i = 0; ok && i < p->k->n_slot; i++) ok = argument_ok(c, e, p->k, &p->k->slots[i]);
    if (!ok) return;
    struct soft_op *op = op_new(c, OP_DISPATCH);
    op->object = keep(c, e->pipeline);
    op->binds = copy_binds(c, e, p->k);
    memcpy(op->tg, e->tg, sizeof op->tg);
    const NSUInteger g[3] = {groups.width, groups.height, groups.depth},
                     t[3] = {threads.width, threads.height, threads.depth};
    for (int i = 0; i < 3; i++) {
        op->groups[i] = (uint32_t)g[i];
        op->threads[i] = (uint32_t)t[i];
    }
}

void soft_mtl_memory_barrier(id self, SEL cmd, NSUInteger scope) {
    struct soft_commands *c = open_commands(self, CALL "memoryBarrierWithScope:]");
    if (scope != MTLBarrierScopeBuffers) refuse(c, CALL "memoryBarrierWithScope:]: scope %lu", scope);
    op_new(c, OP_BARRIER);
}

void soft_mtl_use_resources(id self, SEL cmd, const id *resources, NSUInteger n, NSUInteger usage) {
    struct soft_commands *c = open_commands(self, CALL "useResources:count:usage:]");
    for (NSUInteger i = 0; i < n; i++)
        if (!soft_is(resources[i], SOFT_MTLBuffer))
            refuse(c, CALL "useResources:count:usage:]: a %s is no buffer", soft_class_name(resources[i]));
}

static void fence_op(struct soft_commands *c, enum soft_op_kind kind, id fence) {
    if (!soft_is(fence, SOFT_MTLFence)) soft_abort("a %s is no fence", soft_class_name(fence));
    op_new(c, kind)->object = keep(c, fence);
}

void soft_mtl_update_fence(id self, SEL cmd, id fence) {
    fence_op(open_commands(self, CALL "updateFence:]"), OP_UPDATE_FENCE, fence);
}
void soft_mtl_wait_fence(id self, SEL cmd, id fence) {
    fence_op(open_commands(self, CALL "waitForFence:]"), OP_WAIT_FENCE, fence);
}
void soft_mtl_blit_update_fence(id self, SEL cmd, id fence) { soft_mtl_update_fence(self, cmd, fence); }
void soft_mtl_blit_wait_fence(id self, SEL cmd, id fence) { soft_mtl_wait_fence(self, cmd, fence); }

static bool range_ok(struct soft_commands *c, const char *call, id buffer, NSUInteger offset, NSUInteger size) {
    if (!soft_is(buffer, SOFT_MTLBuffer)) {
        refuse(c, "%s: a %s is no buffer", call, soft_class_name(buffer));
        return false;
    }
    uint64_t length = ((struct soft_buffer *)(void *)buffer)->length;
    if (size && size <= length && offset <= length - size) return true;
    refuse(c, "%s: bytes %lu to %lu of a buffer of %lu", call, offset, offset + size, (unsigned long)length);
    return false;
}

void soft_mtl_copy(id self, SEL cmd, id from, NSUInteger from_offset, id to, NSUInteger to_offset,
                   NSUInteger size) {
    const char *call = BLIT "copyFromBuffer:sourceOffset:toBuffer:destinationOffset:size:]";
    struct soft_commands *c = open_commands(self, call);
    if (!range_ok(c, call, from, from_offset, size) || !range_ok(c, call, to, to_offset, size)) return;
    if (from_offset % 4 || to_offset % 4 || size % 4)
        refuse(c, "%s: offsets and size must be multiples of 4", call);
    struct soft_op *op = op_new(c, OP_COPY);
    op->object = keep(c, from);
    op->object2 = keep(c, to);
    note_write(to);
    op->a = from_offset;
    op->b = to_offset;
    op->size = size;
}

void soft_mtl_fill(id self, SEL cmd, id buffer, NSRange range, uint8_t value) {
    const char *call = BLIT "fillBuffer:range:value:]";
    struct soft_commands *c = open_commands(self, call);
    if (!range_ok(c, call, buffer, range.location, range.length)) return;
    if (range.location % 4 || range.length % 4)
        refuse(c, "%s: location and length must be multiples of 4", call);
    struct soft_op *op = op_new(c, OP_FILL);
    op->object = keep(c, buffer);
    note_write(buffer);
    op->a = range.location;
    op->size = range.length;
    op->b = value;
}

static void event_op(id commands, enum soft_op_kind kind, id event, uint64_t value) {
    struct soft_commands *c = commands_of(commands);
    if (!soft_is(event, SOFT_MTLSharedEvent)) soft_abort("a %s is no event", soft_class_name(event));
    if (c->open_encoder) soft_abort("an event is encoded while an encoder is open");
    struct soft_op *op = op_new(c, kind);
    op->object = keep(c, event);
    op->a = value;
}

void soft_mtl_signal_event(id self, SEL cmd, id event, uint64_t value) { event_op(self, OP_SIGNAL, event, value); }
void soft_mtl_await_event(id self, SEL cmd, id event, uint64_t value) { event_op(self, OP_WAIT, event, value); }
