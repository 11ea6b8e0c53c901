#pragma once
#include <sys/types.h>
struct timeval { time_t tv_sec; int tv_usec; };
struct rusage { struct timeval ru_utime, ru_stime; long ru_maxrss, ru_rest[13]; };
#define RUSAGE_SELF 0
#define IOPOL_TYPE_DISK 0
#define IOPOL_SCOPE_THREAD 1
#define IOPOL_IMPORTANT 1
int getrusage(int, struct rusage *);
typedef unsigned long long rlim_t;
struct rlimit { rlim_t rlim_cur, rlim_max; };
#define RLIMIT_NOFILE 8
int getrlimit(int, struct rlimit *);
int setrlimit(int, const struct rlimit *);
int setiopolicy_np(int, int, int);
