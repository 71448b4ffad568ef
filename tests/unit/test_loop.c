/* SPDX-License-Identifier: MIT */
/* util/loop.c: serves ready descriptors once, and does not serve descriptors that were removed meanwhile. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include "unit/run_loop.h"
#include "util/io.h"

struct seen {
	struct loop *loop;
	unsigned calls;
	int fd;
	uint32_t events;
	int other; /* a descriptor that the callback changes */
};

static void count_and_rest(void *owner, int fd, uint32_t events)
{
	struct seen *seen = owner;

	seen->calls++;
	seen->fd = fd;
	seen->events = events;
	loop_change(seen->loop, fd, 0);
}

static int ready_event(void)
{
	struct error error;
	int fd = event_open(&error);

	event_raise(fd);
	return fd;
}

static void loop_serves_ready_watches(void **state)
{
	struct loop loop;
	struct seen readable = { .loop = &loop }, quiet = { .loop = &loop }, resting = { .loop = &loop };
	struct seen hung_up = { .loop = &loop };
	struct error error;
	int a = ready_event(), b = event_open(&error), c = ready_event();
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	close(fds[1]);
	loop_open(&loop);
	assert_int_equal(loop_add(&loop, a, POLLIN | POLLOUT, count_and_rest, &readable, &error), 0);
	assert_int_equal(loop_add(&loop, b, POLLIN, count_and_rest, &quiet, &error), 0);
	assert_int_equal(loop_add(&loop, c, 0, count_and_rest, &resting, &error), 0);
	assert_int_equal(loop_add(&loop, fds[0], POLLIN, count_and_rest, &hung_up, &error), 0);
	run_loop_for(&loop, 5);
	assert_int_equal(readable.calls, 1);
	assert_int_equal(readable.fd, a);
	assert_int_equal(readable.events, POLLIN | POLLOUT);
	assert_int_equal(quiet.calls, 0);
	assert_int_equal(resting.calls, 0);
	assert_int_equal(hung_up.events, POLLHUP);

	/* A hung-up descriptor without requested events is not served, as it would be served for ever. */
	assert_int_equal(hung_up.calls, 1);
	run_loop_for(&loop, 5);
	assert_int_equal(hung_up.calls, 1);

	loop_change(&loop, c, POLLIN);
	run_loop_for(&loop, 5);
	assert_int_equal(resting.calls, 1);
	close(a);
	close(b);
	close(c);
	close(fds[0]);
}

static void remove_other(void *owner, int fd, uint32_t events)
{
	struct seen *seen = owner;

	count_and_rest(owner, fd, events);
	loop_remove(seen->loop, seen->other);
}

/* Both are ready at once. The first one that is served removes the other. */
static void loop_skips_watch_that_was_removed(void **state)
{
	struct loop loop;
	int a = ready_event(), b = ready_event();
	struct seen first = { .loop = &loop, .other = b }, second = { .loop = &loop, .other = a };
	struct error error;

	(void)state;
	loop_open(&loop);
	loop_add(&loop, a, POLLIN, remove_other, &first, &error);
	loop_add(&loop, b, POLLIN, remove_other, &second, &error);
	run_loop_for(&loop, 5);
	assert_int_equal(first.calls + second.calls, 1);
	close(a);
	close(b);
}

/* Closes the other descriptor. A new one that is not ready gets its number and its place. */
static void replace_other(void *owner, int fd, uint32_t events)
{
	struct seen *seen = owner;
	struct error error;
	int quiet;

	count_and_rest(owner, fd, events);
	loop_remove(seen->loop, seen->other);
	close(seen->other);
	quiet = event_open(&error);
	assert_int_equal(quiet, seen->other);
	assert_int_equal(loop_add(seen->loop, quiet, POLLIN, count_and_rest, seen, &error), 0);
}

static void watch_gets_no_event_of_the_one_that_it_replaced(void **state)
{
	struct loop loop;
	int a = ready_event(), b = ready_event();
	struct seen seen = { .loop = &loop, .other = b };
	struct error error;

	(void)state;
	loop_open(&loop);
	loop_add(&loop, a, POLLIN, replace_other, &seen, &error);
	loop_add(&loop, b, POLLIN, count_and_rest, &seen, &error);
	run_loop_for(&loop, 5);
	assert_int_equal(seen.calls, 1);
	event_raise(b);
	run_loop_for(&loop, 5);
	assert_int_equal(seen.calls, 2);
	close(a);
	close(b);
}

static void rest_other(void *owner, int fd, uint32_t events)
{
	struct seen *seen = owner;

	count_and_rest(owner, fd, events);
	loop_change(seen->loop, seen->other, 0);
}

static int hung_up_pipe(void)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	close(fds[1]);
	return fds[0];
}

static void loop_skips_watch_without_events(void **state)
{
	struct loop loop;
	int a = hung_up_pipe(), b = hung_up_pipe();
	struct seen first = { .loop = &loop, .other = b }, second = { .loop = &loop, .other = a };
	struct error error;
	clock_t start;

	(void)state;
	loop_open(&loop);
	loop_add(&loop, a, POLLIN, rest_other, &first, &error);
	loop_add(&loop, b, POLLIN, rest_other, &second, &error);
	run_loop_for(&loop, 5);
	assert_int_equal(first.calls + second.calls, 1);

	/* It is not polled either, as a hang-up would wake the loop for ever. */
	start = clock();
	run_loop_for(&loop, 100);
	assert_true(clock() - start < CLOCKS_PER_SEC / 50);
	close(a);
	close(b);
}

static void remove_itself_and_stop(void *owner, int fd, uint32_t events)
{
	struct seen *seen = owner;

	count_and_rest(owner, fd, events);
	loop_remove(seen->loop, fd);
	loop_stop(seen->loop);
}

static void loop_serves_nothing_after_it_is_stopped(void **state)
{
	struct loop loop;
	struct seen seen = { .loop = &loop };
	int a = ready_event(), b = ready_event();
	struct error error;

	(void)state;
	loop_open(&loop);
	loop_add(&loop, a, POLLIN, remove_itself_and_stop, &seen, &error);
	loop_add(&loop, b, POLLIN, remove_itself_and_stop, &seen, &error);
	loop_run(&loop);
	assert_int_equal(seen.calls, 1);
	loop_run(&loop);
	assert_int_equal(seen.calls, 2);
	loop_stop(&loop); /* before it runs */
	loop_run(&loop);
	close(a);
	close(b);
}

static void loop_add_fails_when_the_loop_is_full(void **state)
{
	struct loop loop;
	struct error error;
	struct seen seen = { .loop = &loop };
	int fd = 1000;

	(void)state;
	loop_open(&loop);
	assert_int_equal(loop_add(&loop, -1, POLLIN, count_and_rest, &seen, &error), -1);
	assert_int_equal(error.code, EBADF);
	for (; fd < 1000 + LOOP_MAX_WATCHES; fd++)
		assert_int_equal(loop_add(&loop, fd, 0, count_and_rest, &seen, &error), 0);
	assert_int_equal(loop_add(&loop, 1000, 0, count_and_rest, &seen, &error), -1);
	assert_int_equal(error.code, EEXIST);
	assert_int_equal(loop_add(&loop, fd, 0, count_and_rest, &seen, &error), -1);
	assert_int_equal(error.code, ENOSPC);
	loop_remove(&loop, -1);
	loop_remove(&loop, 999);
	loop_change(&loop, -1, POLLIN);
	assert_int_equal(loop_add(&loop, fd, 0, count_and_rest, &seen, &error), -1);
	loop_remove(&loop, 1000);
	assert_int_equal(loop_add(&loop, fd, 0, count_and_rest, &seen, &error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loop_serves_ready_watches),
		cmocka_unit_test(loop_skips_watch_that_was_removed),
		cmocka_unit_test(watch_gets_no_event_of_the_one_that_it_replaced),
		cmocka_unit_test(loop_skips_watch_without_events),
		cmocka_unit_test(loop_serves_nothing_after_it_is_stopped),
		cmocka_unit_test(loop_add_fails_when_the_loop_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
