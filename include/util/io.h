/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing whole buffers, whatever signals and short transfers come between; eventfds. Descriptors are
 * expected to block unless said otherwise.
 */
#ifndef LKVM_UTIL_IO_H
#define LKVM_UTIL_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* Bytes read, fewer than `size` only at the end of the file; or -errno. */
ssize_t read_full(int fd, void *buffer, size_t size);
ssize_t pread_full(int fd, void *buffer, size_t size, off_t offset);

/* 0 once all is written, or -errno. */
int write_full(int fd, const void *buffer, size_t size);
int pwrite_full(int fd, const void *buffer, size_t size, off_t offset);

/* An eventfd, close-on-exec and never blocking; or -1. */
int event_open(struct error *error);

/* Makes it readable. Any thread; async-signal-safe. */
void event_raise(int event_fd);

/* Makes it unreadable again; whether it was readable. */
bool event_take(int event_fd);

/* Closes a descriptor if it is open (not -1), and sets it to -1. */
void fd_close(int *fd);

#endif
