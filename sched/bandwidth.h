/* Plain reading by all threads of a device: the roof of what memory gives. */
#pragma once
#include "runtime/device.h"

/* Bytes per second at which the CPU device's threads read the first size_bytes of a buffer: the best of a few passes of
 * at least 256 MB. 0 on other devices. */
double bandwidth_read(struct device *dev, struct buf *b, uint64_t size_bytes);
