/* SPDX-License-Identifier: MIT */
/*
 * A snapshot in another form. Saving writes plain files only, as that is fastest for the guest that waits; all other forms
 * are made of such a file, by whoever wants them. It stays the same snapshot, with its identity: one that is based on it
 * is based on each of its forms.
 */
#ifndef LKVM_SNAPSHOT_REWRITE_H
#define LKVM_SNAPSHOT_REWRITE_H

#include <stdbool.h>

#include "snapshot/snapshot.h"

#define REWRITE_LEVEL 6 /* of compression, where nobody asks for another */

struct rewrite {
	int fd;      /* an empty file; for a stream, whatever can be written */
	bool stream; /* as records, without seeking */
	int level;   /* of compression: 1 (fast) to 9 (small); 0: none */
	const struct snapshot_progress *progress;

	/* What came of it. */
	uint64_t data; /* bytes of RAM in pages that are not all zero */
	uint64_t size; /* of everything that was written, holes not counted */
};

/*
 * Writes all that `from` is, its bases included, as one whole snapshot. RAM is compared with its checksums on the way, so
 * that damage is not copied into what looks right. On failure what was written has no commit record. Nothing is synced.
 */
int snapshot_rewrite(const struct snapshot *from, struct rewrite *rewrite, struct error *error);

/*
 * Reads a stream to its end and writes it to `into`, an empty file, as the snapshot that it is. What a reader of that file
 * finds out is left to it: a commit record that is missing or does not fit, sections that are damaged.
 */
int snapshot_receive(int stream, int into, struct error *error);

#endif
