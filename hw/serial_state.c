/* SPDX-License-Identifier: MIT */
/* The registers of the UART as state that is saved, and what follows from them. */
#include "serial_state.h"
#include "state/names.h"

static const struct state_field serial_fields[] = {
	STATE_FIELD(struct serial_state, interrupt_enable, STATE_RUNTIME, 0),
	STATE_FIELD(struct serial_state, transmitter_empty, STATE_RUNTIME, 0),
	STATE_FIELD(struct serial_state, fifo_control, STATE_RUNTIME, 0),
	STATE_FIELD(struct serial_state, line_control, STATE_RUNTIME, 0),
	STATE_FIELD(struct serial_state, modem_control, STATE_RUNTIME, 0),
	STATE_FIELD(struct serial_state, line_status, STATE_RUNTIME, 0),
	STATE_FIELD(struct serial_state, modem_status, STATE_RUNTIME, SERIAL_MODEM_CONNECTED),
	STATE_FIELD(struct serial_state, scratch, STATE_RUNTIME, 0),
	STATE_FIELD(struct serial_state, divisor_low, STATE_RUNTIME, 1), /* guests divide by it */
	STATE_FIELD(struct serial_state, divisor_high, STATE_RUNTIME, 0),
	STATE_FIELD(struct serial_state, receive_count, STATE_RUNTIME, 0),
	STATE_FIELD(struct serial_state, transmit_count, STATE_RUNTIME, 0),
	STATE_ARRAY(struct serial_state, padding, STATE_PADDING, 0),
	STATE_ARRAY(struct serial_state, receive_fifo, STATE_RUNTIME, 0),
	STATE_ARRAY(struct serial_state, transmit_fifo, STATE_RUNTIME, 0),
};

const struct state_table serial_state_table =
	STATE_TABLE(struct serial_state, SECTION_SERIAL, 1, serial_fields);

unsigned serial_fifo_size(const struct serial_state *state)
{
	return SERIAL_FIFO_ENABLED(state) ? SERIAL_FIFO : 1;
}

static unsigned trigger_level(const struct serial_state *state)
{
	static const uint8_t levels[] = { 1, 4, 8, 14 };

	return SERIAL_FIFO_ENABLED(state) ? levels[state->fifo_control >> 6] : 1;
}

uint8_t serial_line_status(const struct serial_state *state)
{
	uint8_t status = state->line_status;

	if (state->receive_count > 0)
		status |= UART_LSR_DR;
	if (state->transmit_count == 0)
		status |= UART_LSR_THRE | UART_LSR_TEMT;
	return status;
}

uint8_t serial_interrupt(const struct serial_state *state)
{
	uint8_t enabled = state->interrupt_enable;

	if ((enabled & UART_IER_RLSI) && (state->line_status & UART_LSR_BRK_ERROR_BITS))
		return UART_IIR_RLSI;
	if ((enabled & UART_IER_RDI) && state->receive_count >= trigger_level(state))
		return UART_IIR_RDI;
	if ((enabled & UART_IER_RDI) && state->receive_count > 0)
		return UART_IIR_RX_TIMEOUT;
	if ((enabled & UART_IER_THRI) && state->transmitter_empty)
		return UART_IIR_THRI;
	if ((enabled & UART_IER_MSI) && (state->modem_status & SERIAL_MODEM_CHANGES))
		return UART_IIR_MSI;
	return UART_IIR_NO_INT;
}
