/* SPDX-License-Identifier: MIT */
/* `lkvm snapshot save` with a VMM that reports success: the command reads the file back before the file gets its name. */
#include "unit/crafted.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cmd/command.h"
#include "control/control.h"
#include "util/bits.h"
#include "util/loop.h"

#define RAM_SIZE (2ull * FORMAT_RAM_CHUNK)
#define IDENTITY "01010101-0101-0101-0101-010101010101"

enum { EVENT_NEVER = 1 };

/* The file and the reply of the VMM. */
struct behaviour {
	uint8_t identity;    /* each byte of the identity; 0: it writes no file */
	uint64_t cut;        /* number of bytes that are missing at the end */
	const char *figures; /* the reply */
};

static const struct behaviour *behaviour;
static struct control control;
static char scratch[40], path[64], stopped[64];

static void write_snapshot(int fd)
{
	static const uint8_t ram[RAM_SIZE] = { [100] = 1 };
	struct crafted file = { .path = path, .ram = ram, .size = RAM_SIZE };
	struct stat status;
	char link[PATH_MAX];

	if (!behaviour->identity)
		return;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	file.path = link;
	crafted_write(&file, behaviour->identity);
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(ftruncate(fd, status.st_size - (off_t)behaviour->cut), 0);
}

static void vmm_serve(void *owner, struct control_client *client, unsigned count, char **words)
{
	const struct error none = { 0 };

	(void)owner;
	(void)count;
	if (!strcmp(words[0], "hold")) {
		control_defer(client, EVENT_NEVER, 60, &none);
		control_report_begun(client);
	} else if (!strcmp(words[0], "save")) {
		int fd = control_claim_fd(client, 0);

		write_snapshot(fd);
		close(fd);
		control_answer(client, behaviour->figures);
	} else {
		close(open(stopped, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		control_answer(client, NULL);
	}
}

static int set_up(void **state)
{
	(void)state;
	strcpy(scratch, "/tmp/lkvm-save-XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	snprintf(path, sizeof(path), "%s/file", scratch);
	snprintf(stopped, sizeof(stopped), "%s/stopped", scratch);
	return setenv("XDG_RUNTIME_DIR", scratch, 1);
}

static int tear_down(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
	return system(command);
}

/* Runs the command in a child process, with its output in `text`. Returns its exit status. */
static int run_save(const struct behaviour *vmm, const char *option, char text[1024])
{
	static const struct command commands[] = {
		{ .name = "snapshot save", .run = cmd_snapshot_save, .options = &snapshot_save_options_table, .most = 2 },
		{ .name = NULL },
	};
	char program[] = "lkvm", group[] = "snapshot", verb[] = "save", name[] = "vm", copy[32];
	char *arguments[] = { program, group, verb, copy, name, path, NULL };
	struct loop loop;
	struct error error;
	int fds[2], status;
	ssize_t got = 0;
	pid_t server, client;

	snprintf(copy, sizeof(copy), "%s", option);
	behaviour = vmm;
	loop_open(&loop);
	assert_int_equal(control_open(&control, "vm", &loop, vmm_serve, NULL, &error), 0);
	server = fork();
	if (!server) {
		loop_run(&loop);
		_exit(1);
	}
	assert_int_equal(pipe(fds), 0);
	client = fork();
	if (!client) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		close(fds[1]);
		status = command_main(commands, 6, arguments);
		fflush(NULL);
		_exit(status);
	}
	close(fds[1]);
	for (ssize_t more; got < 1023 && (more = read(fds[0], text + got, (size_t)(1023 - got))) > 0;)
		got += more;
	text[got] = '\0';
	close(fds[0]);
	assert_int_equal(waitpid(client, &status, 0), client);
	assert_true(WIFEXITED(status));
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	control_close(&control);
	return WEXITSTATUS(status);
}

static bool is_there(const char *name)
{
	return access(name, F_OK) == 0;
}

static void save_is_refused(const struct behaviour *vmm, const char *sentence)
{
	static const char *const options[] = { "--stop", "--compress=1", "--json" };
	char text[1024];

	for (unsigned i = 0; i < COUNT(options); i++) {
		assert_int_equal(run_save(vmm, options[i], text), EXIT_ERROR);
		if (!strstr(text, sentence))
			fail_msg("no \"%s\" in: %s", sentence, text);
		assert_false(is_there(path));
		assert_false(is_there(stopped));
	}
}

#define FIGURES "1000 131072 4096 8192 1 0 0 0"

static void save_fails_when_the_file_has_no_commit_record(void **state)
{
	(void)state;
	save_is_refused(&(struct behaviour){ .identity = 1, .cut = FORMAT_COMMIT_SIZE, .figures = FIGURES " identity=" IDENTITY "\n" },
			"no commit record");
	save_is_refused(&(struct behaviour){ .identity = 1, .cut = 8, .figures = FIGURES "\n" }, "no commit record");
	save_is_refused(&(struct behaviour){ .figures = FIGURES "\n" }, "not an lkvm snapshot");
}

static void save_fails_when_the_file_is_another_snapshot(void **state)
{
	(void)state;
	save_is_refused(&(struct behaviour){ .identity = 2, .figures = FIGURES " identity=" IDENTITY "\n" },
			"holds snapshot 02020202-0202-0202-0202-020202020202 instead of " IDENTITY);
	save_is_refused(&(struct behaviour){ .identity = 1, .figures = "1000 65536 4096 8192 1 0 0 0 identity=" IDENTITY "\n" },
			"holds 131072 bytes of RAM instead of 65536");
}

/* The reply of an older VMM has no identity. */
static void save_succeeds_when_the_file_can_be_restored(void **state)
{
	const struct behaviour now = { .identity = 1, .figures = FIGURES " identity=" IDENTITY "\n" };
	const struct behaviour before = { .identity = 1, .figures = FIGURES "\n" };
	char text[1024];

	(void)state;
	assert_int_equal(run_save(&now, "--stop", text), EXIT_OK);
	assert_true(is_there(path));
	assert_true(is_there(stopped));
	assert_int_equal(run_save(&now, "--compress=1", text), EXIT_OK);
	assert_int_equal(run_save(&before, "--json", text), EXIT_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(save_fails_when_the_file_has_no_commit_record),
		TEST(save_fails_when_the_file_is_another_snapshot),
		TEST(save_succeeds_when_the_file_can_be_restored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
