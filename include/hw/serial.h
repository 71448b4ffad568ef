/* SPDX-License-Identifier: MIT */
/*
 * 16550A UART with 16-byte FIFOs, as ns16550a in the device tree, registers one byte apart.
 * National Semiconductor PC16550D data sheet.
 */
#ifndef LKVM_HW_SERIAL_H
#define LKVM_HW_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "arm/fdt_writer.h"
#include "hw/terminal.h"
#include "kvm/bus.h"
#include "kvm/interrupts.h"
#include "state/state_table.h"
#include "util/err.h"

#define SERIAL_SIZE 0x1000u
#define SERIAL_FIFO 16

struct serial_state {
	uint8_t interrupt_enable;
	uint8_t transmitter_empty; /* 1: this interrupt is latched; other interrupts follow from other registers */
	uint8_t fifo_control;      /* enabled, trigger level */
	uint8_t line_control;
	uint8_t modem_control;
	uint8_t line_status; /* overrun; the rest follows from the counts */
	uint8_t modem_status;
	uint8_t scratch;
	uint8_t divisor_low;
	uint8_t divisor_high;
	uint8_t receive_count;
	uint8_t transmit_count; /* characters that the terminal has not accepted */
	uint8_t padding[4];
	uint8_t receive_fifo[SERIAL_FIFO];
	uint8_t transmit_fifo[SERIAL_FIFO];
};

extern const struct state_table serial_state_table;

struct serial {
	struct interrupts *interrupts;
	struct bus *bus;
	struct terminal *terminal;
	unsigned line;
	uint64_t base;
	pthread_mutex_t lock;
	struct serial_state state;
	bool level;     /* of the line, as last set */
	unsigned polls; /* reads of the line status since any other access */
	uint64_t received, sent; /* bytes, for `lkvm stat`; under the lock */
};

/* Maps it at `base` and attaches it to the terminal. NULL: none, or another console has it. */
int serial_open(struct serial *serial, struct bus *bus, struct interrupts *interrupts, unsigned line, uint64_t base,
		struct terminal *terminal, struct error *error);
void serial_close(struct serial *serial);
void serial_reset(struct serial *serial);

/* After its state was loaded, with the GIC restored: drives the line, and continues input and output. */
int serial_restored(struct serial *serial, struct error *error);

/* Writes its node of the device tree. */
void serial_fdt(const struct serial *serial, struct fdt_writer *writer);

#endif
