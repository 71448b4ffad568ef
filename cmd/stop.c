/* SPDX-License-Identifier: MIT */
#include "control_commands.h"

int cmd_stop(const struct command_call *call)
{
	return names_ask_guest(call, "stop", "stopped");
}
