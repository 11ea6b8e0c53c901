/* MTLCommandQueue and MTLCommandBuffer: recording, order, the queue's thread, status. */
#include <stdlib.h>
#include <string.h>

#include "runtime/clock.h"
#include "runtime/soft/types.h"

#define MAX_SETS 32 /* Metal's limit */

/* What a queue's thread works on. It outlives the queue while commands point to it. */
struct soft_engine {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct soft_commands *head, **tail; /* enqueued, in order; each retained */
    uint32_t n_open, max_open;          /* command buffers that have not completed */
    bool stop;
    bool hung;     /* nothing runs any more */
    id sets[MAX_SETS]; /* the residency sets of the queue */
    uint32_t n_set;
    uint32_t refs; /* the queue, the thread, each command buffer */
};

static struct soft_queue *queue_of(id q) { return (struct soft_queue *)(void *)q; }
static struct soft_commands *commands_of(id c) { return (struct soft_commands *)(void *)c; }

static void engine_drop(struct soft_engine *g) {
    pthread_mutex_lock(&g->lock);
    bool last = --g->refs == 0;
    pthread_mutex_unlock(&g->lock);
    if (!last) return;
    pthread_cond_destroy(&g->changed);
    pthread_mutex_destroy(&g->lock);
    free(g);
}

static void set_status(struct soft_commands *c, NSUInteger status) {
    pthread_mutex_lock(&c->lock);
    c->status = status;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static NSUInteger status_of(struct soft_commands *c) {
    pthread_mutex_lock(&c->lock);
    NSUInteger status = c->status;
    pthread_mutex_unlock(&c->lock);
    return status;
}

static const char *error_sentence(NSInteger code) {
    switch (code) {
    case MTLCommandBufferErrorTimeout:
        return "Caused GPU Timeout Error (00000002:kIOGPUCommandBufferCallbackErrorTimeout)";
    case MTLCommandBufferErrorPageFault:
        return "Caused GPU Address Fault Error (0000000b:kIOGPUCommandBufferCallbackErrorPageFault)";
    case MTLCommandBufferErrorAccessRevoked:
        return "Ignored (for causing prior/excessive GPU errors) "
               "(00000004:kIOGPUCommandBufferCallbackErrorSubmissionsIgnored)";
    case MTLCommandBufferErrorOutOfMemory:
        return "Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)";
    case MTLCommandBufferErrorDeviceRemoved: return "The device was removed";
    default: return "Internal Error (0000000e:Internal Error)";
    }
}

/* Until the queue goes: what a GPU that hangs looks like. */
static void hang(struct soft_engine *g) {
    pthread_mutex_lock(&g->lock);
    g->hung = true;
    while (!g->stop) pthread_cond_wait(&g->changed, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

static void run(struct soft_engine *g, struct soft_commands *c) {
    int planted = 0;
    set_status(c, MTLCommandBufferStatusScheduled);
    double start = (double)clock_ns() * 1e-9;
    NSInteger code = c->refused;
    if (soft_fault(FAULT_HANG, NULL)) hang(g);
    if (g->hung) code = MTLCommandBufferErrorTimeout;
    if (!code && soft_fault(FAULT_COMMANDS, &planted)) code = planted;
    else if (!code) code = soft_run_commands(c);
    id error = NULL;
    if (code)
        error = soft_error_new("MTLCommandBufferErrorDomain", code, "%s", *c->why ? c->why : error_sentence(code));
    pthread_mutex_lock(&c->lock);
    c->gpu_start = start;
    c->gpu_end = (double)clock_ns() * 1e-9;
    c->error = error;
    pthread_mutex_unlock(&c->lock);
    soft_ops_free(c);
    set_status(c, code ? MTLCommandBufferStatusError : MTLCommandBufferStatusCompleted);
}

/* The oldest command buffer, once it is committed; NULL when the queue is gone. */
static struct soft_commands *take(struct soft_engine *g) {
    pthread_mutex_lock(&g->lock);
    while (!(g->head && g->head->committed) && !g->stop) pthread_cond_wait(&g->changed, &g->lock);
    struct soft_commands *c = g->head && g->head->committed ? g->head : NULL;
    if (c && !(g->head = c->next)) g->tail = &g->head;
    pthread_mutex_unlock(&g->lock);
    return c;
}

static void *engine_main(void *p) {
    struct soft_engine *g = p;
    for (struct soft_commands *c; (c = take(g));) {
        void *pool = oc_pool_push();
        run(g, c);
        pthread_mutex_lock(&g->lock);
        g->n_open--;
        pthread_cond_broadcast(&g->changed);
        pthread_mutex_unlock(&g->lock);
        oc_release((id)(void *)c);
        oc_pool_pop(pool);
    }
    engine_drop(g);
    return NULL;
}

id soft_mtl_new_queue(id self, SEL cmd, NSUInteger n) {
    char ignored[64];
    soft_run(&(struct soft_dispatch){0}, ignored,
             sizeof ignored); /* makes it read its environment, which run.c needs too */
    struct soft_engine *g = calloc(1, sizeof *g);
    struct soft_queue *q = g ? soft_new(SOFT_MTLCommandQueue) : NULL;
    if (!q) {
        free(g);
        return NULL;
    }
    pthread_mutex_init(&g->lock, NULL);
    pthread_cond_init(&g->changed, NULL);
    g->tail = &g->head;
    g->max_open = (uint32_t)n;
    g->refs = 2;
    q->engine = g;
    CHECK(pthread_create(&g->thread, NULL, engine_main, g) == 0);
    return (id)(void *)q;
}

/* Committed buffers still run; those never committed are let go. */
void soft_queue_dealloc(void *p) {
    struct soft_engine *g = ((struct soft_queue *)p)->engine;
    pthread_mutex_lock(&g->lock);
    g->stop = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
    CHECK(!pthread_equal(pthread_self(), g->thread));
    pthread_join(g->thread, NULL);
    while (g->head) {
        struct soft_commands *c = g->head;
        g->head = c->next;
        oc_release((id)(void *)c);
    }
    engine_drop(g);
}

static id commands_new(struct soft_engine *g, bool retains) {
    pthread_mutex_lock(&g->lock);
    while (g->n_open >= g->max_open) {
        if (!g->head)
            soft_abort("the queue's %u command buffers are all in use and none is committed: this waits for ever",
                       g->max_open);
        pthread_cond_wait(&g->changed, &g->lock);
    }
    struct soft_commands *c = soft_new(SOFT_MTLCommandBuffer);
    if (c) {
        g->n_open++;
        g->refs++;
    }
    pthread_mutex_unlock(&g->lock);
    if (!c) return NULL;
    c->engine = g;
    c->retains = retains;
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    return oc_autorelease((id)(void *)c);
}

id soft_mtl_command_buffer(id self, SEL cmd) { return commands_new(queue_of(self)->engine, true); }
id soft_mtl_command_buffer_unretained(id self, SEL cmd) { return commands_new(queue_of(self)->engine, false); }

void soft_mtl_add_residency_set(id self, SEL cmd, id set) {
    if (!soft_is(set, SOFT_MTLResidencySet)) soft_abort("addResidencySet: of a %s", soft_class_name(set));
    struct soft_engine *g = queue_of(self)->engine;
    pthread_mutex_lock(&g->lock);
    if (g->n_set == MAX_SETS) soft_abort("addResidencySet: a queue takes %d sets", MAX_SETS);
    g->sets[g->n_set++] = oc_retain(set);
    pthread_mutex_unlock(&g->lock);
}

void soft_mtl_remove_residency_set(id self, SEL cmd, id set) {
    struct soft_engine *g = queue_of(self)->engine;
    pthread_mutex_lock(&g->lock);
    uint32_t i = 0;
    while (i < g->n_set && g->sets[i] != set) i++;
    if (i == g->n_set) soft_abort("removeResidencySet: of a set that the queue does not have");
    g->sets[i] = g->sets[--g->n_set];
    pthread_mutex_unlock(&g->lock);
    oc_release(set);
}

id *soft_resident(struct soft_engine *g, uint32_t *n) {
    id *all = NULL;
    *n = 0;
    pthread_mutex_lock(&g->lock);
    for (uint32_t i = 0; i < g->n_set; i++) soft_residency_list(g->sets[i], &all, n);
    pthread_mutex_unlock(&g->lock);
    return all;
}

void soft_commands_dealloc(void *p) {
    struct soft_commands *c = p;
    if (c->open_encoder) soft_abort("a command buffer goes while its encoder is open");
    soft_ops_free(c);
    oc_drop(&c->error);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
    if (!c->committed) {
        pthread_mutex_lock(&c->engine->lock);
        c->engine->n_open--;
        pthread_mutex_unlock(&c->engine->lock);
    }
    engine_drop(c->engine);
}

/* With the engine's lock held. */
static void append(struct soft_engine *g, struct soft_commands *c) {
    if (c->enqueued) return;
    c->enqueued = true;
    oc_retain((id)(void *)c);
    *g->tail = c;
    g->tail = &c->next;
}

void soft_mtl_enqueue(id self, SEL cmd) {
    struct soft_commands *c = commands_of(self);
    pthread_mutex_lock(&c->engine->lock);
    append(c->engine, c);
    pthread_mutex_unlock(&c->engine->lock);
    if (status_of(c) == MTLCommandBufferStatusNotEnqueued) set_status(c, MTLCommandBufferStatusEnqueued);
}

void soft_mtl_commit(id self, SEL cmd) {
    struct soft_commands *c = commands_of(self);
    struct soft_engine *g = c->engine;
    if (c->committed) soft_abort("-[MTLCommandBuffer commit] a second time");
    if (c->open_encoder)
        soft_abort("-[MTLCommandBuffer commit] while its encoder is open (endEncoding is missing)");
    set_status(c, MTLCommandBufferStatusCommitted);
    soft_reuse_watch(c, 0);
    pthread_mutex_lock(&g->lock);
    if (g->stop) soft_abort("-[MTLCommandBuffer commit] after its queue is gone");
    append(g, c);
    c->known = soft_serial_done();
    c->committed = true;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

void soft_mtl_wait_completed(id self, SEL cmd) {
    struct soft_commands *c = commands_of(self);
    if (!c->committed) soft_abort("-[MTLCommandBuffer waitUntilCompleted] before commit: this waits for ever");
    pthread_mutex_lock(&c->lock);
    while (c->status < MTLCommandBufferStatusCompleted) pthread_cond_wait(&c->changed, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

NSUInteger soft_mtl_status(id self, SEL cmd) { return status_of(commands_of(self)); }

id soft_mtl_error(id self, SEL cmd) {
    struct soft_commands *c = commands_of(self);
    return status_of(c) == MTLCommandBufferStatusError ? c->error : NULL;
}

double soft_mtl_gpu_start(id self, SEL cmd) {
    return status_of(commands_of(self)) >= MTLCommandBufferStatusCompleted ? commands_of(self)->gpu_start : 0;
}

double soft_mtl_gpu_end(id self, SEL cmd) {
    return status_of(commands_of(self)) >= MTLCommandBufferStatusCompleted ? commands_of(self)->gpu_end : 0;
}
