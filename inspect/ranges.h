/* SPDX-License-Identifier: MIT */
/* Ranges of guest memory that must not overlap. */
#ifndef LKVM_INSPECT_RANGES_H
#define LKVM_INSPECT_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "inspect/verify.h"

struct range {
	uint64_t start, end; /* guest physical; `end` is the first address after the range */
	char name[40];       /* "the command queue" */
};

/* Initialize it to zero. `failed`: there was no memory; ranges_verify_apart() returns the error. */
struct ranges {
	struct range *items;
	size_t count, room;
	bool failed;
};

/* Adds `size` bytes, which need not be RAM. `start` + `size` must fit 64 bits. An empty range is ignored. */
void ranges_add(struct ranges *ranges, uint64_t start, uint64_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* Reports a fault at `place` for each range that begins inside an earlier one. Sorts the ranges. Returns -1 without memory. */
int ranges_verify_apart(struct ranges *ranges, struct verdict *verdict, const char *place, struct error *error);
void ranges_free(struct ranges *ranges);

#endif
