/* SPDX-License-Identifier: MIT */
/* save/job.c alone: its result when a step or a thread fails, in each order of the threads. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/machine.h"
#include "save/job.h"
#include "snapshot/snapshot.h"
#include "util/bits.h"
#include "util/thread.h"

#define ATTEMPTS 300

struct attempt {
	struct loop loop;
	struct machine machine;
	struct save_job job;
	unsigned threads;     /* number of started threads */
	unsigned last_thread; /* number of threads that can be started; 0: no limit */
	bool starts_late;     /* thread_create() returns after the end of the thread */
	bool runs_late;       /* the thread begins some time after thread_create() */
	void *(*run)(void *argument);
	sem_t ended;
	bool sync_fails;      /* machine_sync_disks() */
	atomic_uint syncs;    /* its calls */
	unsigned settled, done;
	bool overlays;       /* the save switches to new overlays */
	unsigned created, switched, removed;
	bool left;           /* the overlays' files existed at the end of the save */
	bool switched_late;  /* the switch came when the machine might already run */
	int result; /* of the save */
	char text[sizeof(((struct error *)NULL)->text)];
};

static struct attempt *attempt;

static void *attempt_thread(void *argument)
{
	void *result;

	if (attempt->runs_late)
		usleep(1000);
	result = attempt->run(argument);
	sem_post(&attempt->ended);
	return result;
}

/* Replaces util/thread.c. */
int thread_create(pthread_t *thread, void *(*run)(void *argument), void *argument)
{
	int result;

	if (attempt->last_thread && attempt->threads == attempt->last_thread)
		return EAGAIN;
	attempt->threads++;
	attempt->run = run;
	sem_init(&attempt->ended, 0, 0);
	result = pthread_create(thread, NULL, attempt_thread, argument);
	while (attempt->starts_late && result == 0 && sem_wait(&attempt->ended) < 0)
		;
	return result;
}

/* Replaces machine/state.c. */
int machine_save(struct machine *machine, bool force, struct section_writer *writer, struct error *error)
{
	(void)machine;
	(void)force;
	(void)error;
	section_begin(writer, "machine", 1, SECTION_MANDATORY);
	section_end(writer);
	return 0;
}

int machine_save_without_device_data(struct machine *machine, struct section_writer *writer, struct error *error)
{
	return machine_save(machine, false, writer, error);
}

void machine_read_disks_ahead(struct machine *machine)
{
	(void)machine;
}

int machine_sync_disks(struct machine *machine, struct error *error)
{
	(void)machine;
	attempt->syncs++;
	return attempt->sync_fails ? error_set(error, EIO, "disk d cannot be flushed") : 0;
}

void machine_defer_interrupts(struct machine *machine)
{
	(void)machine;
}

/* Replaces machine/overlays.c. */
void machine_overlays_open(struct machine_overlays *overlays, int folder_fd)
{
	*overlays = (struct machine_overlays){ .folder_fd = folder_fd };
}

int machine_overlays_create(const struct machine *machine, struct machine_overlays *overlays, struct error *error)
{
	(void)machine;
	(void)error;
	attempt->created += overlays->folder_fd >= 0;
	return 0;
}

void machine_overlays_switch(struct machine *machine, struct machine_overlays *overlays)
{
	attempt->switched_late |= machine->running || attempt->settled;
	attempt->switched += overlays->folder_fd >= 0;
	overlays->switched |= overlays->folder_fd >= 0;
}

void machine_overlays_close(const struct machine *machine, struct machine_overlays *overlays)
{
	(void)machine;
	if (overlays->folder_fd < 0)
		return;
	attempt->removed += !overlays->switched;
	close(overlays->folder_fd);
	overlays->folder_fd = -1;
}

static void save_ended(int result, const struct error *error)
{
	attempt->done++;
	attempt->left = attempt->overlays && !attempt->removed && !attempt->switched;
	attempt->result = result;
	if (result < 0)
		strcpy(attempt->text, error->text);
	loop_stop(&attempt->loop);
}

static void attempt_copied(void *owner)
{
	struct error error;

	machine_pause(&attempt->machine);
	save_job_enter(owner, SAVE_PAUSED);
	if (save_job_finish(owner, &error) < 0)
		save_ended(-1, &error);
}

static void attempt_settled(void *owner)
{
	(void)owner;
	attempt->settled++;
	machine_resume(&attempt->machine);
}

static void attempt_done(void *owner)
{
	const struct save_job *job = owner;

	save_ended(job->result, &job->error);
}

static int set_up(void **state)
{
	const struct machine_config config = { .cpus = 1, .memory = 1 << 20 };
	struct error error;

	(void)state;
	attempt = calloc(1, sizeof(*attempt));
	if (!attempt)
		return -1;
	loop_open(&attempt->loop);
	if (machine_open(&attempt->machine, &config, &attempt->loop, NULL, &error) < 0)
		return -1;
	return ram_open(&attempt->machine.vm.ram, 0x80000000, 1 << 20, &error);
}

static int tear_down(void **state)
{
	(void)state;
	ram_close(&attempt->machine.vm.ram);
	machine_close(&attempt->machine);
	free(attempt);
	return 0;
}

/* Saves a running machine to an unnamed file. */
static void save(enum save_way way)
{
	struct save_request request = { .fd = memfd_create("snapshot", MFD_CLOEXEC), .base_fd = -1, .folder_fd = -1, .way = way };
	struct save_job *job = &attempt->job;
	struct error error;

	request.overlays = attempt->overlays;
	if (request.overlays)
		request.folder_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	attempt->threads = attempt->settled = attempt->done = 0;
	attempt->created = attempt->switched = attempt->removed = 0;
	attempt->machine.running = true;
	*job = (struct save_job){
		.copied = attempt_copied, .paused_part_done = attempt_settled, .done = attempt_done, .owner = job,
	};
	assert_int_equal(save_job_open(job, &attempt->machine, &request, &attempt->loop, &error), 0);
	assert_int_equal(save_job_copy(job, &error), 0);
	loop_run(&attempt->loop);
	assert_int_equal(attempt->done, 1);
	assert_int_equal(job->done_fd, -1);
}

static void save_fails(enum save_way way, const char *text)
{
	save(way);
	assert_int_equal(attempt->result, -1);
	assert_non_null(strstr(attempt->text, text));
}

static bool has_point_in_time(void)
{
	struct save_request request = { .fd = memfd_create("snapshot", MFD_CLOEXEC), .base_fd = -1, .way = SAVE_POINT_IN_TIME };
	struct error error;

	attempt->machine.running = true;
	if (save_job_open(&attempt->job, &attempt->machine, &request, &attempt->loop, &error) < 0)
		return false;
	save_job_close(&attempt->job);
	return true;
}

/* The thread may have ended before the function that starts it returns. */
static void save_fails_each_time_when_a_step_fails(void **state)
{
	static const char *const steps[] = { "save/copy", "save/ram", "save/sections", "save/commit" };

	(void)state;
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		const char *step = steps[i % COUNT(steps)];

		attempt->machine.config.fault = step;
		attempt->starts_late = i & 4;
		save_fails(SAVE_PLAIN, step + strlen("save/"));
	}
	attempt->machine.config.fault = NULL;
	save(SAVE_PLAIN);
	assert_int_equal(attempt->result, 0);
}

static void point_in_time_save_fails_each_time_when_a_step_fails(void **state)
{
	static const char *const steps[] = { "save/take", "save/sections", "save/commit" };

	(void)state;
	if (!has_point_in_time())
		skip();
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		const char *step = steps[i % COUNT(steps)];

		attempt->machine.config.fault = step;
		save_fails(SAVE_POINT_IN_TIME, step + strlen("save/"));
	}
	attempt->machine.config.fault = NULL;
	save(SAVE_POINT_IN_TIME);
	assert_int_equal(attempt->result, 0);
}

static void save_fails_when_a_disk_cannot_be_flushed(void **state)
{
	(void)state;
	attempt->sync_fails = true;
	save_fails(SAVE_PLAIN, "disk d cannot be flushed");
	if (has_point_in_time())
		save_fails(SAVE_POINT_IN_TIME, "disk d cannot be flushed");
}

/* As if lkvm ended right after a request to save: the thread has not begun, and must not write a valid end of a file. */
static void save_ends_without_a_snapshot_when_closed_at_once(void **state)
{
	(void)state;
	attempt->runs_late = true;
	for (unsigned i = 0; i < ATTEMPTS; i++) {
		struct save_request request = { .fd = memfd_create("snapshot", MFD_CLOEXEC), .base_fd = -1, .folder_fd = -1 };
		struct save_job *job = &attempt->job;
		struct error error;

		attempt->machine.running = true;
		*job = (struct save_job){
			.copied = attempt_copied, .paused_part_done = attempt_settled, .done = attempt_done, .owner = job,
		};
		assert_int_equal(save_job_open(job, &attempt->machine, &request, &attempt->loop, &error), 0);
		assert_int_equal(save_job_copy(job, &error), 0);
		save_job_close(job);
		assert_int_equal(attempt->syncs, 0);
	}
}

/* The machine has resumed before that. */
static void save_fails_when_its_last_thread_cannot_start(void **state)
{
	(void)state;
	attempt->last_thread = 2;
	save_fails(SAVE_PLAIN, "a thread to save RAM: Resource temporarily unavailable");
	assert_int_equal(attempt->settled, 1);
	assert_true(attempt->machine.running);
	attempt->last_thread = 1;
	save_fails(SAVE_PLAIN, "a thread to save RAM: Resource temporarily unavailable");
	assert_int_equal(attempt->settled, 0);
}

static void expect_overlays(bool switched)
{
	assert_int_equal(attempt->created, 1);
	assert_int_equal(attempt->switched, switched);
	assert_int_equal(attempt->removed, !switched);
	assert_int_equal(attempt->job.overlays.switched, switched);
	assert_false(attempt->switched_late || attempt->left);
}

/* After a failure before the guest resumes, it keeps its disks. After a later failure it keeps the overlays. */
static void save_switches_to_overlays_only_when_guest_goes_on(void **state)
{
	static const struct {
		const char *step;
		bool switched[2]; /* in a plain save, in a point-in-time save */
	} cases[] = {
		{ "save/copy", { false, false } }, { "save/ram", { false, false } }, { "save/take", { false, true } },
		{ "save/sections", { true, true } }, { "save/commit", { true, true } },
	};
	enum save_way ways[] = { SAVE_PLAIN, SAVE_POINT_IN_TIME };

	(void)state;
	attempt->overlays = true;
	for (unsigned way = 0; way < (has_point_in_time() ? 2u : 1u); way++) {
		attempt->machine.config.fault = NULL;
		save(ways[way]);
		assert_int_equal(attempt->result, 0);
		expect_overlays(true);
		for (size_t i = 0; i < COUNT(cases); i++) {
			attempt->machine.config.fault = cases[i].step;
			save(ways[way]);
			if (attempt->result < 0)
				expect_overlays(cases[i].switched[way]);
		}
		attempt->machine.config.fault = NULL;
		attempt->sync_fails = true;
		save_fails(ways[way], "disk d cannot be flushed");
		expect_overlays(true);
		attempt->sync_fails = false;
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static bool may_enter(enum save_phase from, enum save_phase to)
{
	struct rlimit none = { 0 };
	struct save_job job = { .phase = from };
	pid_t child = fork();
	int status;

	if (child == 0) {
		setrlimit(RLIMIT_CORE, &none);
		close(STDERR_FILENO);
		signal(SIGABRT, SIG_DFL);
		save_job_enter(&job, to);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(status == 0 || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
	return status == 0;
}

static void phase_asserts_when_another_cannot_follow(void **state)
{
	/* Each line: from, and what may follow. */
	static const char *const lines[] = { "01110", "10110", "10110", "10001", "10000" };

	(void)state;
	for (unsigned from = 0; from < COUNT(lines); from++)
		for (unsigned to = 0; to < COUNT(lines); to++)
			assert_int_equal(may_enter(from, to), lines[from][to] == '1');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(save_fails_each_time_when_a_step_fails),
		TEST(point_in_time_save_fails_each_time_when_a_step_fails),
		TEST(save_fails_when_a_disk_cannot_be_flushed),
		TEST(save_ends_without_a_snapshot_when_closed_at_once),
		TEST(save_fails_when_its_last_thread_cannot_start),
		TEST(save_switches_to_overlays_only_when_guest_goes_on),
		cmocka_unit_test(phase_asserts_when_another_cannot_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
