/* hy trace --replay FILE: hit rates of the cache policies by cache size on stdout, as a table or as JSON, with a
 * warning wherever hy's own is not the best of those that do not know the future. */
#pragma once
#include <stdbool.h>

#include "runtime/err.h"

int replay_print(const char *path, bool json, struct err *e);
