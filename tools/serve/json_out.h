/* JSON going out: what jansson does not have. */
#pragma once
#include <jansson.h>

#include "tools/serve/strbuf.h"

/* The value as one line, without white space; takes the reference. NULL (memory was out while it was built) makes the text fail. */
void json_out_add(struct strbuf *t, json_t *v);
/* A string; bytes that are not UTF-8 become U+FFFD. */
json_t *json_out_str(const char *p, size_t n);
/* {"error":"..."}, or OpenAI's form of it. */
json_t *json_out_error(bool openai, int status, const char *message);
/* "2026-05-04T10:11:12.345678901Z" of nanoseconds since 1970. */
json_t *json_out_time(int64_t unix_ns);
int64_t json_out_now(void); /* nanoseconds since 1970 */
