/* SPDX-License-Identifier: MIT */
/* A snapshot as a stream, for a pipe: docs/snapshot-format.md, "Streams". */
#ifndef LKVM_SNAPSHOT_STREAM_H
#define LKVM_SNAPSHOT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define STREAM_START_SIZE 32u
#define STREAM_RECORD_SIZE 16u
#define STREAM_RECORD_LIMIT 0x100000u /* bytes of a file to one record */

/* The first bytes; the file's head follows, `head_end` bytes. */
int stream_write_start(int fd, uint64_t head_end, struct error *error);

/* What has no record: the head and the tail. */
int stream_write(int fd, const void *bytes, size_t size, struct error *error);

/* Bytes of the file at `offset`, behind all that came before. None at all: the file's tail follows, which is at `offset`. */
int stream_write_record(int fd, uint64_t offset, const void *bytes, size_t size, struct error *error);

#endif
