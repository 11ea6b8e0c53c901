/* MTLLibrary, functions and pipelines: the source must be that of a file whose kernels were compiled into hy. */
#include <string.h>

#include "runtime/soft/types.h"

static struct soft_compile_options *options_of(id o) { return (struct soft_compile_options *)(void *)o; }
static struct soft_constants *constants_of(id c) { return (struct soft_constants *)(void *)c; }
static struct soft_function *function_of(id f) { return (struct soft_function *)(void *)f; }
static const struct soft_file *file_of(id library) { return ((struct soft_library *)(void *)library)->file; }

void soft_mtl_set_fast_math(id self, SEL cmd, bool enabled) { options_of(self)->safe_math = !enabled; }
void soft_mtl_set_math_mode(id self, SEL cmd, NSInteger mode) {
    options_of(self)->safe_math = mode == MTLMathModeSafe;
}
void soft_mtl_set_language(id self, SEL cmd, NSUInteger version) { options_of(self)->language = version; }

id soft_mtl_new_library(id self, SEL cmd, id source, id options, id *error) {
    const struct soft_string *s = (const struct soft_string *)(void *)source;
    const struct soft_file *file = soft_file_find(s->text, s->len);
    id why = NULL;
    if (!options || !options_of(options)->safe_math)
        why = soft_error_new("MTLLibraryErrorDomain", 1, "hy's kernels are for safe math, which was not asked for");
    else if (!file)
        why = soft_error_new("MTLLibraryErrorDomain", MTLLibraryErrorCompileFailure,
                             "soft Metal runs only the kernels it was built with, and this source is not theirs");
    else if (soft_fault(FAULT_LIBRARY, NULL))
        why = soft_error_new("MTLLibraryErrorDomain", MTLLibraryErrorCompileFailure,
                             "program_source:%u:1: error: a planted fault\n^",
                             file->n_kernel ? file->kernels[0].line : 1);
    struct soft_library *l = why ? NULL : soft_new(SOFT_MTLLibrary);
    if (l) l->file = file;
    soft_give_error(error, why);
    return (id)(void *)l;
}

id soft_mtl_function_names(id self, SEL cmd) {
    const struct soft_file *f = file_of(self);
    id names[512] = {NULL};
    uint32_t n = 0;
    for (; n < f->n_kernel && n < 512; n++) names[n] = soft_string_new(f->kernels[n].name);
    id array = soft_array_new(names, n);
    while (n) oc_release(names[--n]);
    return oc_autorelease(array);
}

static uint32_t type_bytes(NSUInteger type) { return type == MTLDataTypeBool ? 1 : 4; }

void soft_mtl_set_constant(id self, SEL cmd, const void *value, NSUInteger type, NSUInteger index) {
    struct soft_constants *c = constants_of(self);
    if (type != MTLDataTypeBool && type != MTLDataTypeInt && type != MTLDataTypeUInt && type != MTLDataTypeFloat)
        soft_abort("setConstantValue:type:atIndex: with type %lu", type);
    uint32_t i = 0;
    while (i < c->n && c->v[i].index != index) i++;
    if (i == SOFT_N_CONST) soft_abort("more than %d function constants", SOFT_N_CONST);
    if (i == c->n) c->n++;
    c->v[i].index = (uint32_t)index;
    c->type[i] = (uint32_t)type;
    memcpy(c->v[i].bytes, value, type_bytes(type));
}

static const struct soft_kernel *find_kernel(const struct soft_file *f, const char *name) {
    for (uint32_t i = 0; i < f->n_kernel; i++)
        if (strcmp(f->kernels[i].name, name) == 0) return &f->kernels[i];
    return NULL;
}

/* Takes the constants that the file declares; the error when one has another type there. */
static id take_values(struct soft_function *f, const struct soft_constants *c) {
    const struct soft_file *file = f->k->file;
    for (uint32_t i = 0; i < file->n_const; i++) {
        const struct soft_const *want = &file->consts[i];
        for (uint32_t j = 0; j < c->n; j++) {
            if (c->v[j].index != want->index) continue;
            if (c->type[j] != want->type)
                return soft_error_new("MTLLibraryErrorDomain", MTLLibraryErrorCompileFailure,
                                      "function constant %s has type %u, and the value given for it type %u",
                                      want->name, want->type, c->type[j]);
            f->values[f->n_value++] = c->v[j];
        }
    }
    return NULL;
}

id soft_mtl_new_function(id self, SEL cmd, id name, id values, id *error) {
    const struct soft_kernel *k = find_kernel(file_of(self), oc_utf8(name));
    if (!k) {
        soft_give_error(error, soft_error_new("MTLLibraryErrorDomain", MTLLibraryErrorFunctionNotFound,
                                              "%s holds no kernel '%s'", file_of(self)->path, oc_utf8(name)));
        return NULL;
    }
    struct soft_function *f = soft_new(SOFT_MTLFunction);
    if (!f) return NULL;
    f->k = k;
    id why = take_values(f, constants_of(values));
    if (why) oc_release((id)(void *)f);
    soft_give_error(error, why);
    return why ? NULL : (id)(void *)f;
}

id soft_mtl_new_pipeline(id self, SEL cmd, id function, id *error) {
    const struct soft_function *f = function_of(function);
    if (soft_fault(FAULT_PIPELINE, NULL)) {
        soft_give_error(error,
                        soft_error_new("AGXMetal", 2, "Compiler encountered an internal error (a planted fault)"));
        return NULL;
    }
    struct soft_function *p = soft_new(SOFT_MTLComputePipelineState);
    if (!p) return NULL;
    p->k = f->k;
    p->n_value = f->n_value;
    memcpy(p->values, f->values, sizeof p->values);
    p->tg_static_bytes = f->k->static_bytes ? f->k->static_bytes() : 0;
    return (id)(void *)p;
}

NSUInteger soft_mtl_pipeline_max_threads(id self, SEL cmd) { return function_of(self)->k->max_threads; }
NSUInteger soft_mtl_pipeline_width(id self, SEL cmd) { return SOFT_SIMD_WIDTH; }
NSUInteger soft_mtl_pipeline_tg_memory(id self, SEL cmd) { return function_of(self)->tg_static_bytes; }
