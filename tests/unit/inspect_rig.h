/* SPDX-License-Identifier: MIT */
/* Opens a snapshot for the views: a golden one, or one of sections that a test wrote. */
#ifndef TESTS_INSPECT_RIG_H
#define TESTS_INSPECT_RIG_H

#include "unit/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "inspect/inspect.h"

typedef int inspect_view(const struct inspection *inspection, struct report *report, struct error *error);

struct inspect_rig {
	struct snapshot snapshot;
	struct inspection inspection;
	struct report report;
	struct section_writer writer; /* for sections that a test writes */
};

/* Opens tests/golden/NAME.lkvm.gz. */
static inline void rig_open_golden(struct inspect_rig *rig, const char *name)
{
	char packed[64], path[] = "/tmp/lkvm-inspect-XXXXXX";
	uint8_t page[4096];
	int to = mkstemp(path), got;
	struct error error;
	gzFile from;

	*rig = (struct inspect_rig){ .snapshot = { .fd = -1 } };
	snprintf(packed, sizeof(packed), "tests/golden/%s.lkvm.gz", name);
	from = gzopen(packed, "rb");
	assert_non_null(from);
	while ((got = gzread(from, page, sizeof(page))) > 0)
		assert_int_equal(write(to, page, (size_t)got), got);
	gzclose(from);
	close(to);
	if (snapshot_open(&rig->snapshot, path, &error) < 0 ||
	    inspection_open(&rig->inspection, &rig->snapshot, &error) < 0)
		fail_msg("%s: %s", packed, error.text);
	unlink(path);
}

/* Opens the sections in `writer`. The caller fills in the configuration. */
static inline void rig_open_made(struct inspect_rig *rig)
{
	struct byte_buffer *buffer = &rig->writer.buffer;
	struct error error;

	rig->snapshot.fd = -1;
	if (sections_parse(&rig->snapshot.sections, buffer->bytes, buffer->size, &error) < 0)
		fail_msg("%s", error.text);
	rig->inspection.snapshot = &rig->snapshot;
}

/* Returns the text of a view, or NULL with an error. The text is valid until the next call. */
static inline const char *rig_show(struct inspect_rig *rig, inspect_view *view, bool json, struct error *error)
{
	report_close(&rig->report);
	report_open(&rig->report, json);
	return view(&rig->inspection, &rig->report, error) == 0 ? report_text(&rig->report) : NULL;
}

static inline void rig_close(struct inspect_rig *rig)
{
	report_close(&rig->report);
	inspection_close(&rig->inspection);
	if (rig->snapshot.fd >= 0)
		snapshot_close(&rig->snapshot);
	else
		sections_free(&rig->snapshot.sections);
	byte_buffer_free(&rig->writer.buffer);
}

static inline void assert_has(const char *text, const char *part)
{
	assert_non_null(text);
	if (!strstr(text, part))
		fail_msg("no \"%s\" in %s", part, text);
}

static inline unsigned count_of(const char *text, const char *part)
{
	unsigned count = 0;

	while ((text = strstr(text, part))) {
		text += strlen(part);
		count++;
	}
	return count;
}

#endif
