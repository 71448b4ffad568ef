/* SPDX-License-Identifier: MIT */
/* Functions that a restore and machine_check_host() share. */
#ifndef LKVM_MACHINE_CHECK_HOST_H
#define LKVM_MACHINE_CHECK_HOST_H

#include "machine/machine.h"

/*
 * Opens the first components of a machine: VM, RAM, vCPUs, GIC and ITS, without devices and threads. `refused` gets each
 * feature that the host lacks; opening continues without it. machine_close() closes the machine.
 */
int machine_open_processors(struct machine *machine, const struct machine_config *config,
			    const struct error_collector *refused, struct error *error);

/* Checks that this host's counter has the frequency that the guest was started with. */
int machine_check_counter(const struct machine_config *config, struct error *error);

#endif
