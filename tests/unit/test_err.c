/* SPDX-License-Identifier: MIT */
/* util/err.c and util/log.c: errors get context, and stay bounded and printable. */
#include "unit/test.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/err.h"
#include "util/log.h"

static void error_context_prefixes_text(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(error_system(&error, EBUSY, "%s: GITS_CTLR", "its"), -1);
	assert_int_equal(error_context(&error, "restore %s", "a.snap"), -1);
	assert_string_equal(error.text, "restore a.snap: its: GITS_CTLR: Device or resource busy");
	assert_int_equal(error.code, EBUSY);
}

static void error_set_accepts_its_own_text(void **state)
{
	struct error error;

	(void)state;
	error_set(&error, EINVAL, "inner");
	assert_int_equal(error_set(&error, 0, "outer (%s)", error.text), -1);
	assert_string_equal(error.text, "outer (inner)");
	assert_int_equal(error.code, 0);
	error_context(&error, "again %s", error.text);
	assert_string_equal(error.text, "again outer (inner): outer (inner)");
}

/* Runs the check in a child process, as it lowers limits that cannot be raised again. */
static void in_child(void (*check)(void))
{
	pid_t child = fork();
	int status;

	if (!child) {
		check();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void check_limits(void)
{
	static const struct {
		int code, resource;
		rlim_t value;
		bool starts;
		const char *text;
	} cases[] = {
		{ EMFILE, RLIMIT_NOFILE, 14, false, "open: Too many open files (ulimit -n is 14)" },
		{ EFBIG, RLIMIT_FSIZE, 20480, false, "open: File too large (ulimit -f is 20 KiB)" },
		{ ENOMEM, RLIMIT_AS, 1ull << 50, false, "open: Cannot allocate memory (ulimit -v is 1099511627776 KiB)" },
		{ EAGAIN, RLIMIT_NPROC, 9, true, "open: Resource temporarily unavailable (ulimit -u is 9, ulimit -v is 1099511627776 KiB)" },
		{ EAGAIN, RLIMIT_NPROC, 9, false, "open: Resource temporarily unavailable" },
		{ EIO, RLIMIT_NPROC, 9, false, "open: Input/output error" },
	};
	struct error error;

	for (size_t i = 0; i < COUNT(cases); i++) {
		const struct rlimit limit = { cases[i].value, cases[i].value };

		if (setrlimit(cases[i].resource, &limit) < 0)
			_exit(1);
		if (cases[i].starts)
			error_start(&error, cases[i].code, "open");
		else
			error_system(&error, cases[i].code, "open");
		if (strcmp(error.text, cases[i].text) != 0 || error.code != cases[i].code)
			_exit(2 + (int)i);
	}
}

static void error_system_names_limit_of_resources(void **state)
{
	(void)state;
	in_child(check_limits);
}

static void error_text_is_cut_when_it_is_too_long(void **state)
{
	struct error error;
	char much[sizeof(error.text) * 2];

	(void)state;
	memset(much, 'a', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	error_set(&error, 0, "%s", much);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	error_context(&error, "b");
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
	assert_memory_equal(error.text, "b: aaa", 6);
	error_system(&error, ENOENT, "%s", much);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

static void error_text_has_no_control_characters(void **state)
{
	struct error error;

	(void)state;
	error_set(&error, 0, "%s", "a\033[2Jb\nc\x7f \xc3\xa9 \xff \xc2\x9b");
	assert_string_equal(error.text, "a?[2Jb?c? \xc3\xa9 ? ??");
	error_context(&error, "%s", "\033");
	assert_memory_equal(error.text, "?: a", 4);
	error_system(&error, ENOENT, "%s", "\033");
	assert_string_equal(error.text, "?: No such file or directory");
}

struct lines {
	unsigned count;
	enum log_level level;
	char last[1000];
};

static void keep(void *context, enum log_level level, const char *line)
{
	struct lines *lines = context;

	lines->count++;
	lines->level = level;
	strncpy(lines->last, line, sizeof(lines->last) - 1);
}

static void log_passes_messages_up_to_its_level(void **state)
{
	struct lines lines = { 0 };
	const struct log log = { .level = LOG_LEVEL_WARNING, .write = keep, .context = &lines };

	(void)state;
	log_message(NULL, LOG_LEVEL_ERROR, "nobody listens");
	log_message(&log, LOG_LEVEL_INFO, "too chatty");
	assert_int_equal(lines.count, 0);
	log_message(&log, LOG_LEVEL_WARNING, "vcpu %u\n", 3);
	log_message(&log, LOG_LEVEL_ERROR, "line %d", 2);
	assert_int_equal(lines.count, 2);
	assert_int_equal(lines.level, LOG_LEVEL_ERROR);
	assert_string_equal(lines.last, "line 2");
}

static void log_message_is_one_line_of_500_characters(void **state)
{
	struct lines lines = { 0 };
	const struct log log = { .level = LOG_LEVEL_DEBUG, .write = keep, .context = &lines };

	(void)state;
	log_message(&log, LOG_LEVEL_DEBUG, "a\nb");
	assert_string_equal(lines.last, "a?b");
	log_message(&log, LOG_LEVEL_DEBUG, "%0600d", 1);
	assert_int_equal(strlen(lines.last), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_context_prefixes_text),
		cmocka_unit_test(error_set_accepts_its_own_text),
		cmocka_unit_test(error_system_names_limit_of_resources),
		cmocka_unit_test(error_text_is_cut_when_it_is_too_long),
		cmocka_unit_test(error_text_has_no_control_characters),
		cmocka_unit_test(log_passes_messages_up_to_its_level),
		cmocka_unit_test(log_message_is_one_line_of_500_characters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
