/* SPDX-License-Identifier: MIT */
/* A list of ranges of guest memory that are not loaded yet. */
#ifndef LKVM_SNAPSHOT_UNLOADED_H
#define LKVM_SNAPSHOT_UNLOADED_H

#include "snapshot/snapshot.h"

/*
 * Adds [from, end), rounded outwards to pages of the host of `page` bytes. It must begin at or after the beginning of the
 * last range. Ranges that touch or overlap are joined. Fails if memory runs out.
 */
int unloaded_add(struct snapshot_unloaded *unloaded, uint64_t page, uint64_t from, uint64_t end, struct error *error);

/* Returns the index of the first range that ends after `at`, or `count` if there is none. */
size_t unloaded_find(const struct snapshot_unloaded *unloaded, uint64_t at);

#endif
