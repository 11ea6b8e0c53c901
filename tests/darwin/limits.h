#pragma once
#include_next <limits.h>
#define PATH_MAX 1024
#define SSIZE_MAX LONG_MAX
