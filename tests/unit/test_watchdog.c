/* SPDX-License-Identifier: MIT */
/* hw/watchdog.c: registers, the two stages, and what it does after a pause, a restore and a reset. */
#include "unit/test.h"

#include <errno.h>

#include "unit/board.h"
#include "unit/open_fds.h"
#include "unit/run_loop.h"
#include "hw/watchdog.h"
#include "util/clock.h"

#define BASE 0x1040000u
#define REFRESH (BASE + WATCHDOG_REFRESH)
#define LINE 4
#define FREQUENCY 1000000u
#define MS (FREQUENCY / 1000)

enum { WCS = 0x00, WOR = 0x08, WOR_HIGH = 0x0c, WCV = 0x10, WCV_HIGH = 0x14, IIDR = 0xfcc };
enum { EN = 1, WS0 = 2, WS1 = 4 };

static struct board board;
static struct watchdog watchdog;
static unsigned expired;

static uint64_t host_counter(void)
{
	return monotonic_ns() / (1000000000 / FREQUENCY);
}

static void watchdog_expired(void *owner)
{
	(void)owner;
	expired++;
}

static const struct watchdog_config config = {
	.line = LINE, .base = BASE, .frequency = FREQUENCY, .counter = host_counter, .expired = watchdog_expired,
};

static int open_all(void **state)
{
	struct error error;

	(void)state;
	expired = 0;
	board_open(&board);
	assert_int_equal(watchdog_open(&watchdog, &board.bus, &board.interrupts, &board.loop, &config, &error), 0);
	watchdog_resume(&watchdog, 0);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	watchdog_close(&watchdog);
	watchdog_close(&watchdog);
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

static void feed(void)
{
	board_write(&board, REFRESH, 4, 0);
}

/* Switches it on, as Linux does. */
static void start(uint32_t stage)
{
	put(WOR, stage);
	put(WOR_HIGH, 0);
	put(WCS, EN);
}

static void registers_are_those_of_revision_1(void **state)
{
	(void)state;
	assert_int_equal(get(IIDR) >> 16 & 0xf, 1);
	assert_int_equal(board_read(&board, REFRESH + IIDR, 4), get(IIDR));
	put(WOR, 0x89abcdef);
	put(WOR_HIGH, 0xffff4567);
	assert_int_equal(get(WOR), 0x89abcdef);
	assert_int_equal(get(WOR_HIGH), 0x4567);
	assert_int_equal(board_read(&board, BASE + WOR, 8), 0x456789abcdef);
	board_write(&board, BASE + WOR, 8, 0x123456789);
	assert_int_equal(get(WOR_HIGH), 1);
	assert_int_equal(get(WOR), 0x23456789);
	put(WCV, 5);
	put(WCV_HIGH, 6);
	assert_int_equal(board_read(&board, BASE + WCV, 8), 0x600000005);
	assert_int_equal(get(WCS), 0);
	put(WCS, 0xffffffff);
	assert_int_equal(get(WCS), EN); /* the stages are read-only */
	assert_int_equal(board_read(&board, REFRESH, 4), 0);
}

static void watchdog_expires_after_two_stages(void **state)
{
	(void)state;
	start(60 * MS);
	assert_string_equal(watchdog_stage(&watchdog), "counting");
	run_loop_for(&board.loop, 20);
	assert_int_equal(get(WCS), EN);
	assert_false(board_line(&board, LINE));
	run_loop_for(&board.loop, 60);
	assert_int_equal(get(WCS), EN | WS0);
	assert_true(board_line(&board, LINE));
	assert_int_equal(expired, 0);
	assert_string_equal(watchdog_stage(&watchdog), "signalled");
	run_loop_for(&board.loop, 100);
	assert_int_equal(get(WCS), EN | WS0 | WS1);
	assert_int_equal(expired, 1);
	assert_string_equal(watchdog_stage(&watchdog), "expired");
	run_loop_for(&board.loop, 100); /* once only */
	assert_int_equal(expired, 1);
	assert_true(board_line(&board, LINE));
}

/* It can expire a second time: --watchdog none leaves the guest running. */
static void refresh_ends_both_stages(void **state)
{
	(void)state;
	start(30 * MS);
	for (unsigned i = 0; i < 2; i++) {
		run_loop_for(&board.loop, 120);
		assert_int_equal(expired, i + 1);
		feed();
		assert_int_equal(get(WCS), EN);
		assert_false(board_line(&board, LINE));
	}
}

static void stage_begins_again_at_each_write(void **state)
{
	(void)state;
	start(150 * MS);
	for (unsigned i = 0; i < 12; i++) {
		run_loop_for(&board.loop, 40);
		assert_int_equal(get(WCS), EN);
		if (i % 3 == 0)
			feed();
		else
			put(i % 3 == 1 ? WOR : WCS, i % 3 == 1 ? 150 * MS : EN);
	}
	put(WCV, 0); /* not a feed: the stage ends now */
	put(WCV_HIGH, 0);
	run_loop_for(&board.loop, 20);
	assert_int_equal(get(WCS), EN | WS0);
}

static void counting_stops_when_it_is_off(void **state)
{
	(void)state;
	put(WOR, 10 * MS);
	run_loop_for(&board.loop, 50);
	assert_int_equal(get(WCS), 0);
	start(10 * MS);
	put(WCS, 0);
	run_loop_for(&board.loop, 50);
	assert_int_equal(get(WCS), 0);
	assert_int_equal(expired, 0);
}

static void compare_register_has_ticks_of_the_guests_counter(void **state)
{
	(void)state;
	watchdog_pause(&watchdog);
	watchdog_resume(&watchdog, 5000 * (uint64_t)MS);
	start(1000 * MS);
	assert_in_range(get(WCV), 6000 * MS, 6500 * MS);
}

static void counting_stops_when_the_machine_is_paused(void **state)
{
	uint64_t counter;

	(void)state;
	start(60 * MS);
	run_loop_for(&board.loop, 20);
	watchdog_pause(&watchdog);
	counter = watchdog.base;
	assert_in_range(counter, 15 * MS, 59 * MS);
	run_loop_for(&board.loop, 200);
	assert_int_equal(get(WCS), EN);
	watchdog_resume(&watchdog, counter);
	assert_int_equal(get(WCS), EN);
	run_loop_for(&board.loop, 300);
	assert_int_equal(get(WCS), EN | WS0 | WS1);
	assert_int_equal(expired, 1);
	watchdog_pause(&watchdog);
	watchdog_resume(&watchdog, counter + 1000 * MS); /* reported already */
	run_loop_for(&board.loop, 20);
	assert_int_equal(expired, 1);
}

/* Gives the state to a new watchdog, as a restore does. */
static void replace(const struct watchdog_state *saved)
{
	struct error error;

	watchdog_close(&watchdog);
	assert_int_equal(watchdog_open(&watchdog, &board.bus, &board.interrupts, &board.loop, &config, &error), 0);
	interrupts_reset_lines(&board.interrupts);
	watchdog.state = *saved;
	watchdog_restored(&watchdog);
}

static void restored_watchdog_expires_after_resume(void **state)
{
	const struct watchdog_state counting = { .offset = 50 * MS, .compare = 7000050, .control = EN };
	const struct watchdog_state signalled = { .offset = 50 * MS, .compare = 7000050, .control = EN | WS0 };
	const struct watchdog_state over = { .offset = 50 * MS, .compare = 7000000, .control = EN | WS0 | WS1 };

	(void)state;
	replace(&counting);
	assert_false(board_line(&board, LINE));
	run_loop_for(&board.loop, 150); /* paused after the restore */
	assert_int_equal(get(WCS), EN);
	watchdog_resume(&watchdog, 7000000);
	run_loop_for(&board.loop, 20);
	assert_int_equal(get(WCS), EN | WS0);
	assert_int_equal(expired, 0);
	run_loop_for(&board.loop, 150);
	assert_int_equal(expired, 1);

	replace(&signalled);
	assert_true(board_line(&board, LINE));
	watchdog_resume(&watchdog, 7000000);
	run_loop_for(&board.loop, 50);
	assert_int_equal(expired, 2);

	/* It expired just before the save, and nothing acted on it. */
	replace(&over);
	run_loop_for(&board.loop, 20);
	assert_int_equal(expired, 2);
	watchdog_resume(&watchdog, 7000000);
	run_loop_for(&board.loop, 20);
	assert_int_equal(expired, 3);
}

/* Bits that no guest can set, and the second stage of a watchdog that is off. */
static void restored_watchdog_drops_impossible_state(void **state)
{
	const struct watchdog_state off = { .offset = UINT64_MAX, .compare = 7000000, .control = 0xfe };
	const struct watchdog_state on = { .offset = 50 * MS, .compare = 8000000, .control = 0xf9 };

	(void)state;
	replace(&off);
	watchdog_resume(&watchdog, 7000000);
	run_loop_for(&board.loop, 20);
	assert_int_equal(get(WCS), 0);
	assert_int_equal(watchdog.state.offset, (1ull << 48) - 1);
	assert_false(board_line(&board, LINE));
	replace(&on);
	assert_int_equal(get(WCS), EN);
	assert_int_equal(expired, 0);
}

static void reset_disables_watchdog(void **state)
{
	(void)state;
	start(20 * MS);
	run_loop_for(&board.loop, 35);
	assert_true(board_line(&board, LINE));
	watchdog_pause(&watchdog);
	watchdog_reset(&watchdog);
	assert_false(board_line(&board, LINE));
	watchdog_resume(&watchdog, 0);
	run_loop_for(&board.loop, 100);
	assert_int_equal(get(WCS), 0);
	assert_int_equal(get(WOR), 0);
	assert_int_equal(get(WCV), 0);
	assert_int_equal(expired, 0);
}

static void open_leaves_nothing_when_it_fails(void **state)
{
	struct watchdog_config half = config;
	struct watchdog other;
	struct error error;
	unsigned before = count_open_fds();

	(void)state;
	assert_int_equal(watchdog_open(&other, &board.bus, &board.interrupts, &board.loop, &config, &error), -1);
	assert_int_equal(error.code, EEXIST);
	watchdog_close(&other);
	half.base = BASE - WATCHDOG_REFRESH; /* its second frame is this one's first */
	assert_int_equal(watchdog_open(&other, &board.bus, &board.interrupts, &board.loop, &half, &error), -1);
	assert_int_equal(board.bus.count, 2);
	assert_int_equal(count_open_fds(), before);
}

static void registers_withstand_random_accesses(void **state)
{
	(void)state;
	board_torture(&board, BASE, WATCHDOG_FRAME_SIZE);
	board_torture(&board, REFRESH, WATCHDOG_FRAME_SIZE);
	run_loop_for(&board.loop, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
		TEST(registers_are_those_of_revision_1),
		TEST(watchdog_expires_after_two_stages),
		TEST(refresh_ends_both_stages),
		TEST(stage_begins_again_at_each_write),
		TEST(counting_stops_when_it_is_off),
		TEST(compare_register_has_ticks_of_the_guests_counter),
		TEST(counting_stops_when_the_machine_is_paused),
		TEST(restored_watchdog_expires_after_resume),
		TEST(restored_watchdog_drops_impossible_state),
		TEST(reset_disables_watchdog),
		TEST(open_leaves_nothing_when_it_fails),
		TEST(registers_withstand_random_accesses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
