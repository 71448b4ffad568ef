/* SPDX-License-Identifier: MIT */
/* The text forms of a save request and its reply; `lkvm snapshot save` sends every option. */
#include "unit/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/command.h"
#include "control/control.h"
#include "save/request.h"
#include "util/bits.h"
#include "util/io.h"
#include "util/loop.h"

/* Splits a request as control/server.c does. */
static int parse(const char *text, struct save_request *request, struct error *error)
{
	static char copy[CONTROL_REQUEST_LENGTH + 1];
	char *words[CONTROL_WORDS + 1] = { NULL }, *rest = copy;
	unsigned count = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	for (char *word; (word = strtok_r(rest, " ", &rest));) {
		assert_true(count < CONTROL_WORDS);
		words[count++] = word;
	}
	return save_request_parse(words, request, error);
}

static void request_is_parsed_as_it_was_formatted(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 64; bits++) {
		const struct save_request sent = {
			.way = bits >> 2 & 3, .force = bits >> 4 & 1, .overlays = bits >> 5, .max_pause = 77, .working_set = bits & 1, .detach = bits & 2,
			.replaces = bits & 1, .device = UINT64_MAX, .inode = UINT64_MAX - 1,
		};
		char text[SAVE_REQUEST_LENGTH + 1];
		struct save_request got;
		struct error error;

		save_request_format(&sent, text);
		assert_int_equal(parse(text, &got, &error), 0);
		assert_int_equal(got.way, sent.way);
		assert_int_equal(got.working_set, sent.working_set);
		assert_int_equal(got.detach, sent.detach);
		assert_int_equal(got.force, sent.force);
		assert_int_equal(got.overlays, sent.overlays);
		assert_int_equal(got.replaces, sent.replaces);
		if (got.replaces)
			assert_true(got.device == sent.device && got.inode == sent.inode);
		if (got.way == SAVE_ROUNDS)
			assert_int_equal(got.max_pause, 77);
		assert_int_equal(got.fd, -1);
		assert_int_equal(got.base_fd, -1);
		assert_int_equal(got.folder_fd, -1);
	}
}

static void request_of_older_client_is_parsed(void **state)
{
	struct save_request request;
	struct error error;

	(void)state;
	assert_int_equal(parse("save", &request, &error), 0);
	assert_int_equal(request.way, SAVE_PLAIN);
	assert_false(request.working_set || request.detach);
	assert_int_equal(parse("save live", &request, &error), 0);
	assert_int_equal(request.way, SAVE_LIVE);
	assert_int_equal(request.max_pause, SAVE_DEFAULT_PAUSE);
	assert_int_equal(parse("save-working-set 1000", &request, &error), 0);
	assert_true(request.working_set && !request.detach);
	assert_int_equal(request.way, SAVE_ROUNDS);
	assert_int_equal(request.max_pause, 1000);
	assert_int_equal(parse("save-detached point-in-time", &request, &error), 0);
	assert_true(request.detach && !request.working_set);
	assert_int_equal(request.way, SAVE_POINT_IN_TIME);
}

static void unknown_word_of_request_is_refused(void **state)
{
	static const char *const texts[] = {
		"save slowly", "save -1", "save 18446744073709551616", "save 0 working", "save working-set", "save 0 0",
		"save 0 working-sets", "save live live", "save plain", "save 0 replaces=", "save 0 replaces=1", "save 0 replaces=1:", "save 0 replaces=1:x",
	};
	struct save_request request;
	struct error error;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++)
		assert_int_equal(parse(texts[i], &request, &error), -1);
	parse("save 0 faster", &request, &error);
	assert_string_equal(error.text, "unknown option of a save: faster");
}

static void answer_is_parsed_as_it_was_formatted(void **state)
{
	const struct save_figures sent = {
		.pause = UINT64_MAX, .ram = 2, .data = 3, .size = 4, .rounds = 5, .throttle = 6, .way = SAVE_POINT_IN_TIME,
		.held_writes = 8, .disks = 16, .identity = "01234567-89ab-4def-8123-456789abcdef",
	};
	char text[SAVE_FIGURES_LENGTH];
	struct save_figures got;

	(void)state;
	save_figures_format(&sent, text);
	assert_true(save_figures_parse(text, &got));
	assert_true(got.pause == sent.pause && got.ram == 2 && got.data == 3 && got.size == 4 && got.rounds == 5 &&
		    got.throttle == 6 && got.way == SAVE_POINT_IN_TIME && got.held_writes == 8 && got.disks == 16);
	assert_string_equal(got.identity, sent.identity);
}

static void answer_of_other_version_is_parsed(void **state)
{
	struct save_figures figures;

	(void)state;
	assert_true(save_figures_parse("1 2 3 4 5 6 1 8\n", &figures));
	assert_string_equal(figures.identity, "");
	assert_int_equal(figures.disks, 0);
	assert_int_equal(figures.way, SAVE_ROUNDS);
	assert_true(save_figures_parse("1 2 3 4 5 6 1 8 later=1 identity=short more\n", &figures));
	assert_string_equal(figures.identity, "");
	assert_int_equal(figures.held_writes, 8);
}

static void malformed_answer_is_refused(void **state)
{
	struct save_figures figures;

	(void)state;
	assert_false(save_figures_parse("", &figures));
	assert_false(save_figures_parse("1 2 3 4 5 6 1\n", &figures));
	assert_false(save_figures_parse("1 2 3 4 5 6 x 8\n", &figures));
	assert_false(save_figures_parse("1 2 3 4 5 6 3 8\n", &figures));
}

/* A VMM that refuses each request with an error that repeats it, so that the client prints the request. */
static void refuse_with_words(void *owner, struct control_client *client, unsigned count, char **words)
{
	struct error error;

	(void)owner;
	error_set(&error, 0, "words:");
	for (unsigned i = 0; i < count; i++)
		error_set(&error, 0, "%s %s", error.text, words[i]);
	control_refuse(client, &error);
}

static pid_t start_vmm(const char *name)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		struct control control;
		struct error error;
		struct loop loop;

		prctl(PR_SET_PDEATHSIG, SIGKILL); /* if a failed assertion ends the test */
		loop_open(&loop);
		if (control_open(&control, name, &loop, refuse_with_words, NULL, &error) < 0)
			_exit(1);
		(void)!write(ready[1], "x", 1);
		loop_run(&loop);
		_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

/* Returns the standard error output of `lkvm`. */
static const char *run(const char *line)
{
	static char text[4096];
	int fds[2], status;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		char copy[512], name[] = "lkvm", *words[32] = { name }, *rest = copy;
		int count = 1;

		snprintf(copy, sizeof(copy), "%s", line);
		for (char *word; (word = strtok_r(rest, " ", &rest));)
			words[count++] = word;
		dup2(fds[1], STDERR_FILENO);
		exit(command_main(command_table, count, words));
	}
	close(fds[1]);
	got = read_full(fds[0], text, sizeof(text) - 1);
	text[got < 0 ? 0 : got] = '\0';
	close(fds[0]);
	waitpid(pid, &status, 0);
	return text;
}

/* Every option that the VMM needs, in all combinations that the command accepts. */
static void save_command_sends_every_option(void **state)
{
	static const struct {
		const char *options, *words;
	} cases[] = {
		{ "", "words: save 0\n" },
		{ "--working-set", "words: save 0 working-set\n" },
		{ "--detach-vfio", "words: save 0 detach-vfio\n" },
		{ "--working-set --detach-vfio", "words: save 0 working-set detach-vfio\n" },
		{ "--detach-vfio --live --working-set", "words: save live working-set detach-vfio\n" },
		{ "--force", "words: save 0 force\n" },
		{ "--disk-overlays /tmp --force", "words: save 0 disk-overlays force\n" },
		{ "--disk-overlays /tmp --live --working-set", "words: save live working-set disk-overlays\n" },
		{ "--live=rounds", "words: save 10000000\n" },
		{ "--max-pause 3 --detach-vfio", "words: save 3000000 detach-vfio\n" },
		{ "--live=point-in-time --working-set", "words: save point-in-time working-set\n" },
	};
	char scratch[] = "/tmp/lkvm-request-XXXXXX", command[64];
	pid_t vmm;

	(void)state;
	assert_non_null(mkdtemp(scratch));
	setenv("XDG_RUNTIME_DIR", scratch, 1);
	vmm = start_vmm("vm");
	for (size_t i = 0; i < COUNT(cases); i++) {
		char line[256];
		const char *said;

		snprintf(line, sizeof(line), "snapshot save vm %s/file %s", scratch, cases[i].options);
		said = run(line);
		if (!strstr(said, cases[i].words))
			fail_msg("%s: %s", cases[i].options, said);
	}
	kill(vmm, SIGKILL);
	waitpid(vmm, NULL, 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_is_parsed_as_it_was_formatted),
		cmocka_unit_test(request_of_older_client_is_parsed),
		cmocka_unit_test(unknown_word_of_request_is_refused),
		cmocka_unit_test(answer_is_parsed_as_it_was_formatted),
		cmocka_unit_test(answer_of_other_version_is_parsed),
		cmocka_unit_test(malformed_answer_is_refused),
		cmocka_unit_test(save_command_sends_every_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
