/* SPDX-License-Identifier: MIT */
/* util/report*.c and util/text.c: the same values as text and as JSON, with any bytes from a guest. */
#include "unit/test.h"

#include <string.h>

#include "util/bits.h"
#include "util/report.h"
#include "util/text.h"

/* Renders the report that `fill` writes, and compares it. */
static void check(void (*fill)(struct report *report), bool json, const char *expected)
{
	struct report report;

	report_open(&report, json);
	fill(&report);
	assert_string_equal(report_text(&report), expected);
	assert_string_equal(report_text(&report), expected); /* a second call returns the same */
	report_close(&report);
	report_close(&report);
}

static void fill_nothing(struct report *report)
{
	(void)report;
}

static void report_is_empty_without_values(void **state)
{
	(void)state;
	check(fill_nothing, true, "{}\n");
	check(fill_nothing, false, "");
}

static void fill_values(struct report *report)
{
	report_string(report, "state", "running");
	report_bytes(report, "memory", 512ull << 20);
	report_number(report, "pause_time_us", UINT64_MAX);
	report_bool(report, "its", true);
	report_bool(report, "pmu", false);
	report_hex(report, "pc", 0xffff800080000000);
	report_string(report, "snapshot", NULL);
	report_string(report, "empty", "");
}

static void report_prints_values_of_each_type(void **state)
{
	(void)state;
	check(fill_values, true,
	      "{\"state\": \"running\", \"memory\": 536870912, \"pause_time_us\": 18446744073709551615, "
	      "\"its\": true, \"pmu\": false, \"pc\": \"0xffff800080000000\", \"snapshot\": null, \"empty\": \"\"}\n");
	check(fill_values, false,
	      "state          running\n"
	      "memory         512 MiB\n"
	      "pause time us  18446744073709551615\n"
	      "its            yes\n"
	      "pmu            no\n"
	      "pc             0xffff800080000000\n"
	      "snapshot       -\n"
	      "empty          -\n");
}

static void fill_sizes(struct report *report)
{
	report_begin_list(report, "sizes");
	report_bytes(report, NULL, 0);
	report_bytes(report, NULL, 1023);
	report_bytes(report, NULL, 1024);
	report_bytes(report, NULL, 1536ull << 20);
	report_bytes(report, NULL, (1ull << 30) - 1);
	report_bytes(report, NULL, UINT64_MAX);
	report_end_list(report);
}

static void report_prints_sizes_with_units(void **state)
{
	(void)state;
	check(fill_sizes, false, "sizes  0 B, 1023 B, 1 KiB, 1.5 GiB, 1023.9 MiB, 15.9 EiB\n");
}

static void fill_nested(struct report *report)
{
	report_number(report, "a", 1);
	report_begin(report, "timing");
	report_number(report, "pause_us", 10);
	report_begin(report, "none_here");
	report_end(report);
	report_end(report);
	report_begin_list(report, "lines");
	report_number(report, NULL, 1);
	report_number(report, NULL, 2);
	report_end_list(report);
	report_begin_list(report, "disks");
	report_end_list(report);
}

static void report_indents_nested_objects(void **state)
{
	(void)state;
	check(fill_nested, true,
	      "{\"a\": 1, \"timing\": {\"pause_us\": 10, \"none_here\": {}}, \"lines\": [1, 2], \"disks\": []}\n");
	check(fill_nested, false,
	      "a      1\n"
	      "timing\n"
	      "  pause us   10\n"
	      "  none here  none\n"
	      "lines  1, 2\n"
	      "disks  none\n");
}

static void add_device(struct report *report, const char *name, uint64_t requests)
{
	report_begin(report, NULL);
	report_string(report, "name", name);
	report_number(report, "kicks", 7);
	report_number(report, "requests", requests);
	report_end(report);
}

static void fill_table(struct report *report)
{
	report_begin_list(report, "devices");
	add_device(report, "virtio-blk0", 210);
	add_device(report, "\xc3\xa9", 0);
	report_end_list(report);
}

static void report_prints_table_of_equal_objects(void **state)
{
	(void)state;
	check(fill_table, false,
	      "devices\n"
	      "  name         kicks  requests\n"
	      "  virtio-blk0  7      210\n"
	      "  \xc3\xa9            7      0\n");
	check(fill_table, true,
	      "{\"devices\": [{\"name\": \"virtio-blk0\", \"kicks\": 7, \"requests\": 210}, "
	      "{\"name\": \"\xc3\xa9\", \"kicks\": 7, \"requests\": 0}]}\n");
}

static void fill_unequal(struct report *report)
{
	report_begin_list(report, "devices");
	add_device(report, "blk", 1);
	report_begin(report, NULL);
	report_string(report, "name", "net");
	report_begin(report, "more");
	report_bool(report, "vhost", true);
	report_end(report);
	report_end(report);
	report_string(report, NULL, "word");
	report_begin_list(report, NULL);
	report_begin_list(report, NULL);
	report_end_list(report);
	report_end_list(report);
	report_end_list(report);
}

static void report_prints_unequal_elements_one_by_one(void **state)
{
	(void)state;
	check(fill_unequal, false,
	      "devices\n"
	      "  - name      blk\n"
	      "    kicks     7\n"
	      "    requests  1\n"
	      "  - name  net\n"
	      "    more\n"
	      "      vhost  yes\n"
	      "  - word\n"
	      "  - \n"
	      "    - none\n");
	check(fill_unequal, true,
	      "{\"devices\": [{\"name\": \"blk\", \"kicks\": 7, \"requests\": 1}, "
	      "{\"name\": \"net\", \"more\": {\"vhost\": true}}, \"word\", [[]]]}\n");
}

static void fill_almost_equal(struct report *report)
{
	report_begin_list(report, "devices");
	add_device(report, "blk", 1);
	report_begin(report, NULL);
	report_string(report, "name", "net");
	report_number(report, "kicks", 2);
	report_number(report, "packets", 3);
	report_end(report);
	report_end_list(report);
}

static void report_prints_no_table_when_names_differ(void **state)
{
	(void)state;
	check(fill_almost_equal, false,
	      "devices\n"
	      "  - name      blk\n"
	      "    kicks     7\n"
	      "    requests  1\n"
	      "  - name     net\n"
	      "    kicks    2\n"
	      "    packets  3\n");
}

static void fill_lists_in_objects(struct report *report)
{
	report_begin_list(report, "vcpus");
	for (uint64_t i = 0; i < 2; i++) {
		report_begin(report, NULL);
		report_number(report, "vcpu", i);
		report_begin_list(report, "devices");
		add_device(report, "blk", i);
		report_end_list(report);
		report_end(report);
	}
	report_end_list(report);
}

static void report_prints_no_table_of_objects_with_lists(void **state)
{
	(void)state;
	check(fill_lists_in_objects, false,
	      "vcpus\n"
	      "  - vcpu  0\n"
	      "    devices\n"
	      "      name  kicks  requests\n"
	      "      blk   7      0\n"
	      "  - vcpu  1\n"
	      "    devices\n"
	      "      name  kicks  requests\n"
	      "      blk   7      1\n");
}

static void fill_wide(struct report *report)
{
	char name[121];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	report_begin_list(report, "devices");
	add_device(report, name, 1);
	report_end_list(report);
}

static void report_prints_no_table_when_it_is_too_wide(void **state)
{
	struct report report;

	(void)state;
	report_open(&report, false);
	fill_wide(&report);
	assert_non_null(strstr(report_text(&report), "    kicks     7\n"));
	report_close(&report);
}

static void fill_hostile(struct report *report)
{
	report_string(report, "text", "\"\\\033[31m\n\t\x01\x7f\xc2\x9b \xff\xc0\x80\xed\xa0\x80\xf4\x90\x80\x80 "
				      "\xe2\x82");
}

static void report_escapes_hostile_strings(void **state)
{
	(void)state;
	check(fill_hostile, true,
	      "{\"text\": \"\\\"\\\\\\u001b[31m\\u000a\\u0009\\u0001\\u007f\\u009b \\ufffd\\ufffd\\ufffd\\ufffd"
	      "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd \\ufffd\\ufffd\"}\n");
	check(fill_hostile, false, "text  \"\\?[31m????" "?? ?????????? ??\n");
}

static void text_character_decodes_utf8_strictly(void **state)
{
	static const struct {
		const char *text;
		size_t length;
		uint32_t code;
	} cases[] = {
		{ "a", 1, 'a' },
		{ "\xc2\x80", 2, 0x80 },
		{ "\xdf\xbf", 2, 0x7ff },
		{ "\xe0\xa0\x80", 3, 0x800 },
		{ "\xef\xbf\xbf", 3, 0xffff },
		{ "\xf0\x90\x80\x80", 4, 0x10000 },
		{ "\xf4\x8f\xbf\xbf", 4, 0x10ffff },
		{ "\x80", 1, TEXT_INVALID },         /* a continuation byte alone */
		{ "\xc1\xbf", 1, TEXT_INVALID },     /* an overlong encoding */
		{ "\xe0\x9f\xbf", 1, TEXT_INVALID },
		{ "\xf0\x8f\xbf\xbf", 1, TEXT_INVALID },
		{ "\xed\xbf\xbf", 1, TEXT_INVALID }, /* a surrogate */
		{ "\xf8\x88\x80\x80\x80", 1, TEXT_INVALID },
		{ "\xe2\x82", 1, TEXT_INVALID },     /* truncated */
		{ "\xff", 1, TEXT_INVALID },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint32_t code;

		assert_int_equal(text_character(cases[i].text, &code), cases[i].length);
		assert_int_equal(code, cases[i].code);
	}
}

static void report_prints_lists_of_the_largest_depth(void **state)
{
	struct report report;

	(void)state;
	for (int json = 0; json < 2; json++) {
		report_open(&report, json);
		report_begin_list(&report, "deep");
		for (unsigned i = 1; i < REPORT_MAX_DEPTH; i++)
			report_begin_list(&report, NULL);
		report_number(&report, NULL, 1);
		report_number(&report, NULL, 2);
		for (unsigned i = 0; i < REPORT_MAX_DEPTH; i++)
			report_end_list(&report);
		assert_non_null(strstr(report_text(&report), json ? "[[[[[[1, 2]]]]]]" : "- 1, 2\n"));
		report_close(&report);
	}
}

static void fill_problems(struct report *report)
{
	report_begin_list(report, "events");
	for (int i = 0; i < 2; i++) {
		report_begin(report, NULL);
		report_number(report, "lpi", 8192 + (uint64_t)i);
		report_string(report, "problem", i ? "an earlier event has the same LPI, so that its interrupts come as "
						     "the other one's, at another priority, and perhaps on another vCPU" : NULL);
		report_end(report);
	}
	report_end_list(report);
}

static void report_keeps_long_text_in_the_last_column(void **state)
{
	(void)state;
	check(fill_problems, false,
	      "events\n"
	      "  lpi   problem\n"
	      "  8192  -\n"
	      "  8193  an earlier event has the same LPI, so that its interrupts come as the other one's, at another priority, "
	      "and perhaps on another vCPU\n");
}

static void report_colours_heads_and_problems_on_a_terminal(void **state)
{
	struct report report;

	(void)state;
	report_open(&report, false);
	report.colored = true;
	report_begin_list(&report, "events");
	report_begin(&report, NULL);
	report_number(&report, "lpi", 8192);
	report_string(&report, "problem", "bad\033[0m");
	report_end(&report);
	report_end_list(&report);
	report_number(&report, "count", 1);
	/* A guest's text cannot set colours. */
	assert_string_equal(report_text(&report), "\033[1mevents\033[0m\n"
						  "  \033[1mlpi\033[0m   \033[1mproblem\033[0m\n"
						  "  8192  \033[31mbad?[0m\033[0m\n"
						  "count  1\n");
	report_close(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(report_is_empty_without_values),
		cmocka_unit_test(report_keeps_long_text_in_the_last_column),
		cmocka_unit_test(report_colours_heads_and_problems_on_a_terminal),
		cmocka_unit_test(report_prints_values_of_each_type),
		cmocka_unit_test(report_prints_sizes_with_units),
		cmocka_unit_test(report_indents_nested_objects),
		cmocka_unit_test(report_prints_table_of_equal_objects),
		cmocka_unit_test(report_prints_unequal_elements_one_by_one),
		cmocka_unit_test(report_prints_no_table_when_names_differ),
		cmocka_unit_test(report_prints_no_table_of_objects_with_lists),
		cmocka_unit_test(report_prints_no_table_when_it_is_too_wide),
		cmocka_unit_test(report_escapes_hostile_strings),
		cmocka_unit_test(text_character_decodes_utf8_strictly),
		cmocka_unit_test(report_prints_lists_of_the_largest_depth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
