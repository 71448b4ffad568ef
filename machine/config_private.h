/* SPDX-License-Identifier: MIT */
/* What the two files of a machine's configuration share. */
#ifndef LKVM_MACHINE_CONFIG_PRIVATE_H
#define LKVM_MACHINE_CONFIG_PRIVATE_H

#include "machine/machine.h"

/*
 * Gives the heap string `copy` to the configuration; machine_config_free() frees it. After a failure it is freed at once. NULL
 * fails with ENOMEM; `name` is for this message.
 */
int machine_config_own(struct machine_config *config, const char *name, char *copy, const char **text, struct error *error);

#endif
