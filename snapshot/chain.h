/* SPDX-License-Identifier: MIT */
/* Opening snapshots that are based on others. */
#ifndef LKVM_SNAPSHOT_CHAIN_H
#define LKVM_SNAPSHOT_CHAIN_H

#include "snapshot/snapshot.h"

/* snapshot_open() of one that has `depth` snapshots based on it. */
int snapshot_open_chain(struct snapshot *snapshot, const char *path, unsigned depth, struct error *error);

/*
 * Opens the base of a snapshot whose sections and RAM are known, if it has one: from the folder of `path`, which is its own,
 * or from where it was.
 */
int snapshot_open_base(struct snapshot *snapshot, const char *path, unsigned depth, struct error *error);

/* Which of the chain has the page at `offset` of RAM; all up to `*end` is there, too. */
const struct snapshot *snapshot_find_file(const struct snapshot *snapshot, uint64_t offset, uint64_t *end);

#endif
