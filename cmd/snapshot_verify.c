/* SPDX-License-Identifier: MIT */
/* lkvm snapshot verify: checks a snapshot. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd/command.h"
#include "inspect/verify.h"

#define MAX_PRINTED 1000u /* faults that are printed; further ones are only counted */

struct verify_options {
	bool host;
	bool disks;
	bool json;
};

static const struct option_entry entries[] = {
	{ .name = "host", .kind = OPTION_FLAG, .offset = offsetof(struct verify_options, host),
	  .help = "Check also whether this host can restore it" },
	{ .name = "disks", .kind = OPTION_FLAG, .offset = offsetof(struct verify_options, disks),
	  .help = "Report disks that have changed since the save as faults" },
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct verify_options, json), .help = "Print JSON" },
};

static const struct verify_options defaults = { .json = false };
const struct option_table snapshot_verify_options_table = OPTION_TABLE(entries, defaults);

/* Checks of the contents of complete sections, each for a part of them. */
static const struct check {
	int (*run)(const struct inspection *inspection, struct verdict *verdict, struct error *error);
} checks[] = {
	{ verify_its },
	{ verify_lpis },
	{ verify_queues },
	{ verify_msix },
	{ NULL },
};

/* One verification. */
struct verification {
	const struct command_call *call;
	const char *path;
	const struct verify_options *options;
	struct verdict verdict;
	struct report report; /* with --json */
	bool shows;           /* progress, on a terminal */
	time_t shown;         /* when it was last shown; 0: it is cleared */
	bool ram_checked, contents_checked, host_checked;
	unsigned changed; /* files of disks that do not match */
};

static void clear_progress(struct verification *verification)
{
	if (verification->shown)
		fprintf(stderr, "\r\033[K");
	verification->shown = 0;
}

static bool verify_show_progress(void *owner, uint64_t done, uint64_t total)
{
	struct verification *verification = owner;
	time_t now = time(NULL);

	if (!verification->shows || now == verification->shown)
		return true;
	fprintf(stderr, "\rlkvm: %s: %" PRIu64 " of %" PRIu64 " MiB checked", verification->path, done >> 20, total >> 20);
	verification->shown = now;
	return true;
}

static void verify_report_fault(void *owner, const char *place, const char *what)
{
	struct verification *verification = owner;

	if (verification->verdict.faults > MAX_PRINTED)
		return;
	clear_progress(verification);
	if (!verification->options->json) {
		printf("%s: %s: %s\n", verification->path, place, what);
		return;
	}
	report_begin(&verification->report, NULL);
	report_string(&verification->report, "place", place);
	report_string(&verification->report, "what", what);
	report_end(&verification->report);
}

static void verify_report_file(void *owner, const struct error *error)
{
	verdict_fault(owner, "file", "%s", error->text);
}

static void verify_report_host(void *owner, const struct error *error)
{
	verdict_fault(owner, "host", "%s", error->text);
}

/* Runs on a thread of its own while the checking thread is stopped, so it frees nothing. */
static void verify_ends(void *owner, const struct error *error)
{
	const struct verification *verification = owner;

	command_error(verification->call, error);
	_exit(EXIT_ERROR);
}

static int check_host(struct verification *verification, struct snapshot *snapshot, struct error *error)
{
	const struct error_collector faults = { .report = verify_report_host, .owner = &verification->verdict };
	const struct error_collector lost = { .report = verify_ends, .owner = verification };

	verification->host_checked = true;
	return machine_check_host(snapshot, &faults, &lost, error);
}

static int check_ram(struct verification *verification, struct snapshot *snapshot, struct error *error)
{
	const struct snapshot_progress progress = { .step = verify_show_progress, .owner = verification };
	int result = verify_ram(snapshot, &progress, &verification->verdict, error);

	clear_progress(verification);
	verification->ram_checked = true;
	return result;
}

/* Only a warning by default: --disk or --disks-changed may allow the restore, and another host has other paths. */
static void verify_report_disk(void *owner, unsigned disk, const char *path, enum inspect_disk_state state, const char *sentence)
{
	struct verification *verification = owner;
	char place[16];

	(void)path;
	if (state == INSPECT_DISK_MATCHES)
		return;
	verification->changed++;
	snprintf(place, sizeof(place), "disk%u", disk);
	if (verification->options->disks)
		verdict_fault(&verification->verdict, place, "%s", sentence);
	else if (!verification->options->json)
		printf("%s: %s: advice: %s\n", verification->path, place, sentence);
}

static int check_contents(struct verification *verification, struct snapshot *snapshot, struct error *error)
{
	struct inspection inspection;
	int result = 0;

	if (inspection_open(&inspection, snapshot, error) < 0) {
		if (error->code == ENOMEM)
			return -1;
		verdict_fault(&verification->verdict, "machine", "%s", error->text);
		return 0;
	}
	for (const struct check *check = checks; result == 0 && check->run; check++)
		result = check->run(&inspection, &verification->verdict, error);
	inspect_disks(&inspection.config, verify_report_disk, verification);
	inspection_close(&inspection);
	verification->contents_checked = true;
	return result;
}

/* Reports damaged or missing sections once: later checks skip them. */
static int check_all(struct verification *verification, struct snapshot *snapshot, struct error *error)
{
	bool whole;

	if (!snapshot->sections.damaged && verify_sections(snapshot, &verification->verdict, error) < 0)
		return -1;
	whole = verification->verdict.faults == 0;
	if (snapshot->ram_size && check_ram(verification, snapshot, error) < 0)
		return -1;
	if (verification->verdict.faults == 0 && verification->options->host && check_host(verification, snapshot, error) < 0)
		return -1;
	return whole ? check_contents(verification, snapshot, error) : 0;
}

static void print_verdict(const struct verification *verification, const struct snapshot *snapshot)
{
	unsigned faults = verification->verdict.faults;

	if (faults > MAX_PRINTED)
		printf("%s: file: there are %u more\n", verification->path, faults - MAX_PRINTED);
	if (snapshot->sections.count && !verification->contents_checked)
		printf("%s: file: the contents of its sections were not checked%s\n", verification->path,
		       verification->ram_checked ? "" : ", nor its RAM");
	if (faults)
		printf("%u fault%s\n", faults, faults > 1 ? "s" : "");
	else
		printf("%s: good (%" PRIu64 " MiB of RAM, %zu sections%s)\n", verification->path, snapshot->ram_size >> 20,
		       snapshot->sections.count, verification->host_checked ? ", and this host can restore it" : "");
}

static int print_report(const struct command_call *call, struct verification *verification, const struct snapshot *snapshot)
{
	struct report *report = &verification->report;

	report_end_list(report);
	report_string(report, "file", verification->path);
	report_bool(report, "good", verification->verdict.faults == 0);
	report_number(report, "fault_count", verification->verdict.faults);
	report_number(report, "sections", snapshot->sections.count);
	report_bytes(report, "ram", snapshot->ram_size);
	report_bool(report, "ram_checked", verification->ram_checked);
	report_bool(report, "contents_checked", verification->contents_checked);
	report_bool(report, "host_checked", verification->host_checked);
	report_number(report, "changed_disk_files", verification->changed);
	return command_print_report(call, report);
}

static int verify(const struct command_call *call, struct verification *verification, struct snapshot *snapshot)
{
	struct error error;
	int status = EXIT_OK;

	if (check_all(verification, snapshot, &error) < 0) {
		report_close(&verification->report);
		error_context(&error, "%s", verification->path);
		return command_error(call, &error);
	}
	if (verification->options->json)
		status = print_report(call, verification, snapshot);
	else
		print_verdict(verification, snapshot);
	return verification->verdict.faults ? EXIT_ERROR : status;
}

int cmd_snapshot_verify(const struct command_call *call)
{
	const struct verify_options *options = call->values;
	struct verification verification = {
		.call = call,
		.options = options,
		.verdict = { .report = verify_report_fault, .owner = &verification },
		.shows = isatty(STDERR_FILENO) && !options->json,
	};
	const struct error_collector faults = { .report = verify_report_file, .owner = &verification.verdict };
	struct snapshot snapshot;
	struct error error;
	int status;

	if (call->count != 1) {
		error_set(&error, EINVAL, "a file is required");
		return command_usage_error(call, &error);
	}
	verification.path = call->operands[0];
	report_open(&verification.report, options->json);
	report_begin_list(&verification.report, "faults");
	if (snapshot_examine(&snapshot, call->operands[0], &faults, &error) < 0) {
		report_close(&verification.report);
		return command_error(call, &error);
	}
	status = verify(call, &verification, &snapshot);
	report_close(&verification.report);
	snapshot_close(&snapshot);
	return status;
}
