#pragma once
struct pollfd { int fd; short events, revents; };
typedef unsigned nfds_t;
#define POLLIN 0x0001
#define POLLERR 0x0008
#define POLLHUP 0x0010
int poll(struct pollfd *, nfds_t, int);
