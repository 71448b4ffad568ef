/* SPDX-License-Identifier: MIT */
/* hw/serial.c: Linux's probe and driver, guests that poll, and a slow terminal. */
#include "unit/test.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "unit/board.h"
#include "unit/run_loop.h"
#include "hw/serial.h"

#define BASE 0x1000000u
#define LINE 5
#define BOTH_EMPTY (UART_LSR_THRE | UART_LSR_TEMT)

/* One board, and its terminal as two pipes. */
static struct board board;
static struct terminal terminal;
static struct serial serial;
static int in[2], out[2];

static int open_all(void **state)
{
	struct error error;

	(void)state;
	board_open(&board);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	assert_int_equal(terminal_open(&terminal, &board.loop, in[0], out[1], &error), 0);
	assert_int_equal(serial_open(&serial, &board.bus, &board.interrupts, LINE, BASE, &terminal, &error), 0);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	serial_close(&serial);
	serial_close(&serial);
	terminal_close(&terminal);
	board_close(&board);
	for (unsigned i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
	return 0;
}

static uint8_t get(unsigned offset)
{
	return (uint8_t)board_read(&board, BASE + offset, 1);
}

static void put(unsigned offset, uint8_t value)
{
	board_write(&board, BASE + offset, 1, value);
}

static void type(const char *text)
{
	assert_int_equal(write(in[1], text, strlen(text)), strlen(text));
}

static const char *printed(void)
{
	static char text[1000];
	struct pollfd polled = { .fd = out[0], .events = POLLIN };
	ssize_t length = poll(&polled, 1, 0) > 0 ? read(out[0], text, sizeof(text) - 1) : 0;

	text[length > 0 ? length : 0] = '\0';
	return text;
}

/* The steps of autoconfig() in drivers/tty/serial/8250/8250_port.c. */
static void serial_is_detected_as_a_16550a(void **state)
{
	uint8_t was, old_mcr;

	(void)state;
	was = get(UART_IER);
	put(UART_IER, 0);
	assert_int_equal(get(UART_IER) & 0x0f, 0);
	put(UART_IER, 0xff);
	assert_int_equal(get(UART_IER), 0x0f); /* bit 6 would be an XScale's */
	put(UART_IER, was);

	old_mcr = get(UART_MCR);
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(get(UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	put(UART_MCR, old_mcr);

	put(UART_FCR, 0);
	assert_int_equal(get(UART_IIR) >> 6, 0); /* first a 16450... */
	put(UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(get(UART_IIR) >> 6, 3); /* ...then a 16550A, */

	put(UART_LCR, UART_LCR_CONF_MODE_A);
	assert_int_not_equal(get(UART_EFR), 0); /* no 16650, */
	put(UART_LCR, UART_LCR_CONF_MODE_B);
	assert_int_not_equal(get(UART_EFR), 0);
	put(UART_LCR, 0);
	put(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	assert_int_equal(get(UART_IIR) >> 5, 6); /* and no 16750 */
	put(UART_LCR, 0);

	put(UART_SCR, 0xa5);
	assert_int_equal(get(UART_SCR), 0xa5);
	put(UART_LCR, UART_LCR_DLAB);
	put(UART_DLL, 0x34);
	put(UART_DLM, 0x12);
	assert_int_equal(get(UART_DLL), 0x34);
	assert_int_equal(get(UART_DLM), 0x12);
	put(UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(get(UART_LCR), UART_LCR_WLEN8);
	assert_int_equal(get(UART_IER), 0);
	assert_int_equal(printed()[0], '\0');
	assert_int_not_equal(get(UART_LSR), 0xff);
}

/* serial8250_do_startup() expects a new interrupt when it enables the interrupt again. Otherwise it uses a timer. */
static void transmitter_interrupts_when_enabled_and_after_each_write(void **state)
{
	(void)state;
	assert_int_equal(get(UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_int_equal(get(UART_IIR), UART_IIR_NO_INT);
	for (unsigned i = 0; i < 2; i++) {
		put(UART_IER, UART_IER_THRI);
		assert_true(board_line(&board, LINE));
		assert_int_equal(get(UART_IIR), UART_IIR_THRI);
		assert_false(board_line(&board, LINE)); /* reading IIR clears it */
		assert_int_equal(get(UART_IIR), UART_IIR_NO_INT);
		put(UART_IER, UART_IER_THRI); /* was enabled already: no new interrupt */
		assert_int_equal(get(UART_IIR), UART_IIR_NO_INT);
		put(UART_IER, 0);
	}
	put(UART_IER, UART_IER_THRI);
	get(UART_IIR);
	put(UART_TX, 'a');
	assert_true(board_line(&board, LINE));
	put(UART_IER, 0);
	assert_false(board_line(&board, LINE));
	assert_int_equal(get(UART_IIR), UART_IIR_NO_INT);
}

static void line_is_driven_only_when_it_changes(void **state)
{
	size_t calls = fake_kvm.count;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		put(UART_TX, 'x');
	get(UART_LSR);
	assert_int_equal(fake_kvm.count, calls);
	put(UART_IER, UART_IER_THRI);
	put(UART_TX, 'x');
	assert_int_equal(fake_kvm.count, calls + 1);
}

static void serial_prints_output_of_earlycon(void **state)
{
	(void)state;
	for (const char *c = "Booting Linux\n"; *c; c++) {
		put(UART_TX, (uint8_t)*c);
		assert_int_equal(get(UART_LSR) & BOTH_EMPTY, BOTH_EMPTY);
	}
	assert_string_equal(printed(), "Booting Linux\n");
	board_write(&board, BASE + UART_TX, 4, 0xffffff00 | 'w'); /* a wide access writes the low byte */
	put(UART_TX, '\n');
	assert_string_equal(printed(), "w\n");
	assert_int_equal(serial.sent, 16);
	assert_int_equal(board_read(&board, BASE + UART_LSR, 4), BOTH_EMPTY);
	put(8 + UART_TX, 'n'); /* there are eight registers */
	put(UART_TX, '\n');
	assert_string_equal(printed(), "\n");
}

/* Input that was typed before the guest booted must survive its probe, its console and the driver's start. */
static void input_waits_for_the_driver(void **state)
{
	char got[32] = "";

	(void)state;
	type("early");
	run_loop_for(&board.loop, 3);
	serial_is_detected_as_a_16550a(state);
	put(UART_IER, 0x0f); /* the probe enables interrupts for a moment, while the event loop runs */
	run_loop_for(&board.loop, 3);
	put(UART_IER, 0);
	for (unsigned i = 0; i < 100; i++) {
		get(UART_LSR);
		get(UART_LSR);
		put(UART_TX, 'x');
		run_loop_for(&board.loop, 1);
	}
	assert_int_equal(get(UART_LSR) & UART_LSR_DR, 0);
	for (unsigned i = 0; i < 20; i++) { /* the driver clears old interrupts; more reads than it does */
		get(UART_LSR);
		get(UART_RX);
		run_loop_for(&board.loop, 1);
	}
	put(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	put(UART_FCR, 0);
	get(UART_RX);
	put(UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);

	put(UART_IER, UART_IER_RDI | UART_IER_RLSI);
	run_loop_for(&board.loop, 3); /* one character arrives while the FIFO is disabled */
	put(UART_FCR, UART_FCR_ENABLE_FIFO);
	put(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_R_TRIG_10);
	run_loop_for(&board.loop, 3);
	assert_true(board_line(&board, LINE));
	for (unsigned i = 0; get(UART_LSR) & UART_LSR_DR; i++)
		got[i] = (char)get(UART_RX);
	assert_string_equal(got, "early");
	assert_false(board_line(&board, LINE));
}

static void input_reaches_a_program_that_polls(void **state)
{
	char got[64] = "";
	unsigned polls = 0;

	(void)state;
	type("polled input, longer than a FIFO");
	for (unsigned i = 0; polls < 500 && i < 32; polls++) {
		run_loop_for(&board.loop, 1);
		if (get(UART_LSR) & UART_LSR_DR)
			got[i++] = (char)get(UART_RX);
	}
	assert_string_equal(got, "polled input, longer than a FIFO");

	/* The guest polls before the input arrives. */
	for (unsigned i = 0; i < 100; i++)
		get(UART_LSR);
	type("!");
	run_loop_for(&board.loop, 3);
	assert_int_equal(get(UART_LSR) & UART_LSR_DR, UART_LSR_DR);
	assert_int_equal(get(UART_RX), '!');
}

static void input_of_a_kilobyte_arrives_complete(void **state)
{
	char sent[1025], got[1025];
	unsigned count = 0;

	(void)state;
	for (unsigned i = 0; i < 1024; i++)
		sent[i] = (char)('a' + i % 23);
	sent[1024] = '\0';
	put(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_R_TRIG_10);
	put(UART_MCR, UART_MCR_DTR);
	put(UART_IER, UART_IER_RDI);
	type(sent);
	for (unsigned turns = 0; count < 1024 && turns < 200; turns++) {
		run_loop_for(&board.loop, 1);
		if (!board_line(&board, LINE))
			continue;
		for (unsigned i = 0; i < 16 && (get(UART_LSR) & UART_LSR_DR); i++)
			got[count++] = (char)get(UART_RX);
	}
	got[count] = '\0';
	assert_string_equal(got, sent);
	assert_int_equal(serial.received, 1024);
}

static void receiver_interrupts_by_its_trigger_level(void **state)
{
	(void)state;
	put(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_R_TRIG_10); /* 8 characters */
	put(UART_IER, UART_IER_RDI | UART_IER_THRI);
	type("1234567");
	run_loop_for(&board.loop, 3);
	assert_int_equal(get(UART_IIR) & 0x3f, UART_IIR_RX_TIMEOUT); /* before the transmitter */
	type("8");
	run_loop_for(&board.loop, 3);
	assert_int_equal(get(UART_IIR) & 0x3f, UART_IIR_RDI);
	assert_int_equal(get(UART_RX), '1');
	assert_int_equal(get(UART_IIR) & 0x3f, UART_IIR_RX_TIMEOUT);
	put(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR);
	assert_int_equal(get(UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(get(UART_IIR) & 0x3f, UART_IIR_THRI);
	assert_int_equal(get(UART_RX), 0);
}

static void loopback_feeds_the_receiver(void **state)
{
	(void)state;
	put(UART_FCR, UART_FCR_ENABLE_FIFO);
	put(UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1);
	put(UART_IER, UART_IER_RDI | UART_IER_RLSI);
	type("held back");
	run_loop_for(&board.loop, 3);
	for (unsigned i = 0; i < 17; i++)
		put(UART_TX, (uint8_t)('a' + i));
	assert_int_equal(get(UART_IIR) & 0x3f, UART_IIR_RLSI);
	assert_int_equal(get(UART_LSR) & (UART_LSR_OE | UART_LSR_DR), UART_LSR_OE | UART_LSR_DR);
	assert_int_equal(get(UART_LSR) & UART_LSR_OE, 0);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(get(UART_RX), 'a' + i);
	assert_int_equal(get(UART_LSR) & UART_LSR_DR, 0);
	assert_string_equal(printed(), "");

	/* Modem lines: a change is shown once. The ring line shows only its end. */
	assert_int_equal(get(UART_MSR), UART_MSR_RI | UART_MSR_DDCD | UART_MSR_DDSR | UART_MSR_DCTS);
	assert_int_equal(get(UART_MSR), UART_MSR_RI);
	put(UART_IER, UART_IER_MSI);
	assert_false(board_line(&board, LINE));
	put(UART_MCR, UART_MCR_LOOP);
	assert_true(board_line(&board, LINE));
	assert_int_equal(get(UART_IIR) & 0x3f, UART_IIR_MSI);
	assert_int_equal(get(UART_MSR), UART_MSR_TERI);
	assert_false(board_line(&board, LINE));
	put(UART_MCR, 0);
	assert_int_equal(get(UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
}

/* Prints until the terminal accepts no more. Returns the number of bytes. */
static size_t fill(void)
{
	size_t total = 0;

	while ((get(UART_LSR) & UART_LSR_THRE) && total < 1000000) {
		put(UART_TX, '.');
		total++;
	}
	return total;
}

static size_t drain(void)
{
	static char bytes[65536];
	struct pollfd polled = { .fd = out[0], .events = POLLIN };
	size_t total = 0;

	for (;;) {
		run_loop_for(&board.loop, 3);
		if (poll(&polled, 1, 0) <= 0)
			return total;
		total += (size_t)read(out[0], bytes, sizeof(bytes));
	}
}

static void transmitter_is_busy_while_the_terminal_is_full(void **state)
{
	size_t total;

	(void)state;
	put(UART_FCR, UART_FCR_ENABLE_FIFO);
	put(UART_IER, UART_IER_THRI);
	total = fill();
	assert_in_range(total, TERMINAL_BUFFER, 1000000 - 1);
	assert_int_equal(get(UART_LSR) & BOTH_EMPTY, 0);
	assert_false(board_line(&board, LINE));
	for (unsigned i = 1; i < SERIAL_FIFO; i++) { /* the driver stopped waiting; these fit the FIFO */
		put(UART_TX, '.');
		total++;
	}
	put(UART_TX, 'x'); /* this does not */
	assert_int_equal(drain(), total);
	assert_true(board_line(&board, LINE));
	assert_int_equal(get(UART_IIR) & 0x3f, UART_IIR_THRI);
	assert_int_equal(get(UART_LSR) & BOTH_EMPTY, BOTH_EMPTY);
	assert_int_equal(serial.sent, total);

	fill();
	put(UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_XMIT);
	assert_int_equal(get(UART_LSR) & BOTH_EMPTY, BOTH_EMPTY);
}

/* A vCPU's thread echoes its input, while the main thread serves the terminal. */
static void *echo(void *argument)
{
	atomic_bool *stop = argument;

	while (!atomic_load(stop)) {
		if (!(get(UART_LSR) & UART_LSR_DR))
			continue;
		while (!(get(UART_LSR) & UART_LSR_THRE) && !atomic_load(stop))
			;
		put(UART_TX, get(UART_RX));
	}
	return NULL;
}

static void serial_echoes_input_of_a_thread_that_polls(void **state)
{
	atomic_bool stop = false;
	char sent[3000], got[3000];
	size_t count = 0;
	pthread_t thread;

	(void)state;
	for (unsigned i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i % 61 == 60 ? '\n' : 'a' + i % 23);
	put(UART_FCR, UART_FCR_ENABLE_FIFO);
	put(UART_MCR, UART_MCR_DTR);
	put(UART_IER, UART_IER_RDI | UART_IER_THRI);
	assert_int_equal(write(in[1], sent, sizeof(sent)), sizeof(sent));
	pthread_create(&thread, NULL, echo, &stop);
	for (unsigned turns = 0; turns < 1000 && count < sizeof(got); turns++) {
		struct pollfd polled = { .fd = out[0], .events = POLLIN };

		run_loop_for(&board.loop, 2);
		if (poll(&polled, 1, 0) > 0)
			count += (size_t)read(out[0], got + count, sizeof(got) - count);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(count, sizeof(got));
	assert_memory_equal(got, sent, sizeof(got));
}

static void reset_restores_power_on_state(void **state)
{
	struct serial_state fresh;

	(void)state;
	state_reset(&serial_state_table, &fresh);
	put(UART_FCR, UART_FCR_ENABLE_FIFO);
	put(UART_SCR, 1);
	put(UART_MCR, 3);
	put(UART_LCR, 3);
	put(UART_IER, UART_IER_RDI | UART_IER_THRI);
	type("x");
	run_loop_for(&board.loop, 3);
	assert_true(board_line(&board, LINE));
	serial_reset(&serial);
	assert_false(board_line(&board, LINE));
	assert_memory_equal(&serial.state, &fresh, offsetof(struct serial_state, padding));
	assert_int_equal(get(UART_LSR), BOTH_EMPTY);
	assert_int_equal(get(UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	assert_int_equal(get(UART_IIR), UART_IIR_NO_INT);
}

static void serial_drops_output_without_a_terminal(void **state)
{
	struct serial other;
	struct error error;

	(void)state;
	assert_int_equal(serial_open(&other, &board.bus, &board.interrupts, 6, BASE, NULL, &error), -1);
	assert_int_equal(error.code, EEXIST);
	serial_close(&other);
	assert_int_equal(serial_open(&other, &board.bus, &board.interrupts, 6, 0x9000, NULL, &error), 0);
	board_write(&board, 0x9000, 1, 'x');
	assert_int_equal(board_read(&board, 0x9000 + UART_LSR, 1), BOTH_EMPTY);
	board_write(&board, 0x9000 + UART_IER, 1, UART_IER_RDI);
	serial_close(&other);
}

static void serial_survives_hostile_guest(void **state)
{
	(void)state;
	type("some input for it, longer than the FIFO is");
	for (unsigned i = 0; i < 4; i++) {
		board_torture(&board, BASE, SERIAL_SIZE);
		drain();
	}
	assert_in_range(serial.state.receive_count, 0, SERIAL_FIFO);
	assert_in_range(serial.state.transmit_count, 0, SERIAL_FIFO);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
		TEST(serial_is_detected_as_a_16550a),
		TEST(transmitter_interrupts_when_enabled_and_after_each_write),
		TEST(line_is_driven_only_when_it_changes),
		TEST(serial_prints_output_of_earlycon),
		TEST(input_waits_for_the_driver),
		TEST(input_reaches_a_program_that_polls),
		TEST(input_of_a_kilobyte_arrives_complete),
		TEST(receiver_interrupts_by_its_trigger_level),
		TEST(loopback_feeds_the_receiver),
		TEST(transmitter_is_busy_while_the_terminal_is_full),
		TEST(serial_echoes_input_of_a_thread_that_polls),
		TEST(reset_restores_power_on_state),
		TEST(serial_drops_output_without_a_terminal),
		TEST(serial_survives_hostile_guest),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
