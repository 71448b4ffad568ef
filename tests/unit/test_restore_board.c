/* SPDX-License-Identifier: MIT */
/* The board's devices (serial, RTC, GPIO) continue from the saved state of another one. */
#include "unit/test.h"

#include <linux/serial_reg.h>
#include <string.h>
#include <time.h>

#include "unit/board.h"
#include "unit/run_loop.h"
#include "hw/gpio.h"
#include "hw/rtc.h"
#include "hw/serial.h"
#include "util/bits.h"

#define UART 0x1000000u
#define CLOCK 0x1010000u
#define KEYS 0x1020000u
#define POWER (1u << GPIO_LINE_POWER)

enum { SERIAL_LINE = 5, RTC_LINE, GPIO_LINE };

static struct board board;
static struct terminal terminal;
static struct serial serial;
static struct rtc rtc;
static struct gpio gpio;
static int in[2], out[2];

static int open_all(void **state)
{
	struct interrupts *interrupts = &board.interrupts;
	struct error error;

	(void)state;
	board_open(&board);
	assert_int_equal(pipe(in) | pipe(out), 0);
	assert_int_equal(terminal_open(&terminal, &board.loop, in[0], out[1], &error), 0);
	assert_int_equal(serial_open(&serial, &board.bus, interrupts, SERIAL_LINE, UART, &terminal, &error), 0);
	assert_int_equal(rtc_open(&rtc, &board.bus, interrupts, RTC_LINE, CLOCK, &board.loop, &error), 0);
	assert_int_equal(gpio_open(&gpio, &board.bus, interrupts, GPIO_LINE, KEYS, &board.loop, &error), 0);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	gpio_close(&gpio);
	rtc_close(&rtc);
	serial_close(&serial);
	terminal_close(&terminal);
	board_close(&board);
	for (unsigned i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
	return 0;
}

/* Saves and loads by the state table, as a snapshot does. */
static void load(const struct state_table *table, const void *from, void *to)
{
	struct byte_buffer buffer = { 0 };
	struct error error;

	state_save(table, from, &buffer);
	const struct fields fields = { buffer.bytes, buffer.size };

	if (state_load(table, to, &fields, table->version, &error) < 0)
		fail_msg("%s", error.text);
	byte_buffer_free(&buffer);
}

static int load_serial(const struct serial_state *from)
{
	struct error error = { 0 };
	int result;

	load(&serial_state_table, from, &serial.state);
	result = serial_restored(&serial, &error);
	if (result < 0)
		assert_non_null(strstr(error.text, "serial: more than 16 characters are in a FIFO"));
	return result;
}

static void serial_keeps_unread_input_after_restore(void **state)
{
	const struct serial_state saved = {
		.interrupt_enable = UART_IER_RDI, .fifo_control = UART_FCR_ENABLE_FIFO, .divisor_low = 1, .scratch = 0x5a,
		.receive_count = 3, .receive_fifo = "abc",
	};

	(void)state;
	assert_int_equal(load_serial(&saved), 0);
	assert_true(board_line(&board, SERIAL_LINE));
	assert_int_equal(board_read(&board, UART + UART_SCR, 1), 0x5a);
	for (const char *c = "abc"; *c; c++)
		assert_int_equal(board_read(&board, UART + UART_RX, 1), *c);
	assert_false(board_line(&board, SERIAL_LINE));
	/* More input arrives from the terminal. */
	assert_int_equal(write(in[1], "d", 1), 1);
	run_loop_for(&board.loop, 20);
	assert_int_equal(board_read(&board, UART + UART_RX, 1), 'd');
}

static void serial_prints_pending_output_after_restore(void **state)
{
	const struct serial_state saved = { .divisor_low = 1, .transmit_count = 2, .transmit_fifo = "xy" };
	char text[8] = "";

	(void)state;
	assert_int_equal(load_serial(&saved), 0);
	assert_false(board_line(&board, SERIAL_LINE));
	run_loop_for(&board.loop, 20);
	assert_int_equal(read(out[0], text, sizeof(text)), 2);
	assert_string_equal(text, "xy");
	assert_int_equal(board_read(&board, UART + UART_LSR, 1) & UART_LSR_TEMT, UART_LSR_TEMT);
}

static void serial_restore_refuses_fifos_above_their_size(void **state)
{
	struct serial_state saved = { .fifo_control = UART_FCR_ENABLE_FIFO, .divisor_low = 1 };

	(void)state;
	saved.receive_count = saved.transmit_count = SERIAL_FIFO;
	assert_int_equal(load_serial(&saved), 0);
	saved.receive_count = SERIAL_FIFO + 1;
	assert_int_equal(load_serial(&saved), -1);
	saved.receive_count = 0;
	saved.transmit_count = 255;
	assert_int_equal(load_serial(&saved), -1);
	serial.state.transmit_count = 0; /* so that closing has no output to write */
}

static void rtc_keeps_offset_and_interrupt_after_restore(void **state)
{
	struct rtc_state saved = { .offset = 1000, .load = 77, .match = 5, .interrupt_mask = 1, .interrupt_raw = 1 };
	uint32_t now;

	(void)state;
	load(&rtc_state_table, &saved, &rtc.state);
	assert_false(board_line(&board, RTC_LINE));
	rtc_restored(&rtc);
	assert_true(board_line(&board, RTC_LINE));
	now = (uint32_t)board_read(&board, CLOCK, 4);
	assert_in_range(now - 1000 - (uint32_t)time(NULL), 0, 1);
	assert_int_equal(board_read(&board, CLOCK + 0x08, 4), 77);

	saved.interrupt_raw = 0;
	load(&rtc_state_table, &saved, &rtc.state);
	rtc_restored(&rtc);
	assert_false(board_line(&board, RTC_LINE));
}

static void alarm_is_set_again_after_restore(void **state)
{
	const struct rtc_state saved = {
		.offset = 1000, .match = (uint32_t)time(NULL) + 1001, .interrupt_mask = 1, .armed = 1,
	};

	(void)state;
	load(&rtc_state_table, &saved, &rtc.state);
	rtc_restored(&rtc);
	assert_false(board_line(&board, RTC_LINE));
	for (unsigned i = 0; i < 50 && !board_line(&board, RTC_LINE); i++)
		run_loop_for(&board.loop, 50);
	assert_true(board_line(&board, RTC_LINE));
}

/* The alarm fires once, in the first turn of the event loop. */
static void alarm_fires_at_once_when_it_expired_while_saved(void **state)
{
	static const uint32_t ago[] = { 0, 1, 3600, 365 * 86400 };

	(void)state;
	for (size_t i = 0; i < COUNT(ago); i++) {
		const struct rtc_state saved = {
			.offset = 1000, .match = (uint32_t)time(NULL) + 1000 - ago[i], .interrupt_mask = 1, .armed = 1,
		};

		load(&rtc_state_table, &saved, &rtc.state);
		rtc_restored(&rtc);
		run_loop_for(&board.loop, 10);
		assert_true(board_line(&board, RTC_LINE));
		board_write(&board, CLOCK + 0x1c, 4, 1);
		load(&rtc_state_table, &rtc.state, &rtc.state);
		rtc_restored(&rtc);
		run_loop_for(&board.loop, 10);
		assert_false(board_line(&board, RTC_LINE));
	}
}

/* The guest set a match in the past, which the hardware reaches after 136 years. */
static void alarm_stays_silent_after_restore_when_it_was_set_in_the_past(void **state)
{
	struct rtc_state saved;

	(void)state;
	board_write(&board, CLOCK + 0x10, 4, 1);
	board_write(&board, CLOCK + 0x04, 4, (uint32_t)time(NULL) - 100);
	saved = rtc.state;
	load(&rtc_state_table, &saved, &rtc.state);
	rtc_restored(&rtc);
	run_loop_for(&board.loop, 10);
	assert_false(board_line(&board, RTC_LINE));
}

static void key_is_released_after_restore(void **state)
{
	const struct gpio_state saved = { .input = POWER, .event = POWER, .interrupt_mask = POWER, .interrupt_raw = POWER };

	(void)state;
	load(&gpio_state_table, &saved, &gpio.state);
	assert_false(board_line(&board, GPIO_LINE));
	gpio_restored(&gpio);
	assert_true(board_line(&board, GPIO_LINE));
	assert_int_equal(board_read(&board, KEYS + 0x3fc, 4), POWER);
	for (unsigned i = 0; i < 50 && board_read(&board, KEYS + 0x3fc, 4); i++)
		run_loop_for(&board.loop, 20);
	assert_int_equal(board_read(&board, KEYS + 0x3fc, 4), 0);
}

static void gpio_lowers_its_line_when_the_restored_interrupt_is_masked(void **state)
{
	const struct gpio_state saved = { .event = POWER, .interrupt_raw = POWER };

	(void)state;
	interrupts_set_line(&board.interrupts, GPIO_LINE, true);
	load(&gpio_state_table, &saved, &gpio.state);
	gpio_restored(&gpio);
	assert_false(board_line(&board, GPIO_LINE)); /* masked */
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
	const struct CMUnitTest tests[] = {
		CASE(serial_keeps_unread_input_after_restore),
		CASE(serial_prints_pending_output_after_restore),
		CASE(serial_restore_refuses_fifos_above_their_size),
		CASE(rtc_keeps_offset_and_interrupt_after_restore),
		CASE(alarm_is_set_again_after_restore),
		CASE(alarm_fires_at_once_when_it_expired_while_saved),
		CASE(alarm_stays_silent_after_restore_when_it_was_set_in_the_past),
		CASE(key_is_released_after_restore),
		CASE(gpio_lowers_its_line_when_the_restored_interrupt_is_masked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
