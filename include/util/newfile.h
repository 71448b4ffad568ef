/* SPDX-License-Identifier: MIT */
/*
 * A file that has no name until it is complete, so that a failure or crash before that leaves nothing of it. If the file
 * system does not support such files, it has a temporary name next to the final one.
 */
#ifndef LKVM_UTIL_NEWFILE_H
#define LKVM_UTIL_NEWFILE_H

#include <limits.h>
#include <stddef.h>

#include "util/err.h"

struct new_file {
	int fd; /* open for reading and writing */
	const char *path; /* the caller's, for messages */
	char target[PATH_MAX];    /* the final name: `path`, or the target of the symbolic link there */
	char temporary[PATH_MAX]; /* the temporary name; "": the file has none */
};

/*
 * Opens a new file with mode 0600. A symbolic link at `path` is followed as the kernel would, also to a file that does not exist yet. Fails
 * if the file could not get its name later: the folder does not exist, or `path` exists and is no regular file.
 */
int new_file_open(struct new_file *file, const char *path, struct error *error);

/* Syncs the file to disk and gives it its name, replacing any file there. Always closes it. After a failure it is gone. */
int new_file_commit(struct new_file *file, struct error *error);

/* Closes the file without giving it a name, so that nothing of it is left. */
void new_file_discard(struct new_file *file);

/* Returns a descriptor of a new file in $TMPDIR or /var/tmp that never gets a name. -1 on failure. */
int new_file_open_temporary(struct error *error);

/*
 * Makes or replaces the file at `path`, with mode 0600. Another process, or this one after a crash,
 * reads either the old contents or all of the new. Symbolic links are followed as above. A FIFO or /dev/null is written in
 * place. A block device is refused.
 */
int write_file_atomic(const char *path, const void *contents, size_t size, struct error *error);

#endif
