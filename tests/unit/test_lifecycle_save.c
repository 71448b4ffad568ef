/* SPDX-License-Identifier: MIT */
/* Saving through the lifecycle: when the machine is paused and resumed, and saves that are cancelled or must wait. */
#include "unit/lifecycle_bench.h"

#include "unit/crafted.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "control/control.h"
#include "snapshot/snapshot.h"
#include "util/bits.h"

static struct {
	unsigned saves, holds;
	bool held_running; /* machine_defer_interrupts() was called while the guest ran */
	bool saved_paused; /* machine_save() was called while it was paused */
	bool fails;
} fake_state;

/* Replaces machine/state.c. */
void machine_read_disks_ahead(struct machine *machine)
{
	(void)machine;
}

int machine_sync_disks(struct machine *machine, struct error *error)
{
	(void)machine;
	(void)error;
	return 0;
}

void machine_defer_interrupts(struct machine *machine)
{
	fake_state.holds++;
	fake_state.held_running = machine->running;
}

int machine_save(struct machine *machine, bool force, struct section_writer *writer, struct error *error)
{
	(void)force;
	fake_state.saves++;
	fake_state.saved_paused = !machine->running;
	if (fake_state.fails)
		return error_set(error, EIO, "its-tables: no");
	machine->vm.ram.host[0x6000] = 0x79; /* KVM's tables */
	section_begin(writer, "machine", 1, SECTION_MANDATORY);
	section_end(writer);
	return 0;
}

int machine_save_without_device_data(struct machine *machine, struct section_writer *writer, struct error *error)
{
	return machine_save(machine, false, writer, error);
}

static int set_up_saving(void **state)
{
	struct error error;

	memset(&fake_state, 0, sizeof(fake_state));
	if (set_up(state) < 0 || ram_open(&bench->machine.vm.ram, 0x80000000, 8 << 20, &error) < 0)
		return -1;
	memset(bench->machine.vm.ram.host + 0x5000, 0x77, 0x3000);
	return 0;
}

static int tear_down_saving(void **state)
{
	struct ram ram = bench->machine.vm.ram;
	int result = tear_down(state); /* ends the save job, which reads RAM */

	ram_close(&ram);
	return result;
}

static bool lose_patience(void *owner)
{
	(void)owner;
	return false;
}

/* Starts a child that requests a save to a file in `scratch`. Unless `patient`, the child disconnects soon. */
static struct asking ask_save(bool patient)
{
	return ask_with_file("save", O_RDWR, patient ? NULL : lose_patience);
}

static void the_file_is_whole(void)
{
	struct snapshot snapshot;
	struct error error;
	char path[80];

	snprintf(path, sizeof(path), "%s/file", scratch);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), 0);
	assert_non_null(sections_find(&snapshot.sections, "machine"));
	snapshot_close(&snapshot);
}

static void it_was_paused_once(void)
{
	the_file_is_whole();
	assert_true(fake_state.held_running);
	assert_true(fake_state.saved_paused);
	assert_int_equal(fake_machine.pauses, 1);
	assert_true(bench->machine.running);
}

static void save_pauses_the_machine_once_at_its_end(void **state)
{
	unsigned long long pause, ram, data, size;

	(void)state;
	assert_int_equal(sscanf(serve(ask_save(true)), "ok %llu %llu %llu %llu", &pause, &ram, &data, &size), 4);
	assert_int_equal(ram, 8 << 20);
	assert_int_equal(data, 0x3000);
	it_was_paused_once();
}

static void machine_stays_paused_after_a_save(void **state)
{
	(void)state;
	serve_one("pause");
	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0);
	the_file_is_whole();
	assert_false(bench->machine.running);
	serve_one("resume");
	assert_true(bench->machine.running);
}

static void machine_resumes_when_its_state_cannot_be_saved(void **state)
{
	(void)state;
	fake_state.fails = true;
	assert_string_equal(serve(ask_save(true)), "error its-tables: no");
	assert_true(bench->machine.running);
	fake_state.fails = false;
	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0);
	the_file_is_whole();
}

/* After a failure before the pause, the machine was not paused. After a failure during the pause, it is resumed. */
static void machine_resumes_when_any_step_fails(void **state)
{
	static const char *const steps[] = { "save/head", "save/copy", "save/ram", "save/sections", "save/commit" };

	(void)state;
	for (unsigned i = 0; i < COUNT(steps); i++) {
		bench->machine.config.fault = steps[i];
		assert_non_null(strstr(serve(ask_save(true)), steps[i] + strlen("save/")));
		assert_true(bench->machine.running);
		assert_int_equal(fake_machine.pauses, i < 2 ? 0 : i - 1);
	}
	bench->machine.config.fault = NULL;
	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0);
}

/* A save with "live" copies RAM after the pause. KVM's tables in RAM change during the pause. */
static void point_in_time_save_pauses_the_machine_once(void **state)
{
	const char *reply = serve(ask_with_file("save live", O_RDWR, NULL));
	unsigned long long data;
	unsigned way;

	(void)state;
	assert_int_equal(sscanf(reply, "ok %*u %*u %llu %*u %*u %*u %u", &data, &way), 2);
	if (way == SAVE_ROUNDS)
		skip();
	assert_int_equal(way, SAVE_POINT_IN_TIME);
	assert_int_equal(data, 0x3000);
	it_was_paused_once();
	assert_false(bench->machine.vm.ram.write_protected);
	memset(bench->machine.vm.ram.host, 1, bench->machine.vm.ram.size);
}

static void machine_resumes_when_a_step_of_a_point_in_time_save_fails(void **state)
{
	static const char *const steps[] = { "save/head", "save/take", "save/sections", "save/commit" };

	(void)state;
	if (strstr(serve(ask_with_file("save point-in-time", O_RDWR, NULL)), "serfault"))
		skip();
	for (unsigned i = 0; i < COUNT(steps); i++) {
		bench->machine.config.fault = steps[i];
		assert_non_null(strstr(serve(ask_with_file("save live", O_RDWR, NULL)), steps[i] + strlen("save/")));
		assert_true(bench->machine.running);
		memset(bench->machine.vm.ram.host, (int)i, bench->machine.vm.ram.size);
	}
	bench->machine.config.fault = NULL;
	fake_state.fails = true;
	assert_string_equal(serve(ask_with_file("save live", O_RDWR, NULL)), "error its-tables: no");
	assert_true(bench->machine.running);
	memset(bench->machine.vm.ram.host, 9, bench->machine.vm.ram.size);
}

static void save_is_cancelled_when_the_client_disconnects(void **state)
{
	struct asking asking = ask_save(false);

	(void)state;
	run_loop_for(&bench->loop, 1000); /* the child disconnects at its first tick, unless the save has ended */
	answer(asking, true);
	assert_int_equal(bench->lifecycle.save_job.phase, SAVE_IDLE);
	assert_true(bench->machine.running);
	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0);
}

static void machine_stays_paused_after_a_save_while_it_is_held(void **state)
{
	pid_t child = fork();

	(void)state;
	if (!child) {
		struct error error;

		if (control_start("vm", "hold", 20, &error) < 0)
			_exit(1);
		pause();
		_exit(0);
	}
	run_loop_for(&bench->loop, 200);
	assert_true(bench->machine.running); /* until it is saved */
	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0);
	assert_false(bench->machine.running);
	assert_non_null(strstr(serve_one("resume"), "it is being saved"));
	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0); /* again, while it is paused */
	assert_non_null(strstr(serve(ask_with_file("save-working-set", O_RDWR, NULL)), "no working set"));
	assert_false(bench->machine.running);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	run_loop_for(&bench->loop, 200);
	assert_true(bench->machine.running);
}

/* Closes as cmd/machine_run.c does. The client gets an error, and no state was saved. */
static void it_ends_without_a_save(struct asking asking)
{
	lifecycle_close(&bench->lifecycle);
	control_withdraw(&bench->control);
	lifecycle_notify(&bench->lifecycle);
	control_close(&bench->control);
	assert_int_equal(strncmp(answer(asking, true), "error", 5), 0);
	assert_int_equal(fake_state.saves, 0);
}

static void save_is_dropped_when_the_guest_ends(void **state)
{
	struct asking asking = ask_save(true);

	(void)state;
	fake_machine_event(&bench->machine, VM_EVENT_POWER_OFF, NULL);
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_POWER_OFF);
	it_ends_without_a_save(asking);
}

/* Writes a snapshot of the machine's RAM in `scratch`, based on `base` unless it is NULL. */
static void write_snapshot(const char *name, const char *base, struct snapshot *opened)
{
	const struct byte_buffer none = { 0 };
	struct snapshot_writer writer = { .ram = &bench->machine.vm.ram };
	char path[80], base_path[80];
	struct snapshot based;
	struct error error;

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	writer.fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (base) {
		snprintf(base_path, sizeof(base_path), "%s/%s", scratch, base);
		assert_int_equal(snapshot_open(&based, base_path, &error), 0);
		writer.base = &based;
		writer.base_path = base_path;
	}
	assert_int_equal(snapshot_write(&writer, &none, &error), 0);
	snapshot_end(&writer);
	close(writer.fd);
	if (base)
		snapshot_close(&based);
	assert_int_equal(snapshot_open(opened, path, &error), 0);
}

/* Saves to a file that will replace `name`, based on `base` unless it is NULL. A refused save must write nothing. */
static const char *save_over(const char *name, const char *base)
{
	char path[80], request[120];
	struct stat status;
	const char *reply;
	int base_fd = -1;

	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	assert_int_equal(stat(path, &status), 0);
	snprintf(request, sizeof(request), "save 0 replaces=%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino);
	if (base) {
		snprintf(path, sizeof(path), "%s/%s", scratch, base);
		base_fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(base_fd >= 0);
	}
	reply = serve(ask_with_files(request, O_RDWR, base_fd, NULL));
	if (base)
		close(base_fd);
	snprintf(path, sizeof(path), "%s/file", scratch);
	assert_int_equal(stat(path, &status), 0);
	assert_true(!strncmp(reply, "ok", 2) || status.st_size == 0);
	return reply;
}

static void save_is_refused_over_a_file_that_is_in_use(void **state)
{
	struct snapshot even, odd, other;
	char path[80], link_path[80];

	(void)state;
	write_snapshot("even", NULL, &even);
	write_snapshot("odd", "even", &odd);
	write_snapshot("other", NULL, &other);
	snprintf(path, sizeof(path), "%s/even", scratch);
	snprintf(link_path, sizeof(link_path), "%s/hard-link", scratch);
	assert_int_equal(link(path, link_path), 0);

	assert_non_null(strstr(save_over("odd", "odd"), "is the base, or the base needs it"));
	assert_non_null(strstr(save_over("even", "odd"), "is the base, or the base needs it"));
	assert_non_null(strstr(save_over("hard-link", "odd"), "is the base, or the base needs it"));
	assert_int_equal(strncmp(save_over("even", NULL), "ok", 2), 0); /* no known file is based on it */

	bench->machine.config.snapshot = &odd;
	assert_non_null(strstr(save_over("odd", NULL), "restored from"));
	assert_non_null(strstr(save_over("even", NULL), "restored from"));
	assert_non_null(strstr(save_over("hard-link", NULL), "restored from"));
	assert_int_equal(strncmp(save_over("other", NULL), "ok", 2), 0);

	bench->machine.config.disk_count = 1;
	snprintf(path, sizeof(path), "%s/other", scratch);
	bench->machine.config.disks[0].path = path;
	assert_non_null(strstr(save_over("other", NULL), "a disk of the guest"));
	bench->machine.config.disks[0].path = "/nowhere";
	bench->machine.config.disks[0].overlay = path;
	assert_non_null(strstr(save_over("other", NULL), "a disk of the guest"));
	bench->machine.config.disk_count = 0;
	bench->machine.config.kernel = path;
	assert_non_null(strstr(save_over("other", NULL), "the guest's kernel"));
	bench->machine.config.kernel = NULL;
	assert_true(bench->machine.running);
	snapshot_close(&even);
	snapshot_close(&odd);
	snapshot_close(&other);
}

static void save_includes_working_set_when_it_is_requested(void **state)
{
	uint8_t chunks[(8 << 20) / FORMAT_RAM_CHUNK / 8] = { 0x21, 0x43 };
	struct snapshot snapshot;
	struct error error;
	char path[80];

	(void)state;
	assert_non_null(strstr(serve(ask_with_file("save-working-set", O_RDWR, NULL)), "error no working set was recorded: "));
	assert_true(bench->machine.running);
	assert_int_equal(fake_state.saves, 0);
	bench->machine.working_set = (struct machine_working_set){ .state = WORKING_SET_RECORDED, .chunks = chunks };
	assert_int_equal(strncmp(serve(ask_with_file("save-working-set 1000000000", O_RDWR, NULL)), "ok", 2), 0);
	the_file_is_whole();
	snprintf(path, sizeof(path), "%s/file", scratch);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(snapshot.working_set.count, sizeof(chunks));
	assert_memory_equal(snapshot.working_set.values, chunks, sizeof(chunks));
	snapshot_close(&snapshot);
	/* A save without it has no working set, and the machine keeps the recorded one. */
	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(snapshot.working_set.count, 0);
	snapshot_close(&snapshot);
	assert_int_equal(bench->machine.working_set.state, WORKING_SET_RECORDED);
	/* A save in the first second reads pages that the guest did not, so the working set becomes invalid. */
	bench->machine.working_set.state = WORKING_SET_AWAITED;
	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0);
	assert_int_equal(bench->machine.working_set.state, WORKING_SET_INVALID);
}

/* Restores a snapshot whose RAM is checked while the machine runs. `flaw`: one byte of it is wrong. */
static void start_check(struct snapshot *snapshot, bool flaw)
{
	char saved[80], path[80];
	struct error error;

	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0);
	snprintf(saved, sizeof(saved), "%s/file", scratch);
	snprintf(path, sizeof(path), "%s/restored", scratch);
	assert_int_equal(rename(saved, path), 0);
	assert_int_equal(snapshot_open(snapshot, path, &error), 0);
	if (flaw) {
		int fd = open(path, O_WRONLY | O_CLOEXEC);

		assert_int_equal(pwrite(fd, "x", 1, (off_t)snapshot->ram_offset + 0x6000), 1);
		close(fd);
	}
	assert_int_equal(lifecycle_check(&bench->lifecycle, snapshot, &error), 0);
}

static void check_ends_silently_when_ram_is_whole(void **state)
{
	struct snapshot snapshot;

	(void)state;
	start_check(&snapshot, false);
	while (checker_is_open(&bench->lifecycle.checker))
		run_loop_for(&bench->loop, 10);
	assert_int_equal(bench->lifecycle.checker.result, 0);
	assert_true(bench->machine.running);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RUNNING);
	snapshot_close(&snapshot);
}

static void check_ends_the_vm_when_it_finds_damage(void **state)
{
	struct snapshot snapshot;

	(void)state;
	start_check(&snapshot, true);
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_FAILURE);
	assert_string_equal(bench->lifecycle.error.text,
			    "the snapshot that it was restored from: RAM is damaged: the checksum of the 65536 bytes at 0x80000000 "
			    "is wrong");
	snapshot_close(&snapshot);
}

/* The save ends only after the check. */
static void save_waits_for_the_check(void **state)
{
	struct snapshot snapshot;

	(void)state;
	start_check(&snapshot, false);
	assert_int_equal(strncmp(serve(ask_save(true)), "ok", 2), 0);
	assert_false(checker_is_open(&bench->lifecycle.checker));
	the_file_is_whole();
	assert_true(bench->machine.running);
	snapshot_close(&snapshot);
}

static void save_is_dropped_when_the_check_finds_damage(void **state)
{
	struct snapshot snapshot;
	struct asking asking;

	(void)state;
	start_check(&snapshot, true);
	fake_state.saves = 0;
	asking = ask_save(true);
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_FAILURE);
	run_loop_for(&bench->loop, 200); /* the request may arrive after the check */
	it_ends_without_a_save(asking);
	snapshot_close(&snapshot);
}

static void check_is_cancelled_when_the_vm_ends(void **state)
{
	struct snapshot snapshot;

	(void)state;
	start_check(&snapshot, true);
	lifecycle_close(&bench->lifecycle);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_RUNNING);
	snapshot_close(&snapshot);
}

/* The pager loads RAM from a compressed file. While this is set, its reads block. */
static atomic_bool held;

ssize_t pread(int fd, void *to, size_t size, off_t at)
{
	ssize_t (*real)(int, void *, size_t, off_t);

	while (atomic_load(&held))
		usleep(1000);
	*(void **)&real = dlsym(RTLD_NEXT, "pread");
	return real(fd, to, size, at);
}

static void start_loading(struct snapshot *snapshot, bool flaw)
{
	struct machine *machine = &bench->machine;
	struct snapshot_unloaded unloaded;
	char path[80];
	struct crafted file = {
		.path = path, .ram = machine->vm.ram.host, .size = machine->vm.ram.size, .frame = FORMAT_RAM_FRAME,
		.damaged_chunk = flaw ? 9 : 0,
	};
	struct error error;

	snprintf(path, sizeof(path), "%s/packed", scratch);
	memset(machine->vm.ram.host + 9 * FORMAT_RAM_CHUNK, 0x55, 0x3000);
	crafted_write(&file, 1);
	lifecycle_close(&bench->lifecycle);
	ram_close(&machine->vm.ram);
	assert_int_equal(snapshot_open(snapshot, path, &error), 0);
	assert_int_equal(snapshot_map_ram(snapshot, &machine->vm.ram, &unloaded, &error), 0);
	atomic_store(&held, true);
	if (pager_open(&machine->pager, snapshot, &machine->vm.ram, &unloaded, true, &error) < 0) {
		atomic_store(&held, false);
		skip();
	}
	machine->ram_is_checked = true;
	assert_int_equal(lifecycle_open(&bench->lifecycle, machine, &bench->control, &error), 0);
	assert_int_equal(lifecycle_check(&bench->lifecycle, snapshot, &error), 0);
	assert_false(checker_is_open(&bench->lifecycle.checker));
}

/* The save reads all of RAM, so only its end must wait for the pager. */
static void save_waits_until_ram_is_loaded(void **state)
{
	struct snapshot snapshot;
	struct asking asking;
	bool waits;

	(void)state;
	start_loading(&snapshot, false);
	machine_pause(&bench->machine);
	asking = ask_save(true);
	run_loop_for(&bench->loop, 500);
	waits = bench->lifecycle.save_job.phase == SAVE_WAITING && fake_state.saves == 0;
	atomic_store(&held, false);
	assert_true(waits);
	assert_int_equal(strncmp(serve(asking), "ok", 2), 0); /* the child has a copy of all descriptors */
	assert_false(pager_is_open(&bench->machine.pager));
	the_file_is_whole();
	assert_int_equal(bench->machine.vm.ram.host[9 * FORMAT_RAM_CHUNK + 5], 0x55);
	snapshot_close(&snapshot);
}

static void pager_ends_the_vm_when_it_loads_damage(void **state)
{
	struct snapshot snapshot;

	(void)state;
	start_loading(&snapshot, true);
	atomic_store(&held, false);
	loop_run(&bench->loop);
	assert_int_equal(bench->lifecycle.end, LIFECYCLE_FAILURE);
	assert_string_equal(bench->lifecycle.error.text,
			    "the snapshot that it was restored from: RAM is damaged: the checksum of the 65536 bytes at 0x80090000 "
			    "is wrong");
	assert_true(pager_is_open(&bench->machine.pager));
	lifecycle_close(&bench->lifecycle);
	pager_close(&bench->machine.pager);
	snapshot_close(&snapshot);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_saving, tear_down_saving)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(save_pauses_the_machine_once_at_its_end),
		TEST(machine_stays_paused_after_a_save),
		TEST(machine_resumes_when_its_state_cannot_be_saved),
		TEST(machine_resumes_when_any_step_fails),
		TEST(point_in_time_save_pauses_the_machine_once),
		TEST(machine_resumes_when_a_step_of_a_point_in_time_save_fails),
		TEST(save_is_cancelled_when_the_client_disconnects),
		TEST(machine_stays_paused_after_a_save_while_it_is_held),
		TEST(save_is_dropped_when_the_guest_ends),
		TEST(save_includes_working_set_when_it_is_requested),
		TEST(save_is_refused_over_a_file_that_is_in_use),
		TEST(check_ends_silently_when_ram_is_whole),
		TEST(check_ends_the_vm_when_it_finds_damage),
		TEST(save_waits_for_the_check),
		TEST(save_is_dropped_when_the_check_finds_damage),
		TEST(check_is_cancelled_when_the_vm_ends),
		TEST(save_waits_until_ram_is_loaded),
		TEST(pager_ends_the_vm_when_it_loads_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
