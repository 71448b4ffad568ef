/* SPDX-License-Identifier: MIT */
#include "lkvm/command.h"

static const struct command commands[] = {
	{ .name = "run", .run = cmd_run, .options = &run_options_table, .operands = "[KERNEL]",
	  .operand = OPERAND_FILE, .most = 1, .summary = "Start a virtual machine" },
	{ .name = "list", .run = cmd_list, .options = &list_options_table,
	  .summary = "Show the running virtual machines" },
	{ .name = "stat", .run = cmd_stat, .options = &stat_options_table, .operands = "[NAME...]",
	  .operand = OPERAND_VM, .most = -1,
	  .summary = "Show memory, vCPUs, interrupts and devices of a virtual machine" },
	{ .name = "pause", .run = cmd_pause, .options = &name_options_table, .operands = "[NAME...]",
	  .operand = OPERAND_VM, .most = -1, .summary = "Halt a virtual machine where it is" },
	{ .name = "resume", .run = cmd_resume, .options = &name_options_table, .operands = "[NAME...]",
	  .operand = OPERAND_VM, .most = -1, .summary = "Let a paused virtual machine go on" },
	{ .name = "stop", .run = cmd_stop, .options = &ask_options_table, .operands = "[NAME...]",
	  .operand = OPERAND_VM, .most = -1, .summary = "Ask a guest to power off, or end it with --force" },
	{ .name = "reboot", .run = cmd_reboot, .options = &ask_options_table, .operands = "[NAME...]",
	  .operand = OPERAND_VM, .most = -1, .summary = "Ask a guest to restart, or reset it with --force" },
	{ .name = "balloon", .run = cmd_balloon, .options = &name_options_table, .operands = "NAME SIZE",
	  .operand = OPERAND_VM, .most = 2, .summary = "Ask a guest to give memory back to the host" },
	{ .name = "inspect", .run = cmd_inspect, .options = &snapshot_inspect_options_table, .operands = "NAME",
	  .operand = OPERAND_VM, .most = 1,
	  .summary = "Show interrupts, devices and vCPUs of a virtual machine at this moment" },
	{ .name = "snapshot save", .run = cmd_snapshot_save, .options = &snapshot_save_options_table,
	  .operands = "NAME FILE", .operand = OPERAND_VM, .most = 2,
	  .summary = "Write a virtual machine, as it is, to a file" },
	{ .name = "snapshot restore", .run = cmd_snapshot_restore, .options = &snapshot_restore_options_table,
	  .operands = "FILE", .operand = OPERAND_FILE, .most = 1, .summary = "Let one go on from such a file" },
	{ .name = "snapshot info", .run = cmd_snapshot_info, .options = &snapshot_info_options_table,
	  .operands = "FILE", .operand = OPERAND_FILE, .most = 1, .summary = "Tell what is in such a file" },
	{ .name = "snapshot inspect", .run = cmd_snapshot_inspect, .options = &snapshot_inspect_options_table,
	  .operands = "FILE", .operand = OPERAND_FILE, .most = 1,
	  .summary = "Show interrupts, devices and vCPUs in such a file" },
	{ .name = "snapshot verify", .run = cmd_snapshot_verify, .options = &snapshot_verify_options_table,
	  .operands = "FILE", .operand = OPERAND_FILE, .most = 1,
	  .summary = "Tell whether such a file is whole and right" },
	{ .name = "snapshot diff", .run = cmd_snapshot_diff, .options = &snapshot_diff_options_table,
	  .operands = "BEFORE AFTER", .operand = OPERAND_FILE, .most = 2, .summary = "Tell what changed between two such files" },
	{ .name = "doctor", .alias = "check", .run = cmd_doctor, .options = &doctor_options_table,
	  .summary = "Tell what this host has and lacks for lkvm" },
	{ .name = "completion", .run = cmd_completion, .operands = "bash", .operand = OPERAND_SHELL,
	  .most = 1, .summary = "Print the shell's completion script" },
	{ .name = "version", .run = cmd_version, .summary = "Print the version" },
	{ .name = "help", .run = cmd_help, .operands = "[COMMAND]", .operand = OPERAND_COMMAND, .most = 2,
	  .summary = "Explain a command" },
	{ .name = NULL },
};

int main(int argc, char **argv)
{
	return command_main(commands, argc, argv);
}
