/* SPDX-License-Identifier: MIT */
/*
 * The VM tests make each step of a save and of a restore fail: tests/vm/fault-points lists the steps. This test runs both
 * sequences, with fault_at() replaced by one that records the steps, and compares the steps with the list.
 */
#include "unit/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake/kvm.h"
#include "util/fault.h"
#include "arm/gic.h"
#include "arm/its.h"
#include "arm/migrate.h"
#include "snapshot/snapshot.h"

#define RAM_SIZE (1 << 20)

static struct record {
	struct vm vm;
	struct cpu_features features;
	char reached[4096]; /* a line for each step */
} record;

int fault_at(const char *wanted, const char *sequence, const char *step, struct error *error)
{
	char line[64];

	(void)wanted;
	/* Not a failing step: LKVM_FAULT=save/recheck enables a check of the program itself. */
	if (strcmp(step, "recheck") == 0)
		return 0;
	snprintf(line, sizeof(line), "%s/%s\n", sequence, step);
	if (!strstr(record.reached, line))
		strcat(record.reached, line);
	error->text[0] = '\0';
	return 0;
}

static int set_up(void **state)
{
	const struct vm_config config = { .ram_base = 0x80000000, .ram_size = RAM_SIZE, .vcpu_count = 1 };
	const struct gic_layout gic = { .distributor = 0x3fff0000, .redistributors = 0x30000000, .interrupts = 96 };
	struct error error;

	(void)state;
	fake_kvm_reset();
	memset(&record, 0, sizeof(record));
	if (vm_open(&record.vm, &config, &error) < 0 || gic_open(&record.vm, &gic, &error) < 0 ||
	    its_open(&record.vm, 0x3ffd0000, &error) < 0 ||
	    vcpus_initialise(&record.vm, &record.features, true, &error) < 0 || gic_initialise(&record.vm, &error) < 0)
		return -1;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	vm_close(&record.vm);
	fake_kvm_reset();
	return 0;
}

static void migrate_both_ways(void)
{
	struct migrate migrate = {
		.vm = &record.vm, .features = &record.features, .interrupts = 96, .check = MIGRATE_NO_CHECK,
	};
	struct section_writer writer = { 0 };
	struct sections sections = { 0 };
	struct error error;

	assert_int_equal(migrate_save(&migrate, &writer, &error), 0);
	assert_int_equal(sections_parse(&sections, writer.buffer.bytes, writer.buffer.size, &error), 0);
	assert_int_equal(migrate_restore(&migrate, &sections, &error), 0);
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);
}

static void write_snapshot(void)
{
	struct snapshot_writer writer = { .fd = memfd_create("snapshot", MFD_CLOEXEC), .ram = &record.vm.ram };
	struct byte_buffer none = { 0 };
	struct error error;

	assert_true(writer.fd >= 0);
	assert_int_equal(snapshot_begin(&writer, &error), 0);
	assert_int_equal(snapshot_copy(&writer, NULL, &error), 0);
	snapshot_capture(&writer, 0, RAM_SIZE, &error); /* without PAGEMAP_SCAN it fails, after its fault point */
	assert_int_equal(snapshot_write_final(&writer, NULL, &error), 0);
	assert_int_equal(snapshot_finish(&writer, &none, &error), 0);
	snapshot_end(&writer);
	close(writer.fd);
}

static void fault_points_list_each_step_of_save_and_restore(void **state)
{
	FILE *list = fopen("tests/vm/fault-points", "r");
	unsigned listed = 0, reached = 0;
	char line[64];

	(void)state;
	assert_non_null(list);
	migrate_both_ways();
	write_snapshot();
	while (fgets(line, sizeof(line), list)) {
		if (line[0] == '#')
			continue;
		listed++;
		if (!strstr(record.reached, line))
			fail_msg("no step is called %s", line);
	}
	fclose(list);
	for (const char *at = record.reached; *at; at = strchr(at, '\n') + 1)
		reached++;
	if (reached != listed)
		fail_msg("tests/vm/fault-points lists %u of these %u steps:\n%s", listed, reached, record.reached);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fault_points_list_each_step_of_save_and_restore, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
