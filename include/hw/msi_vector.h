/* SPDX-License-Identifier: MIT */
/*
 * One interrupt of a device on its way to an MSI: an eventfd that the device, or the kernel on its behalf, writes. Joined,
 * an irqfd leads it to a GSI whose route is the message; parted, its count is the pending bit, which KVM delivers when it is
 * joined again. The caller locks.
 */
#ifndef LKVM_HW_MSI_VECTOR_H
#define LKVM_HW_MSI_VECTOR_H

#include <stdbool.h>

#include "kvm/interrupts.h"
#include "util/err.h"

struct msi_vector {
	int event_fd; /* -1: no such vector */
	int gsi;      /* -1: no route */
	bool joined;  /* the irqfd is attached */
	bool direct;  /* unmasked, but without irqfd (none could be had): sent by KVM_SIGNAL_MSI */
	struct msi_message message; /* what the route says, or what is sent */
};

#define MSI_VECTOR_NONE ((struct msi_vector){ .event_fd = -1, .gsi = -1 })

int vector_open(struct msi_vector *vector, struct error *error);
void vector_close(struct msi_vector *vector, struct interrupts *interrupts);

/* Routes it to `message` unless it is, and attaches the irqfd. It must be parted. Fails where KVM has no route or irqfd. */
int vector_join(struct msi_vector *vector, struct interrupts *interrupts, const struct msi_message *message,
		struct error *error);

/* Takes the irqfd off, and keeps the route. */
void vector_part(struct msi_vector *vector, struct interrupts *interrupts);

/* Gives the route back, too. */
void vector_release(struct msi_vector *vector, struct interrupts *interrupts);

/* Whether this is the message that it was last joined, or sent, with. */
bool vector_says(const struct msi_vector *vector, const struct msi_message *message);

/* Whether something waits in the eventfd, and nobody takes it; taking it. */
bool vector_is_pending(const struct msi_vector *vector);
bool vector_take_pending(const struct msi_vector *vector);

#endif
