/* SPDX-License-Identifier: MIT */
/*
 * Subcommands. cmd/table.c has the table of all of them; `lkvm help` and the shell's completion use it. Only files in cmd/
 * print: results on standard output, messages on standard error.
 */
#ifndef LKVM_CMD_COMMAND_H
#define LKVM_CMD_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"
#include "util/options.h"
#include "util/report.h"

/* Exit statuses. A signal N that ended lkvm is 128 + N. Part of the interface: lkvm(1) lists them. */
enum exit_status {
	EXIT_OK = 0,
	EXIT_ERROR = 1,      /* no VM ran, or the command failed */
	EXIT_USAGE = 2,      /* wrong command line */
	EXIT_CRASHED = 3,    /* the guest reported a crash */
	EXIT_VM_FAILURE = 4, /* KVM or the VMM could not continue a running guest */
	EXIT_RESET = 5,      /* the guest was reset, and --no-reboot was given */
	EXIT_SIGNAL = 128,
};

/* Kinds of operands. */
enum command_operand { OPERAND_NONE, OPERAND_FILE, OPERAND_VM, OPERAND_COMMAND, OPERAND_SHELL };

struct command_call;

struct command {
	const char *name;        /* one word, or two: "snapshot save" */
	const char *alias;       /* or NULL */
	const char *operands;    /* as in "[NAME...]"; NULL: takes none */
	enum command_operand operand; /* their kind, for the shell's completion */
	int most;                /* maximum number of operands; -1: no limit */
	const char *summary;     /* one line of `lkvm help` */
	const struct option_table *options; /* NULL: only --help */
	/* Returns the exit status. */
	int (*run)(const struct command_call *call);
};

/* One use of a command, its options already parsed. */
struct command_call {
	const struct command *commands; /* all of them; the last has no name */
	const struct command *command;
	void *values; /* the options' target */
	int count;    /* operands */
	char **operands;
};

/* All of them; the last has no name. */
extern const struct command command_table[];

/* Finds the command that argv names, parses its options and runs it. What main() returns. */
int command_main(const struct command *commands, int argc, char **argv);

/*
 * Finds the command at the beginning of the `count` words. `*taken` is the number of words of its name. Returns NULL if no
 * command has that name or alias.
 */
const struct command *command_find(const struct command *commands, int count, char *const *words, int *taken);

/* Returns whether `word` is the first of the two words of a command's name. */
bool command_is_group(const struct command *commands, const char *word);

/* Prints "usage: lkvm run ..." with the options. */
void command_help(const struct command *command);

/* Print "lkvm: COMMAND: error" on standard error. Return EXIT_ERROR, or EXIT_USAGE with a hint at --help. */
int command_error(const struct command_call *call, const struct error *error);
int command_usage_error(const struct command_call *call, const struct error *error);

/* Prints a finished report and closes it. Returns the exit status. */
int command_print_report(const struct command_call *call, struct report *report);

/* The subcommands, and the tables of their options. */
extern const struct option_table run_options_table;
extern const struct option_table list_options_table;
extern const struct option_table control_options_table;
extern const struct option_table stat_options_table;
extern const struct option_table guest_options_table;
extern const struct option_table doctor_options_table;
extern const struct option_table snapshot_save_options_table;
extern const struct option_table snapshot_restore_options_table;
extern const struct option_table snapshot_info_options_table;
extern const struct option_table snapshot_inspect_options_table;
extern const struct option_table snapshot_verify_options_table;
extern const struct option_table snapshot_diff_options_table;
extern const struct option_table snapshot_merge_options_table;

int cmd_run(const struct command_call *call);
int cmd_list(const struct command_call *call);
int cmd_control(const struct command_call *call); /* stat, pause, resume, stop, reboot */
int cmd_balloon(const struct command_call *call);
int cmd_snapshot_save(const struct command_call *call);
int cmd_snapshot_restore(const struct command_call *call);
int cmd_snapshot_info(const struct command_call *call);
int cmd_inspect(const struct command_call *call);
int cmd_snapshot_inspect(const struct command_call *call);
int cmd_snapshot_verify(const struct command_call *call);
int cmd_snapshot_diff(const struct command_call *call);
int cmd_snapshot_merge(const struct command_call *call);
int cmd_doctor(const struct command_call *call);
int cmd_help(const struct command_call *call);
int cmd_version(const struct command_call *call);
int cmd_completion(const struct command_call *call);

#endif
