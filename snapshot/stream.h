/* SPDX-License-Identifier: MIT */
/* A snapshot as a stream, for a pipe. docs/snapshot-format.md, "Streams", is its specification. */
#ifndef LKVM_SNAPSHOT_STREAM_H
#define LKVM_SNAPSHOT_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define STREAM_START_SIZE 32u
#define STREAM_RECORD_SIZE 16u
#define STREAM_RECORD_LIMIT 0x100000u /* the most bytes of a file in one record */

/* Writes the stream's first bytes. The file's head, `head_end` bytes, must follow. */
int stream_write_start(int fd, uint64_t head_end, struct error *error);

/* Writes bytes without a record: the head and the tail. */
int stream_write(int fd, const void *bytes, size_t size, struct error *error);

/*
 * Writes a record with bytes of the file at `offset`, which is after all earlier bytes. With size 0 it is the last record: the
 * file's tail must follow, which is at `offset`.
 */
int stream_write_record(int fd, uint64_t offset, const void *bytes, size_t size, struct error *error);

#endif
