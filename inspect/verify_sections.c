/* SPDX-License-Identifier: MIT */
/* Verifies that the sections match the machine's configuration. machine/virtio.c creates the devices from the same one. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "inspect/verify.h"
#include "state/names.h"
#include "util/bits.h"

#define SECTION_VERSION 1u /* the highest version of any section */

struct expectation {
	struct sections *sections;
	struct verdict *verdict;
};

static void expect(const struct expectation *expectation, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void expect(const struct expectation *expectation, const char *format, ...)
{
	char name[SECTION_NAME_LENGTH + 1];
	va_list arguments;
	struct error error;

	va_start(arguments, format);
	vsnprintf(name, sizeof(name), format, arguments);
	va_end(arguments);
	if (!sections_need(expectation->sections, name, SECTION_VERSION, &error))
		verdict_fault(expectation->verdict, "sections", "%s", error.text);
}

static void expect_processors(const struct expectation *expectation, const struct machine_config *config)
{
	expect(expectation, SECTION_GIC_DISTRIBUTOR);
	for (unsigned i = 0; i < config->cpus; i++) {
		expect(expectation, SECTION_GIC_REDISTRIBUTOR "%u", i);
		expect(expectation, SECTION_GIC_CPU_INTERFACE "%u", i);
		expect(expectation, SECTION_VCPU "%u", i);
	}
	if (config->irqchip == IRQCHIP_GICV3_ITS)
		expect(expectation, SECTION_ITS);
}

/* `own`: devices of this kind have state beside the queues. */
static void expect_virtio(const struct expectation *expectation, const char *kind, unsigned index, unsigned queues, bool own)
{
	expect(expectation, "virtio-%s%u/pci", kind, index);
	expect(expectation, "virtio-%s%u", kind, index);
	for (unsigned i = 0; i < queues; i++)
		expect(expectation, "virtio-%s%u/queue%u", kind, index, i);
	if (own)
		expect(expectation, "virtio-%s%u/device", kind, index);
}

/* The other sections, "msix" and "data", depend on the device. */
static void expect_passed_through(const struct expectation *expectation, unsigned index)
{
	static const char *const kinds[] = { "msix", "data" }; /* `name` keeps the last one, which is checked below */
	char name[SECTION_NAME_LENGTH + 1];
	const struct section *data;
	struct field field;

	expect(expectation, SECTION_VFIO "%u" SECTION_SUFFIX_PCI, index);
	for (unsigned i = 0; i < COUNT(kinds); i++) {
		snprintf(name, sizeof(name), SECTION_VFIO "%u/%s", index, kinds[i]);
		if (sections_find(expectation->sections, name))
			expect(expectation, "%s", name);
	}
	data = sections_find(expectation->sections, name);
	if (data && (!field_find(&data->fields, FIELD_DEVICE_DATA, &field) || field.size != 1))
		verdict_fault(expectation->verdict, name, "data is missing, or is not of bytes; a restore refuses it");
}

static void expect_devices(const struct expectation *expectation, const struct machine_config *config)
{
	expect(expectation, SECTION_CLOCK);
	expect(expectation, SECTION_SERIAL);
	expect(expectation, SECTION_RTC);
	expect(expectation, SECTION_GPIO);
	if (sections_find(expectation->sections, SECTION_VMGENID)) /* older snapshots have none */
		expect(expectation, SECTION_VMGENID);
	if (config->watchdog)
		expect(expectation, SECTION_WATCHDOG);
	for (unsigned i = 0; i < config->disk_count; i++)
		expect_virtio(expectation, "blk", i, config->disks[i].queues ? config->disks[i].queues : 1, true);
	for (unsigned i = 0; i < config->network_count; i++) {
		unsigned pairs = config->networks[i].queues;

		/* With more than one pair there is a control queue, which sets the number of pairs in use. */
		expect_virtio(expectation, "net", i, pairs > 1 ? 2 * pairs + 1 : 2, true);
	}
	if (config->console == CONSOLE_VIRTIO)
		expect_virtio(expectation, "console", 0, 2, true);
	if (config->entropy)
		expect_virtio(expectation, "entropy", 0, 1, false);
	if (config->balloon)
		expect_virtio(expectation, "balloon", 0, 4, true);
	if (config->power_buttons)
		expect_virtio(expectation, "input", 0, 2, true);
	if (config->vfio.count)
		expect(expectation, "event-collector/pci");
	for (unsigned i = 0; i < config->vfio.count; i++)
		expect_passed_through(expectation, i);
	if (config->pvpanic)
		expect(expectation, SECTION_PVPANIC SECTION_SUFFIX_PCI);
}

static void find_unknown(const struct expectation *expectation)
{
	for (size_t i = 0; i < expectation->sections->count; i++) {
		const struct section *section = &expectation->sections->items[i];

		if (!section->used && (section->flags & SECTION_MANDATORY))
			verdict_fault(expectation->verdict, "sections",
				      "section %s is unknown to this lkvm, and must not be skipped", section->name);
	}
}

static void compare_ram(const struct snapshot *snapshot, const struct machine_config *config, struct verdict *verdict)
{
	if (snapshot->ram_size != config->memory)
		verdict_fault(verdict, "RAM", "there are %" PRIu64 " bytes of it, but its machine has %" PRIu64,
			      snapshot->ram_size, config->memory);
	if (snapshot->ram_base != MACHINE_RAM)
		verdict_fault(verdict, "RAM", "it is at 0x%" PRIx64 ", but every machine's at 0x%llx", snapshot->ram_base,
			      MACHINE_RAM);
}

int verify_sections(struct snapshot *snapshot, struct verdict *verdict, struct error *error)
{
	const struct expectation expectation = { .sections = &snapshot->sections, .verdict = verdict };
	struct machine_config config = { 0 };
	int result = machine_config_load(&config, &snapshot->sections, error);
	struct error why_not;

	if (snapshot_check_restorable(snapshot, &why_not) < 0)
		verdict_fault(verdict, "file", "%s", why_not.text);
	if (result == 0) {
		expect_processors(&expectation, &config);
		expect_devices(&expectation, &config);
		find_unknown(&expectation);
		compare_ram(snapshot, &config, verdict);
	} else if (error->code != ENOMEM) {
		verdict_fault(verdict, SECTION_MACHINE, "%s", error->text);
		result = 0;
	}
	machine_config_free(&config);
	return result;
}
