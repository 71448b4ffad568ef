/* SPDX-License-Identifier: MIT */
#include "lkvm/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/*
 * A descriptor 0, 1 or 2 that was closed would become the next file that is opened, and the guest's console
 * would be written to it. What takes the place cannot be used in the direction that is wanted, so writing
 * still fails.
 */
static void occupy_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

const struct command *command_find(const struct command *commands, const char *name)
{
	for (; commands->name; commands++)
		if (!strcmp(commands->name, name) || (commands->alias && !strcmp(commands->alias, name)))
			return commands;
	return NULL;
}

int command_error(const struct command_call *call, const struct error *error)
{
	fprintf(stderr, "lkvm: %s: %s\n", call->command->name, error->text);
	return EXIT_ERROR;
}

int command_usage_error(const struct command_call *call, const struct error *error)
{
	fprintf(stderr, "lkvm: %s: %s; see 'lkvm %s --help'\n", call->command->name, error->text,
		call->command->name);
	return EXIT_USAGE;
}

int command_print_report(const struct command_call *call, struct report *report)
{
	const char *text = report_text(report);
	struct error error;
	int status = EXIT_OK;

	if (text) {
		fputs(text, stdout);
	} else {
		error_system(&error, ENOMEM, "report");
		status = command_error(call, &error);
	}
	report_close(report);
	return status;
}

void command_help(const struct command *command)
{
	static const struct option_entry always[] = {
		{ .name = "help", .letter = 'h', .kind = OPTION_FLAG, .help = "This text" },
	};
	static const struct option_table help = { .count = 1, .entries = always };

	printf("\n usage: lkvm %s%s%s%s\n\n %s\n\n", command->name, command->options ? " [OPTION...]" : "",
	       command->operands ? " " : "", command->operands ? command->operands : "", command->summary);
	if (command->options)
		options_help(command->options, stdout);
	options_help(&help, stdout);
	printf("\n See lkvm(1) for more.\n\n");
}

/* The command that argv[1] names; `help` where there is none, or where one asks as is done everywhere. */
static const struct command *choose(const struct command *commands, const char *word)
{
	if (!word || !strcmp(word, "--help") || !strcmp(word, "-h"))
		return command_find(commands, "help");
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		return command_find(commands, "version");
	return command_find(commands, word);
}

static int parse_and_run(struct command_call *call)
{
	static const struct option_table none = { .count = 0 };
	const struct command *command = call->command;
	struct error error = { 0 };

	switch (options_parse(command->options ? command->options : &none, call->values, &call->count,
			      call->operands, &error)) {
	case OPTIONS_BAD:
		return command_usage_error(call, &error);
	case OPTIONS_HELP:
		command_help(command);
		return EXIT_OK;
	case OPTIONS_GOOD:
		break;
	}
	if (command->most >= 0 && call->count > command->most) {
		error_set(&error, EINVAL, "\"%.100s\" is one argument too many",
			  call->operands[command->most]);
		return command_usage_error(call, &error);
	}
	return command->run(call);
}

int command_main(const struct command *commands, int argc, char **argv)
{
	struct command_call call = { .commands = commands };
	int status;

	occupy_standard_streams();
	call.command = choose(commands, argc > 1 ? argv[1] : NULL);
	if (!call.command) {
		fprintf(stderr, "lkvm: '%s' is no command of lkvm; see 'lkvm help'\n", argv[1]);
		return EXIT_USAGE;
	}
	call.count = argc > 2 ? argc - 2 : 0;
	call.operands = argv + (argc > 2 ? 2 : argc);
	if (call.command->options) {
		call.values = malloc(call.command->options->target_size);
		if (!call.values) {
			fprintf(stderr, "lkvm: %s\n", strerror(ENOMEM));
			return EXIT_ERROR;
		}
		memcpy(call.values, call.command->options->defaults, call.command->options->target_size);
	}

	status = parse_and_run(&call);
	free(call.values);

	/* A result that nobody could read is no success. */
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "lkvm: standard output cannot be written\n");
		if (status == EXIT_OK)
			status = EXIT_ERROR;
	}
	return status;
}
