/* SPDX-License-Identifier: MIT */
/* From a configuration to the end of the machine that was made of it: what `run` and `snapshot restore` share. */
#ifndef LKVM_MACHINE_RUN_H
#define LKVM_MACHINE_RUN_H

#include <stdbool.h>

#include "lkvm/command.h"
#include "lkvm/detach.h"
#include "lkvm/log.h"
#include "lkvm/machine.h"

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
 * Gives the disks overlays in `folder`, which is made if it is not there. A snapshot's disks can only go on with an overlay
 * that is new; otherwise one that is there is gone on with.
 */
int machine_run_overlays(struct machine_config *config, const char *folder, struct error *error);

/* Prints a line of the log: for struct log. */
void machine_run_log(void *context, enum log_level level, const char *line);

#endif
