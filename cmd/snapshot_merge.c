/* SPDX-License-Identifier: MIT */
/* lkvm snapshot merge: merges a snapshot and its bases into one file. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/command.h"
#include "snapshot_output.h"

struct merge_options {
	uint64_t level;
	bool json;
};

static const struct option_entry entries[] = {
	SNAPSHOT_OUTPUT_COMPRESS(struct merge_options, level),
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct merge_options, json),
	  .help = "Print the figures as JSON" },
};

static const struct merge_options defaults = { .json = false };
const struct option_table snapshot_merge_options_table = OPTION_TABLE(entries, defaults);

static int print_figures(const struct command_call *call, const struct snapshot_output *output, uint64_t ram, bool json)
{
	const char *from = snapshot_input_name(call->operands[0]);
	struct report report;

	if (!json) {
		fprintf(snapshot_is_stream(output->path) ? stderr : stdout,
			"%s written to %s: %" PRIu64 " MiB of RAM, %" PRIu64 ".%" PRIu64 " MiB written\n", from,
			snapshot_output_name(output->path), ram >> 20, output->size >> 20, (output->size & 0xfffff) * 10 >> 20);
		return EXIT_OK;
	}
	report_open(&report, true);
	report_string(&report, "from", from);
	report_string(&report, "file", output->path);
	report_bytes(&report, "ram", ram);
	report_bytes(&report, "data", output->data);
	report_bytes(&report, "written", output->size);
	return snapshot_output_print_report(call, output->path, &report);
}

int cmd_snapshot_merge(const struct command_call *call)
{
	const struct merge_options *options = call->values;
	struct snapshot_output output = { .level = options->level, .shows = isatty(STDERR_FILENO) && !options->json };
	struct snapshot snapshot;
	struct error error;
	uint64_t ram;
	int result;

	if (call->count != 2) {
		error_set(&error, EINVAL, "two files are required: the snapshot, and the new file");
		return command_usage_error(call, &error);
	}
	output.path = call->operands[1];
	if (snapshot_output_check(output.path, &error) < 0 || snapshot_input_open(&snapshot, call->operands[0], &error) < 0)
		return command_error(call, &error);
	ram = snapshot.ram_size;
	result = snapshot_output_write(&output, &snapshot, &error);
	snapshot_close(&snapshot);
	return result < 0 ? command_error(call, &error) : print_figures(call, &output, ram, options->json);
}
