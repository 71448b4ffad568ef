/* SPDX-License-Identifier: MIT */
#include "control_commands.h"

int cmd_pause(const struct command_call *call)
{
	return names_ask(call, "pause", NAMES_PATIENCE, "paused");
}
