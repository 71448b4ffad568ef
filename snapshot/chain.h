/* SPDX-License-Identifier: MIT */
/* Finds the file of a chain that has a page of RAM. */
#ifndef LKVM_SNAPSHOT_CHAIN_H
#define LKVM_SNAPSHOT_CHAIN_H

#include "snapshot/snapshot.h"

/* Returns the file of the chain that has the page at `offset` in RAM. The same file has all pages from there to `*end`. */
const struct snapshot *snapshot_find_file(const struct snapshot *snapshot, uint64_t offset, uint64_t *end);

#endif
