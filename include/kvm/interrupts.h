/* SPDX-License-Identifier: MIT */
/*
 * How devices reach the interrupt controller: level-triggered lines (SPIs) by KVM_IRQ_LINE, or by a GSI where the kernel
 * drives them; messages (MSIs) by routes from a GSI to a doorbell write. KVM cannot report its routes back and replaces the
 * whole table at each KVM_SET_GSI_ROUTING, so the one copy of the table lives here.
 * Kernel: Documentation/virt/kvm/api.rst, KVM_IRQ_LINE, KVM_SET_GSI_ROUTING, KVM_IRQFD, KVM_SIGNAL_MSI.
 */
#ifndef LKVM_KVM_INTERRUPTS_H
#define LKVM_KVM_INTERRUPTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define INTERRUPTS_MAX_ROUTES 1024 /* GSIs 0..1023; KVM allows 4096 */

/* One MSI as a device sends it: `data` written to `address` by the PCI requester `device_id`. */
struct msi_message {
	uint64_t address;
	uint32_t data;
	uint32_t device_id;
};

/* Where a GSI leads. */
struct interrupt_route {
	bool is_line;
	unsigned spi; /* of a line */
	struct msi_message message;
};

struct interrupts {
	int vm_fd;     /* not ours: the VM closes it */
	bool has_msi;  /* an ITS stands; set before the first route */
	pthread_mutex_t lock;
	uint64_t lines; /* levels of SPIs 0..63 as last set */
	bool used[INTERRUPTS_MAX_ROUTES];
	struct interrupt_route routes[INTERRUPTS_MAX_ROUTES];
};

int interrupts_open(struct interrupts *interrupts, int vm_fd, struct error *error);
void interrupts_close(struct interrupts *interrupts);

/* Drives the level of SPI `spi` (INTID 32 + spi, below 64). Any thread. Nothing can be done about a failure. */
void interrupts_set_line(struct interrupts *interrupts, unsigned spi, bool level);

/* Sets all lines low, as at power-on. */
void interrupts_reset_lines(struct interrupts *interrupts);

/*
 * Takes a free GSI and routes it to `message`; the GSI, or -1 with ENOSPC, or the kernel's refusal.
 * interrupts_route_change does it for a GSI that is already taken; no irqfd should be attached to it.
 */
int interrupts_route_add(struct interrupts *interrupts, const struct msi_message *message,
			 struct error *error);
int interrupts_route_change(struct interrupts *interrupts, int gsi, const struct msi_message *message,
			    struct error *error);

/* `count` of them at once, which KVM takes as one table: all of `gsis`, or none. */
int interrupts_routes_add(struct interrupts *interrupts, const struct msi_message *messages, unsigned count, int *gsis,
			  struct error *error);

/* The same for a line: SPI `spi` (INTID 32 + spi). */
int interrupts_route_add_line(struct interrupts *interrupts, unsigned spi, struct error *error);

/* Gives the GSI back; its irqfd must be detached before. */
void interrupts_route_remove(struct interrupts *interrupts, int gsi);

/* Number of GSIs taken. */
unsigned interrupts_route_count(struct interrupts *interrupts);

/* Joins an eventfd to a GSI: each write to it injects. What was written before is delivered at once. */
int interrupts_irqfd_attach(struct interrupts *interrupts, int gsi, int event_fd, struct error *error);
void interrupts_irqfd_detach(struct interrupts *interrupts, int gsi, int event_fd);

/*
 * Joins an eventfd to a GSI that leads to a line: a write drives it high, until the guest has handled the interrupt; KVM
 * writes `resample_fd` then, for the device to say whether it still wants one.
 */
int interrupts_irqfd_attach_line(struct interrupts *interrupts, int gsi, int event_fd, int resample_fd, struct error *error);

/* Sends one message without a route (KVM_SIGNAL_MSI). False if the ITS drops it, as hardware would. */
bool interrupts_signal_msi(struct interrupts *interrupts, const struct msi_message *message);

#endif
