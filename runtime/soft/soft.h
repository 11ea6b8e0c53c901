/* Soft Metal: the part of Metal that hy uses, as Objective-C classes written in C, for Linux.
 *
 * Classes are registered with GNU libobjc from the lists of messages that the client sends (oc_messages.def,
 * mtl_messages.def): methods.h declares for each message the C function soft_<name> that answers it, with the
 * very type that the client calls. Protocols of Apple's are classes here. An object is a C struct that
 * begins with struct soft_object and is made by soft_new.
 *
 * What is wrong is treated in two ways. A command that Metal's validation layer would refuse (a slot, an offset, a
 * missing argument, too many threads) makes its command buffer fail with a sentence that names the call. A program
 * that breaks the rules of objects (a message nobody answers or to a freed object, an autorelease without a pool,
 * a second commit, an encoder left open) is stopped by soft_abort.
 *
 * Environment: HY_SOFT_MACOS=14 hides what came with macOS 15; HY_SOFT_FAULT plants faults (soft_fault_set);
 * HY_SOFT_LEAKS=1 lists the objects that are alive at exit, and aborts when there are any; HY_SOFT_ORDER
 * (exec.h) also orders the dispatches of a concurrent encoder between barriers; HY_SOFT_REUSE=0 lets the host
 * change what a committed command buffer has yet to read (reuse.c), which otherwise makes that buffer fail.
 * Threads: any thread may use any object but encoders; each queue runs its command buffers on its own thread. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>

#include "runtime/mtl.h"
#include "runtime/soft/exec.h"
#include "runtime/soft/methods.h"

struct soft_object {
    Class isa; /* first, as libobjc wants it */
    atomic_uint refs;
    uint32_t kind; /* enum soft_kind */
};

/* X(kind, superclass, struct, dealloc or NULL) */
#define SOFT_CLASSES(X)                                                                                \
    X(NSObject, , soft_object, NULL)                                                                   \
    X(NSString, NSObject, soft_string, soft_string_dealloc)                                            \
    X(NSError, NSObject, soft_error, soft_error_dealloc)                                               \
    X(NSArray, NSObject, soft_array, soft_array_dealloc)                                               \
    X(MTLDevice, NSObject, soft_device, NULL)                                                          \
    X(MTLCompileOptions, NSObject, soft_compile_options, NULL)                                         \
    X(MTLLibrary, NSObject, soft_library, NULL)                                                        \
    X(MTLFunctionConstantValues, NSObject, soft_constants, NULL)                                       \
    X(MTLFunction, NSObject, soft_function, NULL)                                                      \
    X(MTLComputePipelineState, NSObject, soft_function, NULL)                                          \
    X(MTLResource, NSObject, soft_object, NULL)                                                        \
    X(MTLBuffer, MTLResource, soft_buffer, soft_buffer_dealloc)                                        \
    X(MTLSharedEvent, NSObject, soft_event, soft_event_dealloc)                                        \
    X(MTLFence, NSObject, soft_fence, NULL)                                                            \
    X(MTLResidencySetDescriptor, NSObject, soft_object, NULL)                                          \
    X(MTLResidencySet, NSObject, soft_residency, soft_residency_dealloc)                               \
    X(MTLCommandQueue, NSObject, soft_queue, soft_queue_dealloc)                                       \
    X(MTLCommandBuffer, NSObject, soft_commands, soft_commands_dealloc)                                \
    X(MTLCommandEncoder, NSObject, soft_encoder, soft_encoder_dealloc)                                 \
    X(MTLComputeCommandEncoder, MTLCommandEncoder, soft_encoder, soft_encoder_dealloc)                 \
    X(MTLBlitCommandEncoder, MTLCommandEncoder, soft_encoder, soft_encoder_dealloc)

#define X(name, super, type, dealloc) SOFT_##name,
enum soft_kind { SOFT_CLASSES(X) SOFT_N_KIND };
#undef X

/* A zeroed object with one reference; NULL when memory is short. */
void *soft_new(enum soft_kind kind);
/* Whether obj is a living object of this kind. Freed objects stay recognisable for a while. */
bool soft_is(id obj, enum soft_kind kind);
/* How many objects of a class are alive ("MTLBuffer"); NULL: all together. */
uint32_t soft_live(const char *class_name);
const char *soft_class_name(id obj);
_Noreturn void soft_abort(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

id soft_string_new(const char *text);
id soft_error_new(const char *domain, NSInteger code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
id soft_array_new(const id *objects, NSUInteger n);
/* Stores an autoreleased error through an NSError ** that may be NULL. */
void soft_give_error(id *out, id owned_error);

/* Faults for tests, each at the Nth event from now on, separated by commas: nodevice, buffer@N, library@N,
 * pipeline@N, commands@N:CODE (an MTLCommandBufferError), hang@N. NULL: none. */
void soft_fault_set(const char *spec);
enum soft_fault { FAULT_NODEVICE, FAULT_BUFFER, FAULT_LIBRARY, FAULT_PIPELINE, FAULT_COMMANDS, FAULT_HANG, N_FAULT };
/* Counts one event; true when it is to fail. code may be NULL. */
bool soft_fault(enum soft_fault f, int *code);

/* Sets what HY_SOFT_REUSE sets, for command buffers that are committed from now on. For tests. */
void soft_reuse_set(bool on);

void soft_string_dealloc(void *);
void soft_error_dealloc(void *);
void soft_array_dealloc(void *);
void soft_buffer_dealloc(void *);
void soft_event_dealloc(void *);
void soft_residency_dealloc(void *);
void soft_queue_dealloc(void *);
void soft_commands_dealloc(void *);
void soft_encoder_dealloc(void *);
