/* SPDX-License-Identifier: MIT */
/* util/io.c: complete transfers through small pipes and despite signals, eventfds, and files that appear complete. */
#include "unit/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/io.h"
#include "util/newfile.h"

#define MUCH 300000 /* several times the capacity of a pipe */

static void ignore(int signal)
{
	(void)signal;
}

struct writer {
	int fd;
	const uint8_t *bytes;
	int result;
};

static void *write_much(void *argument)
{
	struct writer *writer = argument;

	usleep(3000); /* the reader waits, and a signal interrupts it */
	writer->result = write_full(writer->fd, writer->bytes, MUCH);
	close(writer->fd);
	return NULL;
}

static void *disturb(void *argument)
{
	pthread_t *threads = argument;

	for (unsigned i = 0; i < 50; i++) {
		pthread_kill(threads[0], SIGUSR1);
		pthread_kill(threads[1], SIGUSR1);
		usleep(200);
	}
	return NULL;
}

static void transfer_is_complete_when_signals_interrupt_it(void **state)
{
	const struct sigaction action = { .sa_handler = ignore }; /* no SA_RESTART */
	uint8_t *sent = malloc(MUCH), *got = malloc(MUCH + 1);
	struct writer writer = { .bytes = sent };
	pthread_t threads[2], disturber;
	ssize_t length = 0;
	int fds[2];

	(void)state;
	sigaction(SIGUSR1, &action, NULL);
	for (unsigned i = 0; i < MUCH; i++)
		sent[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(pipe(fds), 0);
	writer.fd = fds[1];
	threads[0] = pthread_self();
	pthread_create(&threads[1], NULL, write_much, &writer);
	pthread_create(&disturber, NULL, disturb, threads);

	length = read_full(fds[0], got, 1000);
	usleep(3000); /* the same for the writer */
	assert_int_equal(length, 1000);
	length = read_full(fds[0], got + 1000, MUCH + 1 - 1000);
	pthread_join(disturber, NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(length, MUCH - 1000); /* fewer than requested: the end */
	assert_int_equal(writer.result, 0);
	assert_memory_equal(sent, got, MUCH);
	close(fds[0]);
	free(sent);
	free(got);
}

static void transfer_returns_error_number_when_it_fails(void **state)
{
	char byte = 0;

	(void)state;
	assert_int_equal(read_full(-1, &byte, 1), -EBADF);
	assert_int_equal(write_full(-1, &byte, 1), -EBADF);
	assert_int_equal(pread_full(-1, &byte, 1, 0), -EBADF);
}

static void pread_full_reads_until_the_end_of_the_file(void **state)
{
	FILE *file = tmpfile();
	char bytes[10];

	(void)state;
	fputs("0123456789", file);
	fflush(file);
	assert_int_equal(pread_full(fileno(file), bytes, 4, 2), 4);
	assert_memory_equal(bytes, "2345", 4);
	assert_int_equal(pread_full(fileno(file), bytes, 10, 7), 3);
	assert_memory_equal(bytes, "789", 3);
	assert_int_equal(pread_full(fileno(file), bytes, 10, 100), 0);
	fclose(file);
}

static void event_is_taken_once(void **state)
{
	struct error error;
	int fd = event_open(&error);

	(void)state;
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_false(event_clear(fd));
	event_raise(fd);
	event_raise(fd);
	assert_true(event_clear(fd));
	assert_false(event_clear(fd));
	close(fd);
}

/* A folder of its own for each test. */
static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/lkvm-test-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static unsigned files(void)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	unsigned count = 0;

	while ((entry = readdir(directory)))
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static int remove_folder(void **state)
{
	char command[100];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", folder);
	return system(command);
}

static void assert_contents(const char *path, const char *expected)
{
	char contents[100] = "";
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0);
	read_full(fd, contents, sizeof(contents) - 1);
	close(fd);
	assert_string_equal(contents, expected);
}

static void write_file_atomic_creates_and_replaces_file(void **state)
{
	char path[100];
	struct stat status;
	struct error error;

	(void)state;
	snprintf(path, sizeof(path), "%s/file", folder);
	assert_int_equal(write_file_atomic(path, "first", 5, &error), 0);
	assert_contents(path, "first");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(write_file_atomic(path, "2", 1, &error), 0);
	assert_contents(path, "2");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(files(), 1);
}

static void write_file_atomic_keeps_old_file_when_it_fails(void **state)
{
	const struct rlimit small = { .rlim_cur = 10, .rlim_max = RLIM_INFINITY };
	const struct rlimit none = { .rlim_cur = RLIM_INFINITY, .rlim_max = RLIM_INFINITY };
	char path[100], missing[100];
	struct error error;

	(void)state;
	snprintf(path, sizeof(path), "%s/file", folder);
	assert_int_equal(write_file_atomic(path, "old", 3, &error), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(write_file_atomic(path, "more than ten bytes", 19, &error), -1);
	setrlimit(RLIMIT_FSIZE, &none);
	assert_int_equal(error.code, EFBIG);
	assert_non_null(strstr(error.text, path));
	assert_contents(path, "old");
	assert_int_equal(files(), 1);

	snprintf(missing, sizeof(missing), "%s/missing/file", folder);
	assert_int_equal(write_file_atomic(missing, "x", 1, &error), -1);
	assert_int_equal(error.code, ENOENT);
	assert_int_equal(write_file_atomic(folder, "x", 1, &error), -1);
	assert_int_equal(error.code, EISDIR);
}

static void write_file_atomic_writes_into_a_fifo(void **state)
{
	char path[100], bytes[10] = "";
	struct stat status;
	struct error error;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/fifo", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR);
	assert_int_equal(write_file_atomic(path, "through", 7, &error), 0);
	assert_int_equal(read(fd, bytes, 7), 7);
	assert_string_equal(bytes, "through");
	close(fd);
	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISFIFO(status.st_mode));
	assert_int_equal(files(), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transfer_is_complete_when_signals_interrupt_it),
		cmocka_unit_test(transfer_returns_error_number_when_it_fails),
		cmocka_unit_test(pread_full_reads_until_the_end_of_the_file),
		cmocka_unit_test(event_is_taken_once),
		cmocka_unit_test_setup_teardown(write_file_atomic_creates_and_replaces_file, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(write_file_atomic_keeps_old_file_when_it_fails, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(write_file_atomic_writes_into_a_fifo, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
