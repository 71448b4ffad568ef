/* SPDX-License-Identifier: MIT */
/* lkvm snapshot diff: compares two snapshots. */
#include <errno.h>
#include <stdio.h>

#include "cmd/command.h"
#include "inspect/diff.h"

/* The exit statuses of diff(1). */
enum diff_status { DIFF_SAME = 0, DIFF_DIFFERENT = 1, DIFF_TROUBLE = 2 };

struct diff_options {
	bool all;
	bool json;
};

static const struct option_entry entries[] = {
	{ .name = "all", .kind = OPTION_FLAG, .offset = offsetof(struct diff_options, all),
	  .help = "Show every row of every list" },
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct diff_options, json), .help = "Print JSON" },
};

static const struct diff_options defaults = { .json = false };
const struct option_table snapshot_diff_options_table = OPTION_TABLE(entries, defaults);

struct side {
	const char *path;
	struct snapshot snapshot;
	struct inspection inspection;
};

static int open_side(struct side *side, const char *path, struct error *error)
{
	side->path = path;
	if (snapshot_open(&side->snapshot, path, error) < 0)
		return -1;
	if (inspection_open(&side->inspection, &side->snapshot, error) == 0)
		return 0;
	snapshot_close(&side->snapshot);
	return error_context(error, "%s", path);
}

static void close_side(struct side *side)
{
	inspection_close(&side->inspection);
	snapshot_close(&side->snapshot);
}

static void add_side(struct report *report, const char *name, const struct side *side)
{
	report_begin(report, NULL);
	report_string(report, "snapshot", name);
	report_string(report, "file", side->path);
	inspect_identity(&side->snapshot.header, report);
	report_end(report);
}

static int trouble(const struct command_call *call, const struct error *error)
{
	command_error(call, error);
	return DIFF_TROUBLE;
}

/* Without its output, the command is in trouble. */
static int print(const struct command_call *call, struct report *report, int status)
{
	if (command_print_report(call, report) != EXIT_OK || fflush(stdout) || ferror(stdout))
		return DIFF_TROUBLE;
	return status;
}

static int compare(const struct command_call *call, const struct side *before, const struct side *after)
{
	const struct diff_options *options = call->values;
	struct report report;
	struct error error;
	uint64_t changes;

	report_open(&report, options->json);
	if (options->json)
		report_bool(&report, "identical", false);
	report_begin_list(&report, "snapshots");
	add_side(&report, "before", before);
	add_side(&report, "after", after);
	report_end_list(&report);
	if (diff_snapshots(&before->inspection, &after->inspection, options->all, &report, &changes, &error) < 0) {
		report_close(&report);
		error_context(&error, "%s, %s", before->path, after->path);
		return trouble(call, &error);
	}
	if (changes)
		return print(call, &report, DIFF_DIFFERENT);
	/* An error makes the collected report worthless. */
	report_close(&report);
	if (!options->json)
		return DIFF_SAME;
	report_open(&report, true);
	report_bool(&report, "identical", true);
	return print(call, &report, DIFF_SAME);
}

int cmd_snapshot_diff(const struct command_call *call)
{
	struct side before, after;
	struct error error;
	int status;

	if (call->count != 2) {
		error_set(&error, EINVAL, "two files are required");
		return command_usage_error(call, &error);
	}
	if (open_side(&before, call->operands[0], &error) < 0)
		return trouble(call, &error);
	if (open_side(&after, call->operands[1], &error) < 0) {
		status = trouble(call, &error);
	} else {
		status = compare(call, &before, &after);
		close_side(&after);
	}
	close_side(&before);
	return status;
}
