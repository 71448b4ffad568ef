/* SPDX-License-Identifier: MIT */
/*
 * Whether this host takes a snapshot: asked by doing what a restore does, as far as the devices, in a machine that never
 * runs. So nothing here knows what KVM accepts, and the answer is the restore's.
 */
#include "machine_check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lkvm/kvm.h"
#include "lkvm/migrate.h"

#define MAX_REMEMBERED 64

/* What all vCPUs have in common is told once. */
struct listener {
	const struct error_collector *refused;
	unsigned count;
	char told[MAX_REMEMBERED][sizeof(((struct error *)0)->text)];
};

static const char *without_vcpu(const char *text)
{
	unsigned vcpu;
	int length = 0;

	return sscanf(text, "vCPU %u: %n", &vcpu, &length) == 1 ? text + length : text;
}

static void listen(void *owner, const struct error *error)
{
	struct listener *listener = owner;
	const char *text = without_vcpu(error->text);

	for (unsigned i = 0; i < listener->count; i++)
		if (!strcmp(listener->told[i], text))
			return;
	if (listener->count < MAX_REMEMBERED)
		strcpy(listener->told[listener->count++], text);
	listener->refused->tell(listener->refused->owner, error);
}

/* The config's parts: each refusal is told, what cannot go on without it ends it. */
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

int machine_check_host(struct snapshot *snapshot, const struct error_collector *refused, struct error *error)
{
	struct listener *listener = calloc(1, sizeof(*listener));
	struct machine_config config = { .snapshot = snapshot };
	int kvm_fd = kvm_open(error), result = -1;

	if (kvm_fd >= 0) {
		close(kvm_fd);
		result = machine_config_load(&config, &snapshot->sections, error);
	}
	if (result == 0 && !listener)
		result = error_system(error, ENOMEM, "memory");
	if (result == 0) {
		const struct error_collector collector = { .tell = listen, .owner = listener };

		listener->refused = refused;
		try_all(&config, &snapshot->sections, &collector);
	}
	machine_config_free(&config);
	free(listener);
	return result;
}
