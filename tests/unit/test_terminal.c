/* SPDX-License-Identifier: MIT */
/* hw/terminal.c and hw/tty.c, with real pipes, files and pseudo-terminals. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "unit/open_fds.h"
#include "unit/run_loop.h"
#include "hw/terminal.h"

/* A console device that takes `room` bytes. */
struct console {
	struct terminal *terminal;
	size_t room;
	size_t count;
	unsigned writable;
	unsigned left;
	uint8_t bytes[20000];
};

static size_t receive(void *owner, const uint8_t *bytes, size_t count)
{
	struct console *console = owner;

	if (count > console->room)
		count = console->room;
	memcpy(console->bytes + console->count, bytes, count);
	console->count += count;
	console->room -= count;
	return count;
}

static void writable(void *owner)
{
	struct console *console = owner;

	console->writable++;
}

static void leave(void *owner)
{
	struct console *console = owner;

	console->left++;
}

/* Shared by all tests, as they are large and the tests run one at a time. */
static struct loop loop;
static struct terminal terminal;
static struct console console;

static void open_all(int input_fd, int output_fd)
{
	struct error error;

	loop_open(&loop);
	console = (struct console){ .terminal = &terminal, .room = sizeof(console.bytes) };
	assert_int_equal(terminal_open(&terminal, &loop, input_fd, output_fd, &error), 0);
	terminal.leave = leave;
	terminal.leave_owner = &console;
	terminal.help = "help\n";
	terminal_attach(&terminal, &(struct terminal_device){ receive, writable, &console });
}

static size_t write_text(const char *text)
{
	return terminal_write(&terminal, (const uint8_t *)text, strlen(text));
}

/* Returns the data that waits in `fd`. */
static const char *available(int fd)
{
	static char text[1000];
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	ssize_t length = poll(&polled, 1, 0) > 0 ? read(fd, text, sizeof(text) - 1) : 0;

	text[length > 0 ? length : 0] = '\0';
	return text;
}

static void assert_received(const char *expected)
{
	assert_int_equal(console.count, strlen(expected));
	assert_memory_equal(console.bytes, expected, console.count);
}

static void pipe_passes_every_byte_and_its_end_ends_nothing(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	open_all(fds[0], -1);
	assert_int_equal(write(fds[1], "a\x01x\x01\x01h\xff", 7), 7);
	run_loop_for(&loop, 5);
	assert_received("a\x01x\x01\x01h\xff");
	assert_int_equal(console.left, 0);
	close(fds[1]);
	run_loop_for(&loop, 5);
	assert_int_equal(terminal.input_fd, -1);
	assert_received("a\x01x\x01\x01h\xff");
	terminal_close(&terminal);
	close(fds[0]);
}

/* A device that accepts little at a time, as a UART does, gets all input. The rest waits in the pipe. */
static void input_is_complete_when_the_device_is_slow(void **state)
{
	uint8_t sent[10000];
	unsigned turns = 0;
	int fds[2];

	(void)state;
	for (size_t i = 0; i < sizeof(sent); i++)
		sent[i] = (uint8_t)(i * 31 + i / 256);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], sent, sizeof(sent)), sizeof(sent));
	close(fds[1]);
	open_all(fds[0], -1);
	console.room = 0;
	run_loop_for(&loop, 5);
	assert_int_equal(console.count, 0);
	assert_int_equal(terminal.pending, TERMINAL_INPUT);
	for (; console.count < sizeof(sent) && turns < 1000; turns++) {
		console.room = 16;
		terminal_input_wanted(&terminal);
		run_loop_for(&loop, 1);
	}
	assert_int_equal(console.count, sizeof(sent));
	assert_memory_equal(console.bytes, sent, sizeof(sent));
	run_loop_for(&loop, 1);
	assert_int_equal(terminal.input_fd, -1); /* the end of input was after all data */
	terminal_close(&terminal);
	close(fds[0]);
}

/* The device gets room during its refusal, as on another thread. Its notification must not be lost. */
static size_t refuse_and_want(void *owner, const uint8_t *bytes, size_t count)
{
	struct console *device = owner;
	size_t taken = receive(owner, bytes, count);

	if (taken < count) {
		device->room = 1;
		terminal_input_wanted(device->terminal);
	}
	return taken;
}

static void input_is_delivered_when_room_appears_during_a_refusal(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	open_all(fds[0], -1);
	terminal_attach(&terminal, &(struct terminal_device){ refuse_and_want, writable, &console });
	console.room = 0;
	assert_int_equal(write(fds[1], "abc", 3), 3);
	run_loop_for(&loop, 5);
	assert_received("abc");
	terminal_close(&terminal);
	close(fds[0]);
	close(fds[1]);
}

static void input_comes_from_files_and_dev_null(void **state)
{
	FILE *file = tmpfile();
	int null = open("/dev/null", O_RDONLY);

	(void)state;
	fputs("from a file", file);
	fflush(file);
	rewind(file);
	open_all(fileno(file), -1);
	run_loop_for(&loop, 5);
	assert_received("from a file");
	assert_int_equal(terminal.input_fd, -1);
	terminal_close(&terminal);
	fclose(file);

	open_all(null, -1);
	run_loop_for(&loop, 5);
	assert_int_equal(terminal.input_fd, -1);
	assert_int_equal(console.count, 0);
	terminal_close(&terminal);
	close(null);
}

static void output_is_written_by_lines_or_after_a_while(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	open_all(-1, fds[1]);
	assert_int_equal(write_text("ab"), 2);
	assert_string_equal(available(fds[0]), "");
	assert_int_equal(write_text("c\n"), 2);
	assert_string_equal(available(fds[0]), "abc\n"); /* the writing thread wrote it: no loop ran */
	write_text("# ");
	run_loop_for(&loop, 20);
	assert_string_equal(available(fds[0]), "# ");
	write_text("again");
	run_loop_for(&loop, 20);
	assert_string_equal(available(fds[0]), "again");
	write_text("last");
	terminal_close(&terminal);
	assert_string_equal(available(fds[0]), "last");
	terminal_close(&terminal);
	close(fds[0]);
	close(fds[1]);
}

static void shared_descriptors_keep_their_flags(void **state)
{
	int in[2], out[2];

	(void)state;
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	open_all(in[0], out[1]);
	assert_false(fcntl(in[0], F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(out[1], F_GETFL) & O_NONBLOCK);
	terminal_close(&terminal);
	assert_true(fcntl(in[0], F_GETFD) >= 0);
	assert_true(fcntl(out[1], F_GETFD) >= 0);
	for (unsigned i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

/* Writes until the terminal accepts no more, as the pipe and the ring are full. Returns the number of bytes. */
static size_t fill(void)
{
	uint8_t bytes[2000];
	size_t total = 0, taken;

	memset(bytes, '.', sizeof(bytes));
	do {
		taken = terminal_write(&terminal, bytes, sizeof(bytes));
		total += taken;
	} while (taken == sizeof(bytes) && total < 10000000);
	return total;
}

/* Reads all data, and lets the terminal write. Returns the number of bytes. */
static size_t drain(int fd)
{
	uint8_t bytes[65536];
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	size_t total = 0;

	for (;;) {
		run_loop_for(&loop, 3);
		if (poll(&polled, 1, 0) <= 0)
			return total;
		total += (size_t)read(fd, bytes, sizeof(bytes));
	}
}

static void device_waits_when_the_output_is_full(void **state)
{
	size_t written;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	open_all(-1, fds[1]);
	written = fill();
	assert_in_range(written, TERMINAL_BUFFER, TERMINAL_BUFFER + 2 * 65536);
	assert_int_equal(write_text("x"), 0);
	run_loop_for(&loop, 5);
	assert_int_equal(console.writable, 0);
	assert_int_equal(drain(fds[0]), written);
	assert_int_equal(console.writable, 1);
	assert_int_equal(write_text("on\n"), 3);
	assert_string_equal(available(fds[0]), "on\n");
	terminal_close(&terminal);
	close(fds[0]);
	close(fds[1]);
}

static void close_waits_at_most_two_seconds_for_a_stopped_reader(void **state)
{
	struct timespec start, end;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	open_all(-1, fds[1]);
	fill();
	clock_gettime(CLOCK_MONOTONIC, &start);
	terminal_close(&terminal);
	clock_gettime(CLOCK_MONOTONIC, &end);
	assert_in_range((end.tv_sec - start.tv_sec) * 1000 + (end.tv_nsec - start.tv_nsec) / 1000000, 0, 2000);
	close(fds[0]);
	close(fds[1]);
}

static void output_is_dropped_when_the_reader_is_gone(void **state)
{
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	open_all(-1, fds[1]);
	fill();
	close(fds[0]);
	run_loop_for(&loop, 5);
	assert_int_equal(console.writable, 1);
	for (unsigned i = 0; i < 200000; i++)
		assert_int_equal(write_text("gone\n"), 5);
	terminal_close(&terminal);
	close(fds[1]);
}

static void output_is_dropped_when_there_is_none(void **state)
{
	(void)state;
	open_all(-1, -1);
	assert_int_equal(write_text("nowhere\n"), 8);
	terminal_close(&terminal);
}

/* A socket cannot be opened again. It is written in small pieces, and never when a write would block. */
static void socket_is_written_without_blocking(void **state)
{
	size_t written;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	open_all(-1, fds[1]);
	assert_true(terminal.output_may_block);
	write_text("hello\n");
	assert_string_equal(available(fds[0]), "hello\n");
	written = fill();
	assert_true(written < 10000000);
	assert_int_equal(drain(fds[0]), written);
	assert_int_equal(console.writable, 1);
	terminal_close(&terminal);
	close(fds[0]);
	close(fds[1]);
}

static void file_keeps_its_offset(void **state)
{
	FILE *file = tmpfile();
	char text[32] = "";
	int fd = fileno(file);

	(void)state;
	assert_int_equal(write(fd, "before\n", 7), 7);
	open_all(-1, fd);
	write_text("guest\n");
	terminal_close(&terminal);
	assert_int_equal(write(fd, "after\n", 6), 6);
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), 19);
	assert_string_equal(text, "before\nguest\nafter\n");
	fclose(file);
}

/* Opens a pseudo-terminal that is not a controlling terminal. Returns its two ends. */
static void open_pty(int *user, int *ours)
{
	*user = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(*user >= 0);
	assert_int_equal(grantpt(*user), 0);
	assert_int_equal(unlockpt(*user), 0);
	*ours = open(ptsname(*user), O_RDWR | O_NOCTTY);
	assert_true(*ours >= 0);
}

static void tty_is_raw_until_it_is_closed(void **state)
{
	struct termios before, raw, after;
	int user, ours;

	(void)state;
	open_pty(&user, &ours);
	tcgetattr(ours, &before);
	open_all(ours, ours);
	tcgetattr(ours, &raw);
	assert_int_equal(raw.c_lflag & (ICANON | ECHO | ISIG), 0);
	assert_int_equal(raw.c_iflag & (ICRNL | IXON), 0);
	assert_true(raw.c_oflag & OPOST);

	assert_int_equal(write(user, "\x03\x1a\r\x13", 4), 4);
	run_loop_for(&loop, 5);
	assert_received("\x03\x1a\r\x13");
	write_text("line\n");
	run_loop_for(&loop, 5);
	assert_string_equal(available(user), "line\r\n");

	/* After a stop and a continue, closing still restores the original settings. */
	terminal_continue(&terminal);
	terminal_close(&terminal);
	tcgetattr(ours, &after);
	assert_int_equal(after.c_lflag, before.c_lflag);
	assert_int_equal(after.c_iflag, before.c_iflag);
	close(ours);
	close(user);
}

static void ctrl_a_starts_a_command(void **state)
{
	int user, ours;

	(void)state;
	open_pty(&user, &ours);
	open_all(ours, ours);
	assert_int_equal(write(user, "a\x01\x01" "b\x01" "ac\x01zd\x01", 11), 11);
	run_loop_for(&loop, 5);
	assert_received("a\x01" "b\x01" "cd");
	assert_int_equal(console.left, 0);
	assert_int_equal(write(user, "h", 1), 1); /* after Ctrl-A */
	run_loop_for(&loop, 5);
	assert_string_equal(available(user), "help\r\n");
	assert_int_equal(write(user, "hx\x01x", 4), 4);
	run_loop_for(&loop, 5);
	assert_int_equal(console.left, 1);
	assert_received("a\x01" "b\x01" "cdhx");
	terminal_close(&terminal);
	close(ours);
	close(user);
}

static void leave_command_works_when_the_guest_takes_no_input(void **state)
{
	int user, ours;

	(void)state;
	open_pty(&user, &ours);
	open_all(ours, ours);
	console.room = 0;
	assert_int_equal(write(user, "hello?\x01x", 8), 8);
	run_loop_for(&loop, 5);
	assert_int_equal(console.left, 1);
	assert_int_equal(console.count, 0);
	terminal_close(&terminal);
	close(ours);
	close(user);
}

static void leave_command_works_when_the_reader_stops(void **state)
{
	int user, ours;

	(void)state;
	open_pty(&user, &ours);
	open_all(ours, ours);
	assert_true(fill() < 10000000);
	assert_int_equal(write(user, "\x01x", 2), 2);
	run_loop_for(&loop, 5);
	assert_int_equal(console.left, 1);
	terminal_close(&terminal);
	close(user);
	close(ours);
}

static void hang_up_ends_the_input(void **state)
{
	int user, ours;

	(void)state;
	open_pty(&user, &ours);
	open_all(ours, ours);
	close(user);
	run_loop_for(&loop, 5);
	assert_int_equal(terminal.input_fd, -1);
	terminal_close(&terminal);
	close(ours);
}

/* Runs in a background process group of the terminal's session. Returns 0 if lkvm does not touch the terminal. */
static int try_in_background(int ours)
{
	struct termios before, after;
	struct error error;
	int wrong = 0;

	signal(SIGTTOU, SIG_DFL);
	signal(SIGTTIN, SIG_DFL);
	tcgetattr(ours, &before);
	loop_open(&loop);
	wrong += terminal_open(&terminal, &loop, ours, -1, &error) != 0;
	terminal_attach(&terminal, &(struct terminal_device){ receive, writable, &console });
	wrong += terminal.raw;
	run_loop_for(&loop, 20); /* input waits: a read would stop this process */
	terminal_continue(&terminal);
	terminal_close(&terminal);
	tcgetattr(ours, &after);
	return wrong + (after.c_lflag != before.c_lflag);
}

static int try_in_foreground(int ours)
{
	struct error error;
	int wrong = 0;

	loop_open(&loop);
	wrong += terminal_open(&terminal, &loop, ours, -1, &error) != 0;
	wrong += !terminal.raw;
	terminal_close(&terminal);
	return wrong;
}

/* Runs `try` in a new process group, in the terminal's foreground or not. Returns its result, or 100 if it was stopped. */
static int in_group(int (*try)(int ours), int ours, bool foreground)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		setpgid(0, 0);
		signal(SIGTTOU, SIG_IGN);
		if (foreground)
			tcsetpgrp(ours, getpid());
		_exit(try(ours));
	}
	waitpid(child, &status, WUNTRACED);
	if (!WIFSTOPPED(status))
		return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	return 100;
}

static void tty_is_unchanged_while_in_the_background(void **state)
{
	int user, ours, status;
	pid_t leader;

	(void)state;
	open_pty(&user, &ours);
	assert_int_equal(write(user, "typed for the shell\n", 20), 20);
	leader = fork();
	if (leader == 0) {
		signal(SIGHUP, SIG_IGN);
		setsid();
		if (ioctl(ours, TIOCSCTTY, 0) < 0)
			_exit(110);
		status = in_group(try_in_background, ours, false);
		_exit(status ? status : in_group(try_in_foreground, ours, true));
	}
	assert_int_equal(waitpid(leader, &status, 0), leader);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(user);
	close(ours);
}

static void terminal_open_leaves_nothing_when_the_loop_is_full(void **state)
{
	struct error error;
	unsigned before;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	before = count_open_fds();
	for (unsigned taken = LOOP_MAX_WATCHES - 3; taken <= LOOP_MAX_WATCHES; taken++) {
		loop_open(&loop);
		for (unsigned i = 0; i < taken; i++)
			loop_add(&loop, 1000 + (int)i, 0, NULL, NULL, &error);
		assert_int_equal(terminal_open(&terminal, &loop, fds[0], fds[1], &error), -1);
		assert_int_equal(error.code, ENOSPC);
		terminal_close(&terminal);
		assert_int_equal(count_open_fds(), before);
	}
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pipe_passes_every_byte_and_its_end_ends_nothing),
		cmocka_unit_test(input_is_complete_when_the_device_is_slow),
		cmocka_unit_test(input_is_delivered_when_room_appears_during_a_refusal),
		cmocka_unit_test(input_comes_from_files_and_dev_null),
		cmocka_unit_test(output_is_written_by_lines_or_after_a_while),
		cmocka_unit_test(shared_descriptors_keep_their_flags),
		cmocka_unit_test(device_waits_when_the_output_is_full),
		cmocka_unit_test(close_waits_at_most_two_seconds_for_a_stopped_reader),
		cmocka_unit_test(output_is_dropped_when_the_reader_is_gone),
		cmocka_unit_test(output_is_dropped_when_there_is_none),
		cmocka_unit_test(socket_is_written_without_blocking),
		cmocka_unit_test(file_keeps_its_offset),
		cmocka_unit_test(tty_is_raw_until_it_is_closed),
		cmocka_unit_test(ctrl_a_starts_a_command),
		cmocka_unit_test(leave_command_works_when_the_guest_takes_no_input),
		cmocka_unit_test(leave_command_works_when_the_reader_stops),
		cmocka_unit_test(hang_up_ends_the_input),
		cmocka_unit_test(tty_is_unchanged_while_in_the_background),
		cmocka_unit_test(terminal_open_leaves_nothing_when_the_loop_is_full),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
