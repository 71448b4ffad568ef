/* SPDX-License-Identifier: MIT */
/* util/newfile.c: a file appears complete or not at all, and no temporary file is left. */
#include "unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/newfile.h"
#include "unit/open_fds.h"

struct fixture {
	char folder[32], path[64];
	unsigned fds;
};

static int setup(void **state)
{
	static struct fixture fixture;

	strcpy(fixture.folder, "/tmp/lkvm-newfile-XXXXXX");
	if (!mkdtemp(fixture.folder))
		return -1;
	snprintf(fixture.path, sizeof(fixture.path), "%s/file", fixture.folder);
	fixture.fds = count_open_fds();
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	unlink(fixture->path);
	rmdir(fixture->path);
	assert_int_equal(rmdir(fixture->folder), 0); /* nothing else is in it */
	assert_int_equal(count_open_fds(), fixture->fds);
	return 0;
}

/* Counts the names in the folder. */
static unsigned count_names(const struct fixture *fixture)
{
	DIR *folder = opendir(fixture->folder);
	const struct dirent *entry;
	unsigned count = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder)))
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

static void write_text(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void expect_text(const char *path, const char *text)
{
	char bytes[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes) - 1), strlen(text));
	assert_string_equal(bytes, text);
	close(fd);
}

static void store(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	write_text(fd, text);
	close(fd);
}

static void file_appears_when_it_is_committed(void **state)
{
	const struct fixture *fixture = *state;
	struct new_file file;
	struct stat status;
	struct error error;

	assert_int_equal(new_file_open(&file, fixture->path, &error), 0);
	assert_true(file.fd >= 0);
	write_text(file.fd, "new");
	assert_int_equal(count_names(fixture), 0); /* this file system supports unnamed files */
	assert_int_equal(new_file_commit(&file, &error), 0);
	assert_int_equal(file.fd, -1);
	assert_int_equal(count_names(fixture), 1);
	expect_text(fixture->path, "new");
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	new_file_discard(&file); /* has no effect after the commit */
	expect_text(fixture->path, "new");
}

static void commit_replaces_old_file_atomically(void **state)
{
	const struct fixture *fixture = *state;
	struct stat before, after;
	struct new_file file;
	struct error error;
	int reader;

	store(fixture->path, "old and longer");
	reader = open(fixture->path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(reader, &before), 0);
	assert_int_equal(new_file_open(&file, fixture->path, &error), 0);
	write_text(file.fd, "new");
	expect_text(fixture->path, "old and longer");
	assert_int_equal(new_file_commit(&file, &error), 0);
	expect_text(fixture->path, "new");
	assert_int_equal(count_names(fixture), 1);
	/* The old file was not overwritten, so an open descriptor still has it. */
	assert_int_equal(fstat(reader, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_nlink, 0);
	close(reader);
}

static void temporary_file_never_has_a_name(void **state)
{
	const struct fixture *fixture = *state;
	struct stat status;
	struct error error;
	int fd;

	assert_int_equal(setenv("TMPDIR", fixture->folder, 1), 0);
	fd = new_file_open_temporary(&error);
	assert_true(fd >= 0);
	write_text(fd, "new");
	assert_int_equal(fstat(fd, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(count_names(fixture), 0);
	close(fd);
	assert_int_equal(setenv("TMPDIR", fixture->path, 1), 0);
	assert_int_equal(new_file_open_temporary(&error), -1);
	assert_non_null(strstr(error.text, fixture->path));
	unsetenv("TMPDIR");
}

static void discard_leaves_nothing(void **state)
{
	const struct fixture *fixture = *state;
	struct new_file file;
	struct error error;

	store(fixture->path, "old");
	assert_int_equal(new_file_open(&file, fixture->path, &error), 0);
	write_text(file.fd, "new");
	new_file_discard(&file);
	assert_int_equal(file.fd, -1);
	expect_text(fixture->path, "old");
	assert_int_equal(count_names(fixture), 1);
}

/* Another object appears under the name before the commit. */
static void commit_leaves_nothing_when_the_name_is_a_folder(void **state)
{
	const struct fixture *fixture = *state;
	struct new_file file;
	struct error error = { 0 };

	assert_int_equal(new_file_open(&file, fixture->path, &error), 0);
	assert_int_equal(mkdir(fixture->path, 0700), 0);
	assert_int_equal(new_file_commit(&file, &error), -1);
	assert_int_equal(error.code, EISDIR);
	assert_non_null(strstr(error.text, fixture->path));
	assert_int_equal(file.fd, -1);
	assert_int_equal(count_names(fixture), 1); /* the folder */
}

static void commit_fails_when_the_folder_was_removed(void **state)
{
	const struct fixture *fixture = *state;
	char path[96];
	struct new_file file;
	struct error error = { 0 };

	assert_int_equal(mkdir(fixture->path, 0700), 0);
	snprintf(path, sizeof(path), "%s/file", fixture->path);
	assert_int_equal(new_file_open(&file, path, &error), 0);
	assert_int_equal(rmdir(fixture->path), 0);
	assert_int_equal(new_file_commit(&file, &error), -1);
	assert_int_equal(error.code, ENOENT);
	assert_non_null(strstr(error.text, path));
	assert_int_equal(file.fd, -1);
}

static void open_refuses_path_that_a_commit_cannot_use(void **state)
{
	const struct fixture *fixture = *state;
	struct new_file file;
	struct error error = { 0 };
	char path[PATH_MAX + 1];

	/* The folder does not exist, or is not a folder. */
	snprintf(path, sizeof(path), "%s/folder/file", fixture->folder);
	assert_int_equal(new_file_open(&file, path, &error), -1);
	assert_int_equal(error.code, ENOENT);
	assert_non_null(strstr(error.text, path));
	store(fixture->path, "old");
	snprintf(path, sizeof(path), "%s/file", fixture->path);
	assert_int_equal(new_file_open(&file, path, &error), -1);
	assert_int_equal(error.code, ENOTDIR);
	assert_int_equal(unlink(fixture->path), 0);

	/* Not a regular file: a folder, a device, a pipe. */
	assert_int_equal(new_file_open(&file, fixture->folder, &error), -1);
	assert_non_null(strstr(error.text, "not a regular file"));
	assert_int_equal(new_file_open(&file, "/dev/null", &error), -1);
	assert_non_null(strstr(error.text, "not a regular file"));
	assert_int_equal(mkfifo(fixture->path, 0600), 0);
	assert_int_equal(new_file_open(&file, fixture->path, &error), -1);
	assert_non_null(strstr(error.text, "not a regular file"));

	memset(path, 'a', PATH_MAX);
	path[PATH_MAX] = '\0';
	assert_int_equal(new_file_open(&file, path, &error), -1);
	assert_int_equal(error.code, ENAMETOOLONG);
	assert_int_equal(file.fd, -1);
	new_file_discard(&file); /* has no effect */
}

/* On a file system without unnamed files, the file has a temporary name beside the final one. */
static void temporary_name_is_removed_by_commit_and_discard(void **state)
{
	const struct fixture *fixture = *state;
	struct new_file file = { .path = fixture->path };
	struct error error;

	strcpy(file.target, fixture->path);
	for (unsigned committing = 0; committing < 2; committing++) {
		snprintf(file.temporary, sizeof(file.temporary), "%s.new", fixture->path);
		file.fd = open(file.temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		write_text(file.fd, "new");
		assert_int_equal(count_names(fixture), 1);
		if (committing)
			assert_int_equal(new_file_commit(&file, &error), 0);
		else
			new_file_discard(&file);
		assert_int_equal(count_names(fixture), committing);
		assert_int_equal(file.fd, -1);
	}
	expect_text(fixture->path, "new");

	/* The temporary name is also removed if the rename fails. */
	assert_int_equal(unlink(fixture->path), 0);
	assert_int_equal(mkdir(fixture->path, 0700), 0);
	snprintf(file.temporary, sizeof(file.temporary), "%s.new", fixture->path);
	file.fd = open(file.temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(new_file_commit(&file, &error), -1);
	assert_int_equal(count_names(fixture), 1);
}

/* The temporary name may belong to another file. */
static void commit_keeps_other_files(void **state)
{
	const struct fixture *fixture = *state;
	struct new_file file;
	struct error error;
	char other[96];

	snprintf(other, sizeof(other), "%s.%d-0.new", fixture->path, (int)getpid());
	store(other, "somebody's");
	assert_int_equal(new_file_open(&file, fixture->path, &error), 0);
	write_text(file.fd, "new");
	assert_int_equal(new_file_commit(&file, &error), 0);
	expect_text(fixture->path, "new");
	expect_text(other, "somebody's");
	assert_int_equal(count_names(fixture), 2);
	assert_int_equal(unlink(other), 0);
}

/* Links to links, absolute and relative, from another folder; and a link to a file that does not exist yet. */
static void link_stays_and_its_target_is_written(void **state)
{
	const struct fixture *fixture = *state;
	char folder[64], first[96], second[96], name[96];
	struct new_file file;
	struct stat status;
	struct error error;

	snprintf(folder, sizeof(folder), "%s/links", fixture->folder);
	snprintf(first, sizeof(first), "%s/first", folder);
	snprintf(second, sizeof(second), "%s/second", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(symlink("second", first), 0);
	assert_int_equal(symlink("../file", second), 0);
	for (unsigned absolute = 0; absolute < 2; absolute++) {
		for (unsigned exists = 0; exists < 2; exists++) {
			assert_int_equal(new_file_open(&file, first, &error), 0);
			write_text(file.fd, exists ? "new" : "old");
			assert_int_equal(new_file_commit(&file, &error), 0);
			expect_text(fixture->path, exists ? "new" : "old");
		}
		assert_int_equal(write_file_atomic(first, "small", 5, &error), 0);
		expect_text(fixture->path, "small");
		assert_int_equal(lstat(first, &status), 0);
		assert_true(S_ISLNK(status.st_mode));
		assert_int_equal(lstat(second, &status), 0);
		assert_true(S_ISLNK(status.st_mode));
		assert_int_equal(lstat(fixture->path, &status), 0);
		assert_true(S_ISREG(status.st_mode));
		assert_int_equal(count_names(fixture), 2);
		assert_int_equal(unlink(fixture->path), 0);
		assert_int_equal(unlink(second), 0);
		assert_int_equal(symlink(fixture->path, second), 0);
	}
	/* A failure leaves nothing beside the target. */
	assert_int_equal(new_file_open(&file, first, &error), 0);
	snprintf(name, sizeof(name), "%s.%d-0.new", fixture->path, (int)getpid());
	assert_int_equal(mkdir(fixture->path, 0700), 0);
	assert_int_equal(new_file_commit(&file, &error), -1);
	assert_int_equal(access(name, F_OK), -1);
	assert_int_equal(rmdir(fixture->path), 0);
	assert_int_equal(unlink(first) | unlink(second) | rmdir(folder), 0);
}

static void link_that_leads_nowhere_is_refused(void **state)
{
	const struct fixture *fixture = *state;
	struct new_file file;
	struct error error;
	char path[96];
	int fd;

	assert_int_equal(symlink("file", fixture->path), 0);
	assert_int_equal(new_file_open(&file, fixture->path, &error), -1);
	assert_int_equal(error.code, ELOOP);
	assert_non_null(strstr(error.text, fixture->path));
	assert_int_equal(write_file_atomic(fixture->path, "x", 1, &error), -1);
	assert_int_equal(error.code, ELOOP);
	assert_int_equal(unlink(fixture->path), 0);

	assert_int_equal(symlink("no-folder/file", fixture->path), 0);
	assert_int_equal(new_file_open(&file, fixture->path, &error), -1);
	assert_int_equal(error.code, ENOENT);
	assert_int_equal(unlink(fixture->path), 0);

	/* A link of the kernel (/proc/self/fd) may lead to an unnamed file. */
	fd = open(fixture->folder, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(new_file_open(&file, path, &error), -1);
	assert_non_null(strstr(error.text, "has no name"));
	close(fd);
	assert_int_equal(count_names(fixture), 0);
}

/* In a folder like /tmp the link is refused, also if the kernel would follow it (fs.protected_symlinks = 0). */
static void link_of_another_user_is_refused_in_a_sticky_folder(void **state)
{
	const struct fixture *fixture = *state;
	char folder[64], link[96];
	struct new_file file;
	struct error error;

	snprintf(folder, sizeof(folder), "%s/links", fixture->folder);
	snprintf(link, sizeof(link), "%s/link", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chmod(folder, 01777), 0);
	assert_int_equal(symlink("../file", link), 0);
	store(fixture->path, "old");
	if (lchown(link, 1234, 1234) == 0) { /* only root can */
		assert_int_equal(new_file_open(&file, link, &error), -1);
		assert_int_equal(error.code, EACCES);
		expect_text(fixture->path, "old");
		assert_int_equal(lchown(folder, 1234, 1234), 0); /* a link of the folder's owner is accepted */
		assert_int_equal(new_file_open(&file, link, &error), 0);
		new_file_discard(&file);
	}
	assert_int_equal(unlink(link) | rmdir(folder), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(file_appears_when_it_is_committed),
		CASE(commit_replaces_old_file_atomically),
		CASE(temporary_file_never_has_a_name),
		CASE(discard_leaves_nothing),
		CASE(commit_leaves_nothing_when_the_name_is_a_folder),
		CASE(commit_fails_when_the_folder_was_removed),
		CASE(open_refuses_path_that_a_commit_cannot_use),
		CASE(temporary_name_is_removed_by_commit_and_discard),
		CASE(commit_keeps_other_files),
		CASE(link_stays_and_its_target_is_written),
		CASE(link_that_leads_nowhere_is_refused),
		CASE(link_of_another_user_is_refused_in_a_sticky_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
