/* SPDX-License-Identifier: MIT */
/* The views of a real guest's snapshot, and of the same one with changed sections. */
#include "state/names.h"
#include "unit/test.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "golden/unpack.h"
#include "inspect/inspect.h"
#include "util/bits.h"

typedef int (*view)(const struct inspection *inspection, struct report *report, struct error *error);

struct rig {
	char path[32];
	struct snapshot snapshot;
	struct inspection inspection;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct error error;
	int fd;

	assert_non_null(rig);
	snprintf(rig->path, sizeof(rig->path), "/tmp/lkvm-inspect-XXXXXX");
	fd = mkstemp(rig->path);
	assert_true(fd >= 0);
	close(fd);
	golden_unpack(GOLDEN_REAL, rig->path);
	assert_int_equal(snapshot_open(&rig->snapshot, rig->path, &error), 0);
	assert_int_equal(inspection_open(&rig->inspection, &rig->snapshot, &error), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	inspection_close(&rig->inspection);
	snapshot_close(&rig->snapshot);
	unlink(rig->path);
	free(rig);
	return 0;
}

/* Expects all of these in the text of a view, in this order. */
static void expect(const struct rig *rig, view show, const char *const *lines)
{
	struct report report;
	struct error error;
	const char *at;

	report_open(&report, false);
	assert_int_equal(show(&rig->inspection, &report, &error), 0);
	at = report_text(&report);
	for (; *lines; lines++) {
		at = strstr(at, *lines);
		if (!at)
			fail_msg("\"%s\" is not in:\n%s", *lines, report_text(&report));
	}
	report_close(&report);
}

static void its_view_shows_tables_of_real_guest(void **state)
{
	static const char *const lines[] = {
		"GITS_CBASER", "0xb8000000802d0400", "commands", "none", "devices      yes    0x802f0000  64 KiB  1\n",
		"0           0     0x802e0000  -\n", "0x8     00:01.0  virtio-net0      32      0x802aa100  256 B     0x802f0040  -\n",
		"0x0     virtio-blk0      5      8261  0           0     yes      160       yes      0x802aa028  -\n",
		"0x20    virtio-input0    31     8415  0           0     yes      160       no       0x802aa4f8  -\n",
		"faults          none\n", "restore tables  accepted\n", NULL,
	};

	expect(*state, inspect_its, lines);
}

static void devices_view_shows_state_of_real_guest(void **state)
{
	static const char *const lines[] = {
		"virtio-blk0      00:00.0  0x130006644  0x130006644  acknowledge driver features-ok driver-ok needs-reset\n",
		"virtio-net0/queue1      64    yes      1       0x800a0d20   0x800a1120  0x800a11a8\n",
		"virtio-blk0/queue0      0               1          0          0\n", "modem status       0xb0\n",
		"\nrtc\n  offset ", "\ngpio\n  input ", "capacity  0x2000\n", NULL,
	};

	expect(*state, inspect_devices, lines);
}

static void pci_view_shows_functions_and_vectors_of_real_guest(void **state)
{
	static const char *const lines[] = {
		"00:01.0  virtio-net0      1af4:1041  020000  yes     yes         no             on    -\n",
		"virtio-entropy0  4    0x8000008000  64    yes\n",
		"virtio-blk0      0       0x3ffe0040  0x0   yes     yes      8256  0     MSI-X  masked\n",
		"virtio-blk0      1       0x3ffe0040  0x1   no      no       8257  0     MSI-X  irqfd\n",
		"virtio-input0    2       0x3ffe0040  0x2   yes     no       8386  0     MSI-X  masked\n", NULL,
	};

	expect(*state, inspect_pci, lines);
}

static void memory_view_shows_areas_of_real_guest(void **state)
{
	static const char *const lines[] = {
		"base         0x80000000\n", "ITS devices             0x802f0000  64 KiB\n",
		"ITT of device 0x20      0x802aa400  256 B\n", "LPIs pending on vCPU 0  0x802b0000  8 KiB\n",
		"0x80080000  192 KiB\n", "data         896 KiB\n", "zero         63.1 MiB\n", NULL,
	};

	expect(*state, inspect_memory, lines);
}

static void summary_shows_counts_of_real_guest(void **state)
{
	static const char *const lines[] = {
		"identity        646f577b-1f90-4404-97c8-adbd511e9782\n", "name     golden\n", "vcpus    2\n",
		"virtio-input0    00:04.0", "SPIs                     40       40       24      0\n",
		"  SGIs and PPIs of vCPU 1  28       19       11      0\n", "events          160\n",
		"pending         1\n", NULL,
	};

	expect(*state, inspect_summary, lines);
}

static const struct section *section(const struct rig *rig, const char *name)
{
	const struct section *found = sections_find((struct sections *)(uintptr_t)&rig->snapshot.sections, name);

	assert_non_null(found);
	return found;
}

/* A partial snapshot lacks most of RAM, so its disk usage is not shown. */
static void summary_omits_disk_usage_when_ram_is_partial(void **state)
{
	const struct rig *rig = *state;
	struct report report;
	struct error error;

	for (unsigned partial = 0; partial < 2; partial++) {
		report_open(&report, true);
		assert_int_equal(inspect_summary(&rig->inspection, &report, &error), 0);
		assert_int_equal(strstr(report_text(&report), "in_file") != NULL, !partial);
		report_close(&report);
		if (!partial)
			strcpy(((struct section *)(uintptr_t)section(rig, "clock"))->name, SECTION_PARTIAL);
	}
}

static void graph_shows_route_of_each_lpi(void **state)
{
	const struct rig *rig = *state;
	struct error error;
	char *text = inspect_dot(&rig->inspection, &error);

	assert_non_null(text);
	assert_non_null(strstr(text, "digraph interrupts {\n"));
	assert_non_null(strstr(text, "device8 [shape=record, label=\"virtio-net0\\n00:01.0|<e0> event 0|"));
	assert_non_null(strstr(text, "lpi8261 [label=\"LPI 8261\\npriority 160, pending\", style=filled, fillcolor=orange];\n"));
	assert_non_null(strstr(text, "device8:e3 -> lpi8291;\n\tlpi8291 -> collection0;\n"));
	assert_non_null(strstr(text, "collection0 -> vcpu0;\n"));
	assert_string_equal(text + strlen(text) - 2, "}\n");
	free(text);
}

/* Returns the address of a field's value, which the test may change. */
static uint8_t *value(const struct rig *rig, const char *name, const char *field_name)
{
	struct field field;

	assert_true(field_find(&section(rig, name)->fields, field_name, &field));
	return (uint8_t *)(uintptr_t)field.values;
}

static const view views[] = { inspect_summary, inspect_its, inspect_devices, inspect_pci, inspect_memory };

/* Shows all views as text and as JSON. With any contents they end, and the output is printable. */
static void show_all(const struct rig *rig)
{
	for (size_t i = 0; i < COUNT(views); i++) {
		for (int json = 0; json < 2; json++) {
			struct report report;
			struct error error;

			report_open(&report, json);
			if (views[i](&rig->inspection, &report, &error) == 0)
				assert_non_null(report_text(&report));
			else
				assert_true(strlen(error.text) > 0);
			report_close(&report);
		}
	}
}

/* A capability that points to itself, tables anywhere, queues nowhere. */
static void views_survive_hostile_values(void **state)
{
	static const struct {
		const char *section, *field;
		unsigned offset, size;
	} places[] = {
		{ "virtio-blk0/pci", "config", 0x34, 1 },   { "virtio-blk0/pci", "config", 0x41, 1 },
		{ "virtio-blk0/pci", "config", 0x10, 16 },  { "virtio-blk0/pci", "msix_data", 0, 4 },
		{ "virtio-net0/queue0", "driver", 0, 8 },   { "virtio-net0/queue0", "descriptors", 0, 8 },
		{ "virtio-net0/queue0", "size", 0, 2 },     { "its", "BASER0", 0, 8 },
		{ "its", "BASER1", 0, 8 },                  { "its", "CBASER", 0, 8 },
		{ "its", "CWRITER", 0, 8 },                 { "its", "CREADR", 0, 8 },
		{ "gic/redistributor0", "PENDBASER", 0, 8 }, { "gic/redistributor0", "CTLR", 0, 8 },
	};
	struct rig *rig = *state;
	struct error error;

	for (size_t i = 0; i < COUNT(places); i++) {
		uint8_t *at = value(rig, places[i].section, places[i].field) + places[i].offset, kept[16];

		memcpy(kept, at, places[i].size);
		for (unsigned pattern = 0; pattern < 5; pattern++) {
			static const uint8_t bytes[] = { 0x00, 0xff, 0x40, 0x80, 0x7f };

			memset(at, bytes[pattern], places[i].size);
			inspection_close(&rig->inspection);
			assert_int_equal(inspection_open(&rig->inspection, &rig->snapshot, &error), 0);
			show_all(rig);
		}
		memcpy(at, kept, places[i].size);
	}
}

static void its_view_names_a_missing_section(void **state)
{
	struct rig *rig = *state;
	struct section *its = (struct section *)(uintptr_t)section(rig, "its");
	struct report report;
	struct error error;

	its->name[0] = 'x';
	report_open(&report, false);
	assert_int_equal(inspect_its(&rig->inspection, &report, &error), -1);
	assert_string_equal(error.text, "it has no section its");
	report_close(&report);
}

/* Sets a register of the ITS. */
static void set_its(const struct rig *rig, const char *name, uint64_t number)
{
	memcpy(value(rig, "its", name), &number, sizeof(number));
}

/* Each word of RAM is a valid entry: a collection on vCPU 0, or a device with too many events, followed by the next one. */
static int read_entries(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	const uint64_t entry = 1ull << 63 | 1ull << 49 | 31;

	(void)owner;
	(void)error;
	for (size_t at = 0; at < size; at++)
		((uint8_t *)to)[at] = (uint8_t)(entry >> (address + at) % 8 * 8);
	return 0;
}

/* 20 pages of 64 KiB have 163840 entries, 32768 above the limit. */
static void lists_are_cut_at_their_limits(void **state)
{
	enum { PAGES = 19 };
	struct rig *rig = *state;
	const uint64_t table = 1ull << 63 | rig->inspection.memory.base | PAGES;
	struct report report;
	struct error error;

	rig->inspection.memory.read = read_entries;
	set_its(rig, "BASER0", 0);
	set_its(rig, "BASER1", table);
	report_open(&report, false);
	assert_int_equal(inspect_its(&rig->inspection, &report, &error), 0);
	assert_non_null(strstr(report_text(&report), "\ncollections not shown  32768\n"));
	report_close(&report);
	assert_null(inspect_dot(&rig->inspection, &error));
	assert_string_equal(error.text, "the ITS's tables have 163840 entries, a graph at most 131072");

	set_its(rig, "BASER0", table);
	set_its(rig, "BASER1", 0);
	report_open(&report, true);
	assert_int_equal(inspect_memory(&rig->inspection, &report, &error), 0);
	assert_non_null(strstr(report_text(&report), ", \"tables_not_shown\": 32768, "));
	report_close(&report);
}

/* Names become keys in JSON. */
static void fields_are_refused_when_a_name_is_there_twice(void **state)
{
	struct byte_buffer buffer = { 0 };
	struct fields fields;
	struct report report;
	struct error error;

	(void)state;
	field_add_number(&buffer, "one", 1);
	field_add(&buffer, "two", 1, 0, NULL);
	fields = (struct fields){ buffer.bytes, buffer.size };
	report_open(&report, true);
	assert_int_equal(inspect_fields(&fields, &report, &error), 0);
	assert_string_equal(report_text(&report), "{\"one\": \"0x1\", \"two\": []}\n");
	field_add_number(&buffer, "two", 1);
	fields = (struct fields){ buffer.bytes, buffer.size };
	assert_int_equal(inspect_fields(&fields, &report, &error), -1);
	assert_string_equal(error.text, "two occurs twice");
	report_close(&report);
	byte_buffer_free(&buffer);
}

/* Each field's name is compared with the previous ones, which takes quadratic time without a limit. */
static void fields_are_refused_when_there_are_too_many(void **state)
{
	struct byte_buffer buffer = { 0 };
	struct fields fields;
	struct report report;
	struct error error;

	(void)state;
	for (unsigned i = 0; i < 1025; i++) {
		char name[16];

		snprintf(name, sizeof(name), "field%u", i);
		field_add_number(&buffer, name, i);
	}
	fields = (struct fields){ buffer.bytes, buffer.size };
	report_open(&report, false);
	assert_int_equal(inspect_fields(&fields, &report, &error), -1);
	assert_string_equal(error.text, "it has more than 1024 fields");
	report_close(&report);
	byte_buffer_free(&buffer);
}

static void field_is_refused_when_it_has_too_many_values(void **state)
{
	struct byte_buffer buffer = { 0 };
	struct fields fields;
	struct report report;
	struct error error;

	(void)state;
	field_add(&buffer, "many", 1, 65537, NULL);
	fields = (struct fields){ buffer.bytes, buffer.size };
	report_open(&report, true);
	assert_int_equal(inspect_fields(&fields, &report, &error), -1);
	assert_string_equal(error.text, "many has 65537 values, more than any device");
	report_close(&report);
	byte_buffer_free(&buffer);
}

/* inspect_extract() copies all that the views need. */
static void extract_has_all_that_the_views_show(void **state)
{
	struct rig *rig = *state;
	struct section_writer sections = { 0 };
	struct ram ram, copy;
	struct error error;
	unsigned pages = 0;

	for (size_t i = 0; i < rig->snapshot.sections.count; i++) {
		const struct section *from = &rig->snapshot.sections.items[i];

		section_begin(&sections, from->name, from->version, from->flags);
		byte_buffer_add(&sections.buffer, from->fields.bytes, from->fields.size);
		section_end(&sections);
	}
	assert_int_equal(snapshot_map_ram(&rig->snapshot, &ram, NULL, &error), 0);
	assert_int_equal(ram_open(&copy, ram.base, ram.size, &error), 0);
	assert_int_equal(inspect_extract(&sections.buffer, &ram, &copy, &error), 0);
	for (uint64_t at = 0; at < ram.size; at += 4096)
		pages += memcmp(copy.host + at, ram.host + at, 4096) == 0 && copy.host[at] != 0;
	assert_true(pages > 0 && pages < 64);
	/* The ITS's tables, a pending table, a ring. */
	assert_memory_equal(ram_at(&copy, 0x802aa000, 0x500), ram_at(&ram, 0x802aa000, 0x500), 0x500);
	assert_memory_equal(ram_at(&copy, 0x802f0000, 0x200), ram_at(&ram, 0x802f0000, 0x200), 0x200);
	assert_memory_equal(ram_at(&copy, 0x802b0000, 0x2000), ram_at(&ram, 0x802b0000, 0x2000), 0x2000);
	assert_memory_equal(ram_at(&copy, 0x800a0400, 0x100), ram_at(&ram, 0x800a0400, 0x100), 0x100);
	ram_close(&copy);
	ram_close(&ram);
	byte_buffer_free(&sections.buffer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(its_view_shows_tables_of_real_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(devices_view_shows_state_of_real_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(pci_view_shows_functions_and_vectors_of_real_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(memory_view_shows_areas_of_real_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(summary_shows_counts_of_real_guest, set_up, tear_down),
		cmocka_unit_test_setup_teardown(summary_omits_disk_usage_when_ram_is_partial, set_up, tear_down),
		cmocka_unit_test_setup_teardown(graph_shows_route_of_each_lpi, set_up, tear_down),
		cmocka_unit_test_setup_teardown(views_survive_hostile_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(its_view_names_a_missing_section, set_up, tear_down),
		cmocka_unit_test(fields_are_refused_when_a_name_is_there_twice),
		cmocka_unit_test(fields_are_refused_when_there_are_too_many),
		cmocka_unit_test(field_is_refused_when_it_has_too_many_values),
		cmocka_unit_test_setup_teardown(lists_are_cut_at_their_limits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(extract_has_all_that_the_views_show, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
