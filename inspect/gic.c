/* SPDX-License-Identifier: MIT */
/* The view of the GIC without the ITS: registers, and state and device of each SPI, PPI and SGI. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect/inspect.h"
#include "state/names.h"
#include "util/bits.h"

#define PRIVATE_INTERRUPTS 32u /* lower INTIDs belong to a redistributor */
#define FIRST_PPI 16u
#define PPI_PMU 23u
#define PPI_VIRTUAL_TIMER 27u
#define PPI_PHYSICAL_TIMER 30u

/* The arrays of one section with an element for each interrupt. `first` is the INTID of their first element. */
struct bank {
	unsigned first, count;
	struct field group, enabled, line, latch, active, priority;
	struct field trigger, route; /* only of SPIs; SGIs and PPIs have fixed ones */
};

struct view {
	const struct inspection *inspection;
	struct report *report;
	uint64_t *affinities; /* MPIDR of each vCPU */
};

static int read_words(const struct inspection *inspection, const char *section, const char *name, uint32_t count,
		      struct field *words, struct error *error)
{
	if (inspection_array(inspection, section, name, count, words, error) < 0)
		return -1;
	if (words->size != sizeof(uint32_t))
		return error_set(error, EBADMSG, "section %s: %s has values of %u bytes, not 4", section, name, words->size);
	return 0;
}

static int read_bank(const struct inspection *inspection, const char *section, struct bank *bank, struct error *error)
{
	uint32_t words = bank->count / 32;

	if (read_words(inspection, section, "IGROUPR", words, &bank->group, error) < 0 ||
	    read_words(inspection, section, "ISENABLER", words, &bank->enabled, error) < 0 ||
	    read_words(inspection, section, "LEVEL_INFO", words, &bank->line, error) < 0 ||
	    read_words(inspection, section, "ISPENDR", words, &bank->latch, error) < 0 ||
	    read_words(inspection, section, "ISACTIVER", words, &bank->active, error) < 0 ||
	    read_words(inspection, section, "IPRIORITYR", words * 8, &bank->priority, error) < 0)
		return -1;
	if (bank->first < PRIVATE_INTERRUPTS)
		return 0;
	if (read_words(inspection, section, "ICFGR", words * 2, &bank->trigger, error) < 0)
		return -1;
	return read_words(inspection, section, "IROUTER", bank->count, &bank->route, error);
}

/* Returns the value of interrupt `index` of the bank, in an array with `bits` (1 to 8) for each interrupt. */
static unsigned element(const struct field *words, unsigned index, unsigned bits)
{
	unsigned per_word = 32 / bits;

	return (unsigned)(field_element(words, index / per_word) >> (index % per_word * bits)) & ((1u << bits) - 1);
}

/* KVM does not let a guest change the triggers of SGIs (edge) and PPIs (level). */
static bool is_edge(const struct bank *bank, unsigned index)
{
	unsigned intid = bank->first + index;

	return intid < PRIVATE_INTERRUPTS ? intid < FIRST_PPI : element(&bank->trigger, index, 2) & 2;
}

/* Returns the device that may drive a PPI, by the SBSA's numbers, or NULL. */
static const char *private_device(unsigned intid)
{
	static const char *const names[PRIVATE_INTERRUPTS] = {
		[PPI_PMU] = "pmu", [25] = "maintenance", [26] = "hypervisor timer", [PPI_VIRTUAL_TIMER] = "virtual timer",
		[28] = "virtual hypervisor timer", [29] = "secure timer", [PPI_PHYSICAL_TIMER] = "physical timer",
	};

	return names[intid];
}

static const char *shared_device(const struct inspection *inspection, unsigned spi)
{
	switch (spi) {
	case MACHINE_LINE_UART:
		return "serial";
	case MACHINE_LINE_RTC:
		return "rtc";
	case MACHINE_LINE_GPIO:
		return "gpio";
	case MACHINE_LINE_VMGENID:
		return "generation";
	case MACHINE_LINE_WATCHDOG:
		return inspection->config.watchdog ? "watchdog" : NULL;
	default:
		if (spi < MACHINE_LINE_PCI || spi - MACHINE_LINE_PCI >= inspection->device_count)
			return NULL;
		return inspection->devices[spi - MACHINE_LINE_PCI].name;
	}
}

/* Returns whether this machine has a device that drives the interrupt. */
static bool has_device(const struct inspection *inspection, unsigned intid)
{
	if (intid >= PRIVATE_INTERRUPTS)
		return shared_device(inspection, intid - PRIVATE_INTERRUPTS);
	return intid == PPI_VIRTUAL_TIMER || intid == PPI_PHYSICAL_TIMER || (intid == PPI_PMU && inspection->config.pmu);
}

/* KVM compares only the lower three levels of affinity. */
static void add_target(const struct view *view, uint64_t route)
{
	report_hex(view->report, "affinity", route & 0xffffff);
	for (unsigned i = 0; i < view->inspection->config.cpus; i++) {
		if ((view->affinities[i] & 0xff00ffffff) != (route & 0xffffff))
			continue;
		report_number(view->report, SECTION_VCPU, i);
		return;
	}
	report_string(view->report, SECTION_VCPU, NULL);
}

static void add_interrupt(const struct view *view, const struct bank *bank, unsigned index)
{
	unsigned intid = bank->first + index;
	bool edge = is_edge(bank, index);
	bool enabled = element(&bank->enabled, index, 1), active = element(&bank->active, index, 1);
	bool line = element(&bank->line, index, 1), latch = element(&bank->latch, index, 1);
	struct report *report = view->report;

	if (!report->json && !enabled && !active && !line && !latch && !has_device(view->inspection, intid))
		return;
	report_begin(report, NULL);
	report_number(report, "intid", intid);
	report_string(report, "kind", intid < FIRST_PPI ? "SGI" : intid < PRIVATE_INTERRUPTS ? "PPI" : "SPI");
	report_string(report, "device", intid < PRIVATE_INTERRUPTS ? private_device(intid) :
			      shared_device(view->inspection, intid - PRIVATE_INTERRUPTS));
	report_number(report, "group", element(&bank->group, index, 1));
	report_bool(report, "enabled", enabled);
	/* As in KVM: the line, or a write to ISPENDR, makes a level-triggered interrupt pending. */
	report_bool(report, "pending", latch || (!edge && line));
	report_bool(report, "latch", latch);
	report_bool(report, "line", line);
	report_bool(report, "active", active);
	report_number(report, "priority", element(&bank->priority, index, 8));
	report_string(report, "trigger", edge ? "edge" : "level");
	if (intid >= PRIVATE_INTERRUPTS)
		add_target(view, field_element(&bank->route, index));
	report_end(report);
}

static int add_interrupts(const struct view *view, const char *section, struct bank *bank, struct error *error)
{
	if (read_bank(view->inspection, section, bank, error) < 0)
		return -1;
	report_begin_list(view->report, "interrupts");
	for (unsigned i = 0; i < bank->count; i++)
		add_interrupt(view, bank, i);
	report_end_list(view->report);
	return 0;
}

/* Adds a list of registers, which are the given fields of a section. */
static int add_registers(const struct view *view, const char *list, const char *section, const char *const *fields,
			 size_t count, struct error *error)
{
	report_begin_list(view->report, list);
	for (size_t i = 0; i < count; i++) {
		char name[REGISTER_NAME_LENGTH];
		uint64_t value;

		if (inspection_number(view->inspection, section, fields[i], &value, error) < 0)
			return -1;
		inspect_register_name(section, fields[i], name);
		inspect_register(view->report, name, value);
	}
	report_end_list(view->report);
	return 0;
}

/* The number of active priority registers (AP0Rn, AP1Rn) depends on the host. */
static int add_cpu_interface(const struct view *view, const char *section, struct error *error)
{
	static const char *const names[] = {
		"SRE", "CTLR", "PMR", "BPR0", "BPR1", "AP0R0", "AP0R1", "AP0R2", "AP0R3", "AP1R0", "AP1R1", "AP1R2", "AP1R3",
		"IGRPEN0", "IGRPEN1",
	};
	const struct section *found = sections_need(&view->inspection->snapshot->sections, section, UINT32_MAX, error);
	const char *fields[COUNT(names)];
	struct field field;
	size_t count = 0;

	if (!found)
		return -1;
	for (size_t i = 0; i < COUNT(names); i++)
		if (names[i][0] != 'A' || field_find(&found->fields, names[i], &field))
			fields[count++] = names[i];
	return add_registers(view, "cpu_interface", section, fields, count, error);
}

static int add_vcpu(const struct view *view, unsigned vcpu, struct error *error)
{
	static const char *const fields[] = { "CTLR", "TYPER", "PROPBASER", "PENDBASER" };
	struct bank bank = { .first = 0, .count = PRIVATE_INTERRUPTS };
	char redistributor[SECTION_NAME_LENGTH + 1], interface[SECTION_NAME_LENGTH + 1];

	snprintf(redistributor, sizeof(redistributor), SECTION_GIC_REDISTRIBUTOR "%u", vcpu);
	snprintf(interface, sizeof(interface), SECTION_GIC_CPU_INTERFACE "%u", vcpu);
	report_begin(view->report, NULL);
	report_number(view->report, SECTION_VCPU, vcpu);
	if (add_registers(view, "redistributor", redistributor, fields, COUNT(fields), error) < 0 ||
	    add_cpu_interface(view, interface, error) < 0 ||
	    add_interrupts(view, redistributor, &bank, error) < 0)
		return -1;
	report_end(view->report);
	return 0;
}

static int add_distributor(const struct view *view, struct error *error)
{
	static const char *const fields[] = { "CTLR", "TYPER", "IIDR" };
	struct bank bank = { .first = PRIVATE_INTERRUPTS };
	uint64_t typer;

	if (inspection_number(view->inspection, SECTION_GIC_DISTRIBUTOR, "TYPER", &typer, error) < 0)
		return -1;
	bank.count = 32 * (unsigned)(typer & 0x1f); /* ITLinesNumber */
	if (add_registers(view, "distributor", SECTION_GIC_DISTRIBUTOR, fields, COUNT(fields), error) < 0)
		return -1;
	return add_interrupts(view, SECTION_GIC_DISTRIBUTOR, &bank, error);
}

static int read_affinities(const struct view *view, struct error *error)
{
	for (unsigned i = 0; i < view->inspection->config.cpus; i++) {
		char section[SECTION_NAME_LENGTH + 1];

		snprintf(section, sizeof(section), SECTION_VCPU "%u", i);
		if (inspection_number(view->inspection, section, FIELD_VCPU_MPIDR, &view->affinities[i], error) < 0)
			return -1;
	}
	return 0;
}

static int add_all(const struct view *view, struct error *error)
{
	if (read_affinities(view, error) < 0 || add_distributor(view, error) < 0)
		return -1;
	report_begin_list(view->report, "vcpus");
	for (unsigned i = 0; i < view->inspection->config.cpus; i++)
		if (add_vcpu(view, i, error) < 0)
			return -1;
	report_end_list(view->report);
	return 0;
}

int inspect_gic(const struct inspection *inspection, struct report *report, struct error *error)
{
	struct view view = { .inspection = inspection, .report = report };
	int result;

	view.affinities = calloc(inspection->config.cpus, sizeof(*view.affinities));
	if (!view.affinities)
		return error_system(error, ENOMEM, "affinities");
	result = add_all(&view, error);
	free(view.affinities);
	return result;
}
