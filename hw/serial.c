/* SPDX-License-Identifier: MIT */
/* The serial port, a 16550A UART: accesses to its registers, characters to and from the terminal. */
#include "hw/serial.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <string.h>

#include "serial_state.h"

#define DIVISOR_LATCH(state) ((state)->line_control & UART_LCR_DLAB)

#define IIR_FIFO_ENABLED 0xc0 /* both bits: a 16550A with working FIFOs */
#define INTERRUPT_ENABLE_BITS 0x0f
#define MODEM_CONTROL_BITS 0x1f
#define MODEM_LINES 0xf0

/* So many reads of the line status without another access: the guest polls for input. */
#define POLLS_FOR_INPUT 8

static void update_line(struct serial *serial)
{
	bool level = serial_interrupt(&serial->state) != UART_IIR_NO_INT;

	if (level == serial->level)
		return;
	serial->level = level;
	interrupts_set_line(serial->interrupts, serial->line, level);
}

/*
 * How many characters the receiver accepts from the terminal now. None before the guest listens: its driver empties the
 * FIFO when it starts, and input that was in a pipe at power-on would be lost. A guest listens if it has enabled the
 * receive interrupt, or if it polls. Linux's probe is an exception: it enables all interrupts, before it sets data
 * terminal ready, to test whether the bits can be set. Reading the line status alone does not count, because printing
 * does that before each character.
 */
static unsigned receive_room(const struct serial *serial)
{
	const struct serial_state *state = &serial->state;
	bool probing = state->interrupt_enable == INTERRUPT_ENABLE_BITS &&
		       !(state->modem_control & UART_MCR_DTR);
	bool listening = ((state->interrupt_enable & UART_IER_RDI) && !probing) ||
			 serial->polls >= POLLS_FOR_INPUT;

	if (!listening || (state->modem_control & UART_MCR_LOOP) || state->receive_count >= serial_fifo_size(state))
		return 0;
	return serial_fifo_size(state) - state->receive_count;
}

static void request_input(struct serial *serial)
{
	if (serial->terminal && receive_room(serial) > 0)
		terminal_input_wanted(serial->terminal);
}

static size_t serial_receive(void *owner, const uint8_t *bytes, size_t count)
{
	struct serial *serial = owner;
	struct serial_state *state = &serial->state;
	unsigned room;

	pthread_mutex_lock(&serial->lock);
	room = receive_room(serial);
	if (count > room)
		count = room;
	memcpy(state->receive_fifo + state->receive_count, bytes, count);
	state->receive_count = (uint8_t)(state->receive_count + count);
	serial->received += count;
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
	return count;
}

static uint8_t pop_received(struct serial *serial)
{
	struct serial_state *state = &serial->state;
	uint8_t byte = state->receive_fifo[0];

	if (state->receive_count == 0)
		return 0;
	state->receive_count--;
	memmove(state->receive_fifo, state->receive_fifo + 1, SERIAL_FIFO - 1);
	if (state->receive_count == 0)
		request_input(serial);
	return byte;
}

/* In loopback the transmitter feeds the receiver. */
static void loop_back(struct serial_state *state, uint8_t byte)
{
	if (state->receive_count < serial_fifo_size(state))
		state->receive_fifo[state->receive_count++] = byte;
	else
		state->line_status |= UART_LSR_OE;
	state->transmitter_empty = 1;
}

/* A character that the terminal does not accept stays in the FIFO, and the transmitter is not empty. */
static void transmit(struct serial *serial, uint8_t byte)
{
	struct serial_state *state = &serial->state;

	state->transmitter_empty = 0;
	if (state->transmit_count == 0 &&
	    (!serial->terminal || terminal_write(serial->terminal, &byte, 1) == 1)) {
		state->transmitter_empty = 1;
		serial->sent++;
	} else if (state->transmit_count < serial_fifo_size(state)) {
		state->transmit_fifo[state->transmit_count++] = byte;
	}
}

static void serial_writable(void *owner)
{
	struct serial *serial = owner;
	struct serial_state *state = &serial->state;
	size_t taken;

	pthread_mutex_lock(&serial->lock);
	if (state->transmit_count > 0) {
		taken = terminal_write(serial->terminal, state->transmit_fifo, state->transmit_count);
		state->transmit_count = (uint8_t)(state->transmit_count - taken);
		memmove(state->transmit_fifo, state->transmit_fifo + taken, state->transmit_count);
		state->transmitter_empty = state->transmit_count == 0;
		serial->sent += taken;
		update_line(serial);
	}
	pthread_mutex_unlock(&serial->lock);
}

static void write_interrupt_enable(struct serial_state *state, uint8_t value)
{
	bool was_enabled = state->interrupt_enable & UART_IER_THRI;

	state->interrupt_enable = value & INTERRUPT_ENABLE_BITS;
	if ((value & UART_IER_THRI) && !was_enabled && state->transmit_count == 0)
		state->transmitter_empty = 1;
}

/*
 * Real chips empty the FIFOs when they are enabled or disabled. Not here: Linux enables them after the receive
 * interrupt, and input that arrives in between would be lost.
 */
static void write_fifo_control(struct serial_state *state, uint8_t value)
{
	if (!(value & UART_FCR_ENABLE_FIFO)) {
		state->fifo_control = 0;
		return;
	}
	state->fifo_control = value & (UART_FCR_ENABLE_FIFO | UART_FCR_TRIGGER_MASK);
	if (value & UART_FCR_CLEAR_RCVR)
		state->receive_count = 0;
	if ((value & UART_FCR_CLEAR_XMIT) && state->transmit_count > 0) {
		state->transmit_count = 0;
		state->transmitter_empty = 1;
	}
}

/* In loopback the modem's lines follow the guest's own outputs. Changes are latched until the guest reads them. */
static void write_modem_control(struct serial_state *state, uint8_t value)
{
	uint8_t lines = SERIAL_MODEM_CONNECTED;
	uint8_t changed;

	state->modem_control = value & MODEM_CONTROL_BITS;
	if (value & UART_MCR_LOOP)
		lines = (value & UART_MCR_RTS ? UART_MSR_CTS : 0) | (value & UART_MCR_DTR ? UART_MSR_DSR : 0) |
			(value & UART_MCR_OUT1 ? UART_MSR_RI : 0) | (value & UART_MCR_OUT2 ? UART_MSR_DCD : 0);

	changed = (lines ^ state->modem_status) & MODEM_LINES;
	if (lines & UART_MSR_RI)
		changed &= (uint8_t)~UART_MSR_RI; /* only its trailing edge counts */
	state->modem_status = (uint8_t)(lines | (state->modem_status & SERIAL_MODEM_CHANGES) | changed >> 4);
}

static uint8_t read_register(struct serial *serial, uint64_t offset)
{
	struct serial_state *state = &serial->state;
	uint8_t value;

	switch (offset) {
	case UART_RX:
		return DIVISOR_LATCH(state) ? state->divisor_low : pop_received(serial);
	case UART_IER:
		return DIVISOR_LATCH(state) ? state->divisor_high : state->interrupt_enable;
	case UART_IIR:
		value = serial_interrupt(state);
		if (value == UART_IIR_THRI)
			state->transmitter_empty = 0;
		return value | (SERIAL_FIFO_ENABLED(state) ? IIR_FIFO_ENABLED : 0);
	case UART_LCR:
		return state->line_control;
	case UART_MCR:
		return state->modem_control;
	case UART_LSR:
		value = serial_line_status(state);
		state->line_status = 0;
		return value;
	case UART_MSR:
		value = state->modem_status;
		state->modem_status &= MODEM_LINES;
		return value;
	case UART_SCR:
		return state->scratch;
	default:
		return 0;
	}
}

static uint64_t serial_read(void *owner, uint64_t offset, unsigned size)
{
	struct serial *serial = owner;
	uint8_t value;

	(void)size; /* registers are bytes: a wider access reads the low one */
	pthread_mutex_lock(&serial->lock);
	value = read_register(serial, offset);
	if (offset != UART_LSR)
		serial->polls = 0;
	else if (serial->polls < POLLS_FOR_INPUT && ++serial->polls == POLLS_FOR_INPUT)
		request_input(serial);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
	return value;
}

static void write_register(struct serial *serial, uint64_t offset, uint8_t value)
{
	struct serial_state *state = &serial->state;

	switch (offset) {
	case UART_TX:
		if (DIVISOR_LATCH(state))
			state->divisor_low = value;
		else if (state->modem_control & UART_MCR_LOOP)
			loop_back(state, value);
		else
			transmit(serial, value);
		return;
	case UART_IER:
		if (DIVISOR_LATCH(state))
			state->divisor_high = value;
		else
			write_interrupt_enable(state, value);
		break;
	case UART_FCR:
		write_fifo_control(state, value);
		break;
	case UART_LCR:
		state->line_control = value;
		break;
	case UART_MCR:
		write_modem_control(state, value);
		break;
	case UART_SCR:
		state->scratch = value;
		break;
	default: /* line and modem status are read-only */
		break;
	}
	request_input(serial); /* the guest may listen now, or have emptied the FIFO */
}

static void serial_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct serial *serial = owner;

	(void)size;
	pthread_mutex_lock(&serial->lock);
	serial->polls = 0;
	write_register(serial, offset, (uint8_t)value);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
}

static const struct bus_ops serial_bus_ops = {
	.read = serial_read,
	.write = serial_write,
};

int serial_open(struct serial *serial, struct bus *bus, struct interrupts *interrupts, unsigned line,
		uint64_t base, struct terminal *terminal, struct error *error)
{
	const struct bus_region region = {
		.base = base, .size = SERIAL_SIZE, .ops = &serial_bus_ops, .owner = serial,
	};
	const struct terminal_device device = { .receive = serial_receive, .writable = serial_writable, .owner = serial };
	int result;

	*serial = (struct serial){ .interrupts = interrupts, .terminal = terminal, .line = line, .base = base };
	state_reset(&serial_state_table, &serial->state);
	result = pthread_mutex_init(&serial->lock, NULL);
	if (result)
		return error_system(error, result, "serial: pthread_mutex_init");
	if (bus_map(bus, &region, error)) {
		pthread_mutex_destroy(&serial->lock);
		return error_context(error, "serial");
	}
	serial->bus = bus;
	if (terminal)
		terminal_attach(terminal, &device);
	return 0;
}

void serial_close(struct serial *serial)
{
	const struct terminal_device none = { 0 };

	if (!serial->bus)
		return;
	if (serial->terminal)
		terminal_attach(serial->terminal, &none);
	bus_unmap(serial->bus, serial->base, serial);
	pthread_mutex_destroy(&serial->lock);
	serial->bus = NULL;
}

void serial_reset(struct serial *serial)
{
	pthread_mutex_lock(&serial->lock);
	state_reset(&serial_state_table, &serial->state);
	serial->polls = 0;
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
}

int serial_restored(struct serial *serial, struct error *error)
{
	if (serial->state.receive_count > SERIAL_FIFO || serial->state.transmit_count > SERIAL_FIFO)
		return error_set(error, EINVAL, "serial: more than %d characters are in a FIFO", SERIAL_FIFO);
	pthread_mutex_lock(&serial->lock);
	serial->level = serial_interrupt(&serial->state) != UART_IIR_NO_INT;
	interrupts_set_line(serial->interrupts, serial->line, serial->level);
	request_input(serial);
	pthread_mutex_unlock(&serial->lock);
	if (serial->terminal)
		serial_writable(serial);
	return 0;
}

void serial_fdt(const struct serial *serial, struct fdt_writer *writer)
{
	fdt_writer_begin_at(writer, "serial", serial->base);
	fdt_writer_string(writer, "compatible", "ns16550a");
	fdt_writer_range(writer, serial->base, SERIAL_SIZE);
	fdt_writer_interrupt(writer, serial->line);
	fdt_writer_cell(writer, "clock-frequency", 1843200);
	fdt_writer_end(writer);
}
