/* SPDX-License-Identifier: MIT */
/* hw/rtc.c: the time, the guest's offset, and the alarm. */
#include "unit/test.h"

#include <errno.h>
#include <time.h>

#include "unit/board.h"
#include "unit/open_fds.h"
#include "unit/run_loop.h"
#include "hw/rtc.h"

#define BASE 0x1010000u
#define LINE 1

enum { DR = 0x00, MR = 0x04, LR = 0x08, CR = 0x0c, IMSC = 0x10, RIS = 0x14, MIS = 0x18, ICR = 0x1c };

static struct board board;
static struct rtc rtc;

static int open_all(void **state)
{
	struct error error;

	(void)state;
	board_open(&board);
	assert_int_equal(rtc_open(&rtc, &board.bus, &board.interrupts, LINE, BASE, &board.loop, &error), 0);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	rtc_close(&rtc);
	rtc_close(&rtc);
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

static void rtc_has_identity_of_a_pl031(void **state)
{
	uint32_t id = 0;

	(void)state;
	for (unsigned i = 0; i < 4; i++) /* as drivers/amba/bus.c does */
		id |= get(0xfe0 + 4 * i) << (8 * i);
	assert_int_equal(id & 0xfffff, 0x41031);
	id = 0;
	for (unsigned i = 0; i < 4; i++)
		id |= get(0xff0 + 4 * i) << (8 * i);
	assert_int_equal(id, 0xb105f00d);
	assert_int_equal(get(CR), 1);
	put(CR, 0);
	assert_int_equal(get(CR), 1);
}

static void rtc_shows_time_of_the_host(void **state)
{
	uint32_t before = (uint32_t)time(NULL), shown = get(DR), after = (uint32_t)time(NULL);

	(void)state;
	assert_in_range(shown, before - 1, after + 1); /* time() may lag behind clock_gettime() by a tick */
}

static void rtc_continues_from_time_that_the_guest_sets(void **state)
{
	(void)state;
	put(LR, 1000);
	assert_int_equal(get(LR), 1000);
	assert_in_range(get(DR), 1000, 1001);
	put(LR, 0xffffffff);
	assert_true(get(DR) == 0xffffffff || get(DR) == 0);
	rtc_reset(&rtc);
	rtc_shows_time_of_the_host(state);
}

static void alarm_fires_at_its_second(void **state)
{
	(void)state;
	put(IMSC, 1);
	put(MR, get(DR) + 1);
	assert_int_equal(get(RIS), 0);
	for (unsigned i = 0; i < 200 && !board_line(&board, LINE); i++) {
		assert_true(get(DR) <= get(MR));
		run_loop_for(&board.loop, 10);
	}
	assert_true(board_line(&board, LINE));
	assert_int_equal(get(DR), get(MR));
	assert_int_equal(get(RIS), 1);
	assert_int_equal(get(MIS), 1);
	put(IMSC, 0);
	assert_false(board_line(&board, LINE));
	assert_int_equal(get(RIS), 1);
	assert_int_equal(get(MIS), 0);
	put(IMSC, 1);
	assert_true(board_line(&board, LINE));
	put(ICR, 1);
	assert_false(board_line(&board, LINE));
	assert_int_equal(get(RIS), 0);
	run_loop_for(&board.loop, 10); /* once only */
	assert_int_equal(get(RIS), 0);
}

/* The alarm fires at once if it matches the present. Setting the clock moves the alarm. */
static void alarm_follows_clock_of_the_guest(void **state)
{
	(void)state;
	put(MR, 5000);
	run_loop_for(&board.loop, 10);
	assert_int_equal(get(RIS), 0);
	put(LR, 5000);
	run_loop_for(&board.loop, 10);
	assert_int_equal(get(RIS), 1);
	assert_false(board_line(&board, LINE)); /* masked */
	put(ICR, 1);
	run_loop_for(&board.loop, 10);
	assert_int_equal(get(RIS), 0);
	put(LR, 5000); /* the match is reached again */
	run_loop_for(&board.loop, 10);
	assert_int_equal(get(RIS), 1);
	put(ICR, 1);
	put(MR, 4000); /* has passed: the next match is after 136 years */
	run_loop_for(&board.loop, 10);
	assert_int_equal(get(RIS), 0);
	put(MR, 5500);
	put(LR, 0xffffffff); /* past the match again */
	run_loop_for(&board.loop, 10);
	assert_int_equal(get(RIS), 0);
}

static void reset_cancels_the_alarm(void **state)
{
	(void)state;
	put(IMSC, 1);
	put(MR, get(DR));
	run_loop_for(&board.loop, 10);
	assert_true(board_line(&board, LINE));
	put(MR, get(DR) + 1);
	rtc_reset(&rtc);
	assert_false(board_line(&board, LINE));
	assert_int_equal(get(MR), 0);
	assert_int_equal(get(IMSC), 0);
	put(IMSC, 1);
	run_loop_for(&board.loop, 1300);
	assert_int_equal(get(RIS), 0);
}

static void rtc_works_without_alarm_when_there_is_no_loop(void **state)
{
	struct rtc other;
	struct error error;
	unsigned before = count_open_fds();

	(void)state;
	assert_int_equal(rtc_open(&other, &board.bus, &board.interrupts, LINE, BASE, &board.loop, &error), -1);
	assert_int_equal(error.code, EEXIST);
	rtc_close(&other);
	assert_int_equal(rtc_open(&other, &board.bus, &board.interrupts, LINE, 0x8000, NULL, &error), 0);
	board_write(&board, 0x8000 + MR, 4, 5);
	board_write(&board, 0x8000 + LR, 4, 5);
	assert_in_range(board_read(&board, 0x8000 + DR, 4), 5, 6);
	rtc_reset(&other);
	rtc_close(&other);
	assert_int_equal(count_open_fds(), before);
}

static void rtc_survives_hostile_guest(void **state)
{
	(void)state;
	board_torture(&board, BASE, RTC_SIZE);
	run_loop_for(&board.loop, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
		TEST(rtc_has_identity_of_a_pl031),
		TEST(rtc_shows_time_of_the_host),
		TEST(rtc_continues_from_time_that_the_guest_sets),
		TEST(alarm_fires_at_its_second),
		TEST(alarm_follows_clock_of_the_guest),
		TEST(reset_cancels_the_alarm),
		TEST(rtc_works_without_alarm_when_there_is_no_loop),
		TEST(rtc_survives_hostile_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
