/* SPDX-License-Identifier: MIT */
/*
 * Checks whether this host can restore a snapshot: does what a restore does, without devices, in a machine that never runs.
 * So this file has no list of what KVM accepts, and its answer is that of a restore.
 */
#include "check_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arm/migrate.h"
#include "kvm/kvm.h"

#define MAX_REMEMBERED 64

/* A reason that all vCPUs share is reported once. */
struct listener {
	const struct error_collector *refused;
	unsigned count;
	struct error reported[MAX_REMEMBERED];
};

/* The text after "vCPU 3: ". */
static const char *without_vcpu(const struct error *error)
{
	const char *colon = !strncmp(error->text, "vCPU ", 5) ? strstr(error->text, ": ") : NULL;

	return colon ? colon + 2 : error->text;
}

static void machine_check_refused(void *owner, const struct error *error)
{
	struct listener *listener = owner;

	for (unsigned i = 0; i < listener->count; i++)
		if (!strcmp(without_vcpu(&listener->reported[i]), without_vcpu(error)))
			return;
	if (listener->count < MAX_REMEMBERED)
		listener->reported[listener->count++] = *error;
	listener->refused->report(listener->refused->owner, error);
}

/* Stops at the first failure that no later step can do without. */
static void try_all(const struct machine_config *config, struct sections *sections, const struct error_collector *refused)
{
	struct machine *machine = malloc(sizeof(*machine));
	struct error error;

	if (!machine) {
		error_system(&error, ENOMEM, "memory");
		error_collect(refused, &error);
		return;
	}
	if (machine_check_counter(config, &error) < 0)
		error_collect(refused, &error);
	if (machine_open_processors(machine, config, refused, &error) == 0) {
		const struct migrate migrate = {
			.vm = &machine->vm,
			.features = &machine->cpu_features,
			.interrupts = machine->gic_layout.interrupts,
			.refused = refused,
		};

		if (migrate_restore(&migrate, sections, &error) < 0)
			error_collect(refused, &error);
		machine_close(machine);
	} else {
		error_collect(refused, &error);
	}
	free(machine);
}

/* The machine's memory is a mapping of the file, which may become unreadable. */
struct check_loss {
	struct memory_loss loss;
	const struct snapshot *snapshot;
	const struct error_collector *lost;
};

static bool machine_check_is_damaged(void *owner)
{
	const struct check_loss *check = owner;
	struct error error;

	return snapshot_find_lost(check->snapshot, SNAPSHOT_ANYWHERE, &error);
}

static void machine_check_lost(void *owner)
{
	const struct check_loss *check = owner;
	const struct memory_loss *loss = &check->loss;
	uint64_t offset = loss->at ? (uint64_t)(loss->at - loss->host) : SNAPSHOT_ANYWHERE;
	struct error error = loss->error;

	if (loss->at || error.code == EFAULT)
		snapshot_find_lost(check->snapshot, offset, &error);
	error_collect(check->lost, &error);
	_exit(EXIT_FAILURE);
}

int machine_check_host(struct snapshot *snapshot, const struct error_collector *refused, const struct error_collector *lost,
		       struct error *error)
{
	struct check_loss loss = {
		.loss = { .lost = machine_check_lost, .is_damaged = machine_check_is_damaged, .owner = &loss },
		.snapshot = snapshot,
		.lost = lost,
	};
	struct listener listener = { .refused = refused };
	const struct error_collector collector = { .report = machine_check_refused, .owner = &listener };
	struct machine_config config = { .snapshot = snapshot, .unchecked = true };
	int kvm_fd = kvm_open(error), result;

	if (kvm_fd < 0)
		return -1;
	close(kvm_fd);
	if (memory_loss_open(&loss.loss, error) < 0)
		return -1;
	result = machine_config_load(&config, &snapshot->sections, error);
	if (result == 0)
		try_all(&config, &snapshot->sections, &collector);
	memory_loss_close(&loss.loss);
	machine_config_free(&config);
	return result;
}
