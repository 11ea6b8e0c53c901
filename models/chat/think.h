/* Thinking: which tags a model puts around its reasoning. tool_parse.h cuts an answer at them while it streams; gpt-oss has
 * channels instead of tags, which it knows itself. */
#pragma once
#include <stddef.h>

struct think_tags {
    const char *open, *close; /* static; NULL: the model does not think, or not between tags */
};

/* The tags that a chat template's text mentions. */
struct think_tags think_detect(const char *source, size_t len);
