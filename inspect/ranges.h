/* SPDX-License-Identifier: MIT */
/* Ranges of guest memory that should be apart from each other. */
#ifndef LKVM_INSPECT_RANGES_H
#define LKVM_INSPECT_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "inspect/verify.h"

struct range {
	uint64_t start, end; /* guest physical; the end is the first address behind it */
	char name[40];       /* "the command queue" */
};

/* Zero at first. Running out of memory is remembered, and told at the end. */
struct ranges {
	struct range *items;
	size_t count, room;
	bool failed;
};

/* `size` bytes, of which none need be RAM; their end fits 64 bits. An empty one overlaps nothing. */
void ranges_add(struct ranges *ranges, uint64_t start, uint64_t size, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A fault at `place` for each range that begins in one before it. Sorts them. -1: out of memory. */
int ranges_verify_apart(struct ranges *ranges, struct verdict *verdict, const char *place, struct error *error);
void ranges_free(struct ranges *ranges);

#endif
