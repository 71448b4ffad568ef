/* SPDX-License-Identifier: MIT */
/* The virtio devices as one component. */
#ifndef LKVM_MACHINE_VIRTIO_PRIVATE_H
#define LKVM_MACHINE_VIRTIO_PRIVATE_H

#include "machine/machine.h"

int machine_virtio_open(struct machine *machine, struct error *error);
void machine_virtio_close(struct machine *machine);
void machine_virtio_pause(struct machine *machine);
void machine_virtio_resume(struct machine *machine);
void machine_virtio_reset(struct machine *machine);

#endif
