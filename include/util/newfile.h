/* SPDX-License-Identifier: MIT */
/*
 * A file that has no name until it is complete: whatever happens before, nothing is left of it. Where the file system
 * has no such files, one with a name of its own beside the final one.
 */
#ifndef LKVM_UTIL_NEWFILE_H
#define LKVM_UTIL_NEWFILE_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

#include "util/err.h"

struct new_file {
	int fd; /* open for reading and writing */
	const char *path; /* the caller's, for sentences */
	char target[PATH_MAX];    /* where it will be: at `path`, or where the symbolic link there leads */
	char temporary[PATH_MAX]; /* "": it has no name */
};

/*
 * Follows a symbolic link at `path`, also one to a file that does not exist yet, as the kernel would. Fails where the file
 * could not be named later: no such folder, something at `path` that is no regular file.
 */
int new_file_open(struct new_file *file, const char *path, struct error *error);

/* Syncs it and gives it its name, in place of any file that has it. Closes it in any case; after a failure it is gone. */
int new_file_commit(struct new_file *file, struct error *error);
void new_file_discard(struct new_file *file);

/* A file in $TMPDIR or /var/tmp that never has a name. -1 on failure. */
int new_file_open_temporary(struct error *error);

/*
 * Makes or replaces the file at `path`, with permissions `mode` less the umask: another process, or this one after a
 * crash, sees the old contents or all of the new. Symbolic links are followed as above. A FIFO or /dev/null is written in
 * place; a block device is refused.
 */
int write_file_atomic(const char *path, const void *contents, size_t size, mode_t mode, struct error *error);

#endif
