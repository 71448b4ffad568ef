/* SPDX-License-Identifier: MIT */
/*
 * Opens a folder by a path that no other user can redirect. Root is trusted, as it can do everything. So is the owner
 * of "/": in a user namespace that does not know root, it has another user ID. Any other user is not trusted: the owner of a
 * folder or a symbolic link of the path, and a user who can write a folder of it, choose what the path leads to.
 */
#ifndef LKVM_UTIL_TRUSTED_FOLDER_H
#define LKVM_UTIL_TRUSTED_FOLDER_H

#include "util/err.h"

/*
 * Opens the folder at `path`, which is absolute, with O_PATH. Each folder and each symbolic link on the way, and the folder
 * itself, must belong to the effective user, to root or to the owner of "/". A folder that all users can write must have the sticky bit. Returns a
 * descriptor, or -1 with EPERM and the first part of the path that is not trusted.
 */
int trusted_folder_open(const char *path, struct error *error);

#endif
