/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "forms.h"
#include "lkvm/control.h"
#include "lkvm/lifecycle.h"
#include "lkvm/run_options.h"
#include "lkvm/snapshot.h"
#include "machine_run.h"

/* The host's side of disks and interfaces may be elsewhere; the guest's side stays. */
static int replace_backends(struct machine_config *config, const struct machine_config *given, struct error *error)
{
	if (given->disk_count > config->disk_count)
		return error_set(error, EINVAL, "--disk: the snapshot has %u disks, not %u", config->disk_count,
				 given->disk_count);
	if (given->network_count > config->network_count)
		return error_set(error, EINVAL, "--network: the snapshot has %u interfaces, not %u", config->network_count,
				 given->network_count);
	if (given->vfio.count > config->vfio.count)
		return error_set(error, EINVAL, "--vfio-pci: the snapshot has %u devices, not %u", config->vfio.count,
				 given->vfio.count);
	memcpy(config->vfio.devices, given->vfio.devices, given->vfio.count * sizeof(given->vfio.devices[0]));
	/* The devices have to reach all of it from the beginning. */
	config->eager |= config->vfio.count > 0;
	for (unsigned i = 0; i < given->disk_count; i++) {
		config->disks[i].path = given->disks[i].path;
		config->disks[i].changed_allowed = true; /* the user chose it */
	}
	for (unsigned i = 0; i < given->network_count; i++) {
		struct virtio_net_config saved = config->networks[i];

		config->networks[i] = given->networks[i];
		memcpy(config->networks[i].mac, saved.mac, sizeof(saved.mac));
		memcpy(config->networks[i].new_mac, given->networks[i].mac, sizeof(saved.mac));
		config->networks[i].queues = saved.queues;
	}
	return 0;
}

static int configure(struct machine_config *config, const struct run_options *options, struct snapshot *snapshot,
		     struct error *error)
{
	const struct machine_config *given = &options->config;

	if (machine_config_load(config, &snapshot->sections, error) < 0 || replace_backends(config, given, error) < 0)
		return -1;
	for (unsigned i = 0; i < config->disk_count; i++)
		config->disks[i].changed_allowed |= options->disks_changed;
	if (given->name)
		config->name = given->name;
	if (given->kernel)
		config->kernel = given->kernel;
	if (given->initrd)
		config->initrd = given->initrd;
	return control_check_name(config->name, error);
}

static int restore(const struct command_call *call, const struct run_options *options,
		   struct machine_config *config, struct snapshot *snapshot)
{
	struct detach detach = { .output_fd = STDOUT_FILENO, .ready_fd = -1 };
	const struct machine_start start = {
		.config = config, .sections = &snapshot->sections, .paused = options->paused,
		.no_reboot = options->no_reboot, .detach = &detach,
		.check = options->verify == RUN_VERIFY_BACKGROUND && !options->no_verify ? snapshot : NULL,
	};
	struct error error;

	if (options->detach) {
		int status;
		pid_t child = detach_start(&detach, &status, &error);

		if (child < 0)
			return command_error(call, &error);
		if (child > 0) {
			if (status == EXIT_OK)
				printf("%s\n", config->name);
			return status;
		}
	}
	lifecycle_block_signals();
	return machine_run(call, &start);
}

/* With --verify=before. What is loaded before the guest runs is checked then. */
static int verify_before(const struct run_options *options, const struct machine_config *config, const struct snapshot *snapshot,
			 struct error *error)
{
	if (options->verify != RUN_VERIFY_BEFORE || config->eager || config->huge_page)
		return 0;
	return snapshot_check_ram(snapshot, NULL, error);
}

static int refuse_partial(struct snapshot *snapshot, struct error *error)
{
	if (!sections_find(&snapshot->sections, SNAPSHOT_PARTIAL))
		return 0;
	return error_set(error, EINVAL, "it holds of RAM only what is needed to look into it, and cannot be restored");
}

int cmd_snapshot_restore(const struct command_call *call)
{
	const struct run_options *options = call->values;
	struct log log = { .level = options->log_level, .write = machine_run_log };
	struct machine_config config = { .log = &log, .fault = getenv("LKVM_FAULT") };
	struct snapshot snapshot;
	struct error error;
	int status;

	if (call->count != 1) {
		error_set(&error, EINVAL, "from which file?");
		return command_usage_error(call, &error);
	}
	if (options->no_verify && options->verify == RUN_VERIFY_BEFORE) {
		error_set(&error, EINVAL, "--no-verify is --verify=none, and contradicts --verify=before");
		return command_usage_error(call, &error);
	}
	if (forms_open(&snapshot, call->operands[0], &error) < 0)
		return command_error(call, &error);
	config.snapshot = &snapshot;
	config.eager = options->eager;
	config.unchecked = options->no_verify || options->verify == RUN_VERIFY_NONE;
	config.prefault_count = options->config.prefault_count;
	if (options->no_working_set)
		snapshot.working_set.count = 0;
	memcpy(config.prefault, options->config.prefault, sizeof(config.prefault));
	config.huge_page = options->config.huge_page;
	if (refuse_partial(&snapshot, &error) < 0 || snapshot_check_restorable(&snapshot, &error) < 0 ||
	    configure(&config, options, &snapshot, &error) < 0 || verify_before(options, &config, &snapshot, &error) < 0) {
		error_context(&error, "%s", forms_input_name(call->operands[0]));
		status = command_error(call, &error);
	} else if (options->disk_overlay && machine_run_overlays(&config, options->disk_overlay, &error) < 0) {
		status = command_error(call, &error);
	} else {
		status = restore(call, options, &config, &snapshot);
	}
	machine_config_free(&config);
	snapshot_close(&snapshot);
	return status;
}
