/* SPDX-License-Identifier: MIT */
/*
 * lkvm completion: prints the shell's completion script, made from the tables of commands and options. `make install` installs
 * it; `source <(lkvm completion bash)` loads it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cmd/command.h"

/* Prints "a|b" with `separator` in place of "|". */
static void print_choices(const char *choices, char separator)
{
	for (; *choices; choices++)
		putchar(*choices == '|' ? separator : *choices);
}

static bool takes_file(const struct option_entry *entry)
{
	return entry->kind == OPTION_FILE || (entry->argument && !strncmp(entry->argument, "FILE", 4));
}

/* Prints a case with the options of each command. */
static void print_options(const struct command *commands)
{
	printf("_lkvm_options()\n{\n\tcase $1 in\n");
	for (; commands->name; commands++) {
		const struct option_table *table = commands->options;

		printf("\t'%s'%s%s) echo '--help", commands->name, commands->alias ? "|" : "",
		       commands->alias ? commands->alias : "");
		for (size_t i = 0; table && i < table->count; i++)
			if (table->entries[i].help)
				printf(" --%s", table->entries[i].name);
		printf("' ;;\n");
	}
	printf("\tesac\n}\n\n");
}

/* Prints a case for each option with a value: the possible words, or "@" and the kind of value. */
static void print_values(const struct command *commands)
{
	printf("_lkvm_values()\n{\n\tcase $1:$2 in\n");
	for (; commands->name; commands++) {
		const struct option_table *table = commands->options;

		for (size_t i = 0; table && i < table->count; i++) {
			const struct option_entry *entry = &table->entries[i];

			if (!entry->argument || !entry->help)
				continue;
			printf("\t'%s:--%s='", commands->name, entry->name);
			if (!entry->optional)
				printf("|'%s:--%s'", commands->name, entry->name);
			if (entry->letter && !entry->optional)
				printf("|'%s:-%c'", commands->name, entry->letter);
			printf(") echo '");
			if (entry->choices)
				print_choices(entry->choices, ' ');
			else if (takes_file(entry))
				printf("@file");
			else if (commands->operand == OPERAND_VM && !strcmp(entry->name, "name"))
				printf("@vm");
			else
				printf("@none");
			printf("' ;;\n");
		}
	}
	printf("\tesac\n}\n\n");
}

/* Prints a case with the operands of each command. */
static void print_operands(const struct command *commands)
{
	static const char *const kinds[] = {
		[OPERAND_NONE] = "@none", [OPERAND_FILE] = "@file", [OPERAND_VM] = "@vm",
		[OPERAND_COMMAND] = "@command", [OPERAND_SHELL] = "bash",
	};

	printf("_lkvm_operands()\n{\n\tcase $1 in\n");
	for (; commands->name; commands++)
		if (commands->operand != OPERAND_NONE)
			printf("\t'%s') echo '%s' ;;\n", commands->name, kinds[commands->operand]);
	printf("\tesac\n}\n\n");
}

/* Returns the length of the first word of a command's name. */
static int first_word(const struct command *command)
{
	return (int)strcspn(command->name, " ");
}

/* Returns whether a command has the same first word as the command before it in the table. */
static bool same_group(const struct command *commands, const struct command *command)
{
	int length = first_word(command);

	return command > commands && command->name[length] && length == first_word(command - 1) &&
	       !strncmp(command->name, command[-1].name, (size_t)length);
}

static void print_commands(const struct command *commands)
{
	printf("_lkvm_commands='");
	for (const struct command *command = commands; command->name; command++)
		if (!same_group(commands, command))
			printf("%s%.*s", command == commands ? "" : " ", first_word(command), command->name);
	printf("'\n\n");
}

/* Prints a case with the second words for each first word that needs one. */
static void print_groups(const struct command *commands)
{
	printf("_lkvm_group()\n{\n\tcase $1 in\n");
	for (const struct command *command = commands; command->name; command++) {
		int length = first_word(command);

		if (!command->name[length])
			continue;
		if (!same_group(commands, command))
			printf("\t%.*s) echo '", length, command->name);
		printf("%s%s", same_group(commands, command) ? " " : "", command->name + length + 1);
		if (!command[1].name || !same_group(commands, command + 1))
			printf("' ;;\n");
	}
	printf("\tesac\n}\n\n");
}

/* The constant part of the script. Bash splits "--console=serial" into three words. */
static const char function[] =
	"_lkvm()\n"
	"{\n"
	"\tlocal current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
	"\tlocal command=${COMP_WORDS[1]} words group\n"
	"\n"
	"\tgroup=$(_lkvm_group \"$command\")\n"
	"\tif [[ -n $group && $COMP_CWORD -gt 2 ]]; then\n"
	"\t\tcommand+=\" ${COMP_WORDS[2]}\"\n"
	"\tfi\n"
	"\tif [[ $current == = ]]; then\n"
	"\t\tcurrent=\n"
	"\t\tbefore+='='\n"
	"\telif [[ $before == = && $COMP_CWORD -gt 2 ]]; then\n"
	"\t\tbefore=${COMP_WORDS[COMP_CWORD-2]}=\n"
	"\tfi\n"
	"\tif ((COMP_CWORD == 1)); then\n"
	"\t\twords=@command\n"
	"\telif [[ -n $group && $COMP_CWORD -eq 2 ]]; then\n"
	"\t\twords=$group\n"
	"\telse\n"
	"\t\twords=$(_lkvm_values \"$command\" \"$before\")\n"
	"\t\tif [[ -z $words && $current == -* ]]; then\n"
	"\t\t\twords=$(_lkvm_options \"$command\")\n"
	"\t\telif [[ -z $words ]]; then\n"
	"\t\t\twords=$(_lkvm_operands \"$command\")\n"
	"\t\tfi\n"
	"\tfi\n"
	"\n"
	"\tCOMPREPLY=()\n"
	"\tcase $words in\n"
	"\t@none) return ;;\n"
	"\t@file) compopt -o default; return ;;\n"
	"\t@command) words=\"$_lkvm_commands --help --version\" ;;\n"
	"\t@vm) words=$(\"${COMP_WORDS[0]}\" list --quiet 2>/dev/null) ;;\n"
	"\tesac\n"
	"\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
	"}\n"
	"\n"
	"complete -F _lkvm lkvm\n";

int cmd_completion(const struct command_call *call)
{
	struct error error;

	if (call->count != 1 || strcmp(call->operands[0], "bash")) {
		error_set(&error, EINVAL, "a shell is required; only \"bash\" is supported");
		return command_usage_error(call, &error);
	}
	printf("# shellcheck shell=bash\n# bash completion for lkvm, printed by 'lkvm completion bash'\n\n");
	print_commands(call->commands);
	print_groups(call->commands);
	print_options(call->commands);
	print_values(call->commands);
	print_operands(call->commands);
	fputs(function, stdout);
	return EXIT_OK;
}
