/* Model names: [host/][namespace/]model[:tag]. Comparison ignores case; absent parts are registry.ollama.ai,
 * library and latest, so that "tiny", "TINY" and "library/tiny:latest" are one model. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#define NAMES_PART_BYTES 81

struct name {
    char host[NAMES_PART_BYTES], space[NAMES_PART_BYTES], model[NAMES_PART_BYTES], tag[NAMES_PART_BYTES];
};

/* False when the text is no name. Case is kept. */
bool names_parse(const char *text, struct name *out);
bool names_equal(const struct name *a, const struct name *b);
/* Without the default host and namespace, with the tag: "tiny:latest". */
#define NAMES_SHORT_BYTES (4 * NAMES_PART_BYTES)
void names_short(const struct name *n, char out[NAMES_SHORT_BYTES]);
/* The name that a file of this path gets: its last part without ".gguf" and the number of a split part, with other
 * characters turned into '-'. */
void names_of_file(const char *path, struct name *out);
