/* Text as Python's str sees it: UTF-8 bytes with positions counted in characters.
 *
 * All input is valid UTF-8 (jinja_parse and the JSON reader check), so characters are found by their lead bytes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "models/chat/value.h"

bool text_valid(const char *s, size_t len);
size_t text_n_char(const char *s, size_t len);
size_t text_offset(const char *s, size_t len, size_t i_char); /* in bytes; len when past the end */
/* The character at s and its length in bytes. */
uint32_t text_char(const char *s, size_t len, int32_t *cp);
uint32_t text_encode(int32_t cp, char out[4]);

bool text_is_space(int32_t cp);      /* str.isspace */
bool text_is_line_break(int32_t cp); /* what str.splitlines splits at */
bool text_is_word(int32_t cp);       /* \w */
bool text_is_alpha(int32_t cp);      /* str.isalpha */
bool text_is_digit(int32_t cp);      /* str.isdigit, as far as decimal digits go */

/* What a search costs in steps of the interpreter, also where memmem is not linear. */
static inline uint64_t text_find_steps(uint64_t len, uint64_t n) { return len / 64 * (1 + n / 64); }
/* The first place of `what` in s at or after `from`, or -1. */
int64_t text_find(const char *s, size_t len, const char *what, size_t n, size_t from);
int64_t text_rfind(const char *s, size_t len, const char *what, size_t n);

enum text_sides { TEXT_LEFT = 1, TEXT_RIGHT = 2, TEXT_BOTH = 3 };
/* strip: chars NULL means white space. A part of v. */
struct value text_strip(struct value v, enum text_sides sides, const struct value *chars);
/* Lengths in bytes of the blanks at the end and at the start. */
size_t text_trailing_space(const char *s, size_t len);
size_t text_leading_space(const char *s, size_t len);

enum text_case { TEXT_UPPER, TEXT_LOWER, TEXT_CAPITALIZE, TEXT_TITLE, TEXT_TITLE_FILTER };
struct value text_to_case(struct eval *ev, struct value v, enum text_case to);
/* Whether there are cased characters and all are of that case. */
bool text_is_case(struct value v, bool upper);
