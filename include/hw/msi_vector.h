/* SPDX-License-Identifier: MIT */
/*
 * One MSI of a device. The device, or the kernel for it, writes an eventfd. While the vector is attached, an
 * irqfd leads from the eventfd to a GSI, whose route is the message. While it is detached, the eventfd's count
 * is the pending bit: KVM delivers it when the vector is attached again. The caller locks.
 */
#ifndef LKVM_HW_MSI_VECTOR_H
#define LKVM_HW_MSI_VECTOR_H

#include <stdbool.h>

#include "kvm/interrupts.h"
#include "util/err.h"

struct msi_vector {
	int event_fd;  /* -1: no such vector */
	int gsi;       /* -1: no route */
	bool attached; /* the irqfd is in KVM */
	bool direct;   /* unmasked, but KVM refused the route or the irqfd: sent by KVM_SIGNAL_MSI */
	struct msi_message message; /* of the route, or sent directly */
};

#define MSI_VECTOR_NONE ((struct msi_vector){ .event_fd = -1, .gsi = -1 })

int msi_vector_open(struct msi_vector *vector, struct error *error);
void msi_vector_close(struct msi_vector *vector, struct interrupts *interrupts);

/*
 * Sets the route to `message`, unless it is that already, and attaches the irqfd. The vector must be detached.
 * Fails if KVM refuses the route or the irqfd.
 */
int msi_vector_attach(struct msi_vector *vector, struct interrupts *interrupts, const struct msi_message *message,
		      struct error *error);

/* Detaches the irqfd, and keeps the route. */
void msi_vector_detach(struct msi_vector *vector, struct interrupts *interrupts);

/* Detaches the irqfd and gives the route back. */
void msi_vector_release(struct msi_vector *vector, struct interrupts *interrupts);

/* Whether `message` is the one that it was last attached with, or that is sent directly. */
bool msi_vector_sends(const struct msi_vector *vector, const struct msi_message *message);

/* Whether it is detached and its eventfd has a count. */
bool msi_vector_is_pending(const struct msi_vector *vector);

/* Clears the count. Returns whether there was one. */
bool msi_vector_clear_pending(const struct msi_vector *vector);

#endif
