/* SPDX-License-Identifier: MIT */
/*
 * Watches the files that guest memory is mapped from. A file that is written meanwhile changes what the guest has not read yet;
 * the kernel reports it neither to the guest nor to us. So the main loop gets it by inotify, and declares guest memory lost. A
 * write through a shared mapping, or by another host of a network file system, is not seen.
 */
#ifndef LKVM_SNAPSHOT_WATCH_H
#define LKVM_SNAPSHOT_WATCH_H

#include "snapshot/snapshot.h"
#include "util/err.h"
#include "util/loop.h"

struct snapshot_watch {
	const struct snapshot *snapshot;
	struct loop *loop;
	int fd; /* inotify; -1: closed */
};

/*
 * Watches each file of the chain that can be mapped; with none of them nothing is opened. Files may be renamed and removed.
 * The snapshot stays open until the watch is closed. On failure no file is watched.
 */
int snapshot_watch_open(struct snapshot_watch *watch, const struct snapshot *snapshot, struct loop *loop, struct error *error);

/* Safe after a failed open, and twice. */
void snapshot_watch_close(struct snapshot_watch *watch);

#endif
