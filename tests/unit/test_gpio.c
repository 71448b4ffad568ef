/* SPDX-License-Identifier: MIT */
/* hw/gpio.c: registers with masked addresses, edges and levels, and keys that are pressed and released. */
#include "unit/test.h"

#include <errno.h>

#include "unit/board.h"
#include "unit/open_fds.h"
#include "unit/run_loop.h"
#include "hw/gpio.h"
#include "util/bits.h"

#define BASE 0x1020000u
#define LINE 2
#define POWER (1u << GPIO_LINE_POWER)
#define RESTART (1u << GPIO_LINE_RESTART)

enum {
	DATA = 0x000, ALL = 0x3fc, DIRECTION = 0x400, IS = 0x404, IBE = 0x408, IEV = 0x40c, IE = 0x410,
	RIS = 0x414, MIS = 0x418, IC = 0x41c, AFSEL = 0x420,
};

static struct board board;
static struct gpio gpio;

static int open_all(void **state)
{
	struct error error;

	(void)state;
	board_open(&board);
	assert_int_equal(gpio_open(&gpio, &board.bus, &board.interrupts, LINE, BASE, &board.loop, &error), 0);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	gpio_close(&gpio);
	gpio_close(&gpio);
	board_close(&board);
	return 0;
}

static uint32_t get(unsigned offset)
{
	return (uint32_t)board_read(&board, BASE + offset, 4);
}

static void put(unsigned offset, uint32_t value)
{
	board_write(&board, BASE + offset, 4, value);
}

static void gpio_has_identity_of_a_pl061(void **state)
{
	uint32_t id = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		id |= get(0xfe0 + 4 * i) << (8 * i);
	assert_int_equal(id & 0xfffff, 0x41061);
	id = 0;
	for (unsigned i = 0; i < 4; i++)
		id |= get(0xff0 + 4 * i) << (8 * i);
	assert_int_equal(id, 0xb105f00d);
}

static void data_address_selects_lines(void **state)
{
	(void)state;
	put(DIRECTION, 0x0f);
	put(ALL, 0xff);
	assert_int_equal(get(ALL), 0x0f); /* inputs do not change */
	put(DATA + (0x05 << 2), 0);
	assert_int_equal(get(ALL), 0x0a);
	assert_int_equal(get(DATA + (0x02 << 2)), 0x02);
	assert_int_equal(get(DATA + (0x05 << 2)), 0);
	assert_int_equal(get(DATA), 0);
	put(DATA, 0);
	assert_int_equal(get(ALL), 0x0a);
	put(DIRECTION, 0);
	assert_int_equal(get(ALL), 0);
}

static void registers_keep_values_until_reset(void **state)
{
	static const unsigned offsets[] = { DIRECTION, IS, IBE, IEV, IE, AFSEL };

	(void)state;
	for (size_t i = 0; i < COUNT(offsets); i++) {
		put(offsets[i], 0x1a5);
		assert_int_equal(get(offsets[i]), 0xa5);
	}
	gpio_reset(&gpio);
	for (size_t i = 0; i < COUNT(offsets); i++)
		assert_int_equal(get(offsets[i]), 0);
	assert_false(board_line(&board, LINE));
}

/* gpio-keys needs both edges. */
static void key_press_raises_both_edges(void **state)
{
	(void)state;
	put(IBE, POWER);
	put(IE, POWER);
	assert_true(gpio_press(&gpio, GPIO_LINE_POWER));
	assert_int_equal(get(ALL), POWER);
	assert_int_equal(get(MIS), POWER);
	assert_true(board_line(&board, LINE));
	put(IC, POWER);
	assert_false(board_line(&board, LINE));
	run_loop_for(&board.loop, 50);
	assert_int_equal(get(ALL), POWER); /* long enough for debouncing */
	run_loop_for(&board.loop, 100);
	assert_int_equal(get(ALL), 0);
	assert_true(board_line(&board, LINE));
	put(IC, POWER);
	assert_false(board_line(&board, LINE));
}

static void key_press_fails_when_the_driver_does_not_listen(void **state)
{
	(void)state;
	assert_false(gpio_press(&gpio, GPIO_LINE_POWER));
	put(IE, POWER);
	assert_false(gpio_press(&gpio, GPIO_LINE_RESTART));
	assert_true(gpio_press(&gpio, GPIO_LINE_POWER));
	put(DIRECTION, POWER); /* an output */
	assert_false(gpio_press(&gpio, GPIO_LINE_POWER));
	assert_int_equal(get(ALL), 0);
}

static void edge_is_latched_until_it_is_cleared(void **state)
{
	(void)state;
	put(IE, POWER | RESTART);
	put(IEV, POWER); /* power rising, restart falling */
	assert_true(gpio_press(&gpio, GPIO_LINE_POWER));
	assert_true(gpio_press(&gpio, GPIO_LINE_RESTART));
	assert_int_equal(get(RIS), POWER);
	put(IC, POWER);
	assert_false(board_line(&board, LINE));
	assert_true(gpio_press(&gpio, GPIO_LINE_POWER)); /* held already: no edge */
	assert_int_equal(get(RIS), 0);
	run_loop_for(&board.loop, 150);
	assert_int_equal(get(RIS), RESTART);
	put(IE, POWER); /* masked, but remembered */
	assert_false(board_line(&board, LINE));
	assert_int_equal(get(MIS), 0);
	assert_int_equal(get(RIS), RESTART);
}

static void level_interrupt_follows_the_line(void **state)
{
	(void)state;
	put(IS, POWER);
	put(IEV, POWER); /* high */
	put(IE, POWER);
	assert_false(board_line(&board, LINE));
	assert_true(gpio_press(&gpio, GPIO_LINE_POWER));
	assert_true(board_line(&board, LINE));
	put(IC, POWER); /* a level cannot be cleared */
	assert_true(board_line(&board, LINE));
	run_loop_for(&board.loop, 150);
	assert_false(board_line(&board, LINE));
	put(IS, 0); /* an edge is forgotten when the line becomes level-sensitive */
	put(IEV, 0);
	assert_true(gpio_press(&gpio, GPIO_LINE_POWER));
	run_loop_for(&board.loop, 150);
	assert_int_equal(get(RIS), POWER);
	put(IS, POWER);
	put(IEV, POWER);
	put(IS, 0);
	assert_int_equal(get(RIS), 0);
	put(IS, POWER);
	put(IEV, 0); /* low */
	assert_true(board_line(&board, LINE));
	put(IS, 0);
	assert_false(board_line(&board, LINE));
}

static void output_line_has_no_edges(void **state)
{
	(void)state;
	put(IBE, POWER);
	put(IE, POWER);
	assert_true(gpio_press(&gpio, GPIO_LINE_POWER));
	put(IC, POWER);
	put(DIRECTION, POWER);
	run_loop_for(&board.loop, 150);
	assert_int_equal(get(RIS), 0);
	put(DIRECTION, 0);
	assert_int_equal(get(ALL), 0);
}

static void reset_releases_pressed_keys(void **state)
{
	(void)state;
	put(IE, POWER);
	put(IEV, POWER);
	gpio_press(&gpio, GPIO_LINE_POWER);
	gpio_reset(&gpio);
	assert_false(board_line(&board, LINE));
	assert_int_equal(get(ALL), 0);
	put(IBE, POWER);
	run_loop_for(&board.loop, 150);
	assert_int_equal(get(RIS), 0);
}

static void open_leaves_nothing_when_it_fails(void **state)
{
	struct gpio other;
	struct error error;
	unsigned before = count_open_fds();

	(void)state;
	assert_int_equal(gpio_open(&other, &board.bus, &board.interrupts, LINE, BASE, &board.loop, &error), -1);
	assert_int_equal(error.code, EEXIST);
	assert_int_equal(other.loop->watches[1].fd, -1);
	gpio_close(&other);
	assert_int_equal(count_open_fds(), before);
}

static void gpio_survives_hostile_guest(void **state)
{
	(void)state;
	board_torture(&board, BASE, GPIO_SIZE);
	gpio_press(&gpio, GPIO_LINE_POWER);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
		TEST(gpio_has_identity_of_a_pl061),
		TEST(data_address_selects_lines),
		TEST(registers_keep_values_until_reset),
		TEST(key_press_raises_both_edges),
		TEST(key_press_fails_when_the_driver_does_not_listen),
		TEST(edge_is_latched_until_it_is_cleared),
		TEST(level_interrupt_follows_the_line),
		TEST(output_line_has_no_edges),
		TEST(reset_releases_pressed_keys),
		TEST(open_leaves_nothing_when_it_fails),
		TEST(gpio_survives_hostile_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
