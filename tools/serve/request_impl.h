/* What the two APIs' parsers share; private to request*.c and messages.c. */
#pragma once
#include "tools/serve/request.h"

/* The fields that all of them have; root must be set. */
int request_common(struct request *r, struct fields *f);
int request_top_logprobs(struct request *r, struct fields *f, int64_t n);

/* An array of messages in the form that chat_render and the history need: role, content, thinking, tool_calls with an object of
 * arguments, tool_name, tool_call_id. *images: some message has a picture. NULL with an error. */
json_t *messages_native(const json_t *in, bool *images, struct err *e);
json_t *messages_openai(const json_t *in, bool *images, struct err *e);
/* Each is base64, or an error. */
int messages_images(const json_t *images, bool *any, struct err *e);
