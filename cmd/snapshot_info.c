/* SPDX-License-Identifier: MIT */
/* lkvm snapshot info: shows what a snapshot contains. */
#include <errno.h>

#include "cmd/command.h"
#include "inspect/inspect.h"
#include "snapshot/working_set.h"

struct info_options {
	bool json;
};

static const struct option_entry entries[] = {
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct info_options, json), .help = "Print JSON" },
};

static const struct info_options defaults = { .json = false };
const struct option_table snapshot_info_options_table = OPTION_TABLE(entries, defaults);

/* Reports whether RAM is compressed, and on which snapshots it is based. */
static void add_form(struct snapshot *snapshot, struct report *report)
{
	char identity[FORMAT_IDENTITY_TEXT];
	struct error why_not;

	report_bool(report, "compressed", snapshot->frames.size != 0);
	report_begin_list(report, "bases");
	for (const struct snapshot *base = snapshot->base; base; base = base->base) {
		format_identity_text(base->header.identity, identity);
		report_string(report, NULL, identity);
	}
	report_end_list(report);
	report_bool(report, "restorable", snapshot_check_restorable(snapshot, &why_not) == 0);
	if (snapshot->working_set.count)
		report_bytes(report, "working_set", working_set_count(snapshot) * FORMAT_RAM_CHUNK);
}

static void add_disk_file(void *owner, unsigned disk, const char *path, enum inspect_disk_state state, const char *sentence)
{
	static const char *const names[] = {
		[INSPECT_DISK_MATCHES] = "as at the save", [INSPECT_DISK_DIFFERS] = "changed",
		[INSPECT_DISK_UNREADABLE] = "unreadable",
	};
	struct report *report = owner;

	report_begin(report, NULL);
	report_number(report, "disk", disk);
	report_string(report, "file", path);
	report_string(report, "state", names[state]);
	if (*sentence)
		report_string(report, "what", sentence);
	report_end(report);
}

int cmd_snapshot_info(const struct command_call *call)
{
	const struct info_options *options = call->values;
	struct machine_config config = { 0 };
	struct snapshot snapshot;
	struct report report;
	struct error error;
	int status;

	if (call->count != 1) {
		error_set(&error, EINVAL, "a file is required");
		return command_usage_error(call, &error);
	}
	if (snapshot_open(&snapshot, call->operands[0], &error) < 0)
		return command_error(call, &error);
	if (machine_config_load(&config, &snapshot.sections, &error) < 0) {
		error_context(&error, "%s", call->operands[0]);
		status = command_error(call, &error);
	} else {
		report_open(&report, options->json);
		inspect_identity(&snapshot.header, &report);
		inspect_machine(&config, &report);
		report_bytes(&report, "file_size", snapshot.file_size);
		report_bytes(&report, "disk_usage", snapshot.disk_size);
		add_form(&snapshot, &report);
		report_number(&report, "sections", snapshot.sections.count);
		report_begin_list(&report, "disk_files");
		inspect_disks(&config, add_disk_file, &report);
		report_end_list(&report);
		status = command_print_report(call, &report);
	}
	machine_config_free(&config);
	snapshot_close(&snapshot);
	return status;
}
