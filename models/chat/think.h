/* Thinking: which tags a model puts around its reasoning, and an answer cut at them while it streams.
 *
 * Reasoning stands at the beginning of an answer only (after white space): tags further on are the model's text. White
 * space around the reasoning and at the beginning of the answer behind it belongs to neither. Of the text only what may
 * still become a tag, or white space that may turn out to be the last, is held back.
 * gpt-oss has channels instead of tags: tool_parse.h does those itself.
 * One owner per object. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct think_tags {
    const char *open, *close; /* static; NULL: the model does not think, or not between tags */
};

/* The tags that a chat template's text mentions. */
struct think_tags think_detect(const char *source, size_t len);
/* Whether a rendered prompt ends inside the reasoning: the template has opened the tag. */
bool think_is_open(struct think_tags tags, const char *prompt, size_t len);
