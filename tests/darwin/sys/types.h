#pragma once
#include <stddef.h>
#include <stdint.h>
typedef long long off_t;
typedef long ssize_t;
typedef long time_t;
typedef int pid_t;
typedef unsigned uid_t, gid_t;
typedef uint16_t mode_t, nlink_t;
typedef int dev_t;
typedef uint64_t ino_t;
