/* SPDX-License-Identifier: MIT */
/* Guest memory of a machine: zeroes, or what a snapshot has. */
#ifndef LKVM_MACHINE_RAM_PRIVATE_H
#define LKVM_MACHINE_RAM_PRIVATE_H

#include "machine/machine.h"

/* Opens it in `ram`, or leaves that closed for vm_open() to do. What is loaded later, machine->pager does. */
int machine_ram_open(struct machine *machine, struct ram *ram, struct error *error);

/* Ends the loading. Before the memory itself is closed, and once nobody runs who would wait for some of it. */
void machine_ram_close(struct machine *machine);

/* The machine goes on: for the first time, what it touches is recorded from now on. */
void machine_working_set_resume(struct machine *machine);

/* Ends that, and forgets it. Also where nothing was opened. */
void machine_working_set_close(struct machine *machine);

#endif
