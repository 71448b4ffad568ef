/* SPDX-License-Identifier: MIT */
/* Which file of a chain has a page of RAM. */
#ifndef LKVM_SNAPSHOT_CHAIN_H
#define LKVM_SNAPSHOT_CHAIN_H

#include "snapshot/snapshot.h"

/* Which of the chain has the page at `offset` of RAM; all up to `*end` is there, too. */
const struct snapshot *snapshot_find_file(const struct snapshot *snapshot, uint64_t offset, uint64_t *end);

#endif
