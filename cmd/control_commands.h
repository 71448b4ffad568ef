/* SPDX-License-Identifier: MIT */
/* What commands about running VMs share: selecting VMs, and sending each a request. */
#ifndef LKVM_CMD_CONTROL_COMMANDS_H
#define LKVM_CMD_CONTROL_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/command.h"
#include "control/control.h"

/* What their options fill. */
struct control_options {
	const char *name; /* kvmtool's form of the operand */
	bool all;
	bool json;
	bool force;
	uint64_t timeout; /* seconds */
};

/* Seconds that a VMM may take for a request that does not involve its guest. */
#define CONTROL_COMMANDS_PATIENCE 30

/*
 * Sends `request` to each VM that the call names. Prints the reply's body if `done` is NULL, else that the VM is `done`
 * ("paused"). Returns the exit status: EXIT_ERROR if one failed. The request is sent to the others all the same.
 */
int control_commands_ask(const struct command_call *call, const char *request, unsigned seconds, const char *done);

/* The same for a request that the guest must carry out: "REQUEST SECONDS", or "REQUEST force" with --force. */
int control_commands_ask_guest(const struct command_call *call, const char *request, const char *done);

#endif
