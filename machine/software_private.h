/* SPDX-License-Identifier: MIT */
/* The guest's software as two components: its files, and what is loaded into RAM. */
#ifndef LKVM_MACHINE_SOFTWARE_PRIVATE_H
#define LKVM_MACHINE_SOFTWARE_PRIVATE_H

#include "machine/machine.h"

#define MACHINE_PMU_PPI 7 /* INTID 23, as other VMMs and the SBSA have it */

/* Opens the files of the kernel and the initrd. A restored machine does not need them until its next reset. */
int machine_files_open(struct machine *machine, struct error *error);
void machine_files_close(struct machine *machine);

/* Loads kernel, initrd and device tree into RAM, and sets the vCPUs to the kernel's entry point. The vCPUs must be parked. */
int machine_software_load(struct machine *machine, struct error *error);

/* Does that unless the machine is restored. Then writes the device tree to the file of --dump-dtb, if one was given. */
int machine_software_open(struct machine *machine, struct error *error);

#endif
