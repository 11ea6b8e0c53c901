/* Durations as Go writes them ("10m", "1h30m", "300ms", "-1s", "0"). */
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define DURATION_FOREVER INT64_MAX

/* Nanoseconds; any negative one is DURATION_FOREVER. */
bool duration_parse(const char *s, int64_t *ns);
/* A JSON number is seconds, a string a duration. */
bool duration_of_json(const json_t *v, int64_t *ns);
