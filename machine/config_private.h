/* SPDX-License-Identifier: MIT */
/* What the files of a machine's configuration share. */
#ifndef LKVM_MACHINE_CONFIG_PRIVATE_H
#define LKVM_MACHINE_CONFIG_PRIVATE_H

#include "machine/machine.h"

/*
 * Makes `copy`, which is on the heap, a text of the configuration: machine_config_free() frees it. It is freed at once after a
 * failure. NULL for no memory is refused here; `name` is for that sentence.
 */
int machine_config_own(struct machine_config *config, const char *name, char *copy, const char **text, struct error *error);

#endif
