/* SPDX-License-Identifier: MIT */
/* The passed-through devices, and the event collector that reports their errors, as one component. */
#ifndef LKVM_MACHINE_VFIO_PRIVATE_H
#define LKVM_MACHINE_VFIO_PRIVATE_H

#include "machine/machine.h"

int machine_vfio_open(struct machine *machine, struct error *error);
void machine_vfio_close(struct machine *machine);
void machine_vfio_pause(struct machine *machine);
void machine_vfio_resume(struct machine *machine);
void machine_vfio_reset(struct machine *machine);

#endif
