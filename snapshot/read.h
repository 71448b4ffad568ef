/* SPDX-License-Identifier: MIT */
/* The steps of reading one snapshot file. chain.c calls them for each file of a chain. */
#ifndef LKVM_SNAPSHOT_READ_H
#define LKVM_SNAPSHOT_READ_H

#include "snapshot/snapshot.h"

/* Opens the file at `path`, unless snapshot->fd is open already, and gets its sizes. */
int snapshot_open_path(struct snapshot *snapshot, const char *path, struct error *error);

/* Reads and checks header, commit record and sections. Damaged sections are counted in snapshot->sections. */
int snapshot_read_sections(struct snapshot *snapshot, struct format_commit *commit, struct error *error);

/* Finds RAM, its checksums and its frames. On failure snapshot->ram_size stays 0. */
int snapshot_find_ram(struct snapshot *snapshot, const struct format_commit *commit, struct error *error);

#endif
