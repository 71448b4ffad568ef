/* SPDX-License-Identifier: MIT */
/* Commands about running VMs: which ones, and asking each. */
#ifndef LKVM_CMD_CONTROL_COMMANDS_H
#define LKVM_CMD_CONTROL_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/command.h"
#include "control/control.h"

/* What their options fill. */
struct control_options {
	const char *name; /* kvmtool's way to say the operand */
	bool all;
	bool json;
	bool force;
	uint64_t timeout; /* seconds */
};

/* Seconds that a VMM may take for what it does without asking its guest. */
#define CONTROL_COMMANDS_PATIENCE 30

/*
 * Sends `request` to every VM that the call names and prints what becomes of it: the reply's body if `done`
 * is NULL, else that it is `done` ("paused"). The exit status: EXIT_ERROR if one failed; the others are asked
 * all the same.
 */
int control_commands_ask(const struct command_call *call, const char *request, unsigned seconds, const char *done);

/* The same for what the guest must do itself: "REQUEST SECONDS", or "REQUEST force" with --force. */
int control_commands_ask_guest(const struct command_call *call, const char *request, const char *done);

#endif
