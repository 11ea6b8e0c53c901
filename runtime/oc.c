#include "runtime/oc.h"

#include <string.h>

id oc_class(const char *name) { return (id)(void *)objc_getClass(name); }

bool oc_responds(id obj, const char *selector) { return oc_responds_to(obj, sel_registerName(selector)); }

void oc_drop(id *obj) {
    if (*obj) oc_release(*obj);
    *obj = NULL;
}

id oc_new_string(const char *utf8, size_t len) {
    return oc_string_init_bytes(oc_new_uninitialised(oc_class("NSString")), utf8, len, NS_UTF8);
}

const char *oc_utf8(id string) {
    const char *s = string ? oc_string_utf8(string) : NULL;
    return s ? s : "";
}

int oc_error(struct err *e, int code, id ns_error, const char *fmt, ...) {
    char what[ERR_TEXT_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if (!ns_error) return err_set(e, code, "%s, and the system does not say why", what);
    return err_set(e, code, "%s: %s (%s %ld)", what, oc_utf8(oc_error_text(ns_error)),
                   oc_utf8(oc_error_domain(ns_error)), oc_error_code(ns_error));
}
