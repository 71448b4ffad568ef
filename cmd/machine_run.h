/* SPDX-License-Identifier: MIT */
/* From a configuration to the end of the machine that was made of it: what `run` and `snapshot restore` share. */
#ifndef LKVM_CMD_MACHINE_RUN_H
#define LKVM_CMD_MACHINE_RUN_H

#include <stdbool.h>

#include "cmd/command.h"
#include "cmd/detach.h"
#include "cmd/run_options.h"
#include "machine/machine.h"
#include "util/log.h"

struct machine_start {
	const struct machine_config *config;
	struct sections *sections; /* NULL, or the state to go on from */
	const struct snapshot *check; /* NULL, or whose RAM is to be checked while the machine runs */
	bool paused;               /* leave it so */
	bool no_reboot;            /* a reset is the end */
	struct detach *detach;
};

/* Signals are blocked by now (lifecycle_block_signals). The exit status. */
int machine_run(const struct command_call *call, const struct machine_start *start);

/*
 * Gives the disks the overlays that the user wants, if any. The last folder is made if it is missing. A snapshot's disks get a
 * new overlay over those that they have; otherwise one that exists is used again.
 */
int machine_run_overlays(struct machine_config *config, const struct run_options *options, struct error *error);

/* Prints a line of the log: for struct log. */
void machine_run_log(void *context, enum log_level level, const char *line);

#endif
