/* SPDX-License-Identifier: MIT */
/* The kernel's command line: what the user gave, and what he would have had to type. */
#ifndef LKVM_ARM_BOOTARGS_H
#define LKVM_ARM_BOOTARGS_H

#include <stdbool.h>
#include <stddef.h>

/*
 * `parameters` (NULL: none) as they are, with "console=`console`" before them unless that is NULL or they name a console,
 * and with "root=/dev/vda rw" where `root_disk` and they name no root. -1 if it does not fit `size` bytes (Linux keeps 2048).
 */
int bootargs_build(char *to, size_t size, const char *parameters, const char *console, bool root_disk);

#endif
