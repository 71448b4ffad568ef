/* SPDX-License-Identifier: MIT */
/* lkvm snapshot restore: restores a VM from a snapshot. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/run_options.h"
#include "control/control.h"
#include "control/lifecycle.h"
#include "machine_run.h"
#include "snapshot/snapshot.h"
#include "snapshot_output.h"
#include "state/names.h"

static int configure(struct machine_config *config, const struct run_options *options, struct snapshot *snapshot,
		     struct error *error)
{
	const struct machine_config *given = &options->config;

	if (machine_config_load(config, &snapshot->sections, error) < 0 || run_options_replace(config, options, error) < 0)
		return -1;
	for (unsigned i = 0; i < config->disk_count; i++) {
		config->disks[i].changed_allowed = options->disks_changed == RUN_DISKS_CHANGED_ALLOW;
		if (options->disks_changed == RUN_DISKS_CHANGED_REFUSE)
			config->disks[i].chosen = false;
	}
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

/* For --verify=before. RAM that is loaded before the guest runs is verified while it is loaded. */
static int verify_before(const struct run_options *options, const struct machine_config *config, const struct snapshot *snapshot,
			 struct error *error)
{
	if (options->verify != RUN_VERIFY_BEFORE || config->eager || config->huge_page)
		return 0;
	return snapshot_check_ram(snapshot, NULL, error);
}

static int refuse_partial(struct snapshot *snapshot, struct error *error)
{
	if (!sections_find(&snapshot->sections, SECTION_PARTIAL))
		return 0;
	return error_set(error, EINVAL, "it has only the RAM that an inspection needs, and cannot be restored");
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
		error_set(&error, EINVAL, "a file is required");
		return command_usage_error(call, &error);
	}
	if (options->no_verify && options->verify == RUN_VERIFY_BEFORE) {
		error_set(&error, EINVAL, "--no-verify is --verify=none, and contradicts --verify=before");
		return command_usage_error(call, &error);
	}
	if (snapshot_input_open(&snapshot, call->operands[0], &error) < 0)
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
		error_context(&error, "%s", snapshot_input_name(call->operands[0]));
		status = command_error(call, &error);
	} else if (machine_run_overlays(&config, options, &error) < 0) {
		status = command_error(call, &error);
	} else {
		status = restore(call, options, &config, &snapshot);
	}
	machine_config_free(&config);
	snapshot_close(&snapshot);
	return status;
}
