#pragma once
#include <sys/types.h>
struct timeval { time_t tv_sec; int tv_usec; };
struct rusage { struct timeval ru_utime, ru_stime; long ru_maxrss, ru_rest[13]; };
#define RUSAGE_SELF 0
#define IOPOL_TYPE_DISK 0
#define IOPOL_SCOPE_THREAD 1
#define IOPOL_IMPORTANT 1
int getrusage(int, struct rusage *);
int setiopolicy_np(int, int, int);
