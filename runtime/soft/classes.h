/* Soft Metal's classes as libobjc knows them. Filled before main, constant afterwards. */
#pragma once
#include "runtime/soft/types.h"

struct soft_class {
    const char *name, *super;
    size_t bytes;
    void (*dealloc)(void *obj); /* frees what the object owns, not the object */
    Class isa;
};
extern struct soft_class soft_classes[SOFT_N_KIND];
extern Class soft_freed_class; /* of objects that are gone; answers nothing */

/* One message of the lists: what the tests compare with Apple's table. */
struct soft_message {
    const char *class_name, *selector;
    char kind;         /* 'I' or 'C' */
    const char *types; /* result, then arguments, as C spells them, separated by semicolons */
    void (*imp)(void);
};
extern const struct soft_message soft_messages[];
extern const uint32_t soft_n_message;

void soft_report_leaks(void);
