/* SPDX-License-Identifier: MIT */
/* The entry point of lkvm. */
#include "cmd/command.h"

int main(int argc, char **argv)
{
	return command_main(command_table, argc, argv);
}
