#pragma once
#include <sys/types.h>
struct statvfs {
    unsigned long f_bsize, f_frsize;
    unsigned f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail;
    unsigned long f_fsid, f_flag, f_namemax;
};
int statvfs(const char *, struct statvfs *);
