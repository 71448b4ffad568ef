/* SPDX-License-Identifier: MIT */
#include "machine_ram.h"

#include <errno.h>

static int load_all(struct machine *machine, struct ram *ram, struct error *error)
{
	machine->ram_is_checked = !machine->config.unchecked;
	return snapshot_load_ram(machine->config.snapshot, ram, machine->ram_is_checked, error);
}

/* Mapped, as far as it can be; the rest while the machine runs where the host lets us, or now. */
static int map(struct machine *machine, struct ram *ram, struct error *error)
{
	const struct snapshot *snapshot = machine->config.snapshot;
	struct snapshot_missing missing;
	struct error why;
	int result = 0;

	if (snapshot_map_ram(snapshot, ram, &missing, error) < 0)
		return -1;
	if (missing.count && pager_open(&machine->pager, snapshot, ram, &missing, !machine->config.unchecked, &why) == 0) {
		machine->ram_is_checked = machine->pager.missing.is_all && !machine->config.unchecked;
		return 0;
	}
	if (missing.count) {
		log_message(machine->config.log, LOG_LEVEL_INFO, "all of RAM is loaded first: %s", why.text);
		result = missing.is_all ? load_all(machine, ram, error) : snapshot_load_missing(snapshot, ram, &missing, error);
	}
	snapshot_missing_free(&missing);
	return result;
}

int machine_ram_open(struct machine *machine, struct ram *ram, struct error *error)
{
	const struct snapshot *snapshot = machine->config.snapshot;
	uint64_t huge_page = machine->config.huge_page;
	int result;

	if (snapshot && (snapshot->ram_base != MACHINE_RAM || snapshot->ram_size != machine->config.memory))
		return error_set(error, EBADMSG, "its RAM is not the RAM of its machine");
	if (huge_page && ram_open_huge(ram, MACHINE_RAM, machine->config.memory, huge_page, error) < 0)
		return error_context(error, "--hugetlbfs");
	if (!snapshot)
		return 0;
	if (huge_page) /* nothing can be mapped there */
		result = load_all(machine, ram, error);
	else if (!machine->config.eager)
		result = map(machine, ram, error);
	else
		result = ram_open(ram, snapshot->ram_base, snapshot->ram_size, error) < 0 ? -1 : load_all(machine, ram, error);
	if (result == 0 && machine->config.prefault_count &&
	    prefault_open(&machine->prefault, ram, machine->config.prefault, machine->config.prefault_count, error) < 0) {
		machine_ram_close(machine);
		ram_close(ram);
		return error_context(error, "--prefault");
	}
	if (result == 0)
		return 0;
	ram_close(ram);
	return error_context(error, "the snapshot that it is restored from");
}

void machine_ram_close(struct machine *machine)
{
	prefault_close(&machine->prefault); /* the pager brings what it waits for */
	pager_close(&machine->pager);
}
