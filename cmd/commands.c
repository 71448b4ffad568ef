/* SPDX-License-Identifier: MIT */
/* Finds the command that argv names, parses its options and runs it. */
#include "cmd/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/suggestion.h"

/*
 * If descriptor 0, 1 or 2 is closed, the next file that is opened gets its number, and the guest's console would be written to
 * that file. This opens a descriptor in its place that fails in the direction in which it is used.
 */
static void occupy_standard_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)!open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

/* Returns the second word of a command's name if `word` is the first, else NULL. */
static const char *second_word(const struct command *command, const char *word)
{
	size_t length = strlen(word);

	return !strncmp(command->name, word, length) && command->name[length] == ' ' ? command->name + length + 1 : NULL;
}

const struct command *command_find(const struct command *commands, int count, char *const *words, int *taken)
{
	for (; commands->name; commands++) {
		const char *second = second_word(commands, words[0]);

		*taken = second ? 2 : 1;
		if (second ? count > 1 && !strcmp(second, words[1]) :
			     !strcmp(commands->name, words[0]) || (commands->alias && !strcmp(commands->alias, words[0])))
			return commands;
	}
	return NULL;
}

bool command_is_group(const struct command *commands, const char *word)
{
	for (; commands->name; commands++)
		if (second_word(commands, word))
			return true;
	return false;
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

/* Finds the command that argv names; `help` without a command, or for --help and -h. */
static const struct command *choose(const struct command *commands, int argc, char **argv, int *taken)
{
	static char help[] = "help", version[] = "version";
	char *word = argc > 1 ? argv[1] : help;

	if (!strcmp(word, "--help") || !strcmp(word, "-h"))
		word = help;
	if (!strcmp(word, "--version") || !strcmp(word, "-V"))
		word = version;
	if (argc < 2 || word != argv[1])
		return command_find(commands, 1, &word, taken);
	return command_find(commands, argc - 1, argv + 1, taken);
}

/* Prints "; did you mean 'list'?" on standard error if a command has a similar name. `group`: the first word, or NULL. */
static void suggest(const struct command *commands, const char *group, const char *word)
{
	struct suggestion suggestion = suggestion_for(word, strlen(word));

	for (; commands->name; commands++) {
		const char *second = strchr(commands->name, ' ');

		if (group && second_word(commands, group))
			suggestion_consider(&suggestion, second + 1);
		else if (!group && second && !strcmp(second + 1, word)) /* "save" for "snapshot save" */
			suggestion = (struct suggestion){ .best = commands->name };
		else if (!group)
			suggestion_consider(&suggestion, commands->name);
	}
	if (suggestion.best)
		fprintf(stderr, "; did you mean '%s%s%s'?", group ? group : "", group ? " " : "", suggestion.best);
}

/* Reports an unknown command, as of "lkvm snapshot" and "lkvm snapshot sav". */
static int no_such_command(const struct command *commands, int argc, char **argv)
{
	if (!command_is_group(commands, argv[1])) {
		fprintf(stderr, "lkvm: '%s' is not a command of lkvm", argv[1]);
		suggest(commands, NULL, argv[1]);
		fprintf(stderr, "; see 'lkvm help'\n");
		return EXIT_USAGE;
	}
	fprintf(stderr, "lkvm: %s: %s%s%sone of", argv[1], argc > 2 ? "'" : "", argc > 2 ? argv[2] : "",
		argc > 2 ? "' is not " : "");
	for (const struct command *command = commands; command->name; command++)
		if (second_word(command, argv[1]))
			fprintf(stderr, " %s", second_word(command, argv[1]));
	if (argc > 2)
		suggest(commands, argv[1], argv[2]);
	fprintf(stderr, "%s; see 'lkvm help'\n", argc > 2 ? "" : " is to follow");
	return EXIT_USAGE;
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
	int status, taken;

	occupy_standard_streams();
	signal(SIGXFSZ, SIG_IGN); /* then a write beyond RLIMIT_FSIZE fails with EFBIG, which is reported */
	call.command = choose(commands, argc, argv, &taken);
	if (!call.command)
		return no_such_command(commands, argc, argv);
	call.count = argc > 1 + taken ? argc - 1 - taken : 0;
	call.operands = argv + (call.count ? 1 + taken : argc);
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

	/* Without its output, the command has failed. */
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "lkvm: standard output cannot be written\n");
		if (status == EXIT_OK)
			status = EXIT_ERROR;
	}
	return status;
}
