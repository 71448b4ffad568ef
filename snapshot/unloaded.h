/* SPDX-License-Identifier: MIT */
/* A list of ranges of guest memory that are not loaded yet. */
#ifndef LKVM_SNAPSHOT_UNLOADED_H
#define LKVM_SNAPSHOT_UNLOADED_H

#include "snapshot/snapshot.h"

/*
 * Adds [from, end), rounded outwards to pages of the host of `page` bytes. It begins at or after the beginning of the last
 * range; they are joined where they touch or overlap. -1: out of memory.
 */
int unloaded_add(struct snapshot_unloaded *unloaded, uint64_t page, uint64_t from, uint64_t end, struct error *error);

/* The index of the first range that ends after `at`; `count` if there is none. */
size_t unloaded_find(const struct snapshot_unloaded *unloaded, uint64_t at);

#endif
