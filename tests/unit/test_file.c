/* SPDX-License-Identifier: MIT */
/* util/file.c: only files of the permitted kinds are opened. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.h"

static char folder[40];
static char path[60];

static int set_up(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/lkvm-file-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/x", folder);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void regular_file_opens_with_its_flags(void **state)
{
	char byte = 0;
	int fd = creat(path, 0600);

	(void)state;
	assert_int_equal(write(fd, "a", 1), 1);
	close(fd);
	fd = file_open_regular(path, O_RDONLY);
	assert_int_equal(read(fd, &byte, 1), 1);
	assert_int_equal(byte, 'a');
	assert_int_equal(write(fd, "b", 1), -1);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	fd = file_open_image(path, O_RDWR);
	assert_int_equal(write(fd, "b", 1), 1);
	close(fd);
}

static void link_is_followed(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(symlink("/proc/self/exe", path), 0);
	fd = file_open_regular(path, O_RDONLY);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(file_open_regular(folder, O_RDONLY), -EINVAL);
	unlink(path);
	assert_int_equal(symlink("missing", path), 0);
	assert_int_equal(file_open_regular(path, O_RDONLY), -ENOENT);
}

/* The kernel reports each open of the file, but not one with O_PATH. */
static void file_of_another_kind_is_not_opened(void **state)
{
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char event[sizeof(struct inotify_event) + 256];

	(void)state;
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);
	assert_int_equal(file_open_regular(path, O_RDONLY), -EINVAL);
	assert_int_equal(file_open_image(path, O_RDWR), -EINVAL);
	assert_int_equal(file_open_image("/dev/ptmx", O_RDWR), -EINVAL);
	assert_int_equal(file_open_regular("/dev/null", O_RDONLY), -EINVAL);
	assert_int_equal(read(watch, event, sizeof(event)), -1);
	assert_int_equal(errno, EAGAIN);
	close(open(path, O_RDONLY | O_NONBLOCK));
	assert_true(read(watch, event, sizeof(event)) > 0); /* the watch works */
	close(watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(regular_file_opens_with_its_flags, set_up, tear_down),
		cmocka_unit_test_setup_teardown(link_is_followed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(file_of_another_kind_is_not_opened, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
