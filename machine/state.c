/* SPDX-License-Identifier: MIT */
/* Saves the state of a machine, and loads it into a machine of the same configuration. RAM: snapshot/snapshot.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/migrate.h"
#include "check_host.h"
#include "components.h"
#include "machine/machine.h"
#include "state/names.h"

static int visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	for (size_t i = 0; i < machine_component_count; i++)
		if (machine_components[i]->visit && machine_components[i]->visit(machine, visitor, error) < 0)
			return -1;
	return 0;
}

/* The hooks of arm/migrate.c. */

static int machine_stop_peers(void *owner, struct error *error)
{
	return vfio_stop_peers(((struct machine *)owner)->vfio, error);
}

static int machine_stop_devices(void *owner, struct error *error)
{
	return vfio_stop(((struct machine *)owner)->vfio, error);
}

static int machine_quiesce(void *owner, struct error *error)
{
	struct machine *machine = owner;

	(void)error;
	for (size_t i = 0; i < machine_component_count; i++)
		if (machine_components[i]->quiesce)
			machine_components[i]->quiesce(machine);
	return 0;
}

static int machine_stop_forwarding(void *owner, struct error *error)
{
	(void)error;
	vfio_detach_interrupts(((struct machine *)owner)->vfio);
	return 0;
}

static void machine_unquiesce(struct machine *machine)
{
	for (size_t i = 0; i < machine_component_count; i++)
		if (machine_components[i]->unquiesce)
			machine_components[i]->unquiesce(machine);
}

static int machine_save_devices(void *owner, struct section_writer *writer, struct error *error)
{
	return vfio_save(((struct machine *)owner)->vfio, writer, error);
}

static int machine_load_devices(void *owner, struct sections *sections, struct error *error)
{
	return vfio_load(((struct machine *)owner)->vfio, sections, error);
}

static int machine_devices_restored(void *owner, struct error *error)
{
	struct machine *machine = owner;

	for (size_t i = 0; i < machine_component_count; i++)
		if (machine_components[i]->restored && machine_components[i]->restored(machine, error) < 0)
			return -1;
	return 0;
}

static const struct migrate_devices devices = {
	.stop_peers = machine_stop_peers,
	.stop = machine_stop_devices,
	.quiesce = machine_quiesce,
	.stop_forwarding = machine_stop_forwarding,
	.save = machine_save_devices,
	.load = machine_load_devices,
	.forward = machine_devices_restored,
};

static struct migrate migration(struct machine *machine)
{
	return (struct migrate){
		.vm = &machine->vm,
		.features = &machine->cpu_features,
		.interrupts = machine->gic_layout.interrupts,
		.fault = machine->config.fault,
		.devices = &devices,
		.owner = machine,
	};
}

/* Saving. */

/* Completes the configuration with what the host chose: a restore must choose the same. */
static int complete(struct machine *machine, struct machine_config *config, struct error *error)
{
	struct cpu_features *features = &machine->cpu_features;

	*config = machine->config;
	if (vcpus_get_vector_lengths(&machine->vm, features, error) < 0)
		return -1;
	config->sve = features->sve;
	config->pauth = features->pauth;
	config->pmu = features->pmu;
	config->address_bits = machine->vm.address_bits;
	config->counter_frequency = vcpus_counter_frequency();
	memcpy(config->sve_lengths, features->sve_lengths, sizeof(config->sve_lengths));
	/* Disks have the first slots, networks the next. */
	for (unsigned i = 0; i < config->disk_count; i++)
		virtio_block_describe(machine->virtio[i], &config->disks[i]);
	for (unsigned i = 0; i < config->network_count; i++)
		virtio_net_describe(machine->virtio[config->disk_count + i], &config->networks[i]);
	return 0;
}

/* A restore may have another working directory. */
static void make_absolute(const char **path, char resolved[PATH_MAX])
{
	if (*path && realpath(*path, resolved))
		*path = resolved;
}

/*
 * The machine is paused, so nothing writes the disks. If the guest's writes cannot be written to a disk, the save fails: after
 * a restore it would be another disk. If a disk cannot be read, the save continues with a warning.
 */
static int identify_disks(struct machine *machine, struct machine_config *config, struct error *error)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		int result = virtio_block_record_map(machine->virtio[i]);

		if (result)
			return error_system(error, result, "disk %s cannot be written", config->disks[i].overlay ?
					    config->disks[i].overlay : config->disks[i].path);
		result = virtio_block_identify(machine->virtio[i], &config->disks[i]);
		if (result)
			log_message(machine->config.log, LOG_LEVEL_WARNING,
				    "disk %s cannot be read (%s): a restore cannot detect whether it has changed",
				    config->disks[i].path, strerror(result));
	}
	return 0;
}

int machine_sync_disks(struct machine *machine, struct error *error)
{
	for (unsigned i = 0; i < machine->config.disk_count; i++) {
		int result = virtio_block_sync(machine->virtio[i]);

		if (result)
			return error_system(error, result, "disk %s cannot be flushed", machine->config.disks[i].path);
	}
	return 0;
}

void machine_read_disks_ahead(struct machine *machine)
{
	for (unsigned i = 0; i < machine->config.disk_count; i++) {
		struct virtio_block_config unused = { .read_only = machine->config.disks[i].read_only };

		(void)virtio_block_identify(machine->virtio[i], &unused);
	}
}

void machine_defer_interrupts(struct machine *machine)
{
	struct error none;

	machine_quiesce(machine, &none);
	vfio_detach_interrupts_early(machine->vfio);
}

/* `whole`: for a restore, which needs the identities of the disks. */
static int collect(struct machine *machine, const struct migrate *migrate, bool whole, struct section_writer *writer,
		   struct error *error)
{
	struct state_writer saver = { .visitor.visit = state_write, .sections = writer };
	char kernel[PATH_MAX], initrd[PATH_MAX];
	struct machine_config config;
	int result;

	result = complete(machine, &config, error);
	if (result == 0) {
		make_absolute(&config.kernel, kernel);
		make_absolute(&config.initrd, initrd);
		if (whole)
			result = identify_disks(machine, &config, error);
	}
	if (result == 0) {
		machine_config_save(&config, writer);
		/* Devices come after KVM's state. migrate_save() quiesces them: only then are pending bits of masked vectors final. */
		result = migrate_save(migrate, writer, error);
	}
	if (result == 0)
		result = visit(machine, &saver.visitor, error);
	if (result == 0 && writer->buffer.failed)
		result = error_system(error, ENOMEM, "the state of the machine");
	machine_unquiesce(machine);
	return result;
}

int machine_save(struct machine *machine, bool force, struct section_writer *writer, struct error *error)
{
	struct migrate migrate = migration(machine);

	migrate.check = force ? MIGRATE_MARK : MIGRATE_CHECK;
	return collect(machine, &migrate, true, writer, error);
}

int machine_save_without_device_data(struct machine *machine, struct section_writer *writer, struct error *error)
{
	struct migrate_devices without_data = devices;
	struct migrate migrate = migration(machine);

	without_data.save = NULL;
	migrate.devices = &without_data;
	return collect(machine, &migrate, false, writer, error);
}

/* Loading. */

struct loader {
	struct state_visitor visitor; /* first */
	struct sections *sections;
};

static int machine_load_object(struct state_visitor *visitor, const char *name, const struct state_table *table, void *object,
		       struct error *error)
{
	struct loader *loader = (struct loader *)visitor;
	const struct section *section;

	/* Older snapshots have none; their guests find the device at their next reset. */
	if (table == &vmgenid_state_table && !sections_find(loader->sections, name))
		return 0;
	section = sections_need(loader->sections, name, table->version, error);
	if (!section)
		return -1;
	if (state_load(table, object, &section->fields, section->version, error) < 0)
		return error_context(error, "%s", name);
	return 0;
}

int machine_check_counter(const struct machine_config *config, struct error *error)
{
	uint64_t here = vcpus_counter_frequency();

	if (here == config->counter_frequency)
		return 0;
	return error_set(error, EINVAL, "its counter runs at %llu Hz, this host's at %llu Hz: the guest's clocks would be wrong",
			 (unsigned long long)config->counter_frequency, (unsigned long long)here);
}

int machine_load(struct machine *machine, struct sections *sections, struct error *error)
{
	const struct migrate migrate = migration(machine);
	struct loader loader = { .visitor.visit = machine_load_object, .sections = sections };

	if (machine_check_counter(&machine->config, error) < 0)
		return -1;
	if (visit(machine, &loader.visitor, error) < 0 || migrate_restore(&migrate, sections, error) < 0)
		return -1;
	return sections_check_used(sections, error);
}
