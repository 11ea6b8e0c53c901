#pragma once
#include <sys/types.h>
#define _SC_PAGESIZE 29
#define _SC_NPROCESSORS_ONLN 58
#define _SC_PHYS_PAGES 200
#define STDIN_FILENO 0
#define STDOUT_FILENO 1
#define STDERR_FILENO 2
#define R_OK 4
#define F_OK 0
#define X_OK 1
long sysconf(int);
int getpagesize(void);
ssize_t read(int, void *, size_t);
ssize_t write(int, const void *, size_t);
ssize_t pread(int, void *, size_t, off_t);
ssize_t pwrite(int, const void *, size_t, off_t);
int close(int);
int gethostname(char *, size_t);
int access(const char *, int);
int unlink(const char *);
int ftruncate(int, off_t);
int fsync(int);
int isatty(int);
pid_t getpid(void);
int usleep(unsigned);
_Noreturn void _exit(int);
