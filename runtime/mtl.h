/* Metal's messages, constants and structs, as typed inline functions over runtime/oc.h.
 *
 * mtl_messages.def (and mtl_capture.def) says for each function which message it sends, with the Objective-C line; mtl_enums.def
 * holds the constants. Nothing here decides anything: that is runtime/metal.c. Encoders belong to one thread;
 * queues, devices, pipelines and a command buffer's status may be used by any. */
#pragma once
#include "runtime/oc.h"

typedef struct { NSUInteger width, height, depth; } MTLSize;
typedef const void *oc_block; /* always nil here */

#define MTL_ENUM(name, value) name = value,
enum {
#include "runtime/mtl_enums.def"
};
#undef MTL_ENUM

id MTLCreateSystemDefaultDevice(void); /* both return objects that the caller releases */
id MTLCopyAllDevices(void);

#include "runtime/mtl_messages.def"
#include "runtime/mtl_capture.def"

#define MTL_MAX_SLOTS 31           /* buffer(0) to buffer(30) */
#define MTL_MAX_SET_BYTES 4096
#define MTL_MAX_RESIDENCY_SETS 32  /* per queue */
