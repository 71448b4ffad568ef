/* SPDX-License-Identifier: MIT */
/* Inspecting a running machine: contents of the file, that the machine resumes after any failure, and refusals. */
#include "state/names.h"
#include "unit/lifecycle_bench.h"

#include <signal.h>

#include "control/control.h"
#include "inspect/inspect.h"
#include "unit/open_fds.h"

#define RAM_BASE MACHINE_RAM
#define RAM_SIZE (8u << 20)
#define RING 0x6000u /* only its pages are copied */
#define OTHER 0x20000u

static struct {
	unsigned saves, holds;
	bool held_running; /* machine_defer_interrupts() was called while the guest ran */
	bool saved_paused; /* machine_save_without_device_data() was called while it was paused */
	bool fails, leaves_out;
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

static void save_vcpu(unsigned vcpu, struct section_writer *writer)
{
	char name[SECTION_NAME_LENGTH + 1];

	snprintf(name, sizeof(name), "gic/redistributor%u", vcpu);
	section_begin(writer, name, 1, SECTION_MANDATORY);
	field_add_number(&writer->buffer, "PROPBASER", 0);
	field_add_number(&writer->buffer, "PENDBASER", 0);
	section_end(writer);
}

int machine_save_without_device_data(struct machine *machine, struct section_writer *writer, struct error *error)
{
	const struct machine_config config = { .name = "vm", .kernel = "/Image", .cpus = 2, .memory = RAM_SIZE };
	const struct virtqueue_state queue = {
		.maximum = 16, .size = 16, .enabled = 1, .descriptors = RAM_BASE + RING, .driver = RAM_BASE + RING + 0x100,
		.device = RAM_BASE + RING + 0x200,
	};

	fake_state.saves++;
	fake_state.saved_paused = !machine->running;
	if (fake_state.fails)
		return error_set(error, EIO, "its-tables: SAVE_TABLES: Bad address");
	machine_config_save(&config, writer);
	save_vcpu(0, writer);
	if (!fake_state.leaves_out)
		save_vcpu(1, writer);
	section_begin(writer, "virtio-blk0/queue0", 1, SECTION_MANDATORY);
	state_save(&virtqueue_state_table, &queue, &writer->buffer);
	section_end(writer);
	return 0;
}

int machine_save(struct machine *machine, bool force, struct section_writer *writer, struct error *error)
{
	(void)force;
	return machine_save_without_device_data(machine, writer, error);
}

static int set_up_looking(void **state)
{
	struct error error;

	memset(&fake_state, 0, sizeof(fake_state));
	if (set_up(state) < 0 || ram_open(&bench->machine.vm.ram, RAM_BASE, RAM_SIZE, &error) < 0)
		return -1;
	memset(bench->machine.vm.ram.host + RING, 0x77, 0x1000);
	memset(bench->machine.vm.ram.host + OTHER, 0x55, 0x1000);
	return 0;
}

static int tear_down_looking(void **state)
{
	struct ram ram = bench->machine.vm.ram;
	int result = tear_down(state);

	ram_close(&ram);
	return result;
}

/* Starts a child that requests an inspection, with a file in `scratch` opened with these flags. */
static struct asking ask_inspect(int flags)
{
	return ask_with_file("inspect", flags, NULL);
}

static void it_is_seen(void)
{
	assert_string_equal(serve(ask_inspect(O_RDWR)), "ok ");
}

/* The file has the sections and the ring, no other RAM. It cannot be restored. */
static void inspection_writes_sections_and_rings_only(void **state)
{
	uint8_t page[0x1000], expected[0x1000];
	struct inspection inspection;
	struct snapshot snapshot;
	const struct section *partial;
	struct error error;
	char path[80];

	(void)state;
	it_is_seen();
	snprintf(path, sizeof(path), "%s/file", scratch);
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(snapshot_check_ram(&snapshot, NULL, &error), 0);
	assert_int_equal(inspection_open(&inspection, &snapshot, &error), 0);
	assert_int_equal(snapshot.ram_base, RAM_BASE);
	assert_int_equal(snapshot.ram_size, RAM_SIZE);
	partial = sections_find(&snapshot.sections, SECTION_PARTIAL);
	assert_non_null(partial);
	assert_true(partial->flags & SECTION_MANDATORY);
	assert_non_null(sections_find(&snapshot.sections, "virtio-blk0/queue0"));
	assert_int_equal(guest_memory_read(&inspection.memory, RAM_BASE + RING, page, sizeof(page), &error), 0);
	memset(expected, 0x77, sizeof(expected));
	assert_memory_equal(page, expected, sizeof(page));
	assert_int_equal(guest_memory_read(&inspection.memory, RAM_BASE + OTHER, page, sizeof(page), &error), 0);
	memset(expected, 0, sizeof(expected));
	assert_memory_equal(page, expected, sizeof(page));
	inspection_close(&inspection);
	snapshot_close(&snapshot);
}

static void inspection_pauses_the_machine_once(void **state)
{
	(void)state;
	it_is_seen();
	assert_int_equal(fake_state.holds, 1);
	assert_true(fake_state.held_running);
	assert_true(fake_state.saved_paused);
	assert_int_equal(fake_machine.pauses, 1);
	assert_true(bench->machine.running);
	assert_int_equal(bench->machine.vm.ram.host[OTHER], 0x55);
}

static void machine_stays_paused_after_inspection(void **state)
{
	(void)state;
	serve_one("pause");
	it_is_seen();
	assert_false(bench->machine.running);
	serve_one("resume");
	assert_true(bench->machine.running);
}

static void inspection_is_refused_without_a_file(void **state)
{
	(void)state;
	assert_string_equal(serve_one("inspect"), "error no file came with the request");
	assert_int_equal(fake_machine.pauses, 0);
	assert_int_equal(fake_state.saves, 0);
	assert_true(bench->machine.running);
}

static void machine_resumes_when_inspection_fails(void **state)
{
	(void)state;
	fake_state.fails = true;
	assert_string_equal(serve(ask_inspect(O_RDWR)), "error its-tables: SAVE_TABLES: Bad address");
	assert_true(bench->machine.running);
	fake_state.fails = false;
	fake_state.leaves_out = true;
	assert_string_equal(serve(ask_inspect(O_RDWR)), "error it has no section gic/redistributor1");
	assert_true(bench->machine.running);
	fake_state.leaves_out = false;
	assert_non_null(strstr(serve(ask_inspect(O_RDONLY)), "Bad file descriptor"));
	assert_true(bench->machine.running);
	assert_int_equal(fake_machine.pauses, 3);
	it_is_seen();
}

/* Counts the mappings of this process. */
static unsigned count_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned count = 0;

	assert_non_null(maps);
	for (int character; (character = getc(maps)) != EOF;)
		count += character == '\n';
	fclose(maps);
	return count;
}

/* Neither the file nor the copy of RAM stays open, after success and after failure. */
static void inspection_leaves_no_descriptor_and_no_mapping(void **state)
{
	unsigned open_fds, mappings;

	(void)state;
	it_is_seen();
	open_fds = count_open_fds();
	mappings = count_mappings();
	for (unsigned i = 0; i < 16; i++) {
		fake_state.leaves_out = i % 2;
		serve(ask_inspect(O_RDWR));
	}
	assert_int_equal(count_open_fds(), open_fds);
	assert_true(count_mappings() < mappings + 4);
}

/* During a save an inspection must not resume the machine. */
static void inspection_is_refused_during_a_save(void **state)
{
	(void)state;
	bench->lifecycle.save_job.phase = SAVE_COPYING;
	assert_string_equal(serve(ask_inspect(O_RDWR)), "error it is being saved");
	bench->lifecycle.save_job.phase = SAVE_IDLE;
	assert_int_equal(fake_machine.pauses, 0);
	it_is_seen();
}

static void inspection_is_refused_while_the_machine_is_held(void **state)
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
	while (!bench->lifecycle.hold_client)
		run_loop_for(&bench->loop, 20);
	assert_string_equal(serve(ask_inspect(O_RDWR)), "error it is being saved");
	assert_int_equal(fake_state.saves, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	while (bench->lifecycle.hold_client)
		run_loop_for(&bench->loop, 20);
	it_is_seen();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_looking, tear_down_looking)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(inspection_writes_sections_and_rings_only),
		TEST(inspection_pauses_the_machine_once),
		TEST(machine_stays_paused_after_inspection),
		TEST(inspection_is_refused_without_a_file),
		TEST(machine_resumes_when_inspection_fails),
		TEST(inspection_leaves_no_descriptor_and_no_mapping),
		TEST(inspection_is_refused_during_a_save),
		TEST(inspection_is_refused_while_the_machine_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
