/* SPDX-License-Identifier: MIT */
/*
 * PL061 GPIO controller, for the power keys. ARM PrimeCell General Purpose Input/Output (PL061) Technical
 * Reference Manual, ARM DDI 0190. All eight lines are inputs from the board's point of view; lines 3 and 4 are
 * the power and restart keys.
 */
#ifndef LKVM_HW_GPIO_H
#define LKVM_HW_GPIO_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "arm/fdt_writer.h"
#include "kvm/bus.h"
#include "kvm/interrupts.h"
#include "state/state_table.h"
#include "util/err.h"
#include "util/loop.h"

#define GPIO_SIZE 0x1000u
#define GPIO_LINE_POWER 3
#define GPIO_LINE_RESTART 4

struct gpio_state {
	uint8_t input;  /* levels of the lines */
	uint8_t output; /* as the guest wrote them */
	uint8_t direction;
	uint8_t sense; /* 1: level */
	uint8_t both_edges;
	uint8_t event; /* 1: rising, or high */
	uint8_t interrupt_mask; /* 1: enabled */
	uint8_t interrupt_raw;  /* edges since they were last cleared */
	uint8_t alternate;
	uint8_t padding[7];
};

extern const struct state_table gpio_state_table;

struct gpio {
	struct interrupts *interrupts;
	struct bus *bus;
	struct loop *loop;
	unsigned line;
	uint64_t base;
	int release_fd; /* timer that releases a pressed key */
	pthread_mutex_t lock;
	struct gpio_state state;
	bool level; /* of the interrupt line, as last set */
};

int gpio_open(struct gpio *gpio, struct bus *bus, struct interrupts *interrupts, unsigned line, uint64_t base, struct loop *loop,
	      struct error *error);
void gpio_close(struct gpio *gpio);
void gpio_reset(struct gpio *gpio);

/* After its state was loaded, with the GIC restored: drives the line, and releases a pressed key after a delay. */
void gpio_restored(struct gpio *gpio);

/*
 * Presses a key for a tenth of a second: the line goes high. False if the guest has not enabled its interrupt.
 * Main thread.
 */
bool gpio_press(struct gpio *gpio, unsigned line);

/* Writes its node of the device tree, and the one of its keys. */
void gpio_fdt(const struct gpio *gpio, struct fdt_writer *writer);

#endif
