#include "models/chat/think.h"

#include <string.h>

static const struct think_tags known[] = {
    {"<think>", "</think>"},
    {"[THINK]", "[/THINK]"},
    {"<seed:think>", "</seed:think>"},
    {"<|START_THINKING|>", "<|END_THINKING|>"},
    {"<thinking>", "</thinking>"},
    {"<thought>", "</thought>"},
    {"<reasoning>", "</reasoning>"},
};

struct think_tags think_detect(const char *source, size_t len) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) /* a template may open the tag in the prompt only, or cut at the end only */
        if (memmem(source, len, known[i].close, strlen(known[i].close)) ||
            memmem(source, len, known[i].open, strlen(known[i].open)))
            return known[i];
    return (struct think_tags){0};
}
