/* SPDX-License-Identifier: MIT */
/*
 * Writes a snapshot in another form. Saving writes only plain files, because that keeps the guest's pause shortest. All other
 * forms are made from such a file afterwards. The new form has the same identity, so an incremental snapshot accepts any form
 * of its base.
 */
#ifndef LKVM_SNAPSHOT_REWRITE_H
#define LKVM_SNAPSHOT_REWRITE_H

#include <stdbool.h>

#include "snapshot/snapshot.h"

#define REWRITE_LEVEL 6 /* the default level of compression */

struct rewrite {
	int fd;      /* an empty file; for a stream, any writable descriptor */
	bool stream; /* write records, without seeking */
	int level;   /* of compression: 1 (fast) to 9 (small); 0: none */
	const struct snapshot_progress *progress;

	/* Results. */
	uint64_t data; /* bytes of RAM in pages that are not all zero */
	uint64_t size; /* bytes that were written, holes not counted */
};

/*
 * Writes `from` with all its bases as one full snapshot. Compares RAM with its checksums, so that damaged RAM does not get into
 * a file that looks intact. After a failure the new file has no commit record. Nothing is synced to disk.
 */
int snapshot_rewrite(const struct snapshot *from, struct rewrite *rewrite, struct error *error);

/*
 * Reads a stream to its end and writes it as a snapshot to `into`, an empty file. Does not check the commit record and the
 * sections: a reader of the new file does that.
 */
int snapshot_receive(int stream, int into, struct error *error);

#endif
