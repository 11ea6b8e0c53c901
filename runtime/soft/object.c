/* Objects: making, counting, freeing, and pools. */
#include <stdlib.h>
#include <string.h>

#include "runtime/soft/classes.h"
#include "runtime/soft/gnu_objc.h"

#define N_KEPT 1024 /* freed objects whose headers stay readable, so that late messages are named */

static atomic_uint live[SOFT_N_KIND];
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static void *kept[N_KEPT];
static uint32_t kept_at;

void soft_abort(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fputs("soft Metal: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}

void *soft_new(enum soft_kind kind) {
    struct soft_object *o = calloc(1, soft_classes[kind].bytes);
    if (!o) return NULL;
    o->isa = soft_classes[kind].isa;
    o->kind = kind;
    atomic_init(&o->refs, 1);
    atomic_fetch_add(&live[kind], 1);
    return o;
}

static struct soft_object *object_of(id obj) { return (struct soft_object *)(void *)obj; }

bool soft_is(id obj, enum soft_kind kind) {
    struct soft_object *o = object_of(obj);
    return o->kind == kind && o->isa == soft_classes[kind].isa;
}

const char *soft_class_name(id obj) {
    struct soft_object *o = object_of(obj);
    return o->kind < SOFT_N_KIND ? soft_classes[o->kind].name : "not an object";
}

/* The header outlives the object, as an object of a class that answers nothing. */
static void bury(struct soft_object *o) {
    o->isa = soft_freed_class;
    pthread_mutex_lock(&kept_lock);
    void *oldest = kept[kept_at];
    kept[kept_at] = o;
    kept_at = (kept_at + 1) % N_KEPT;
    pthread_mutex_unlock(&kept_lock);
    free(oldest);
}

id soft_oc_retain(id self, SEL cmd) {
    atomic_fetch_add(&object_of(self)->refs, 1);
    return self;
}

void soft_oc_release(id self, SEL cmd) {
    struct soft_object *o = object_of(self);
    if (atomic_fetch_sub(&o->refs, 1) != 1) return;
    if (soft_classes[o->kind].dealloc) soft_classes[o->kind].dealloc(o);
    atomic_fetch_sub(&live[o->kind], 1);
    bury(o);
}

bool soft_oc_responds_to(id self, SEL cmd, SEL selector) {
    return class_getInstanceMethod(object_getClass(self), selector) != NULL;
}

static enum soft_kind kind_of_class(id class, const char *message) {
    for (uint32_t k = 0; k < SOFT_N_KIND; k++)
        if (class == (id)(void *)soft_classes[k].isa) return (enum soft_kind)k;
    soft_abort("+%s sent to a class that is not soft Metal's", message);
}

id soft_oc_new_object(id self, SEL cmd) {
    enum soft_kind k = kind_of_class(self, "new");
    if (k != SOFT_MTLCompileOptions && k != SOFT_MTLFunctionConstantValues && k != SOFT_MTLResidencySetDescriptor)
        soft_abort("+[%s new]: such objects are made by others", soft_classes[k].name);
    return soft_new(k);
}

id soft_oc_new_uninitialised(id self, SEL cmd) {
    if (kind_of_class(self, "alloc") != SOFT_NSString) soft_abort("only +[NSString alloc] is there");
    return soft_new(SOFT_NSString);
}

uint32_t soft_live(const char *class_name) {
    uint32_t n = 0;
    for (uint32_t k = 0; k < SOFT_N_KIND; k++)
        if (!class_name || strcmp(class_name, soft_classes[k].name) == 0) n += atomic_load(&live[k]);
    return n;
}

void soft_report_leaks(void) {
    for (uint32_t k = 0; k < SOFT_N_KIND; k++)
        if (atomic_load(&live[k]))
            fprintf(stderr, "soft Metal: %u %s alive at exit\n", atomic_load(&live[k]), soft_classes[k].name);
    if (soft_live(NULL)) soft_abort("%u objects leaked", soft_live(NULL));
}

/* Pools: one stack of objects per thread, each pool begins with a NULL. Its token is its depth. */
static __thread struct {
    id *v;
    size_t n, cap;
} pools;

static void pool_add(id obj) {
    if (pools.n == pools.cap) {
        pools.cap = pools.cap ? pools.cap * 2 : 64;
        pools.v = realloc(pools.v, pools.cap * sizeof *pools.v);
        CHECK(pools.v);
    }
    pools.v[pools.n++] = obj;
}

void *objc_autoreleasePoolPush(void) {
    pool_add(NULL);
    return (void *)(uintptr_t)pools.n;
}

void objc_autoreleasePoolPop(void *token) {
    size_t depth = (size_t)(uintptr_t)token;
    if (!depth || depth > pools.n || pools.v[depth - 1])
        soft_abort("an autorelease pool is popped that is not there");
    while (pools.n > depth) {
        id obj = pools.v[--pools.n];
        if (!obj) soft_abort("an autorelease pool is popped before one inside it");
        oc_release(obj);
    }
    if (--pools.n) return;
    free(pools.v);
    pools.v = NULL;
    pools.cap = 0;
}

id soft_oc_autorelease(id self, SEL cmd) {
    if (!pools.n) soft_abort("a %s is autoreleased on a thread without a pool", soft_class_name(self));
    pool_add(self);
    return self;
}
