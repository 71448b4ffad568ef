/* SPDX-License-Identifier: MIT */
/* lkvm doctor: reports what this host has and lacks. */
#include <stdio.h>

#include "cmd/command.h"
#include "kvm/probe.h"

struct doctor_options {
	bool json;
};

static const struct option_entry entries[] = {
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct doctor_options, json),
	  .help = "Print JSON" },
};

static const struct doctor_options defaults = { .json = false };
const struct option_table doctor_options_table = OPTION_TABLE(entries, defaults);

static const char *verdict_name(enum probe_verdict verdict)
{
	static const char *const names[] = {
		[PROBE_GOOD] = "ok", [PROBE_WARNING] = "warning", [PROBE_MISSING] = "missing",
	};

	return names[verdict];
}

static void print_text(const struct probes *probes)
{
	for (unsigned i = 0; i < probes->count; i++) {
		const struct probe *probe = &probes->list[i];

		printf("%-7s  %-25s  %s%s%s\n", verdict_name(probe->verdict), probe->name, probe->reason,
		       probe->remedy[0] ? "; " : "", probe->remedy);
	}
	printf("lkvm %s here\n", probes_usable(probes) ? "can run guests" : "cannot run guests");
}

static void fill_report(struct report *report, const struct probes *probes)
{
	report_bool(report, "usable", probes_usable(probes));
	report_begin_list(report, "checks");
	for (unsigned i = 0; i < probes->count; i++) {
		const struct probe *probe = &probes->list[i];

		report_begin(report, NULL);
		report_string(report, "name", probe->name);
		report_string(report, "status", verdict_name(probe->verdict));
		report_bool(report, "needed", probe->needed);
		report_string(report, "reason", probe->reason);
		report_string(report, "remedy", probe->remedy[0] ? probe->remedy : NULL);
		report_end(report);
	}
	report_end_list(report);
}

int cmd_doctor(const struct command_call *call)
{
	const struct doctor_options *options = call->values;
	struct probes probes = { .count = 0 };
	struct report report;

	probe_base(&probes);
	probe_kvm(&probes);
	probe_host(&probes);
	if (options->json) {
		report_open(&report, true);
		fill_report(&report, &probes);
		if (command_print_report(call, &report) != EXIT_OK)
			return EXIT_ERROR;
	} else {
		print_text(&probes);
	}
	return probes_usable(&probes) ? EXIT_OK : EXIT_ERROR;
}
