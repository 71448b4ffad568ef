/* SPDX-License-Identifier: MIT */
/* The working set of a restored machine: recording it, the reasons for having none, and prefaulting it. */
#include "unit/crafted.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "../../machine/ram_private.h"
#include "unit/blind.h"
#include "snapshot/working_set.h"
#include "unit/run_loop.h"

#define CHUNK FORMAT_RAM_CHUNK
#define RAM_SIZE (256ull * CHUNK)
#define BITS (RAM_SIZE / CHUNK / 8)

static char path[] = "/tmp/lkvm-working-set-XXXXXX";
static uint8_t *model;
static struct snapshot snapshot;
static struct machine *machine;
static struct loop loop;
static atomic_bool held; /* the pager does not read ahead */
static atomic_bool was_touched[RAM_SIZE / CHUNK], was_read[RAM_SIZE / CHUNK]; /* ahead */
static atomic_uint reads;
static _Atomic uint64_t first_reads[3];

/* Only the threads that read ahead call setpriority(). The priority itself is no criterion: nice(1) gives it to all. */
static _Thread_local bool reads_ahead;

int setpriority(__priority_which_t which, id_t thread, int priority)
{
	reads_ahead = true;
	return (int)syscall(SYS_setpriority, which, thread, priority);
}

static void note_ahead(atomic_bool *chunks, uint64_t at, uint64_t size)
{
	for (uint64_t chunk = at / CHUNK; chunk < (at + size) / CHUNK && chunk < RAM_SIZE / CHUNK; chunk++)
		atomic_store(&chunks[chunk], true);
}

ssize_t pread(int fd, void *to, size_t size, off_t at)
{
	ssize_t (*real)(int, void *, size_t, off_t);

	while (atomic_load(&held) && reads_ahead)
		usleep(1000);
	if (reads_ahead && fd == snapshot.fd)
		note_ahead(was_read, (uint64_t)at - FORMAT_RAM_ALIGNMENT, size);
	if (reads_ahead && atomic_load(&reads) < 3)
		first_reads[atomic_fetch_add(&reads, 1)] = (uint64_t)at;
	*(void **)&real = dlsym(RTLD_NEXT, "pread");
	return real(fd, to, size, at);
}

int madvise(void *at, size_t size, int advice)
{
	int (*real)(void *, size_t, int);

	if (reads_ahead && advice == MADV_POPULATE_READ)
		note_ahead(was_touched, (uint64_t)((uint8_t *)at - machine->prefault.ram.host), size);
	*(void **)&real = dlsym(RTLD_NEXT, "madvise");
	return real(at, size, advice);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(path + strlen(path) - 6, "XXXXXX");
	close(mkstemp(path));
	model = malloc(RAM_SIZE);
	for (uint64_t at = 0; at < RAM_SIZE; at++)
		model[at] = (uint8_t)(at / FORMAT_RAM_PAGE * 31 + at * at / 64 + 1);
	machine = calloc(1, sizeof(*machine));
	machine->pager.done_fd = -1;
	machine->snapshot_watch.fd = -1;
	loop_open(&loop);
	machine->loop = &loop;
	snapshot.fd = -1;
	blind = false;
	memset(was_touched, 0, sizeof(was_touched));
	memset(was_read, 0, sizeof(was_read));
	atomic_store(&held, false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	machine_ram_close(machine);
	ram_close(&machine->vm.ram);
	if (snapshot.fd >= 0)
		snapshot_close(&snapshot);
	free(machine);
	free(model);
	return unlink(path);
}

/* Writes a snapshot with this working set, or without one. */
static void make(const uint8_t *chunks, uint64_t frame)
{
	struct crafted file = { .path = path, .ram = model, .size = RAM_SIZE, .frame = frame };
	struct section_writer writer = { 0 };
	struct error error;

	if (chunks)
		working_set_save(chunks, RAM_SIZE, &writer);
	file.more = writer.buffer;
	crafted_write(&file, 1);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
}

/* Opens RAM as a restore does. */
static void open_machine(const struct machine_config *config)
{
	struct error error;

	machine->config = *config;
	machine->config.snapshot = &snapshot;
	machine->config.memory = RAM_SIZE;
	if (machine_ram_open(machine, &machine->vm.ram, &error) < 0)
		fail_msg("%s", error.text);
}

static bool is_set(const uint8_t *chunks, uint64_t chunk)
{
	return chunks[chunk / 8] >> chunk % 8 & 1;
}

static void touch(uint64_t chunk)
{
	const volatile uint8_t *page = machine->vm.ram.host + chunk * CHUNK + 5 * FORMAT_RAM_PAGE;

	assert_int_equal(*page, model[chunk * CHUNK + 5 * FORMAT_RAM_PAGE]);
}

static void assert_reason(const char *text)
{
	struct error error;

	assert_int_equal(machine_working_set_check(machine, &error), -1);
	if (!strstr(error.text, text))
		fail_msg("no \"%s\" in: %s", text, error.text);
}

static void working_set_is_recorded_in_the_first_second(void **state)
{
	struct section_writer writer = { 0 };
	struct error error;

	(void)state;
	make(NULL, 0);
	open_machine(&(struct machine_config){ 0 });
	assert_reason("in the first second after it resumes: save it later");
	machine_working_set_resume(machine);
	touch(200);
	run_loop_for(&loop, 300);
	assert_reason("in the first second after it resumes: save it later");
	machine_working_set_resume(machine); /* again, after a pause */
	run_loop_for(&loop, 1000);
	touch(3);
	run_loop_for(&loop, 10);
	assert_int_equal(machine_working_set_check(machine, &error), 0);
	machine_working_set_invalidate(machine);
	machine_working_set_resume(machine);
	assert_int_equal(machine_working_set_check(machine, &error), 0);
	assert_true(is_set(machine->working_set.chunks, 200));
	assert_false(is_set(machine->working_set.chunks, 3));
	machine_working_set_save(machine, &writer);
	snapshot_close(&snapshot);
	ram_close(&machine->vm.ram);

	struct crafted file = { .path = path, .ram = model, .size = RAM_SIZE, .more = writer.buffer };

	crafted_write(&file, 2);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_memory_equal(snapshot.working_set.values, machine->working_set.chunks, BITS);
}

/* In compressed RAM, only chunks that a thread waited for are recorded, not chunks that were read ahead. */
static void working_set_has_only_chunks_that_threads_waited_for(void **state)
{
	struct error error;

	(void)state;
	make(NULL, FORMAT_RAM_FRAME);
	atomic_store(&held, true);
	open_machine(&(struct machine_config){ 0 });
	if (!pager_is_open(&machine->pager))
		skip();
	machine_working_set_resume(machine);
	touch(7);
	machine->vm.ram.host[99 * CHUNK + 5] = 1;
	atomic_store(&held, false);
	assert_int_equal(poll(&(struct pollfd){ .fd = machine->pager.done_fd, .events = POLLIN }, 1, 20000), 1);
	touch(50);
	machine_working_set_finish(machine); /* as the lifecycle does when loading ends */
	assert_int_equal(machine_working_set_check(machine, &error), 0);
	for (uint64_t chunk = 0; chunk < RAM_SIZE / CHUNK; chunk++)
		assert_int_equal(is_set(machine->working_set.chunks, chunk), chunk == 7 || chunk == 99);
}

static void working_set_check_gives_reason_when_there_is_none(void **state)
{
	struct machine_config config = { .eager = true };
	uint8_t chunks[BITS] = { 1 };

	(void)state;
	assert_reason("it was not restored");
	make(chunks, 0);
	open_machine(&config);
	assert_reason("with all of its memory loaded first");
	machine_working_set_resume(machine);
	machine_ram_close(machine);
	ram_close(&machine->vm.ram);

	open_machine(&(struct machine_config){
		.prefault_count = 1, .prefault = { { CRAFTED_BASE + 9 * CHUNK, CRAFTED_BASE + 10 * CHUNK } },
	});
	machine_working_set_resume(machine);
	assert_reason("restore it with --prefault none and no range");
	machine_ram_close(machine);
	ram_close(&machine->vm.ram);

	open_machine(&(struct machine_config){ 0 });
	machine_working_set_resume(machine);
	machine_working_set_invalidate(machine);
	assert_reason("it was saved or reset in its first second");
	machine_ram_close(machine);
	ram_close(&machine->vm.ram);

	open_machine(&(struct machine_config){ 0 });
	machine_working_set_finish(machine); /* all was loaded before the machine resumed */
	assert_reason("or loaded before that");
	machine_working_set_resume(machine);
	assert_reason("or loaded before that");
	machine_ram_close(machine);
	ram_close(&machine->vm.ram);

	open_machine(&(struct machine_config){ 0 });
	blind = true;
	machine_working_set_resume(machine);
	machine_working_set_finish(machine);
	assert_reason("this host does not report which memory is resident");
}

static void assert_told(uint64_t chunk, bool touched, bool only_read)
{
	for (unsigned tries = 0; touched && !atomic_load(&was_touched[chunk]) && tries < 10000; tries++)
		usleep(1000);
	for (unsigned tries = 0; only_read && !atomic_load(&was_read[chunk]) && tries < 10000; tries++)
		usleep(1000);
	assert_int_equal(atomic_load(&was_touched[chunk]), touched);
	assert_int_equal(atomic_load(&was_read[chunk]), only_read);
}

/* The working set is read ahead after the --prefault ranges, which are touched. The next working set is also recorded. */
static void working_set_is_read_ahead_after_prefault_ranges(void **state)
{
	const struct machine_config config = {
		.prefault_count = 1, .prefault = { { CRAFTED_BASE + 9 * CHUNK, CRAFTED_BASE + 10 * CHUNK } },
	};
	uint8_t chunks[BITS] = { [8] = 0x06, [31] = 0x80 };
	struct error error;

	(void)state;
	make(chunks, 0);
	open_machine(&config);
	assert_told(255, false, true);
	assert_told(9, true, false);
	assert_told(65, false, true);
	assert_told(66, false, true);
	assert_told(67, false, false);
	assert_told(128, false, false);
	machine_ram_close(machine);
	ram_close(&machine->vm.ram);

	open_machine(&(struct machine_config){ 0 });
	machine_working_set_resume(machine);
	touch(100);
	while (!atomic_load(&was_read[255]))
		usleep(1000);
	machine_working_set_finish(machine);
	assert_int_equal(machine_working_set_check(machine, &error), 0);
	assert_true(is_set(machine->working_set.chunks, 100));
	assert_false(is_set(machine->working_set.chunks, 65) || is_set(machine->working_set.chunks, 255));
	machine_ram_close(machine);
	ram_close(&machine->vm.ram);

	open_machine(&(struct machine_config){ .eager = true });
	assert_false(machine->prefault.is_open);
}

/* The pager reads the working set before the rest of RAM. The next working set is then not recorded. */
static void pager_reads_working_set_first(void **state)
{
	uint8_t chunks[BITS] = { [20] = 0x42 };
	uint64_t at[3];

	(void)state;
	make(chunks, FORMAT_RAM_FRAME);
	atomic_store(&held, true);
	atomic_store(&reads, 0);
	open_machine(&(struct machine_config){ 0 });
	if (!pager_is_open(&machine->pager))
		skip();
	assert_false(machine->prefault.is_open && machine->prefault.count);
	machine_working_set_resume(machine);
	assert_reason("restore it with --prefault none and no range");
	atomic_store(&held, false);
	assert_int_equal(poll(&(struct pollfd){ .fd = machine->pager.done_fd, .events = POLLIN }, 1, 20000), 1);
	for (unsigned i = 0; i < 3; i++)
		at[i] = field_element(&snapshot.frames.offsets, (const uint32_t[]){ 161, 166, 0 }[i]);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(first_reads[i], at[i]);
	assert_memory_equal(machine->vm.ram.host, model, RAM_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(working_set_is_recorded_in_the_first_second, set_up, tear_down),
		cmocka_unit_test_setup_teardown(working_set_has_only_chunks_that_threads_waited_for, set_up, tear_down),
		cmocka_unit_test_setup_teardown(working_set_check_gives_reason_when_there_is_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(working_set_is_read_ahead_after_prefault_ranges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pager_reads_working_set_first, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
