/* NSString, NSError, NSArray. */
#include <stdlib.h>
#include <string.h>

#include "runtime/soft/types.h"

static struct soft_string *string_of(id s) { return (struct soft_string *)(void *)s; }
static struct soft_error *error_of(id e) { return (struct soft_error *)(void *)e; }
static struct soft_array *array_of(id a) { return (struct soft_array *)(void *)a; }

void soft_string_dealloc(void *p) { free(((struct soft_string *)p)->text); }

id soft_oc_string_init_bytes(id self, SEL cmd, const void *bytes, NSUInteger length, NSUInteger encoding) {
    if (encoding != NS_UTF8) soft_abort("-[NSString initWithBytes:length:encoding:]: only UTF-8 is there");
    struct soft_string *s = string_of(self);
    s->text = malloc(length + 1);
    if (!s->text) {
        oc_release(self);
        return NULL;
    }
    memcpy(s->text, bytes, length);
    s->text[s->len = length] = 0;
    return self;
}

const char *soft_oc_string_utf8(id self, SEL cmd) { return string_of(self)->text; }
NSUInteger soft_oc_string_bytes(id self, SEL cmd, NSUInteger encoding) { return string_of(self)->len; }

id soft_string_new(const char *text) { return oc_new_string(text, strlen(text)); }

void soft_error_dealloc(void *p) {
    struct soft_error *e = p;
    oc_drop(&e->domain);
    oc_drop(&e->text);
}

id soft_error_new(const char *domain, NSInteger code, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct soft_error *e = soft_new(SOFT_NSError);
    if (!e) return NULL;
    e->code = code;
    e->domain = soft_string_new(domain);
    e->text = soft_string_new(text);
    return (id)(void *)e;
}

void soft_give_error(id *out, id owned_error) {
    if (!owned_error) return;
    if (out) *out = oc_autorelease(owned_error);
    else oc_release(owned_error);
}

NSInteger soft_oc_error_code(id self, SEL cmd) { return error_of(self)->code; }
id soft_oc_error_domain(id self, SEL cmd) { return error_of(self)->domain; }
id soft_oc_error_text(id self, SEL cmd) { return error_of(self)->text; }

id soft_array_new(const id *objects, NSUInteger n) {
    struct soft_array *a = soft_new(SOFT_NSArray);
    if (!a || !(a->v = calloc(n + 1, sizeof(id)))) return (id)(void *)a;
    for (a->n = 0; a->n < n; a->n++) a->v[a->n] = oc_retain(objects[a->n]);
    return (id)(void *)a;
}

void soft_array_dealloc(void *p) {
    struct soft_array *a = p;
    for (NSUInteger i = 0; i < a->n; i++) oc_release(a->v[i]);
    free(a->v);
}

NSUInteger soft_oc_array_count(id self, SEL cmd) { return array_of(self)->n; }

id soft_oc_array_at(id self, SEL cmd, NSUInteger index) {
    if (index >= array_of(self)->n) soft_abort("-[NSArray objectAtIndex:]: %lu of %lu", index, array_of(self)->n);
    return array_of(self)->v[index];
}
