/* SPDX-License-Identifier: MIT */
/* Opens the RAM of a machine: zeroed, mapped from a snapshot, or loaded. */
#include "ram_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "snapshot/working_set.h"

static int load_all(struct machine *machine, struct ram *ram, struct error *error)
{
	machine->ram_is_checked = !machine->config.unchecked;
	return snapshot_load_ram(machine->config.snapshot, ram, machine->ram_is_checked, error);
}

/* Without a loop (machine_check_host()) no guest runs, so nothing is watched. */
static void watch(struct machine *machine)
{
	struct error error;

	if (machine->loop && snapshot_watch_open(&machine->snapshot_watch, machine->config.snapshot, machine->loop, &error) < 0)
		log_message(machine->config.log, LOG_LEVEL_WARNING, "lkvm cannot detect writes to the snapshot while the guest "
			    "runs from it: %s", error.text);
}

/* Maps what can be mapped. The pager loads the rest while the machine runs; without a pager it is loaded now. */
static int map(struct machine *machine, struct ram *ram, struct error *error)
{
	const struct snapshot *snapshot = machine->config.snapshot;
	struct snapshot_unloaded unloaded;
	struct error why;
	int result = 0;

	watch(machine);
	if (snapshot_map_ram(snapshot, ram, &unloaded, error) < 0)
		return -1;
	memory_loss_watch(ram->host, ram->size);
	machine->working_set.state = WORKING_SET_AWAITED;
	if (unloaded.count && pager_open(&machine->pager, snapshot, ram, &unloaded, !machine->config.unchecked, &why) == 0) {
		machine->ram_is_checked = machine->pager.unloaded.is_all && !machine->config.unchecked;
		return 0;
	}
	if (unloaded.count) {
		machine->working_set.state = WORKING_SET_NONE;
		log_message(machine->config.log, LOG_LEVEL_INFO, "all of RAM is loaded first: %s", why.text);
		result = unloaded.is_all ? load_all(machine, ram, error) : snapshot_load_unloaded(snapshot, ram, &unloaded, error);
	}
	snapshot_unloaded_free(&unloaded);
	return result;
}

/* Adds the chunks of the working set that the pager does not load. The pager orders its own. */
static size_t add_working_set(const struct machine *machine, const struct ram *ram, struct prefault_range *ranges)
{
	const struct snapshot *snapshot = machine->config.snapshot;
	const struct pager *pager = &machine->pager;
	size_t count = 0;

	for (uint64_t at = 0; at < ram->size; at += FORMAT_RAM_CHUNK) {
		uint64_t from = ram->base + at;

		if (!working_set_has(snapshot, at) || (pager_is_open(pager) && pager_brings(pager, at)))
			continue;
		if (!count || ranges[count - 1].end != from)
			ranges[count++].from = from;
		ranges[count - 1].end = from + FORMAT_RAM_CHUNK;
	}
	return count;
}

/* Reads ahead the ranges of --prefault, then the working set: that one is not mapped, so a new one can be recorded. */
static int read_ahead(struct machine *machine, const struct ram *ram, struct error *error)
{
	const struct machine_config *config = &machine->config;
	bool loads = machine->working_set.state == WORKING_SET_AWAITED;
	size_t set = loads ? (size_t)working_set_count(config->snapshot) : 0, touched = config->prefault_count, count = touched;
	struct guest_memory file;

	if (loads && (touched || (set && pager_is_open(&machine->pager))))
		machine->working_set.state = WORKING_SET_PREFAULTED;
	if (touched + set == 0)
		return 0;
	machine->ahead = malloc((touched + set) * sizeof(*machine->ahead));
	if (!machine->ahead)
		return error_system(error, ENOMEM, "memory");
	memcpy(machine->ahead, config->prefault, touched * sizeof(*machine->ahead));
	if (set) {
		file = snapshot_memory(config->snapshot);
		count += add_working_set(machine, ram, machine->ahead + touched);
	}
	if (prefault_open(&machine->prefault, ram, machine->ahead, count, touched, &file, error) < 0)
		return error_context(error, "--prefault");
	return 0;
}

/* Linux overcommits memory, and kills the guest when memory runs out. */
static void warn_of_memory(const struct machine_config *config)
{
	uint64_t host = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

	if (config->memory > host)
		log_message(config->log, LOG_LEVEL_WARNING, "the guest has %" PRIu64 " MiB of memory, the host only %" PRIu64
			    ": the host kills the guest when memory runs out", config->memory >> 20, host >> 20);
}

int machine_ram_open(struct machine *machine, struct ram *ram, struct error *error)
{
	const struct snapshot *snapshot = machine->config.snapshot;
	uint64_t huge_page = machine->config.huge_page;
	char path[SNAPSHOT_PATH];
	int result;

	if (snapshot && (snapshot->ram_base != MACHINE_RAM || snapshot->ram_size != machine->config.memory))
		return error_set(error, EBADMSG, "its RAM is not the RAM of its machine");
	if (huge_page && ram_open_huge(ram, MACHINE_RAM, machine->config.memory, huge_page, error) < 0)
		return error_context(error, "--hugetlbfs");
	if (!huge_page)
		warn_of_memory(&machine->config);
	if (!snapshot)
		return 0;
	if (huge_page) /* a snapshot cannot be mapped into huge pages */
		result = load_all(machine, ram, error);
	else if (!machine->config.eager)
		result = map(machine, ram, error);
	else
		result = ram_open(ram, snapshot->ram_base, snapshot->ram_size, error) < 0 ? -1 : load_all(machine, ram, error);
	if (result == 0 && !pager_is_open(&machine->pager))
		memory_loss_watch(ram->host, ram->size);
	if (result == 0 && read_ahead(machine, ram, error) == 0)
		return 0;
	if (result < 0)
		error_context(error, "the snapshot %s", snapshot_path(snapshot, path, sizeof(path)));
	machine_ram_close(machine);
	ram_close(ram);
	return -1;
}

void machine_ram_close(struct machine *machine)
{
	prefault_close(&machine->prefault); /* before the pager, which loads what it waits for */
	free(machine->ahead);
	machine->ahead = NULL;
	machine_working_set_close(machine);
	pager_close(&machine->pager);
	snapshot_watch_close(&machine->snapshot_watch);
}
