/* The Objective-C runtime from C: Apple's libobjc on macOS, GNU libobjc under soft Metal on Linux.
 *
 * A message is a call of the function type that its method has, fetched by OC_IMP: the only line that differs
 * between the two runtimes. The messages themselves stand in lists (oc_messages.def for Foundation,
 * mtl_messages.def for Metal); each becomes one inline function with its selector cached, and a test
 * compares every line of the lists with Apple's selectors. Types carry Apple's names.
 *
 * Ownership: a function with _new_ in its name returns an object that the caller releases; all others
 * return objects of the innermost pool, gone when it is popped unless retained.
 * Threads: a pool belongs to the thread that pushed it; every thread that sends messages has one.
 * A message to nil is a bug here (every creation is checked), so it stops the program. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

typedef unsigned long NSUInteger;
typedef long NSInteger;
typedef struct { NSUInteger location, length; } NSRange;

typedef struct objc_object *id;
typedef struct objc_class *Class;
#ifdef __APPLE__
typedef struct objc_selector *SEL;
void objc_msgSend(void);
#define OC_IMP(type, obj, sel) ((type)objc_msgSend)
#else
typedef const struct objc_selector *SEL;
void (*objc_msg_lookup(id obj, SEL sel))(void);
#define OC_IMP(type, obj, sel) ((type)objc_msg_lookup((obj), (sel)))
#endif
id objc_getClass(const char *name);
SEL sel_registerName(const char *name);
void *objc_autoreleasePoolPush(void);
void objc_autoreleasePoolPop(void *pool);

static inline void *oc_pool_push(void) { return objc_autoreleasePoolPush(); }
static inline void oc_pool_pop(void *pool) { objc_autoreleasePoolPop(pool); }

static inline SEL oc_sel(SEL *cache, const char *name) {
    SEL s = __atomic_load_n(cache, __ATOMIC_RELAXED);
    if (!s) __atomic_store_n(cache, s = sel_registerName(name), __ATOMIC_RELAXED);
    return s;
}

/* MSGn(result, function, kind, class, "selector", type, name...): n arguments. kind is I for a message to an
 * instance, C for one to a class (self is then oc_class("...")). */
#define OC_SEND(type, self, name, ...)                                                                       \
    static SEL cache;                                                                                        \
    CHECK(self);                                                                                             \
    SEL sel_ = oc_sel(&cache, name);                                                                         \
    return OC_IMP(type, self, sel_)(self, sel_ __VA_ARGS__)
#define MSG0(R, fn, kind, cls, sel)                                                                          \
    static inline R fn(id self) { OC_SEND(R(*)(id, SEL), self, sel, ); }
#define MSG1(R, fn, kind, cls, sel, A, a)                                                                    \
    static inline R fn(id self, A a) { OC_SEND(R(*)(id, SEL, A), self, sel, , a); }
#define MSG2(R, fn, kind, cls, sel, A, a, B, b)                                                              \
    static inline R fn(id self, A a, B b) { OC_SEND(R(*)(id, SEL, A, B), self, sel, , a, b); }
#define MSG3(R, fn, kind, cls, sel, A, a, B, b, C, c)                                                        \
    static inline R fn(id self, A a, B b, C c) { OC_SEND(R(*)(id, SEL, A, B, C), self, sel, , a, b, c); }
#define MSG4(R, fn, kind, cls, sel, A, a, B, b, C, c, D, d)                                                  \
    static inline R fn(id self, A a, B b, C c, D d) {                                                        \
        OC_SEND(R(*)(id, SEL, A, B, C, D), self, sel, , a, b, c, d);                                         \
    }
#define MSG5(R, fn, kind, cls, sel, A, a, B, b, C, c, D, d, E, e)                                            \
    static inline R fn(id self, A a, B b, C c, D d, E e) {                                                   \
        OC_SEND(R(*)(id, SEL, A, B, C, D, E), self, sel, , a, b, c, d, e);                                   \
    }
#include "runtime/oc_messages.def"

#define NS_UTF8 4

/* The class object, NULL when this system has no such class. */
id oc_class(const char *name);

bool oc_responds(id obj, const char *selector);

/* Releases *obj and forgets it; nil is fine. */
void oc_drop(id *obj);

/* A string of len bytes of UTF-8, owned by the caller; NULL when it is not UTF-8 or memory is short. */
id oc_new_string(const char *utf8, size_t len);

/* The characters of a string, valid while its pool or owner keeps it; "" for nil. */
const char *oc_utf8(id string);

/* "<what>: <the system's sentence> (<domain> <code>)" into e; returns code. ns_error may be nil. */
int oc_error(struct err *e, int code, id ns_error, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
