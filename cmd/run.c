/* SPDX-License-Identifier: MIT */
/* lkvm run: starts a VM. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/run_options.h"
#include "control/lifecycle.h"
#include "machine_run.h"
#include "util/file.h"

/* The message is kvmtool's, because programs that start it look for that text. */
static bool kernel_is_there(const char *path)
{
	int fd = file_open_regular(path, O_RDONLY);

	if (fd < 0) {
		fprintf(stderr, "  Fatal: Unable to open kernel %s: %s\n", path,
			fd == -EINVAL ? "it is not a regular file" : strerror(-fd));
		return false;
	}
	close(fd);
	return true;
}

int cmd_run(const struct command_call *call)
{
	struct run_options *options = call->values;
	struct log log = { .level = options->log_level, .write = machine_run_log };
	struct detach detach = { .output_fd = STDOUT_FILENO, .ready_fd = -1 };
	const struct machine_start start = {
		.config = &options->config, .paused = options->paused, .no_reboot = options->no_reboot,
		.detach = &detach,
	};
	struct error error;
	int status;

	if (run_options_finish(options, call->count ? call->operands[0] : NULL, &error) < 0)
		return command_usage_error(call, &error);
	if (!kernel_is_there(options->config.kernel))
		return EXIT_ERROR;
	options->config.log = &log;
	options->config.fault = getenv("LKVM_FAULT");

	if (options->detach) {
		pid_t child = detach_start(&detach, &status, &error);

		if (child < 0)
			return command_error(call, &error);
		if (child > 0) { /* this is the parent, and the child has started or failed */
			run_options_name(options, child);
			if (status == EXIT_OK)
				printf("%s\n", options->config.name);
			return status;
		}
	}
	run_options_name(options, getpid());
	if (machine_run_overlays(&options->config, options, &error) < 0) {
		status = command_error(call, &error);
	} else {
		lifecycle_block_signals();
		status = machine_run(call, &start);
	}
	machine_config_free(&options->config);
	return status;
}
