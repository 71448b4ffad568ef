/* SPDX-License-Identifier: MIT */
/* Keeps disk images that are not raw from being used as raw ones: a guest would destroy them. */
#ifndef LKVM_VIRTIO_DISK_FORMAT_H
#define LKVM_VIRTIO_DISK_FORMAT_H

#include <stdint.h>

#include "util/err.h"

/*
 * Fails if the `size` bytes in `fd` are in a format of disk images, compressed, or a file of lkvm's own; the sentence says
 * what to do. To be called only for a disk that no guest of ours was given before: a guest may write such bytes to its disk.
 */
int disk_format_check(int fd, uint64_t size, const char *path, struct error *error);

#endif
