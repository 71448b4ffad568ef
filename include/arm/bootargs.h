/* SPDX-License-Identifier: MIT */
/* The kernel's command line: the user's parameters and defaults. */
#ifndef LKVM_ARM_BOOTARGS_H
#define LKVM_ARM_BOOTARGS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Writes `parameters` (NULL: none) to `to`. Adds "console=`console`" before them unless `console` is NULL or they have a
 * console. With `root_disk`, adds "root=/dev/vda rw" unless they have a root. Returns -1 if it exceeds `size` bytes
 * (Linux keeps 2048).
 */
int bootargs_build(char *to, size_t size, const char *parameters, const char *console, bool root_disk);

#endif
