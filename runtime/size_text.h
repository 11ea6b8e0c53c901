/* A number of bytes for people, in the unit that suits it: "31.70 GB", "4.17 MB", "12 B". G is 10^9, as disks have it.
 *
 * The text comes by value: size_text(n).s may be an argument of printf, and ends with the statement. */
#pragma once
#include <stdint.h>

struct size_text {
    char s[24];
};

struct size_text size_text(uint64_t bytes); /* to the nearest hundredth */

/* For "needs A, there is B": rounded up and down, so that the two differ wherever the bytes do not suffice. */
struct size_text size_needed(uint64_t bytes);
struct size_text size_there(uint64_t bytes);
