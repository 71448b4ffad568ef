/* SPDX-License-Identifier: MIT */
/* util/trusted_folder.c: a path is followed only where no other user can redirect it. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/trusted_folder.h"

#define OTHER 12345 /* a user that is neither root nor the one who runs the tests */

static char base[40];

static int set_up(void **state)
{
	(void)state;
	strcpy(base, "/tmp/lkvm-trusted-XXXXXX");
	return mkdtemp(base) ? 0 : -1;
}

static int tear_down(void **state)
{
	char command[PATH_MAX];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", base);
	return system(command);
}

/* Returns the path of `name` in the test's folder. Ten paths are valid at a time. */
static const char *at(const char *name)
{
	static char paths[10][PATH_MAX];
	static unsigned next;
	char *path = paths[next++ % 10];

	snprintf(path, PATH_MAX, "%s/%s", base, name);
	return path;
}

static void make(const char *name, mode_t mode)
{
	assert_int_equal(mkdir(at(name), 0700), 0);
	assert_int_equal(chmod(at(name), mode), 0);
}

/* The path leads to the folder `name`. */
static void assert_opens(const char *path, const char *name)
{
	struct stat opened, wanted;
	struct error error;
	int fd = trusted_folder_open(path, &error);

	if (fd < 0)
		fail_msg("%s: %s", path, error.text);
	assert_int_equal(fstat(fd, &opened), 0);
	assert_int_equal(stat(name, &wanted), 0);
	assert_int_equal(opened.st_ino, wanted.st_ino);
	assert_int_equal(opened.st_dev, wanted.st_dev);
	close(fd);
}

static void assert_fails(const char *path, int code, const char *words)
{
	struct error error;

	assert_int_equal(trusted_folder_open(path, &error), -1);
	assert_int_equal(error.code, code);
	if (!strstr(error.text, words))
		fail_msg("\"%s\", not \"%s\"", error.text, words);
}

static void folder_opens_by_each_form_of_its_path(void **state)
{
	(void)state;
	make("a", 0755);
	make("a/b", 0700);
	assert_opens(at("a/b"), at("a/b"));
	assert_opens(at("/a//b/"), at("a/b"));
	assert_opens(at("a/./b/../b/."), at("a/b"));
	assert_opens("/", "/");
	assert_opens("/../tmp", "/tmp"); /* all may write /tmp, and it is sticky */
}

static void own_links_are_followed(void **state)
{
	(void)state;
	make("a", 0755);
	make("a/b", 0755);
	make("a/c", 0755);
	assert_int_equal(symlink(at("a"), at("absolute")), 0);
	assert_int_equal(symlink("../c", at("a/b/relative")), 0);
	assert_int_equal(symlink("absolute/b/relative", at("chain")), 0);
	assert_opens(at("absolute/b"), at("a/b"));
	assert_opens(at("a/b/relative"), at("a/c"));
	assert_opens(at("chain/../b"), at("a/b"));
}

static void path_fails_when_it_leads_nowhere(void **state)
{
	char longer[PATH_MAX + 10];

	(void)state;
	assert_int_equal(symlink("circle", at("circle")), 0);
	close(creat(at("file"), 0600));
	memset(longer, '/', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_fails("relative", EINVAL, "absolute");
	assert_fails(at("missing"), ENOENT, "missing");
	assert_fails(at("circle"), ELOOP, "circle");
	assert_fails(at("file"), ENOTDIR, "file");
	assert_fails(at("file/x"), ENOTDIR, "file");
	assert_fails(longer, ENAMETOOLONG, "...");
}

static void folder_is_refused_when_all_may_write_it(void **state)
{
	(void)state;
	make("shared", 0777);
	make("shared/a", 0700);
	assert_fails(at("shared"), EPERM, "shared can be written by all users");
	assert_fails(at("shared/a"), EPERM, "shared can be written by all users");
	assert_int_equal(chmod(at("shared"), 01777), 0);
	assert_opens(at("shared/a"), at("shared/a"));
}

static void folder_is_refused_when_another_user_owns_a_part(void **state)
{
	(void)state;
	if (geteuid())
		return; /* only root can give a folder away */
	make("theirs", 0755);
	make("theirs/mine", 0700);
	make("mine", 0700);
	assert_int_equal(symlink(at("mine"), at("link")), 0);
	assert_opens(at("link"), at("mine"));
	assert_int_equal(lchown(at("link"), OTHER, OTHER), 0);
	assert_int_equal(chown(at("theirs"), OTHER, OTHER), 0);
	assert_fails(at("theirs"), EPERM, "theirs belongs to another user");
	assert_fails(at("theirs/mine"), EPERM, "theirs belongs to another user");
	assert_fails(at("theirs/../mine"), EPERM, "theirs belongs to another user");
	assert_fails(at("link"), EPERM, "link is a link of another user");
	assert_int_equal(symlink("theirs/mine", at("through")), 0);
	assert_fails(at("through"), EPERM, "theirs belongs to another user");
}

/* Runs in a user namespace where the user is root, and the host's root has no user ID. Returns the exit status. */
static int open_without_root(int go)
{
	struct error error;
	char byte;
	int fd;

	if (unshare(CLONE_NEWUSER) < 0 || write(go, "", 1) != 1 || read(go, &byte, 1) != 1 || setresuid(0, 0, 0) < 0)
		return 2; /* not permitted here */
	fd = trusted_folder_open(base, &error);
	if (fd < 0)
		fprintf(stderr, "%s\n", error.text);
	return fd < 0;
}

static void folder_opens_in_a_namespace_without_root(void **state)
{
	int ends[2], status, map;
	char text[64], byte;
	pid_t child;

	(void)state;
	if (geteuid())
		return; /* only root can map another user */
	assert_int_equal(chown(base, OTHER, OTHER), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	child = fork();
	if (!child) {
		close(ends[0]);
		_exit(open_without_root(ends[1]));
	}
	close(ends[1]);
	if (read(ends[0], &byte, 1) == 1) {
		snprintf(text, sizeof(text), "/proc/%d/uid_map", (int)child);
		map = open(text, O_WRONLY);
		snprintf(text, sizeof(text), "0 %d 1", OTHER);
		assert_int_equal(write(map, text, strlen(text)), strlen(text));
		close(map);
		assert_int_equal(write(ends[0], "", 1), 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
	close(ends[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(folder_opens_by_each_form_of_its_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(own_links_are_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(path_fails_when_it_leads_nowhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(folder_is_refused_when_all_may_write_it, set_up, tear_down),
		cmocka_unit_test_setup_teardown(folder_is_refused_when_another_user_owns_a_part, set_up, tear_down),
		cmocka_unit_test_setup_teardown(folder_opens_in_a_namespace_without_root, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
