/* SPDX-License-Identifier: MIT */
/* Loads the guest's software into RAM. */
#ifndef LKVM_MACHINE_SOFTWARE_PRIVATE_H
#define LKVM_MACHINE_SOFTWARE_PRIVATE_H

#include "machine/machine.h"

#define MACHINE_PMU_PPI 7 /* INTID 23, as other VMMs and the SBSA have it */

/*
 * After all components are open: loads the software, unless the machine is restored. Then writes the device tree to the file of
 * --dump-dtb, if one was given.
 */
int machine_software_open(struct machine *machine, struct error *error);

/* Loads kernel, initrd and device tree into RAM, and sets the vCPUs to the kernel's entry point. The vCPUs must be parked. */
int machine_software_load(struct machine *machine, struct error *error);

#endif
