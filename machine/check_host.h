/* SPDX-License-Identifier: MIT */
/* What a restore and machine_check_host() share. */
#ifndef LKVM_MACHINE_CHECK_HOST_H
#define LKVM_MACHINE_CHECK_HOST_H

#include "machine/machine.h"

/*
 * The first parts of a machine: VM, RAM, vCPUs, GIC and ITS, without devices and threads. `refused` hears of what the host
 * lacks and it goes without. machine_close() closes it.
 */
int machine_open_processors(struct machine *machine, const struct machine_config *config,
			    const struct error_collector *refused, struct error *error);

/* Whether this host's counter is as fast as the guest knows it. */
int machine_check_counter(const struct machine_config *config, struct error *error);

#endif
