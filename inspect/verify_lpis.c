/* SPDX-License-Identifier: MIT */
/*
 * LPIs: where the redistributors keep them, and the pending ones. SAVE_PENDING_TABLES writes the bits of mapped LPIs
 * only, and a restore takes those only: what else is pending in a table goes nowhere.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lkvm/its_table.h"
#include "parts.h"

#define PLACE_LENGTH (SECTION_NAME_LENGTH + 1)
#define PENDING_START (ITS_FIRST_LPI / 8) /* bytes: below are interrupts that are no LPIs */

static void name_place(char place[PLACE_LENGTH], unsigned vcpu)
{
	snprintf(place, PLACE_LENGTH, "gic/redistributor%u", vcpu);
}

/* KVM has one GICR_PROPBASER, which all redistributors show. */
static void verify_properties(const struct inspection *inspection, const struct its_walk *walk, struct verdict *verdict)
{
	uint32_t limit = its_lpi_limit(inspection->propbaser);
	uint64_t address = its_properties_address(inspection->propbaser), value;
	char place[PLACE_LENGTH];
	bool on = false;

	for (unsigned i = 0; i < inspection->config.cpus; i++) {
		name_place(place, i);
		on |= inspect_lpis_are_on(inspection, i);
		if (verify_number(inspection, verdict, place, "PROPBASER", &value) && value != inspection->propbaser)
			verdict_fault(verdict, place, "GICR_PROPBASER 0x%llx is not the last redistributor's 0x%llx, "
				      "which is the one that KVM would keep", (unsigned long long)value,
				      (unsigned long long)inspection->propbaser);
	}
	if (!on || limit <= ITS_FIRST_LPI)
		return;
	name_place(place, inspection->config.cpus - 1);
	if (!address && walk->events)
		verdict_fault(verdict, place, "GICR_PROPBASER 0x%llx has no table, but %u events are mapped; "
			      "RESTORE_TABLES refuses them (EFAULT)", (unsigned long long)inspection->propbaser, walk->events);
	else if (address && !guest_memory_has(&inspection->memory, address, limit - ITS_FIRST_LPI))
		verdict_fault(verdict, place, "the LPIs' configuration table at 0x%llx (%u bytes) is not all in RAM: "
			      "LPIs there could not be configured", (unsigned long long)address, limit - ITS_FIRST_LPI);
}

static void verify_pending_lpi(const struct its_walk *walk, unsigned vcpu, uint32_t lpi, uint64_t address,
			       struct verdict *verdict)
{
	const struct its_owner *owner = &walk->lpis[lpi];
	char place[PLACE_LENGTH], now[64] = "no event has it";

	if (owner->used && owner->vcpu == vcpu)
		return;
	name_place(place, vcpu);
	if (owner->used && owner->vcpu == ITS_NO_VCPU)
		snprintf(now, sizeof(now), "event %u of device 0x%x has it, on no vCPU", owner->event, owner->device);
	else if (owner->used)
		snprintf(now, sizeof(now), "event %u of device 0x%x has it, on vCPU %u", owner->event, owner->device,
			 owner->vcpu);
	verdict_fault(verdict, place, "LPI %u is pending at 0x%llx, but %s: the interrupt would be lost, unless the "
		      "bit is one that an earlier save left behind before the guest moved the LPI or gave it up", lpi,
		      (unsigned long long)(address + lpi / 8), now);
}

/* The pending table of a vCPU with LPIs on. -1: RAM cannot be read. */
static int verify_pending_table(const struct inspection *inspection, const struct its_walk *walk, unsigned vcpu,
				struct verdict *verdict, struct error *error)
{
	uint64_t address = its_pending_address(inspection->pendbasers[vcpu]);
	uint32_t limit = its_lpi_limit(inspection->propbaser);
	uint8_t bits[ITS_LPI_LIMIT / 8];
	char place[PLACE_LENGTH];

	if (limit <= ITS_FIRST_LPI)
		return 0;
	/* A vCPU may have LPIs on and no table while no event goes there; verify_its() tells of one that does. */
	if (!guest_memory_has(&inspection->memory, address, limit / 8)) {
		if (!address)
			return 0;
		name_place(place, vcpu);
		verdict_fault(verdict, place, "the pending table at 0x%llx (%u bytes) is not all in RAM: pending "
			      "interrupts could not be saved or restored", (unsigned long long)address, limit / 8);
		return 0;
	}
	if (guest_memory_read(&inspection->memory, address + PENDING_START, bits + PENDING_START,
			      limit / 8 - PENDING_START, error) < 0)
		return -1;
	for (uint32_t lpi = ITS_FIRST_LPI; lpi < limit; lpi++)
		if (bits[lpi / 8] >> lpi % 8 & 1)
			verify_pending_lpi(walk, vcpu, lpi, address, verdict);
	return 0;
}

/* Each vCPU has a table of its own: in one for two, each would take the other's interrupts. */
static void verify_own_table(const struct inspection *inspection, unsigned vcpu, struct verdict *verdict)
{
	uint64_t address = its_pending_address(inspection->pendbasers[vcpu]);
	char place[PLACE_LENGTH];

	if (!address || !guest_memory_has(&inspection->memory, address, 1))
		return;
	for (unsigned before = 0; before < vcpu; before++) {
		if (its_pending_address(inspection->pendbasers[before]) != address ||
		    !inspect_lpis_are_on(inspection, before))
			continue;
		name_place(place, vcpu);
		verdict_fault(verdict, place, "its pending table at 0x%llx is vCPU %u's, too: pending interrupts "
			      "would be mixed up", (unsigned long long)address, before);
		return;
	}
}

static int verify_vcpus(const struct inspection *inspection, const struct its_walk *walk, struct verdict *verdict,
			struct error *error)
{
	for (unsigned i = 0; i < inspection->config.cpus; i++) {
		char place[PLACE_LENGTH];
		uint64_t control;

		name_place(place, i);
		if (!verify_number(inspection, verdict, place, "CTLR", &control) || !inspect_lpis_are_on(inspection, i))
			continue;
		verify_own_table(inspection, i, verdict);
		if (verify_pending_table(inspection, walk, i, verdict, error) < 0)
			return -1;
	}
	return 0;
}

int verify_lpis(const struct inspection *inspection, struct verdict *verdict, struct error *error)
{
	static const struct its_visitor nobody;
	struct its_tables tables;
	struct its_walk *walk;
	int result;

	/* A register that is missing is verify_its()' fault to tell. */
	if (!inspection_has_its(inspection) || inspection_its_tables(inspection, &tables, error) < 0)
		return 0;
	walk = malloc(sizeof(*walk));
	if (!walk)
		return error_system(error, ENOMEM, "the ITS's tables");
	result = its_tables_walk(&tables, &nobody, walk, error);
	if (result == 0) {
		verify_properties(inspection, walk, verdict);
		result = verify_vcpus(inspection, walk, verdict, error);
	}
	free(walk);
	return result;
}
