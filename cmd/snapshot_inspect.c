/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "lkvm/command.h"
#include "lkvm/inspect.h"

struct inspect_options {
	bool its;
	bool json;
};

static const struct option_entry entries[] = {
	{ .name = "its", .kind = OPTION_FLAG, .offset = offsetof(struct inspect_options, its),
	  .help = "Show the ITS: registers, devices, events, collections, commands" },
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct inspect_options, json),
	  .help = "Print JSON: everything, or what is asked for" },
};

static const struct inspect_options defaults = { .json = false };
const struct option_table snapshot_inspect_options_table = OPTION_TABLE(entries, defaults);

/* The views, in the order of their appearance. */
static const struct view {
	const char *name;
	size_t wanted; /* offset of the option */
	int (*add)(const struct inspection *inspection, struct report *report, struct error *error);
} views[] = {
	{ "its", offsetof(struct inspect_options, its), inspect_its },
};

static bool is_wanted(const struct inspect_options *options, const struct view *view)
{
	return *(const bool *)((const char *)options + view->wanted);
}

static int add_views(const struct inspection *inspection, const struct inspect_options *options, struct report *report,
		     struct error *error)
{
	bool all = true;

	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		all &= !is_wanted(options, &views[i]);
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
		if (!all && !is_wanted(options, &views[i]))
			continue;
		report_begin(report, views[i].name);
		if (views[i].add(inspection, report, error) < 0)
			return -1;
		report_end(report);
	}
	return 0;
}

static int inspect(const struct command_call *call, struct snapshot *snapshot)
{
	const struct inspect_options *options = call->values;
	struct inspection inspection;
	struct report report;
	struct error error;
	int result;

	if (inspection_open(&inspection, snapshot, &error) < 0) {
		error_context(&error, "%s", call->operands[0]);
		return command_error(call, &error);
	}
	report_open(&report, options->json);
	result = add_views(&inspection, options, &report, &error);
	inspection_close(&inspection);
	if (result == 0)
		return command_print_report(call, &report);
	report_close(&report);
	error_context(&error, "%s", call->operands[0]);
	return command_error(call, &error);
}

int cmd_snapshot_inspect(const struct command_call *call)
{
	struct snapshot snapshot;
	struct error error;
	int status;

	if (call->count != 1) {
		error_set(&error, EINVAL, "which file?");
		return command_usage_error(call, &error);
	}
	if (snapshot_open(&snapshot, call->operands[0], &error) < 0)
		return command_error(call, &error);
	status = inspect(call, &snapshot);
	snapshot_close(&snapshot);
	return status;
}
