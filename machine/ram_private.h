/* SPDX-License-Identifier: MIT */
/* The RAM of a machine: zeroed, or from a snapshot. */
#ifndef LKVM_MACHINE_RAM_PRIVATE_H
#define LKVM_MACHINE_RAM_PRIVATE_H

#include "machine/machine.h"

/* Opens `ram`, or leaves it closed: vm_open() then makes zeroed memory. machine->pager loads what is loaded later. */
int machine_ram_open(struct machine *machine, struct ram *ram, struct error *error);

/* Stops the loading. Call it before RAM is closed, and when no vCPU or device can wait for RAM any more. */
void machine_ram_close(struct machine *machine);

/* The machine resumes. The first time, the recording of the working set starts. */
void machine_working_set_resume(struct machine *machine);

/* Stops the recording and frees it. Allowed if nothing was opened. */
void machine_working_set_close(struct machine *machine);

#endif
