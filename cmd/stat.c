/* SPDX-License-Identifier: MIT */
#include "control_commands.h"

int cmd_stat(const struct command_call *call)
{
	const struct name_options *options = call->values;

	return names_ask(call, options->json ? "stat json" : "stat", NAMES_PATIENCE, NULL);
}
