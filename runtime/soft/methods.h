/* For each message that hy sends, the C function with which soft Metal answers it. */
#pragma once
#include "runtime/mtl.h"

#undef MSG0
#undef MSG1
#undef MSG2
#undef MSG3
#undef MSG4
#undef MSG5
#define MSG0(R, fn, kind, cls, sel) R soft_##fn(id self, SEL cmd);
#define MSG1(R, fn, kind, cls, sel, A, a) R soft_##fn(id self, SEL cmd, A a);
#define MSG2(R, fn, kind, cls, sel, A, a, B, b) R soft_##fn(id self, SEL cmd, A a, B b);
#define MSG3(R, fn, kind, cls, sel, A, a, B, b, C, c) R soft_##fn(id self, SEL cmd, A a, B b, C c);
#define MSG4(R, fn, kind, cls, sel, A, a, B, b, C, c, D, d) R soft_##fn(id self, SEL cmd, A a, B b, C c, D d);
#define MSG5(R, fn, kind, cls, sel, A, a, B, b, C, c, D, d, E, e) \
    R soft_##fn(id self, SEL cmd, A a, B b, C c, D d, E e);
#include "runtime/mtl_messages.def"
#include "runtime/oc_messages.def"
