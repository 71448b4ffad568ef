/* SPDX-License-Identifier: MIT */
/*
 * Verifies the redistributors' LPI tables and the pending LPIs. KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES writes only the bits of
 * mapped LPIs, and a restore reads only those. Other bits in a table have no effect.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "arm/its_table.h"
#include "state/names.h"
#include "verify_common.h"

#define PLACE_LENGTH (SECTION_NAME_LENGTH + 1)
#define PENDING_START (ITS_FIRST_LPI / 8) /* bytes; the bits before it are not of LPIs */

static void name_place(char place[PLACE_LENGTH], unsigned vcpu)
{
	snprintf(place, PLACE_LENGTH, SECTION_GIC_REDISTRIBUTOR "%u", vcpu);
}

struct check {
	const struct inspection *inspection;
	struct verdict *verdict;
	struct its_walk *walk;
	uint64_t *tables; /* pending table of each vCPU; 0: it has none */
};

/* KVM has one GICR_PROPBASER, which it returns for all redistributors. */
static void verify_properties(const struct check *check)
{
	const struct inspection *inspection = check->inspection;
	uint32_t limit = its_lpi_limit(inspection->propbaser);
	uint64_t address = its_properties_address(inspection->propbaser), value;
	char place[PLACE_LENGTH];
	bool used = false;

	for (unsigned i = 0; i < inspection->config.cpus; i++) {
		name_place(place, i);
		used |= check->tables[i] != 0;
		if (verify_number(inspection, check->verdict, place, "PROPBASER", &value) &&
		    value != inspection->propbaser)
			verdict_fault(check->verdict, place, "GICR_PROPBASER 0x%llx is not the last redistributor's 0x%llx, and "
				      "KVM would keep only that one", (unsigned long long)value,
				      (unsigned long long)inspection->propbaser);
	}
	if (!used || limit <= ITS_FIRST_LPI)
		return;
	name_place(place, inspection->config.cpus - 1);
	if (!address && check->walk->events)
		verdict_fault(check->verdict, place, "GICR_PROPBASER 0x%llx has no table, but %u events are mapped; "
			      "RESTORE_TABLES refuses them (EFAULT)", (unsigned long long)inspection->propbaser,
			      check->walk->events);
	else if (address && !guest_memory_has(&inspection->memory, address, limit - ITS_FIRST_LPI))
		verdict_fault(check->verdict, place, "the LPIs' configuration table at 0x%llx (%u bytes) is not completely in RAM: "
			      "LPIs there could not be configured", (unsigned long long)address,
			      limit - ITS_FIRST_LPI);
}

static void verify_pending_lpi(const struct check *check, unsigned vcpu, uint32_t lpi)
{
	const struct its_owner *owner = &check->walk->lpis[lpi];
	uint64_t address = check->tables[vcpu] + lpi / 8;
	char place[PLACE_LENGTH], now[64] = "no event maps to it";

	if (owner->used && owner->vcpu == vcpu)
		return;
	name_place(place, vcpu);
	if (owner->used && owner->vcpu == ITS_NO_VCPU)
		snprintf(now, sizeof(now), "event %u of device 0x%x maps to it, on no vCPU", owner->event, owner->device);
	else if (owner->used)
		snprintf(now, sizeof(now), "event %u of device 0x%x maps to it, on vCPU %u", owner->event, owner->device,
			 owner->vcpu);
	verdict_fault(check->verdict, place, "LPI %u is pending at 0x%llx, but %s: the interrupt would be lost, unless an earlier "
		      "save set the bit before the guest moved or freed the LPI", lpi,
		      (unsigned long long)address, now);
}

/* Returns -1 if RAM cannot be read. */
static int verify_pending_table(const struct check *check, unsigned vcpu, struct error *error)
{
	const struct guest_memory *memory = &check->inspection->memory;
	uint32_t limit = its_lpi_limit(check->inspection->propbaser);
	uint64_t address = check->tables[vcpu];
	uint8_t bits[ITS_LPI_LIMIT / 8];
	char place[PLACE_LENGTH];

	if (limit <= ITS_FIRST_LPI)
		return 0;
	if (!guest_memory_has(memory, address, limit / 8)) {
		name_place(place, vcpu);
		verdict_fault(check->verdict, place, "the pending table at 0x%llx (%u bytes) is not completely in RAM: pending "
			      "interrupts could not be saved or restored", (unsigned long long)address, limit / 8);
		return 0;
	}
	if (guest_memory_read(memory, address + PENDING_START, bits + PENDING_START, limit / 8 - PENDING_START, error) < 0)
		return -1;
	for (uint32_t lpi = ITS_FIRST_LPI; lpi < limit; lpi++)
		if (bits[lpi / 8] >> lpi % 8 & 1)
			verify_pending_lpi(check, vcpu, lpi);
	return 0;
}

/* Each vCPU must have its own table. In a shared one, each vCPU would get the other's interrupts. */
static void verify_own_table(const struct check *check, unsigned vcpu)
{
	uint64_t address = check->tables[vcpu];
	char place[PLACE_LENGTH];
	unsigned first = 0;

	while (check->tables[first] != address)
		first++;
	if (first == vcpu || !guest_memory_has(&check->inspection->memory, address, 1))
		return;
	name_place(place, vcpu);
	verdict_fault(check->verdict, place, "its pending table at 0x%llx is vCPU %u's, too: pending interrupts would be "
		      "mixed up", (unsigned long long)address, first);
}

static int verify_vcpus(const struct check *check, struct error *error)
{
	for (unsigned i = 0; i < check->inspection->config.cpus; i++) {
		char place[PLACE_LENGTH];
		uint64_t control;

		name_place(place, i);
		/* A vCPU may enable LPIs without a table while no event targets it; verify_its() reports such an event. */
		if (!verify_number(check->inspection, check->verdict, place, "CTLR", &control) || !check->tables[i])
			continue;
		verify_own_table(check, i);
		if (verify_pending_table(check, i, error) < 0)
			return -1;
	}
	return 0;
}

static int look(struct check *check, const struct its_tables *tables, struct error *error)
{
	static const struct its_visitor nobody;

	check->walk = malloc(sizeof(*check->walk));
	check->tables = inspect_pending_tables(check->inspection);
	if (!check->walk || !check->tables)
		return error_system(error, ENOMEM, "the ITS's tables");
	if (its_tables_walk(tables, &nobody, check->walk, error) < 0)
		return -1;
	verify_properties(check);
	return verify_vcpus(check, error);
}

int verify_lpis(const struct inspection *inspection, struct verdict *verdict, struct error *error)
{
	struct check check = { .inspection = inspection, .verdict = verdict };
	struct its_tables tables;
	int result;

	/* verify_its() reports a register that is missing. */
	if (!inspection_has_its(inspection) || inspection_its_tables(inspection, &tables, error) < 0)
		return 0;
	result = look(&check, &tables, error);
	free(check.walk);
	free(check.tables);
	return result;
}
