/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "lkvm/command.h"
#include "lkvm/machine.h"
#include "lkvm/snapshot.h"

struct info_options {
	bool json;
};

static const struct option_entry entries[] = {
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct info_options, json), .help = "Print JSON" },
};

static const struct info_options defaults = { .json = false };
const struct option_table snapshot_info_options_table = OPTION_TABLE(entries, defaults);

static void report_identity(struct report *report, const struct format_header *header)
{
	const uint8_t *id = header->identity;
	time_t seconds = (time_t)(header->created / 1000000000);
	struct tm utc = { 0 };
	char text[64];

	snprintf(text, sizeof(text), "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", id[0], id[1],
		 id[2], id[3], id[4], id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15]);
	report_string(report, "identity", text);
	gmtime_r(&seconds, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	report_string(report, "created", text);
	report_number(report, "format_version", header->version);
}

static void report_machine(struct report *report, const struct machine_config *config)
{
	report_string(report, "name", config->name);
	report_number(report, "vcpus", config->cpus);
	report_bytes(report, "memory", config->memory);
	report_string(report, "irqchip", config->irqchip == IRQCHIP_GICV3_ITS ? "gicv3-its" : "gicv3");
	if (config->kernel)
		report_string(report, "kernel", config->kernel);
	if (config->initrd)
		report_string(report, "initrd", config->initrd);
	if (config->parameters)
		report_string(report, "parameters", config->parameters);
	for (unsigned i = 0; i < config->disk_count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "disk%u", i);
		report_begin(report, name);
		report_string(report, "path", config->disks[i].path);
		report_bytes(report, "size", config->disks[i].size);
		report_bool(report, "read_only", config->disks[i].read_only);
		report_end(report);
	}
	for (unsigned i = 0; i < config->network_count; i++) {
		const struct virtio_net_config *network = &config->networks[i];
		char text[32];

		snprintf(text, sizeof(text), "network%u", i);
		report_begin(report, text);
		report_string(report, "mode", network->mode == NET_USER ? "user" : "tap");
		if (network->tap)
			report_string(report, "interface", network->tap);
		snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", network->mac[0], network->mac[1],
			 network->mac[2], network->mac[3], network->mac[4], network->mac[5]);
		report_string(report, "mac", text);
		report_end(report);
	}
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
		error_set(&error, EINVAL, "about which file?");
		return command_usage_error(call, &error);
	}
	if (snapshot_open(&snapshot, call->operands[0], &error) < 0)
		return command_error(call, &error);
	if (machine_config_load(&config, &snapshot.sections, &error) < 0) {
		error_context(&error, "%s", call->operands[0]);
		status = command_error(call, &error);
	} else {
		report_open(&report, options->json);
		report_identity(&report, &snapshot.header);
		report_machine(&report, &config);
		report_bytes(&report, "file_size", snapshot.file_size);
		report_bytes(&report, "disk_usage", snapshot.disk_size);
		report_number(&report, "sections", snapshot.sections.count);
		status = command_print_report(call, &report);
	}
	machine_config_free(&config);
	snapshot_close(&snapshot);
	return status;
}
