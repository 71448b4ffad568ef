/* SPDX-License-Identifier: MIT */
/* lkvm snapshot inspect and lkvm inspect: show interrupts, devices and vCPUs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd/command.h"
#include "control/control.h"
#include "inspect/inspect.h"
#include "util/bits.h"
#include "util/parse.h"

#define PATIENCE 30 /* seconds for a VMM to answer */

/* --cpu[=N] */
struct cpu_option {
	bool wanted;
	uint64_t vcpu;
};

struct inspect_options {
	bool its, gic, devices, pci, memory;
	struct cpu_option cpu;
	const char *symbols;
	bool dot;
	bool json;
};

static int parse_cpu(void *field, char *value, struct error *error)
{
	struct cpu_option *option = field;

	option->wanted = true;
	option->vcpu = INSPECT_ALL_VCPUS;
	return value ? parse_number(value, 0, MACHINE_MAX_VCPUS - 1, &option->vcpu, error) : 0;
}

static const struct option_entry entries[] = {
	{ .name = "its", .kind = OPTION_FLAG, .offset = offsetof(struct inspect_options, its),
	  .help = "Show the ITS: registers, devices, events, collections, commands" },
	{ .name = "gic", .kind = OPTION_FLAG, .offset = offsetof(struct inspect_options, gic),
	  .help = "Show the GIC: registers, and the state of each SPI, PPI and SGI" },
	{ .name = "cpu", .kind = OPTION_PARSED, .parse = parse_cpu, .argument = "N", .optional = true,
	  .offset = offsetof(struct inspect_options, cpu), .help = "Show the vCPUs, or all registers of vCPU N" },
	{ .name = "devices", .kind = OPTION_FLAG, .offset = offsetof(struct inspect_options, devices),
	  .help = "Show the devices' state: negotiation, queues, registers" },
	{ .name = "pci", .kind = OPTION_FLAG, .offset = offsetof(struct inspect_options, pci),
	  .help = "Show PCI functions, BARs, and MSI-X vectors with their targets" },
	{ .name = "memory", .kind = OPTION_FLAG, .offset = offsetof(struct inspect_options, memory),
	  .help = "Show which RAM was touched, and where the interrupt tables are" },
	{ .name = "symbols", .kind = OPTION_FILE, .argument = "FILE", .offset = offsetof(struct inspect_options, symbols),
	  .help = "System.map or vmlinux of the guest's kernel:\nshow addresses as symbols" },
	{ .name = "dot", .kind = OPTION_FLAG, .offset = offsetof(struct inspect_options, dot),
	  .help = "Print only the paths of the interrupts, as a graph for\ngraphviz" },
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct inspect_options, json),
	  .help = "Print JSON: everything, or the chosen views" },
};

static const struct inspect_options defaults = { .cpu.vcpu = INSPECT_ALL_VCPUS };
const struct option_table snapshot_inspect_options_table = OPTION_TABLE(entries, defaults);

/* The views, in the order in which they are printed. */
static const struct view {
	const char *name;
	size_t wanted; /* offset of the option */
	int (*add)(const struct inspection *inspection, struct report *report, struct error *error);
} views[] = {
	{ "its", offsetof(struct inspect_options, its), inspect_its },
	{ "gic", offsetof(struct inspect_options, gic), inspect_gic },
	{ "cpu", offsetof(struct inspect_options, cpu.wanted), inspect_cpu },
	{ "devices", offsetof(struct inspect_options, devices), inspect_devices },
	{ "pci", offsetof(struct inspect_options, pci), inspect_pci },
	{ "memory", offsetof(struct inspect_options, memory), inspect_memory },
};

static bool is_wanted(const struct inspect_options *options, const struct view *view)
{
	return *(const bool *)((const char *)options + view->wanted);
}

static int add_wanted(const struct inspection *inspection, const struct inspect_options *options, bool all,
		      struct report *report, struct error *error)
{
	for (size_t i = 0; i < COUNT(views); i++) {
		if (!all && !is_wanted(options, &views[i]))
			continue;
		report_begin(report, views[i].name);
		if (views[i].add(inspection, report, error) < 0)
			return -1;
		report_end(report);
	}
	return 0;
}

static bool is_any_wanted(const struct inspect_options *options)
{
	for (size_t i = 0; i < COUNT(views); i++)
		if (is_wanted(options, &views[i]))
			return true;
	return false;
}

/* Without a chosen view, prints a summary as text, or all views as JSON. */
static int add_views(const struct inspection *inspection, const struct inspect_options *options, struct report *report,
		     struct error *error)
{
	bool any = is_any_wanted(options);

	if (!any && !options->json)
		return inspect_summary(inspection, report, error);
	if (!any) {
		report_begin(report, "summary");
		if (inspect_summary(inspection, report, error) < 0)
			return -1;
		report_end(report);
	}
	return add_wanted(inspection, options, !any, report, error);
}

static int print_graph(const struct inspection *inspection, struct error *error)
{
	char *text = inspect_dot(inspection, error);

	if (!text)
		return -1;
	fputs(text, stdout);
	free(text);
	return EXIT_OK;
}

static int print_views(const struct command_call *call, const struct inspection *inspection, struct error *error)
{
	const struct inspect_options *options = call->values;
	struct report report;

	report_open(&report, options->json);
	report.colored = isatty(STDOUT_FILENO) && !getenv("NO_COLOR");
	if (add_views(inspection, options, &report, error) == 0)
		return command_print_report(call, &report);
	report_close(&report);
	return -1;
}

static int inspect(const struct command_call *call, struct snapshot *snapshot)
{
	const struct inspect_options *options = call->values;
	struct symbols symbols = { 0 };
	struct inspection inspection;
	struct error error;
	int status = -1;

	if (options->symbols && symbols_open(&symbols, options->symbols, &error) < 0)
		return command_error(call, &error);
	if (inspection_open(&inspection, snapshot, &error) == 0) {
		inspection.vcpu = options->cpu.vcpu;
		if (options->symbols)
			inspection_use_symbols(&inspection, &symbols);
		status = options->dot ? print_graph(&inspection, &error) : print_views(call, &inspection, &error);
		inspection_close(&inspection);
	}
	symbols_close(&symbols);
	if (status >= 0)
		return status;
	error_context(&error, "%s", call->operands[0]);
	return command_error(call, &error);
}

/* Checks the operand and which options exclude each other. `what`: the kind of operand. */
static int check_words(const struct command_call *call, const char *what, struct error *error)
{
	const struct inspect_options *options = call->values;

	if (call->count != 1)
		return error_set(error, EINVAL, "a %s is required", what);
	if (options->dot && (options->json || is_any_wanted(options)))
		return error_set(error, EINVAL, "--dot prints only a graph: it excludes the views and --json");
	if (options->symbols && (options->dot || (is_any_wanted(options) && !options->cpu.wanted)))
		return error_set(error, EINVAL, "--symbols names the code addresses of vCPUs: with other views it needs --cpu, and "
				 "it excludes --dot");
	return 0;
}

int cmd_snapshot_inspect(const struct command_call *call)
{
	struct snapshot snapshot;
	struct error error;
	int status;

	if (check_words(call, "file", &error) < 0)
		return command_usage_error(call, &error);
	if (snapshot_open(&snapshot, call->operands[0], &error) < 0)
		return command_error(call, &error);
	status = inspect(call, &snapshot);
	snapshot_close(&snapshot);
	return status;
}

/* Has the VM write a snapshot for inspection to a file without a name. */
static int ask(const char *name, int fd, struct error *error)
{
	const struct control_extras extras = { .fds = { fd, -1 } };
	struct control_reply reply;

	if (control_call_with(name, "inspect", PATIENCE, &extras, &reply, error) < 0)
		return error_context(error, "%s", name);
	free(reply.body);
	return 0;
}

int cmd_inspect(const struct command_call *call)
{
	struct snapshot snapshot;
	struct error error;
	int status = -1, fd;
	char path[32];

	if (check_words(call, "virtual machine", &error) < 0)
		return command_usage_error(call, &error);
	fd = memfd_create("lkvm-inspect", MFD_CLOEXEC);
	if (fd < 0) {
		error_system(&error, errno, "a file in memory");
		return command_error(call, &error);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (ask(call->operands[0], fd, &error) == 0 && snapshot_open(&snapshot, path, &error) == 0) {
		status = inspect(call, &snapshot);
		snapshot_close(&snapshot);
	}
	close(fd);
	return status < 0 ? command_error(call, &error) : status;
}
