#pragma once
#include <sys/types.h>
typedef struct { int32_t fds_bits[32]; } fd_set;
#include <sys/resource.h>
