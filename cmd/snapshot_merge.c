/* SPDX-License-Identifier: MIT */
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
	FORMS_COMPRESS(struct merge_options, level),
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct merge_options, json),
	  .help = "Print the figures as JSON" },
};

static const struct merge_options defaults = { .json = false };
const struct option_table snapshot_merge_options_table = OPTION_TABLE(entries, defaults);

static int print_figures(const struct command_call *call, const struct form *form, uint64_t ram, bool json)
{
	const char *from = forms_input_name(call->operands[0]);
	struct report report;

	if (!json) {
		fprintf(forms_is_stream(form->path) ? stderr : stdout,
			"%s written to %s: %" PRIu64 " MiB of RAM, %" PRIu64 ".%" PRIu64 " MiB written\n", from,
			forms_output_name(form->path), ram >> 20, form->size >> 20, (form->size & 0xfffff) * 10 >> 20);
		return EXIT_OK;
	}
	report_open(&report, true);
	report_string(&report, "from", from);
	report_string(&report, "file", form->path);
	report_bytes(&report, "ram", ram);
	report_bytes(&report, "data", form->data);
	report_bytes(&report, "written", form->size);
	return forms_print_report(call, form->path, &report);
}

int cmd_snapshot_merge(const struct command_call *call)
{
	const struct merge_options *options = call->values;
	struct form form = { .level = options->level, .shows = isatty(STDERR_FILENO) && !options->json };
	struct snapshot snapshot;
	struct error error;
	uint64_t ram;
	int result;

	if (call->count != 2) {
		error_set(&error, EINVAL, "which file, and to which file?");
		return command_usage_error(call, &error);
	}
	form.path = call->operands[1];
	if (forms_check_output(form.path, &error) < 0 || forms_open(&snapshot, call->operands[0], &error) < 0)
		return command_error(call, &error);
	ram = snapshot.ram_size;
	result = forms_write(&form, &snapshot, &error);
	snapshot_close(&snapshot);
	return result < 0 ? command_error(call, &error) : print_figures(call, &form, ram, options->json);
}
