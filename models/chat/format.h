/* Python's two ways to fill in a string: "%s" % x and "{}".format(x). */
#pragma once
#include "models/chat/eval.h"

/* args: a tuple, a dict (for "%(name)s"), or one value. */
struct value format_percent(struct eval *ev, struct value fmt, struct value args);
struct value format_braces(struct eval *ev, struct value fmt, const struct args *args);
