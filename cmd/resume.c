/* SPDX-License-Identifier: MIT */
#include "control_commands.h"

int cmd_resume(const struct command_call *call)
{
	return names_ask(call, "resume", NAMES_PATIENCE, "resumed");
}
