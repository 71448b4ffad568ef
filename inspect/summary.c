/* SPDX-License-Identifier: MIT */
/* The summary, which fits one screen: machine, vCPUs, devices and interrupts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "inspect/inspect.h"
#include "state/names.h"

void inspect_identity(const struct format_header *header, struct report *report)
{
	time_t seconds = (time_t)(header->created / 1000000000);
	struct tm utc = { 0 };
	char text[64];

	format_identity_text(header->identity, text);
	report_string(report, "identity", text);
	gmtime_r(&seconds, &utc);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc);
	report_string(report, "created", text);
	report_number(report, "format_version", header->version);
}

static void report_text_if_any(struct report *report, const char *name, const char *text)
{
	if (text)
		report_string(report, name, text);
}

static void add_disk(const struct virtio_block_config *disk, struct report *report)
{
	char name[16];

	report_string(report, "path", disk->path);
	report_bytes(report, "size", disk->size);
	report_bool(report, "read_only", disk->read_only);
	report_text_if_any(report, "overlay", disk->overlay);
	for (unsigned j = 0; j < VIRTIO_BLOCK_LOWER && disk->lower[j]; j++) {
		snprintf(name, sizeof(name), "lower%u", j);
		report_string(report, name, disk->lower[j]);
	}
}

/* With the programs that a restore starts. */
static void add_network(const struct virtio_net_config *network, struct report *report)
{
	char text[32];

	report_string(report, "mode", network->mode == NET_USER ? "user" : "tap");
	report_text_if_any(report, "interface", network->tap);
	report_text_if_any(report, "script", network->script);
	report_text_if_any(report, "passt", network->passt);
	report_text_if_any(report, "passt_options", network->passt_options);
	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", network->mac[0], network->mac[1], network->mac[2],
		 network->mac[3], network->mac[4], network->mac[5]);
	report_string(report, "mac", text);
}

void inspect_machine(const struct machine_config *config, struct report *report)
{
	char name[24];

	report_string(report, "name", config->name);
	report_number(report, "vcpus", config->cpus);
	report_bytes(report, "memory", config->memory);
	report_string(report, "irqchip", config->irqchip == IRQCHIP_GICV3_ITS ? "gicv3-its" : "gicv3");
	report_text_if_any(report, "kernel", config->kernel);
	report_text_if_any(report, "initrd", config->initrd);
	report_text_if_any(report, "parameters", config->parameters);
	if (config->watchdog != MACHINE_WATCHDOG_ABSENT)
		report_string(report, "watchdog", machine_watchdog_name(config->watchdog));
	for (unsigned i = 0; i < config->disk_count; i++) {
		snprintf(name, sizeof(name), "disk%u", i);
		report_begin(report, name);
		add_disk(&config->disks[i], report);
		report_end(report);
	}
	for (unsigned i = 0; i < config->network_count; i++) {
		snprintf(name, sizeof(name), "network%u", i);
		report_begin(report, name);
		add_network(&config->networks[i], report);
		report_end(report);
	}
	for (unsigned i = 0; i < config->vfio.count; i++) {
		snprintf(name, sizeof(name), "vfio%u", i);
		report_begin(report, name);
		report_string(report, "address", config->vfio.devices[i]);
		report_end(report);
	}
}

/* Counts the bits that are set in an array. Returns 0 if it is missing. */
static unsigned count_bits(const struct inspection *inspection, const char *section, const char *name)
{
	struct error none;
	struct field field;
	unsigned count = 0;

	if (inspection_array(inspection, section, name, 0, &field, &none) < 0)
		return 0;
	for (uint32_t i = 0; i < field.count; i++)
		count += (unsigned)__builtin_popcountll(field_element(&field, i));
	return count;
}

static void add_interrupt_row(const struct inspection *inspection, const char *section, const char *what,
			      struct report *report)
{
	report_begin(report, NULL);
	report_string(report, "interrupts", what);
	report_number(report, "enabled", count_bits(inspection, section, "ISENABLER"));
	report_number(report, "pending", count_bits(inspection, section, "ISPENDR"));
	report_number(report, "active", count_bits(inspection, section, "ISACTIVER"));
	report_number(report, "line_high", count_bits(inspection, section, "LEVEL_INFO"));
	report_end(report);
}

static int add_its(const struct inspection *inspection, struct report *report, struct error *error)
{
	const struct its_visitor visitor = { 0 };
	struct its_walk *walk;

	if (inspection_walk(inspection, &visitor, &walk, error) < 0)
		return -1;
	report_begin(report, "its");
	report_number(report, "devices", walk->devices);
	report_number(report, "events", walk->events);
	report_number(report, "pending", walk->pending);
	report_number(report, "collections", walk->collections);
	inspect_restore_tables(report, walk);
	report_end(report);
	free(walk);
	return 0;
}

static int add_interrupts(const struct inspection *inspection, struct report *report, struct error *error)
{
	report_begin_list(report, "gic");
	add_interrupt_row(inspection, SECTION_GIC_DISTRIBUTOR, "SPIs", report);
	for (unsigned i = 0; i < inspection->config.cpus && (report->json || i < 8); i++) {
		char section[SECTION_NAME_LENGTH + 1], what[40];

		snprintf(section, sizeof(section), SECTION_GIC_REDISTRIBUTOR "%u", i);
		snprintf(what, sizeof(what), "SGIs and PPIs of vCPU %u", i);
		add_interrupt_row(inspection, section, what, report);
	}
	report_end_list(report);
	return inspection_has_its(inspection) ? add_its(inspection, report, error) : 0;
}

static int add_devices(const struct inspection *inspection, struct report *report, struct error *error)
{
	report_begin_list(report, "devices");
	for (unsigned i = 0; i < inspection->device_count; i++)
		if (inspection->devices[i].is_virtio && inspect_virtio(inspection, &inspection->devices[i], report, error) < 0)
			return -1;
	report_end_list(report);
	return 0;
}

int inspect_summary(const struct inspection *inspection, struct report *report, struct error *error)
{
	const struct snapshot *snapshot = inspection->snapshot;

	inspect_identity(&snapshot->header, report);
	report_begin(report, "machine");
	inspect_machine(&inspection->config, report);
	report_end(report);
	report_begin(report, "ram");
	report_bytes(report, "size", snapshot->ram_size);
	if (!sections_find(&inspection->snapshot->sections, SECTION_PARTIAL))
		report_bytes(report, "in_file", snapshot->disk_size);
	report_end(report);
	if (inspect_vcpus(inspection, report, error) < 0 || add_devices(inspection, report, error) < 0)
		return -1;
	return add_interrupts(inspection, report, error);
}
