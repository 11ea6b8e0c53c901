/* Fields of a JSON object that came in: null is absence, whole numbers may come as 10.0, unknown fields do not matter.
 * The first wrong type is kept in err and makes all later reads give their default; strings and values are borrowed
 * from the object. One owner. */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "runtime/err.h"
#include "tools/serve/strbuf.h"

struct fields {
    const json_t *obj;
    struct err *err; /* code 0 while all is well */
};

/* The body as a JSON object, which the caller releases. Lone surrogates and bytes that are not UTF-8 become U+FFFD. */
int fields_parse(const struct strbuf *body, json_t **out, struct err *e);

/* NULL when absent or null. */
json_t *fields_get(const struct fields *f, const char *key);
const char *fields_str(struct fields *f, const char *key); /* NUL-terminated; a NUL inside is an error; NULL when absent */
const json_t *fields_text(struct fields *f, const char *key); /* any string */
bool fields_bool(struct fields *f, const char *key, bool otherwise);
int64_t fields_int(struct fields *f, const char *key, int64_t otherwise);
double fields_num(struct fields *f, const char *key, double otherwise);
json_t *fields_arr(struct fields *f, const char *key);
json_t *fields_obj(struct fields *f, const char *key);

/* A whole number in any of its forms. */
bool fields_whole(const json_t *v, int64_t *out);
