/* SPDX-License-Identifier: MIT */
/* util/worker.c: a paused worker runs nothing, a kick is never lost, and closing always ends. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/worker.h"

struct fixture {
	struct worker worker;
	atomic_uint runs;
	atomic_bool inside;
	atomic_uint linger; /* nanoseconds that `work` takes */
	atomic_bool eat;    /* `work` reads the watched descriptor */
	char name[16];
	sigset_t blocked;
};

static void sleep_ns(long ns)
{
	const struct timespec time = { .tv_nsec = ns };

	nanosleep(&time, NULL);
}

static void work(void *owner)
{
	struct fixture *f = owner;
	eventfd_t count;

	atomic_store(&f->inside, true);
	pthread_getname_np(pthread_self(), f->name, sizeof(f->name));
	pthread_sigmask(SIG_SETMASK, NULL, &f->blocked);
	if (atomic_load(&f->linger))
		sleep_ns(atomic_load(&f->linger));
	if (atomic_load(&f->eat))
		eventfd_read(f->worker.watch_fd, &count);
	atomic_fetch_add(&f->runs, 1);
	atomic_store(&f->inside, false);
}

static bool reaches(struct fixture *f, unsigned runs)
{
	for (unsigned i = 0; i < 50000 && atomic_load(&f->runs) < runs; i++)
		sleep_ns(100000);
	return atomic_load(&f->runs) >= runs;
}

/* Waits long enough to detect a thread that runs wrongly. Returns the number of runs. */
static unsigned runs_after_a_while(struct fixture *f)
{
	sleep_ns(20000000);
	return atomic_load(&f->runs);
}

static int setup(void **state)
{
	static struct fixture f;
	struct error error;

	memset(&f, 0, sizeof(f));
	assert_int_equal(worker_open(&f.worker, &error), 0);
	f.worker.work = work;
	f.worker.owner = &f;
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	worker_close(&f->worker);
	worker_close(&f->worker); /* may be called twice */
	return 0;
}

static void start(struct fixture *f, bool paused)
{
	struct error error;

	assert_int_equal(worker_start(&f->worker, "fifteen-letters", paused, &error), 0);
}

static void worker_ignores_calls_before_it_starts(void **state)
{
	struct fixture *f = *state;

	worker_kick(&f->worker);
	worker_pause(&f->worker);
	worker_pause(&f->worker);
	worker_resume(&f->worker);
	assert_int_equal(atomic_load(&f->runs), 0);
}

static void worker_runs_after_each_kick(void **state)
{
	struct fixture *f = *state;
	sigset_t mine;

	start(f, false);
	assert_true(reaches(f, 1));
	for (unsigned i = 2; i < 100; i++) {
		unsigned before = atomic_load(&f->runs);

		worker_kick(&f->worker);
		assert_true(reaches(f, before + 1));
	}
	worker_pause(&f->worker);
	assert_string_equal(f->name, "fifteen-letters");
	assert_true(sigismember(&f->blocked, SIGINT) && sigismember(&f->blocked, SIGUSR1));
	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	assert_false(sigismember(&mine, SIGINT)); /* this thread's signals are not changed */
}

static void worker_sleeps_when_it_is_idle(void **state)
{
	struct fixture *f = *state;
	unsigned runs;

	start(f, false);
	assert_true(reaches(f, 1));
	runs = atomic_load(&f->runs);
	assert_int_equal(runs_after_a_while(f), runs);
}

static void worker_runs_nothing_when_it_starts_paused(void **state)
{
	struct fixture *f = *state;

	start(f, true);
	worker_kick(&f->worker);
	assert_int_equal(runs_after_a_while(f), 0);
	assert_true(worker_is_wanted(&f->worker));
	worker_resume(&f->worker);
	assert_false(worker_is_wanted(&f->worker));
	assert_true(reaches(f, 1));
}

static void pause_waits_for_the_end_of_a_run(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->linger, 5000000);
	start(f, false);
	for (unsigned i = 0; i < 20; i++) {
		unsigned runs;

		worker_kick(&f->worker);
		sleep_ns(i * 500000);
		worker_pause(&f->worker);
		worker_pause(&f->worker); /* no error, no effect */
		assert_false(atomic_load(&f->inside));
		runs = atomic_load(&f->runs);
		worker_kick(&f->worker);
		if (i == 0)
			assert_int_equal(runs_after_a_while(f), runs);
		assert_int_equal(atomic_load(&f->runs), runs);
		worker_resume(&f->worker);
		assert_true(reaches(f, runs + 1)); /* resuming runs it at least once */
	}
}

/* Resuming runs it without a kick, as requests may have arrived and been signalled before the pause. */
static void resume_runs_the_worker_once(void **state)
{
	struct fixture *f = *state;
	unsigned runs;

	start(f, true);
	worker_resume(&f->worker);
	assert_true(reaches(f, 1));
	worker_pause(&f->worker);
	runs = atomic_load(&f->runs);
	worker_resume(&f->worker);
	assert_true(reaches(f, runs + 1));
}

static void worker_is_idle_in_each_of_many_short_pauses(void **state)
{
	struct fixture *f = *state;

	start(f, false);
	for (unsigned i = 0; i < 2000; i++) {
		worker_pause(&f->worker);
		assert_false(atomic_load(&f->inside));
		worker_resume(&f->worker);
	}
}

static void worker_runs_when_its_watched_descriptor_is_readable(void **state)
{
	struct fixture *f = *state;
	unsigned runs;

	f->worker.watch_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	start(f, true);
	atomic_store(&f->eat, true);
	worker_resume(&f->worker);
	assert_true(reaches(f, 1));
	runs = runs_after_a_while(f);
	eventfd_write(f->worker.watch_fd, 1);
	assert_int_equal(runs_after_a_while(f), runs); /* watching is off at first */

	worker_pause(&f->worker);
	worker_watch(&f->worker, true);
	worker_resume(&f->worker);
	runs = runs_after_a_while(f);
	eventfd_write(f->worker.watch_fd, 1);
	assert_true(reaches(f, runs + 1));
	runs = runs_after_a_while(f);
	worker_kick(&f->worker); /* kicks still work */
	assert_true(reaches(f, runs + 1));
	runs = runs_after_a_while(f);
	assert_int_equal(runs_after_a_while(f), runs); /* kicks are consumed */

	worker_pause(&f->worker);
	worker_watch(&f->worker, false);
	worker_resume(&f->worker);
	runs = runs_after_a_while(f);
	eventfd_write(f->worker.watch_fd, 1);
	assert_int_equal(runs_after_a_while(f), runs);
	close(f->worker.watch_fd);
}

static void worker_closes_while_paused(void **state)
{
	struct fixture *f = *state;

	start(f, true);
	worker_pause(&f->worker);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(worker_ignores_calls_before_it_starts),
		TEST(worker_runs_after_each_kick),
		TEST(worker_sleeps_when_it_is_idle),
		TEST(worker_runs_nothing_when_it_starts_paused),
		TEST(pause_waits_for_the_end_of_a_run),
		TEST(resume_runs_the_worker_once),
		TEST(worker_is_idle_in_each_of_many_short_pauses),
		TEST(worker_runs_when_its_watched_descriptor_is_readable),
		TEST(worker_closes_while_paused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
