/* MTLSharedEvent and MTLResidencySet. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "runtime/soft/types.h"

static struct soft_event *event_of(id e) { return (struct soft_event *)(void *)e; }

id soft_mtl_new_shared_event(id self, SEL cmd) {
    struct soft_event *e = soft_new(SOFT_MTLSharedEvent);
    if (!e) return NULL;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->raised, &attr);
    pthread_condattr_destroy(&attr);
    return (id)(void *)e;
}

void soft_event_dealloc(void *p) {
    struct soft_event *e = p;
    pthread_cond_destroy(&e->raised);
    pthread_mutex_destroy(&e->lock);
}

void soft_event_raise(struct soft_event *e, uint64_t value) {
    pthread_mutex_lock(&e->lock);
    if (value > e->value) e->value = value;
    pthread_cond_broadcast(&e->raised);
    pthread_mutex_unlock(&e->lock);
}

bool soft_event_await(struct soft_event *e, uint64_t value, uint64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&e->lock);
    int rc = 0;
    while (e->value < value && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&e->raised, &e->lock, &until);
    bool reached = e->value >= value;
    pthread_mutex_unlock(&e->lock);
    return reached;
}

uint64_t soft_mtl_event_value(id self, SEL cmd) {
    struct soft_event *e = event_of(self);
    pthread_mutex_lock(&e->lock);
    uint64_t value = e->value;
    pthread_mutex_unlock(&e->lock);
    return value;
}

void soft_mtl_set_event_value(id self, SEL cmd, uint64_t value) { soft_event_raise(event_of(self), value); }

bool soft_mtl_wait_event(id self, SEL cmd, uint64_t value, uint64_t ms) {
    return soft_event_await(event_of(self), value, ms);
}

/* Residency has no effect here, but its book-keeping is checked. */
static struct soft_residency *set_of(id s) { return (struct soft_residency *)(void *)s; }

id soft_mtl_new_residency_set(id self, SEL cmd, id descriptor, id *error) {
    if (!soft_is(descriptor, SOFT_MTLResidencySetDescriptor))
        soft_abort("newResidencySetWithDescriptor: of a %s", soft_class_name(descriptor));
    return soft_new(SOFT_MTLResidencySet);
}

void soft_residency_dealloc(void *p) {
    struct soft_residency *s = p;
    if (s->n) soft_abort("a residency set goes while %u buffers are in it", s->n);
    free(s->v);
}

static pthread_mutex_t residency_lock = PTHREAD_MUTEX_INITIALIZER;

void soft_residency_list(id set, id **all, uint32_t *n) {
    struct soft_residency *s = set_of(set);
    pthread_mutex_lock(&residency_lock);
    if (s->n) {
        *all = realloc(*all, (*n + s->n) * sizeof(id));
        CHECK(*all);
        memcpy(*all + *n, s->v, s->n * sizeof(id));
        *n += s->n;
    }
    pthread_mutex_unlock(&residency_lock);
}

/* With the lock held, like make_room. */
static uint32_t find(const struct soft_residency *s, id allocation) {
    uint32_t i = 0;
    while (i < s->n && s->v[i] != allocation) i++;
    return i;
}

static void make_room(struct soft_residency *s) {
    if (s->n < s->cap) return;
    s->cap = s->cap ? s->cap * 2 : 64;
    s->v = realloc(s->v, s->cap * sizeof(id));
    CHECK(s->v);
}

void soft_mtl_add_allocation(id self, SEL cmd, id allocation) {
    struct soft_residency *s = set_of(self);
    if (!soft_is(allocation, SOFT_MTLBuffer)) soft_abort("addAllocation: of a %s", soft_class_name(allocation));
    pthread_mutex_lock(&residency_lock);
    if (find(s, allocation) == s->n) {
        make_room(s);
        s->v[s->n++] = allocation;
    }
    pthread_mutex_unlock(&residency_lock);
}

void soft_mtl_remove_allocation(id self, SEL cmd, id allocation) {
    struct soft_residency *s = set_of(self);
    pthread_mutex_lock(&residency_lock);
    uint32_t i = find(s, allocation);
    if (i < s->n) s->v[i] = s->v[--s->n];
    pthread_mutex_unlock(&residency_lock);
}

void soft_mtl_set_initial_capacity(id self, SEL cmd, NSUInteger n) {}
void soft_mtl_commit_set(id self, SEL cmd) {}
void soft_mtl_request_residency(id self, SEL cmd) {}
void soft_mtl_end_residency(id self, SEL cmd) {}
