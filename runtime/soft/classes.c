/* Registers soft Metal's classes with GNU libobjc. */
#include "runtime/soft/classes.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/soft/gnu_objc.h"

#define STR(x) #x
#define X(name, super, type, dealloc) {STR(name), STR(super), sizeof(struct type), dealloc, NULL},
struct soft_class soft_classes[SOFT_N_KIND] = {SOFT_CLASSES(X)};
#undef X
Class soft_freed_class;

#undef MSG0
#undef MSG1
#undef MSG2
#undef MSG3
#undef MSG4
#undef MSG5
#define ENTRY(fn, kind, cls, sel, types) {#cls, sel, #kind[0], types, (void (*)(void))soft_##fn},
#define MSG0(R, fn, kind, cls, sel) ENTRY(fn, kind, cls, sel, #R)
#define MSG1(R, fn, kind, cls, sel, A, a) ENTRY(fn, kind, cls, sel, #R ";" #A)
#define MSG2(R, fn, kind, cls, sel, A, a, B, b) ENTRY(fn, kind, cls, sel, #R ";" #A ";" #B)
#define MSG3(R, fn, kind, cls, sel, A, a, B, b, C, c) ENTRY(fn, kind, cls, sel, #R ";" #A ";" #B ";" #C)
#define MSG4(R, fn, kind, cls, sel, A, a, B, b, C, c, D, d) ENTRY(fn, kind, cls, sel, #R ";" #A ";" #B ";" #C ";" #D)
#define MSG5(R, fn, kind, cls, sel, A, a, B, b, C, c, D, d, E, e) \
    ENTRY(fn, kind, cls, sel, #R ";" #A ";" #B ";" #C ";" #D ";" #E)
const struct soft_message soft_messages[] = {
#include "runtime/mtl_messages.def"
#include "runtime/oc_messages.def"
};
const uint32_t soft_n_message = sizeof soft_messages / sizeof *soft_messages;

/* Objective-C's code for a C type. */
static const char *type_code(const char *type, size_t len) {
    static const struct { const char *name, *code; } codes[] = {
        {"void", "v"}, {"id", "@"}, {"SEL", ":"}, {"bool", "B"}, {"NSUInteger", "L"}, {"NSInteger", "l"},
        {"uint64_t", "Q"}, {"uint8_t", "C"}, {"double", "d"}, {"void *", "^v"}, {"const void *", "r^v"},
        {"const char *", "r*"}, {"id *", "^@"}, {"const id *", "r^@"}, {"oc_block", "@?"},
        {"MTLSize", "{MTLSize=LLL}"}, {"NSRange", "{NSRange=LL}"}};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strlen(codes[i].name) == len && memcmp(codes[i].name, type, len) == 0) return codes[i].code;
    soft_abort("no type code for '%.*s'", (int)len, type);
}

/* Result, self, selector, arguments. */
static void type_codes(const char *types, char out[128]) {
    size_t len = strcspn(types, ";");
    int n = snprintf(out, 128, "%s@:", type_code(types, len));
    for (types += len; *types; types += len) {
        types++;
        len = strcspn(types, ";");
        n += snprintf(out + n, 128 - (size_t)n, "%s", type_code(types, len));
        CHECK(n < 128);
    }
}

static const char *const since_macos_15[] = {"newResidencySetWithDescriptor:error:", "addResidencySet:",
                                             "removeResidencySet:", "setMathMode:"};

static bool is_hidden(const char *selector) {
    const char *version = getenv("HY_SOFT_MACOS");
    if (!version || atoi(version) >= 15) return false;
    for (size_t i = 0; i < sizeof since_macos_15 / sizeof *since_macos_15; i++)
        if (strcmp(selector, since_macos_15[i]) == 0) return true;
    return false;
}

/* libobjc asks for a function to call when nobody answers; there is none to give. */
static void (*unanswered(id receiver, SEL selector))(void) {
    const char *sel = sel_getName(selector);
    Class isa = object_getClass(receiver);
    if (isa == soft_freed_class) soft_abort("%s sent to a freed %s", sel, soft_class_name(receiver));
    if (class_isMetaClass(isa)) soft_abort("+%s does not answer %s", class_getName((Class)(void *)receiver), sel);
    soft_abort("%s does not answer %s", class_getName(isa), sel);
}

static void add_methods(const struct soft_class *c) {
    for (uint32_t i = 0; i < soft_n_message; i++) {
        const struct soft_message *m = &soft_messages[i];
        if (strcmp(m->class_name, c->name) != 0 || is_hidden(m->selector)) continue;
        char codes[128];
        type_codes(m->types, codes);
        Class to = m->kind == 'C' ? object_getClass((id)(void *)c->isa) : c->isa;
        if (!class_addMethod(to, sel_registerName(m->selector), m->imp, codes))
            soft_abort("%s has %s already", c->name, m->selector);
    }
}

static Class register_class(const char *super, const char *name) {
    Class c = objc_allocateClassPair(*super ? (Class)(void *)objc_getClass(super) : NULL, name, 0);
    if (!c) soft_abort("libobjc refuses class %s", name);
    if (!*super) class_addIvar(c, "isa", sizeof(Class), 3, "#");
    objc_registerClassPair(c);
    return c;
}

/* libobjc never frees its tables. Read by the leak checker, where there is one. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libobjc.so\n"; }
const char *__lsan_default_options(void);
const char *__lsan_default_options(void) { return "print_suppressions=0"; }

__attribute__((constructor)) static void register_classes(void) {
    for (uint32_t k = 0; k < SOFT_N_KIND; k++) {
        struct soft_class *c = &soft_classes[k];
        c->isa = register_class(c->super, c->name);
        add_methods(c);
    }
    soft_freed_class = register_class("", "SoftFreed");
    __objc_msg_forward2 = unanswered;
    const char *leaks = getenv("HY_SOFT_LEAKS");
    if (leaks && *leaks && *leaks != '0') atexit(soft_report_leaks);
}
