/* SPDX-License-Identifier: MIT */
/* The guest's software as parts of the machine's catalogue: first its files, then what of them is in RAM. */
#ifndef LKVM_MACHINE_SOFTWARE_PRIVATE_H
#define LKVM_MACHINE_SOFTWARE_PRIVATE_H

#include "machine/machine.h"

#define MACHINE_PMU_PPI 7 /* INTID 23, as other VMMs and the SBSA have it */

/* Opens the kernel's and the initrd's file. A restored machine can do without them until its next reset. */
int machine_files_open(struct machine *machine, struct error *error);
void machine_files_close(struct machine *machine);

/* Loads kernel, initrd and device tree into RAM, and sets the vCPUs to the kernel's entry point. The vCPUs must be parked. */
int machine_software_load(struct machine *machine, struct error *error);

/* The same for a machine that is not restored; then writes the device tree to the file of --dump-dtb, if there is one. */
int machine_software_open(struct machine *machine, struct error *error);

#endif
