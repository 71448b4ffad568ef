/* SPDX-License-Identifier: MIT */
/* lkvm version: prints the version. */
#include <stdio.h>

#include "cmd/command.h"

int cmd_version(const struct command_call *call)
{
	(void)call;
	printf("lkvm %s\n", LKVM_VERSION);
	return EXIT_OK;
}
