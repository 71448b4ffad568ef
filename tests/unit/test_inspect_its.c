/* SPDX-License-Identifier: MIT */
/* The view of the ITS, the graph and the list of tables, with contents that no golden snapshot has. */
#include <errno.h>

#include "unit/views_rig.h"
#include "util/bits.h"

/* The ITS. */

static void its_view_shows_registers(void **state)
{
	static const char *const lines[] = {
		"GITS_CTLR", "GITS_IIDR", "GITS_TYPER", "GITS_CBASER", "GITS_CWRITER  0x640", "GITS_CREADR   0x640", "GITS_BASER0",
		"GITS_BASER1", NULL,
	};

	(void)state;
	expect(rig_new(), inspect_its, lines);
}

/* The waiting commands wrap around the end of the queue, which has 16 pages. */
static void its_view_shows_waiting_commands(void **state)
{
	static const char *const lines[] = {
		"address     command\n", "0x8000ffe0  MAPD device 0x8 ITT 0x80060100 bits 5 valid\n", "0x80000000  SYNC vCPU 1\n",
		"tables\n", NULL,
	};
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->creadr = 0xffe0;
	rig->cwriter = 0x20;
	rig_put(rig, RIG_QUEUE + 0xffe0, 8ull << 32 | 8);
	rig_put(rig, RIG_QUEUE + 0xffe8, 4);
	rig_put(rig, RIG_QUEUE + 0xfff0, RIG_VALID | RIG_ITT(1));
	rig_put(rig, RIG_QUEUE, 5);
	rig_put(rig, RIG_QUEUE + 16, 1 << 16);
	expect(rig, inspect_its, lines);
}

static void its_view_marks_commands_outside_ram(void **state)
{
	static const char *const lines[] = { "0x200000640  not in RAM\n", "0x200000660  not in RAM\n", NULL };
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->cbaser = RIG_VALID | 0x200000000 | 0xf;
	rig->cwriter = 0x680;
	expect(rig, inspect_its, lines);
}

static void its_view_shows_problems_beside_the_entry(void **state)
{
	static const char *const lines[] = {
		"restore tables  EINVAL\n", NULL,
	};
	struct inspection_rig *rig = rig_new();
	const char *text, *at;
	struct opened opened;

	(void)state;
	/* Event 0 of device 0 has a collection that does not exist. Its next event would be after the table. */
	rig_put(rig, RIG_ITT(0), rig_event(RIG_LPI(0, 0), 7, 500));
	open_rig(&opened, rig);
	text = show(&opened, inspect_its, false);
	at = strstr(text, "7           -     no       0         no       0x80060000  ");
	assert_non_null(at);
	at = strstr(at, its_problem_text(ITS_PROBLEM_NEXT));
	assert_non_null(at);
	assert_memory_equal(at + strlen(its_problem_text(ITS_PROBLEM_NEXT)), "; ", 2);
	at = strstr(at, its_problem_text(ITS_PROBLEM_COLLECTION));
	assert_non_null(at);
	assert_int_equal(at[strlen(its_problem_text(ITS_PROBLEM_COLLECTION))], '\n');
	assert_lines(at, lines);
	close_rig(&opened);
	free(rig);
}

/* Tables that end outside of RAM. The view names the device of an ITT. */
static void its_view_shows_faults_of_tables_outside_ram(void **state)
{
	static const char *const second[] = { "devices      yes    0x80010000  64 KiB  2\n", NULL };
	static const char *const events[] = { "faults\n", "0x200000000  0x0     ", "restore tables  EFAULT\n", NULL };
	static const char *const devices[] = { "faults\n", "0x200000000  -       ", "restore tables  EFAULT\n", NULL };
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_put(rig, RIG_DEVICES, rig_device(0x200000000, 5, 8));
	expect(rig, inspect_its, events);
	rig = rig_new();
	rig->baser[0] |= 1ull << 62;
	rig_put(rig, RIG_DEVICES, RIG_VALID | 0x200000000);
	rig_put(rig, RIG_DEVICES + 64, 0);
	expect(rig, inspect_its, devices);
	rig = rig_new();
	rig->baser[0] |= 1ull << 62;
	expect(rig, inspect_its, second);
}

static void restore_tables_result_is_predicted(void **state)
{
	struct its_walk *walk = calloc(1, sizeof(*walk));
	struct report report;

	(void)state;
	assert_non_null(walk);
	report_open(&report, true);
	report_begin_list(&report, "answers");
	for (unsigned i = 0; i < 4; i++) {
		walk->refusal = i / 2 ? EEXIST : 0;
		walk->over = i % 2;
		report_begin(&report, NULL);
		inspect_restore_tables(&report, walk);
		report_end(&report);
	}
	report_end_list(&report);
	assert_string_equal(report_text(&report),
			    "{\"answers\": [{\"restore_tables\": \"accepted\"}, {\"restore_tables\": null}, "
			    "{\"restore_tables\": \"EEXIST\"}, {\"restore_tables\": \"EEXIST\"}]}\n");
	report_close(&report);
	free(walk);
}

static void its_view_shows_collection_without_vcpu(void **state)
{
	static const char *const lines[] = { "collection  vcpu", "\n  0           0 ", "\n  1           -  ", NULL };
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig_put(rig, RIG_COLLECTIONS + 8, rig_collection(1, UINT32_MAX));
	expect(rig, inspect_its, lines);
}

static void its_view_shows_absence_of_the_its(void **state)
{
	struct inspection_rig *rig = rig_new();
	struct opened opened;

	(void)state;
	rig->no_its = true;
	rig->leave = "its";
	open_rig(&opened, rig);
	assert_string_equal(show(&opened, inspect_its, false), "present  no\n");
	assert_null(strstr(show(&opened, inspect_memory, false), "ITS"));
	close_rig(&opened);
	free(rig);
}

/* The graph. */

static void draw(struct inspection_rig *rig, const char *name, const char *const *lines)
{
	struct opened opened;
	struct error error;
	char *text;

	open_rig(&opened, rig);
	if (name)
		snprintf(opened.inspection.devices[0].name, sizeof(opened.inspection.devices[0].name), "%s", name);
	text = inspect_dot(&opened.inspection, &error);
	assert_non_null(text);
	assert_lines(text, lines);
	free(text);
	close_rig(&opened);
	free(rig);
}

static void graph_shows_devices_lpis_and_collections(void **state)
{
	static const char *const good[] = {
		"\tcollection0 [label=\"collection 0\"];\n\tcollection0 -> vcpu0;\n", "\tcollection1 -> vcpu1;\n",
		"\tdevice0 [shape=record, label=\"virtio-blk0\\n00:00.0|<e0> event 0|<e1> event 1|<e2> event 2\"];\n\tdevice8 [",
		"|<e2> event 2\"];\n\tlpi8192 ", "\tlpi8202 [label=\"LPI 8202\\npriority 160, pending\", style=filled, fillcolor=orange];\n",
		"\tdevice8:e2 -> lpi8202;\n\tlpi8202 -> collection1;\n}\n", NULL,
	};
	static const char *const bad[] = {
		"\tcollection1 [label=\"collection 1\"];\n\tdevice0 [shape=record, label=\"virtio____-n\\n",
		"\tlpi8192 [label=\"LPI 8192\\npriority 0, disabled\", style=dashed, color=red, fontcolor=red];\n", NULL,
	};
	struct inspection_rig *rig = rig_new();

	(void)state;
	draw(rig_new(), NULL, good);
	rig_put(rig, RIG_COLLECTIONS + 8, rig_collection(1, UINT32_MAX));
	rig_put(rig, RIG_ITT(0), rig_event(RIG_LPI(0, 0), 7, 1));
	draw(rig, "virtio{\"|>-n", bad);
}

/* RAM. */

static void memory_view_shows_its_tables(void **state)
{
	static const char *const lines[] = {
		"ITS devices             0x80010000  64 KiB\n",
		"ITS collections         0x80020000  64 KiB\n", "ITS commands            0x80000000  64 KiB\n",
		"ITT of device 0x0       0x80060000  256 B\n", "ITT of device 0x8       0x80060100  256 B\n",
		"LPI configuration       0x80030000  56 KiB\n  LPIs pending on vCPU 0  0x80040000  8 KiB\n"
		"  LPIs pending on vCPU 1  0x80050000  8 KiB\n", NULL,
	};

	(void)state;
	expect(rig_new(), inspect_memory, lines);
}

static void memory_view_omits_tables_that_are_not_used(void **state)
{
	struct inspection_rig *rig = rig_new();
	struct opened opened;
	const char *text;

	(void)state;
	rig->cbaser &= ~RIG_VALID;
	rig->baser[1] &= ~RIG_VALID;
	rig->baser[0] |= 1ull << 62;
	rig->redistributors[1].control = 6; /* LPIs are disabled */
	open_rig(&opened, rig);
	text = show(&opened, inspect_memory, false);
	assert_non_null(strstr(text, "ITS devices, first level"));
	assert_null(strstr(text, "ITS commands"));
	assert_null(strstr(text, "ITS collections"));
	assert_non_null(strstr(text, "LPIs pending on vCPU 0"));
	assert_null(strstr(text, "LPIs pending on vCPU 1"));
	close_rig(&opened);
	free(rig);
}

/* Errors. */

static int cannot_read(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	(void)owner;
	(void)address;
	(void)to;
	(void)size;
	return error_set(error, EIO, "the disk is broken");
}

/* An error of a read is reported, not shown as an empty table. */
static void views_fail_when_memory_cannot_be_read(void **state)
{
	static const view views[] = { inspect_its, inspect_devices, inspect_pci, inspect_memory };
	struct inspection_rig *rig = rig_new();
	struct opened opened;
	struct error error;

	(void)state;
	rig->cwriter = 0x680;
	rig->baser[0] &= ~RIG_VALID;
	open_rig(&opened, rig);
	opened.inspection.memory.read = cannot_read;
	for (size_t i = 0; i < COUNT(views); i++) {
		report_open(&opened.report, false);
		assert_int_equal(views[i](&opened.inspection, &opened.report, &error), -1);
		assert_non_null(strstr(error.text, "the disk is broken"));
		report_close(&opened.report);
	}
	assert_null(inspect_dot(&opened.inspection, &error));
	close_rig(&opened);
	free(rig);
}

static void view_names_a_missing_register(void **state)
{
	struct inspection_rig *rig = rig_new();

	(void)state;
	rig->leave = "CREADR";
	expect_failure(rig, inspect_its, "section its: CREADR is missing");
	rig = rig_new();
	rig->leave = "BASER1";
	expect_failure(rig, inspect_memory, "section its: BASER1 is missing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(its_view_shows_registers),
		cmocka_unit_test(its_view_shows_waiting_commands),
		cmocka_unit_test(its_view_marks_commands_outside_ram),
		cmocka_unit_test(its_view_shows_problems_beside_the_entry),
		cmocka_unit_test(its_view_shows_faults_of_tables_outside_ram),
		cmocka_unit_test(restore_tables_result_is_predicted),
		cmocka_unit_test(its_view_shows_collection_without_vcpu),
		cmocka_unit_test(its_view_shows_absence_of_the_its),
		cmocka_unit_test(graph_shows_devices_lpis_and_collections),
		cmocka_unit_test(memory_view_shows_its_tables),
		cmocka_unit_test(memory_view_omits_tables_that_are_not_used),
		cmocka_unit_test(views_fail_when_memory_cannot_be_read),
		cmocka_unit_test(view_names_a_missing_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
