/* GNU libobjc's functions for making classes (libobjc.so.4, the same since GCC 4.7), declared here because
 * compilers other than gcc do not find its headers. */
#pragma once
#include "runtime/oc.h"

typedef const struct objc_method *Method;

Class objc_allocateClassPair(Class super, const char *name, size_t extra_bytes);
void objc_registerClassPair(Class c);
bool class_addIvar(Class c, const char *name, size_t bytes, unsigned char log2_align, const char *type);
bool class_addMethod(Class c, SEL sel, void (*imp)(void), const char *types);
Method class_getInstanceMethod(Class c, SEL sel);
Method *class_copyMethodList(Class c, unsigned *n); /* free() it */
const char *class_getName(Class c);
Class class_getSuperclass(Class c);
bool class_isMetaClass(Class c);
SEL method_getName(Method m);
const char *method_getTypeEncoding(Method m);
const char *sel_getName(SEL sel);

/* Asked for what to call when a receiver does not answer. */
extern void (*(*__objc_msg_forward2)(id receiver, SEL sel))(void);

/* Objects begin with their class, classes with their metaclass. */
static inline Class object_getClass(id obj) { return *(Class *)(void *)obj; }
