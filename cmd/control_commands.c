/* SPDX-License-Identifier: MIT */
/* Commands that send one request to running VMs: stat, pause, resume, stop, reboot. */
#include "control_commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_ENTRY                                                                                         \
	{ .name = "name", .letter = 'n', .kind = OPTION_STRING, .argument = "NAME",                        \
	  .offset = offsetof(struct control_options, name), .help = "The same as the operand NAME" }
#define ALL_ENTRY                                                                                          \
	{ .name = "all", .letter = 'a', .kind = OPTION_FLAG, .offset = offsetof(struct control_options, all), \
	  .help = "All running virtual machines" }
#define JSON_ENTRY                                                                                         \
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct control_options, json),              \
	  .help = "Print JSON, one line with an object per virtual machine" }

static const struct option_entry name_entries[] = { NAME_ENTRY, ALL_ENTRY, JSON_ENTRY };

static const struct option_entry stat_entries[] = {
	NAME_ENTRY,
	ALL_ENTRY,
	JSON_ENTRY,
	{ .name = "memory", .letter = 'm', .kind = OPTION_IGNORED }, /* kvmtool's option; memory is always shown */
};

static const struct option_entry guest_entries[] = {
	NAME_ENTRY,
	ALL_ENTRY,
	{ .name = "force", .letter = 'f', .kind = OPTION_FLAG, .offset = offsetof(struct control_options, force),
	  .help = "Do it at once, without the guest's cooperation" },
	{ .name = "timeout", .letter = 't', .kind = OPTION_NUMBER, .argument = "SECONDS", .minimum = 1,
	  .maximum = 86400, .offset = offsetof(struct control_options, timeout),
	  .help = "Seconds to wait for the guest (60)" },
	JSON_ENTRY,
};

#define DEFAULT_TIMEOUT 60 /* seconds */

static const struct control_options defaults = { .timeout = 0 };

const struct option_table control_options_table = OPTION_TABLE(name_entries, defaults);
const struct option_table stat_options_table = OPTION_TABLE(stat_entries, defaults);
const struct option_table guest_options_table = OPTION_TABLE(guest_entries, defaults);

static int print_done(const struct command_call *call, const char *name, const char *done)
{
	const struct control_options *options = call->values;
	struct report report;

	if (!options->json) {
		printf("Guest %s %s\n", name, done);
		return EXIT_OK;
	}
	report_open(&report, true);
	report_string(&report, "name", name);
	report_string(&report, "state", done);
	return command_print_report(call, &report);
}

static int ask_one(const struct command_call *call, const char *name, const char *request, unsigned seconds,
		   const char *done)
{
	struct control_reply reply;
	struct error error;

	if (control_call(name, request, seconds, &reply, &error) < 0) {
		error_context(&error, "%.*s", CONTROL_NAME_LENGTH, name);
		return command_error(call, &error);
	}
	if (!done)
		fputs(reply.body, stdout);
	free(reply.body);
	return done ? print_done(call, name, done) : EXIT_OK;
}

static int ask_all(const struct command_call *call, const char *request, unsigned seconds, const char *done)
{
	struct control_names names;
	struct error error;
	int status = EXIT_OK;

	if (control_list(&names, &error) < 0)
		return command_error(call, &error);
	for (size_t i = 0; i < names.count; i++)
		if (ask_one(call, names.names[i], request, seconds, done) != EXIT_OK)
			status = EXIT_ERROR;
	control_names_free(&names);
	return status;
}

int control_commands_ask(const struct command_call *call, const char *request, unsigned seconds, const char *done)
{
	const struct control_options *options = call->values;
	struct error error;
	int status = EXIT_OK;

	if (options->all && (options->name || call->count)) {
		error_set(&error, EINVAL, "--all and names exclude each other");
		return command_usage_error(call, &error);
	}
	if (options->all)
		return ask_all(call, request, seconds, done);
	if (!options->name && !call->count) {
		error_set(&error, EINVAL, "no virtual machine was named; 'lkvm list' shows those that run");
		return command_usage_error(call, &error);
	}
	if (options->name)
		status = ask_one(call, options->name, request, seconds, done);
	for (int i = 0; i < call->count; i++)
		if (ask_one(call, call->operands[i], request, seconds, done) != EXIT_OK)
			status = EXIT_ERROR;
	return status;
}

int control_commands_ask_guest(const struct command_call *call, const char *request, const char *done)
{
	const struct control_options *options = call->values;
	uint64_t timeout = options->timeout ? options->timeout : DEFAULT_TIMEOUT;
	char line[CONTROL_REQUEST_LENGTH];
	struct error error;

	if (options->force && options->timeout) {
		error_set(&error, EINVAL, "--timeout and --force exclude each other: --force does not wait for the guest");
		return command_usage_error(call, &error);
	}
	if (options->force) {
		snprintf(line, sizeof(line), "%s force", request);
		return control_commands_ask(call, line, CONTROL_COMMANDS_PATIENCE, done);
	}
	snprintf(line, sizeof(line), "%s %" PRIu64, request, timeout);
	return control_commands_ask(call, line, (unsigned)timeout + CONTROL_COMMANDS_PATIENCE, done);
}

/* The commands that only send a request. */
static const struct {
	const char *name;    /* of the command, and the request's verb */
	const char *done;    /* NULL: the reply is printed */
	bool asks_guest;     /* the guest must do it */
} requests[] = {
	{ "stat", NULL, false },
	{ "pause", "paused", false },
	{ "resume", "resumed", false },
	{ "stop", "stopped", true },
	{ "reboot", "rebooted", true },
};

int cmd_control(const struct command_call *call)
{
	const struct control_options *options = call->values;
	unsigned i = 0;

	while (strcmp(requests[i].name, call->command->name))
		i++;
	if (requests[i].asks_guest)
		return control_commands_ask_guest(call, requests[i].name, requests[i].done);
	return control_commands_ask(call, !requests[i].done && options->json ? "stat json" : requests[i].name,
				    CONTROL_COMMANDS_PATIENCE, requests[i].done);
}
