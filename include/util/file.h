/* SPDX-License-Identifier: MIT */
/*
 * Opens files whose paths may come from somebody else. The kind of the file is checked before it is opened, because opening a
 * device, a terminal or a FIFO can have effects. Another process may replace the file at any time without effect on the check.
 */
#ifndef LKVM_UTIL_FILE_H
#define LKVM_UTIL_FILE_H

/*
 * Open a regular file, or a regular file or block device, with the `flags` of open(2), O_CLOEXEC and O_NONBLOCK. Symbolic links
 * are followed. Return a descriptor, -EINVAL if the file is of another kind, or another -errno. They need /proc.
 */
int file_open_regular(const char *path, int flags);
int file_open_image(const char *path, int flags);

#endif
