/* SPDX-License-Identifier: MIT */
/* The virtio devices as one part of the machine's catalogue. */
#ifndef LKVM_VM_MACHINE_VIRTIO_H
#define LKVM_VM_MACHINE_VIRTIO_H

#include "lkvm/machine.h"

int machine_virtio_open(struct machine *machine, struct error *error);
void machine_virtio_close(struct machine *machine);
void machine_virtio_pause(struct machine *machine);
void machine_virtio_resume(struct machine *machine);
void machine_virtio_reset(struct machine *machine);

#endif
