/* SPDX-License-Identifier: MIT */
/*
 * Watches the files that guest memory is mapped from. A write to such a file changes the pages that the guest has not read yet,
 * and the access itself reports nothing. So inotify reports writes to the main loop, which declares guest memory lost. inotify
 * reports neither a write through a shared mapping nor one by another host of a network file system.
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
 * Watches each file of the chain that can be mapped. If there is none, nothing is opened. Files may be renamed and removed. The
 * snapshot must stay open until the watch is closed. After a failure no file is watched.
 */
int snapshot_watch_open(struct snapshot_watch *watch, const struct snapshot *snapshot, struct loop *loop, struct error *error);

/* Closes the watch. It may be called after a failed open, and twice. */
void snapshot_watch_close(struct snapshot_watch *watch);

#endif
