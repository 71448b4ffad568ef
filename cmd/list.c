/* SPDX-License-Identifier: MIT */
/* lkvm list: lists the VMs that run. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "cmd/command.h"
#include "control/control.h"
#include "util/parse.h"

#define PATIENCE 5 /* seconds for a VMM to answer */

struct list_options {
	bool json;
	bool quiet;
};

static const struct option_entry entries[] = {
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct list_options, json),
	  .help = "Print JSON" },
	{ .name = "quiet", .letter = 'q', .kind = OPTION_FLAG, .offset = offsetof(struct list_options, quiet),
	  .help = "Print only the names, one per line" },
	/* kvmtool's choice between running guests and root folders */
	{ .name = "run", .letter = 'i', .kind = OPTION_IGNORED },
};

static const struct list_options defaults = { .json = false };
const struct option_table list_options_table = OPTION_TABLE(entries, defaults);

struct info {
	const char *name;
	pid_t pid;
	char state[16];
	uint64_t cpus;   /* 0: the VMM did not answer */
	uint64_t memory; /* bytes */
};

/* "running 2 335544320" */
static bool parse_info(char *text, struct info *info)
{
	char *rest = text;
	const char *state = strtok_r(rest, " \n", &rest);
	const char *cpus = strtok_r(rest, " \n", &rest);
	const char *memory = strtok_r(rest, " \n", &rest);
	struct error error;

	if (!memory || parse_number(cpus, 1, UINT64_MAX, &info->cpus, &error) < 0 ||
	    parse_number(memory, 1, UINT64_MAX, &info->memory, &error) < 0)
		return false;
	snprintf(info->state, sizeof(info->state), "%s", state);
	return true;
}

/* Returns false if the VM has ended meanwhile. A VM that does not answer is listed: the user may need its pid. */
static bool get_info(const char *name, struct info *info)
{
	struct control_reply reply;
	struct error error;

	*info = (struct info){ .name = name, .state = "hung" };
	if (control_call(name, "info", PATIENCE, &reply, &error) < 0) {
		info->pid = reply.pid;
		return error.code == ETIMEDOUT;
	}
	info->pid = reply.pid;
	if (!parse_info(reply.body, info))
		snprintf(info->state, sizeof(info->state), "unknown");
	free(reply.body);
	return true;
}

static void report_info(struct report *report, const struct info *info)
{
	report_begin(report, NULL);
	report_string(report, "name", info->name);
	report_number(report, "pid", (uint64_t)info->pid);
	report_string(report, "state", info->state);
	if (info->cpus) {
		report_number(report, "cpus", info->cpus);
		report_bytes(report, "memory", info->memory);
	}
	report_end(report);
}

static void print_info(const struct info *info)
{
	printf("%7d  %-20s  %-8s", (int)info->pid, info->name, info->state);
	if (info->cpus)
		printf("  %5" PRIu64 "  %6" PRIu64 " MiB\n", info->cpus, info->memory >> 20);
	else
		printf("  %5s  %10s\n", "-", "-");
}

static void print_names(const struct control_names *names)
{
	for (size_t i = 0; i < names->count; i++)
		printf("%s\n", names->names[i]);
}

static void print_table(const struct control_names *names)
{
	printf("%7s  %-20s  %-8s  %5s  %10s\n", "PID", "NAME", "STATE", "VCPUS", "MEMORY");
	for (size_t i = 0; i < names->count; i++) {
		struct info info;

		if (get_info(names->names[i], &info))
			print_info(&info);
	}
}

static void fill_report(struct report *report, const struct control_names *names)
{
	report_begin_list(report, "machines");
	for (size_t i = 0; i < names->count; i++) {
		struct info info;

		if (get_info(names->names[i], &info))
			report_info(report, &info);
	}
	report_end_list(report);
}

int cmd_list(const struct command_call *call)
{
	const struct list_options *options = call->values;
	struct control_names names;
	struct report report;
	struct error error;
	int status = EXIT_OK;

	if (options->json && options->quiet) {
		error_set(&error, EINVAL, "--json and --quiet exclude each other");
		return command_usage_error(call, &error);
	}
	if (control_list(&names, &error) < 0)
		return command_error(call, &error);
	if (options->json) {
		report_open(&report, true);
		fill_report(&report, &names);
		status = command_print_report(call, &report);
	} else if (options->quiet) {
		print_names(&names);
	} else {
		print_table(&names);
	}
	control_names_free(&names);
	return status;
}
