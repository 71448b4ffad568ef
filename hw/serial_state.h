/* SPDX-License-Identifier: MIT */
/* Private to the UART: what follows from the state of its registers. */
#ifndef LKVM_HW_SERIAL_STATE_H
#define LKVM_HW_SERIAL_STATE_H

#include <linux/serial_reg.h>

#include "hw/serial.h"

#define SERIAL_FIFO_ENABLED(state) ((state)->fifo_control & UART_FCR_ENABLE_FIFO)
#define SERIAL_MODEM_CHANGES 0x0f

/* Carrier, ready and clear to send: a terminal is connected. */
#define SERIAL_MODEM_CONNECTED (UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS)

/* How many characters a FIFO holds: one while FIFOs are disabled. */
unsigned serial_fifo_size(const struct serial_state *state);

/* The line status register. */
uint8_t serial_line_status(const struct serial_state *state);

/*
 * The most urgent interrupt, as the identification register has it. Characters arrive all at once, so fewer
 * than the trigger level have already waited for the timeout.
 */
uint8_t serial_interrupt(const struct serial_state *state);

#endif
