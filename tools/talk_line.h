/* Messages typed or piped in: one per line; several lines between """ and """, or where a line ends in a backslash.
 *
 * On a terminal (stdin and stdout) libedit edits the line and remembers earlier ones, also those of earlier programs where the
 * cache folder exists: file talk_history, 0600. Otherwise lines are read as they are and nothing is prompted.
 * One per program; Ctrl-C is as cli_keep_interrupts has it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "runtime/err.h"

enum talk_line_end {
    TALK_LINE_TEXT,
    TALK_LINE_OVER,        /* Ctrl-D, or the end of the file */
    TALK_LINE_INTERRUPTED, /* cli_interrupted says so */
    TALK_LINE_FAILED,      /* e says why */
};

struct talk_line;

int talk_line_open(struct talk_line **out, struct err *e);
void talk_line_close(struct talk_line *l); /* keeps the history; NULL is fine */
bool talk_line_edits(const struct talk_line *l);
/* *text, NUL-terminated, lives until the next call. */
enum talk_line_end talk_line_read(struct talk_line *l, const char **text, size_t *len, struct err *e);
/* After an interrupt: nothing had been typed. */
bool talk_line_was_empty(const struct talk_line *l);
