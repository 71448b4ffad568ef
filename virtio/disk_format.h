/* SPDX-License-Identifier: MIT */
/* Refuses disk images that are not raw: used as raw ones, a guest would destroy them. */
#ifndef LKVM_VIRTIO_DISK_FORMAT_H
#define LKVM_VIRTIO_DISK_FORMAT_H

#include <stdint.h>

#include "util/err.h"

/*
 * Fails if `fd`, with `size` bytes, is a disk image of another format, is compressed, or is a file of lkvm's
 * own. The error describes what to do. Only for a disk that no guest of lkvm had before: a guest may write such
 * bytes to its disk.
 */
int disk_format_check(int fd, uint64_t size, const char *path, struct error *error);

#endif
