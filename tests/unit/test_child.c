/* SPDX-License-Identifier: MIT */
/* util/child.c: exit status and last output line of programs that lkvm runs, and that they leave no descriptor or zombie. */
#include "unit/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/child.h"
#include "open_fds.h"

static int run(const char *script, struct child *child, struct error *error)
{
	const char *const arguments[] = { "/bin/sh", "-c", script, NULL };
	int result = child_run(child, arguments, error);

	child_output(child);
	child_stop(child);
	return result;
}

/* `sentence` is the complete error. */
static void assert_fails(const char *script, const char *sentence)
{
	struct child child;
	struct error error;

	assert_int_equal(run(script, &child, &error), -1);
	assert_string_equal(error.text, sentence);
}

static void child_run_reports_status_and_output(void **state)
{
	(void)state;
	assert_fails("exit 7", "/bin/sh ended with status 7");
	assert_fails("echo one; echo two >&2; exit 1", "/bin/sh ended with status 1: one two");
	assert_fails("kill -9 $$", "/bin/sh was ended by signal 9");
	assert_fails("printf 'a\\033[2Jb\\000c\\r\\n\\n'; exit 1", "/bin/sh ended with status 1: a?[2Jb c");
}

static void child_run_keeps_first_line_and_end_of_much_output(void **state)
{
	static const char beginning[] = "/bin/sh ended with status 3: first ... 0123456789 0123456789 ";
	struct child child;
	struct error error;

	(void)state;
	assert_int_equal(run("echo first; i=0; while [ $i -lt 20000 ]; do echo 0123456789; i=$((i+1)); done; echo last; exit 3",
			     &child, &error), -1);
	assert_memory_equal(error.text, beginning, sizeof(beginning) - 1);
	assert_string_equal(error.text + strlen(error.text) - 4, "last");
	assert_true(strlen(error.text) < CHILD_LINE + 40);
	assert_int_equal(run("printf '%0300d'; exit 3", &child, &error), -1); /* one line that is longer than kept */
	assert_int_equal(strlen(child.line), CHILD_LINE - 1);
}

static void child_run_returns_output_of_success(void **state)
{
	struct child child;
	struct error error;

	(void)state;
	assert_int_equal(run("echo hello", &child, &error), 0);
	assert_string_equal(child.line, "hello");
}

/* A background program of the script also has the pipe open. */
static void child_run_does_not_wait_for_background_programs(void **state)
{
	struct child child;
	struct error error;

	(void)state;
	assert_int_equal(run("sleep 1000 & echo $!", &child, &error), 0);
	assert_int_equal(kill((pid_t)atoi(child.line), SIGKILL), 0); /* it runs */
}

/* SIGPIPE ends the background program at child_stop(). */
static void child_run_ends_when_background_program_prints_without_end(void **state)
{
	struct child child;
	struct error error;

	(void)state;
	assert_int_equal(run("yes 0123456789 & sleep 0.1; exit 4", &child, &error), -1);
	assert_non_null(strstr(error.text, "ended with status 4"));
}

static void child_stop_leaves_no_descriptor_and_no_zombie(void **state)
{
	const char *const arguments[] = { "/bin/sh", "-c", "sleep 1000", NULL };
	const char *const missing[] = { "/nonexistent/program", NULL };
	unsigned fds = count_open_fds();
	struct child child;
	struct error error;

	(void)state;
	assert_int_equal(run("exit 1", &child, &error), -1);
	assert_int_equal(run("exit 0", &child, &error), 0);
	assert_int_equal(child_start(&child, missing, -1, &error), -1);
	assert_int_equal(child_start(&child, arguments, -1, &error), 0);
	child_stop(&child);
	child_stop(&child);
	assert_int_equal(count_open_fds(), fds);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

/* Its output is not read after child_detach_output(). */
static void child_never_waits_for_detached_output(void **state)
{
	const char *const arguments[] = { "/bin/sh", "-c",
					  "read x <&3; i=0; while [ $i -lt 20000 ]; do echo 0123456789 2>/dev/null; "
					  "i=$((i+1)); done; exit 5", NULL };
	enum child_state result;
	struct child child;
	struct error error;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(child_start(&child, arguments, ends[0], &error), 0);
	assert_int_equal(child_wait(&child, 0, &error), CHILD_RUNS);
	child_detach_output(&child);
	assert_int_equal(write(ends[1], "x\n", 2), 2);
	assert_int_equal(waitid(P_PID, (id_t)child.pid, &(siginfo_t){ 0 }, WEXITED | WNOWAIT), 0);
	while ((result = child_wait(&child, -1, &error)) == CHILD_RUNS)
		;
	assert_int_equal(result, CHILD_FAILED);
	assert_non_null(strstr(error.text, "ended with status 5"));
	child_stop(&child);
	close(ends[0]);
	close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_run_reports_status_and_output),
		cmocka_unit_test(child_run_keeps_first_line_and_end_of_much_output),
		cmocka_unit_test(child_run_returns_output_of_success),
		cmocka_unit_test(child_run_does_not_wait_for_background_programs),
		cmocka_unit_test(child_run_ends_when_background_program_prints_without_end),
		cmocka_unit_test(child_stop_leaves_no_descriptor_and_no_zombie),
		cmocka_unit_test(child_never_waits_for_detached_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
