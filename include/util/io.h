/* SPDX-License-Identifier: MIT */
/*
 * Reads and writes whole buffers, and continues after signals and short transfers. Also eventfds. Descriptors must be in
 * blocking mode unless a function's contract allows others.
 */
#ifndef LKVM_UTIL_IO_H
#define LKVM_UTIL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* Return the number of bytes read, which is less than `size` only at the end of the file, or -errno. */
ssize_t read_full(int fd, void *buffer, size_t size);
ssize_t pread_full(int fd, void *buffer, size_t size, off_t offset);

/* Return 0 after all bytes are written, or -errno. */
int write_full(int fd, const void *buffer, size_t size);
int pwrite_full(int fd, const void *buffer, size_t size, off_t offset);

/* Returns a new eventfd, close-on-exec and non-blocking, or -1. */
int event_open(struct error *error);

/* Makes an eventfd readable. Any thread may call it. Async-signal-safe. */
void event_raise(int event_fd);

/* Makes an eventfd unreadable. Returns whether it was readable. */
bool event_clear(int event_fd);

/* Closes a descriptor if it is open (not -1), and sets it to -1. */
void fd_close(int *fd);

#endif
