#pragma once
#include <sys/types.h>
#define SIGINT 2
#define SIGABRT 6
#define SIGBUS 10
#define SIGPIPE 13
#define SIGALRM 14
#define SIGTERM 15
#define SIGXFSZ 25
#define SA_RESTART 2
#define SA_RESETHAND 4
#define SIG_DFL ((void (*)(int))0)
#define SIG_IGN ((void (*)(int))1)
typedef int sig_atomic_t;
typedef unsigned sigset_t;
struct sigaction { void (*sa_handler)(int); sigset_t sa_mask; int sa_flags; };
int sigaction(int, const struct sigaction *, struct sigaction *);
int sigemptyset(sigset_t *);
void (*signal(int, void (*)(int)))(int);
int raise(int);
