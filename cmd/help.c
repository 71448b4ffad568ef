/* SPDX-License-Identifier: MIT */
/* lkvm help: lists the commands, or shows the help of one. */
#include <errno.h>
#include <stdio.h>

#include "cmd/command.h"

static void list_commands(const struct command *commands)
{
	printf("\n usage: lkvm COMMAND [ARGS]\n\n The most commonly used lkvm commands are:\n");
	for (; commands->name; commands++)
		printf("   %-16s  %s\n", commands->name, commands->summary);
	printf("\n See 'lkvm help COMMAND' for more information on a specific command.\n\n");
}

int cmd_help(const struct command_call *call)
{
	const struct command *asked;
	int taken;

	if (!call->count) {
		list_commands(call->commands);
		return EXIT_OK;
	}
	asked = command_find(call->commands, call->count, call->operands, &taken);
	if (!asked) {
		struct error error;

		error_set(&error, EINVAL, "\"%.100s\" is not a command of lkvm", call->operands[0]);
		return command_usage_error(call, &error);
	}
	command_help(asked);
	return EXIT_OK;
}
