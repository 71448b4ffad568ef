/* SPDX-License-Identifier: MIT */
/* Runs views on the snapshot of verify_rig.h, in which a test changes a value. */
#ifndef TESTS_UNIT_VIEWS_RIG_H
#define TESTS_UNIT_VIEWS_RIG_H

#include "unit/test.h"

#include "unit/verify_rig.h"

typedef int (*view)(const struct inspection *inspection, struct report *report, struct error *error);

/* An open snapshot with the current state of the rig. */
struct opened {
	struct section_writer writer;
	struct snapshot snapshot;
	struct inspection inspection;
	struct report report;
};

static inline void open_rig(struct opened *opened, struct inspection_rig *rig)
{
	static const uint32_t checksums[RIG_RAM_SIZE / FORMAT_RAM_CHUNK];
	struct error error;

	*opened = (struct opened){ .snapshot = { .fd = -1, .ram_base = RIG_RAM, .ram_size = RIG_RAM_SIZE } };
	opened->snapshot.checksums = (struct field){ .size = 4, .count = RIG_RAM_SIZE / FORMAT_RAM_CHUNK,
						     .values = (const uint8_t *)checksums };
	rig_write(rig, &opened->writer);
	assert_int_equal(sections_parse(&opened->snapshot.sections, opened->writer.buffer.bytes,
					opened->writer.buffer.size, &error), 0);
	assert_int_equal(inspection_open(&opened->inspection, &opened->snapshot, &error), 0);
	opened->inspection.memory.read = rig_read;
	opened->inspection.memory.owner = rig;
}

static inline void close_rig(struct opened *opened)
{
	report_close(&opened->report);
	inspection_close(&opened->inspection);
	sections_free(&opened->snapshot.sections);
	byte_buffer_free(&opened->writer.buffer);
}

static inline const char *show(struct opened *opened, view how, bool json)
{
	struct error error;

	report_close(&opened->report);
	report_open(&opened->report, json);
	if (how(&opened->inspection, &opened->report, &error) < 0)
		fail_msg("%s", error.text);
	return report_text(&opened->report);
}

/* Asserts that `text` has all of these, in this order. */
static inline void assert_lines(const char *text, const char *const *lines)
{
	const char *at = text;

	for (; *lines; lines++) {
		at = strstr(at, *lines);
		if (!at)
			fail_msg("\"%s\" is not in:\n%s", *lines, text);
	}
}

/* The same for a view of the rig. Frees the rig. */
static inline void expect(struct inspection_rig *rig, view how, const char *const *lines)
{
	struct opened opened;

	open_rig(&opened, rig);
	assert_lines(show(&opened, how, false), lines);
	close_rig(&opened);
	free(rig);
}

static inline void expect_failure(struct inspection_rig *rig, view how, const char *sentence)
{
	struct opened opened;
	struct error error;

	open_rig(&opened, rig);
	report_open(&opened.report, false);
	assert_int_equal(how(&opened.inspection, &opened.report, &error), -1);
	assert_string_equal(error.text, sentence);
	close_rig(&opened);
	free(rig);
}

#endif
