/* SPDX-License-Identifier: MIT */
/* The user's terminal or pipe: output through a ring, input with Ctrl-A commands, raw mode. */
#include "hw/terminal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "hw/tty.h"
#include "util/clock.h"
#include "util/io.h"

#define CTRL_A 0x01

/*
 * A guest writes single characters. They are flushed together: at the end of a line, when there are FLUSH_BYTES, or
 * after FLUSH_NANOSECONDS, for a prompt. That is one system call a line, not several a character.
 */
#define FLUSH_BYTES 1024
#define FLUSH_NANOSECONDS 2000000

/* Bytes written at a time after poll(2) reports POLLOUT, if the output may block. */
#define SMALL_WRITE 64

/* How long terminal_close() waits for a reader that does not read. */
#define CLOSE_MILLISECONDS 500

/*
 * Output: a ring. The thread that adds to it also flushes it, until the output would block. Then the main thread waits
 * for POLLOUT and continues.
 */

static ssize_t write_some(struct terminal *terminal, const uint8_t *bytes, size_t count)
{
	if (terminal->output_may_block) {
		struct pollfd polled = { .fd = terminal->output_fd, .events = POLLOUT };

		if (poll(&polled, 1, 0) <= 0) {
			errno = EAGAIN;
			return -1;
		}
		if (count > SMALL_WRITE)
			count = SMALL_WRITE;
	}
	return write(terminal->output_fd, bytes, count);
}

/* Functions named _locked are called with the lock held. */
static void flush_locked(struct terminal *terminal)
{
	while (terminal->count > 0) {
		size_t length = TERMINAL_BUFFER - terminal->head;
		ssize_t written;

		if (length > terminal->count)
			length = terminal->count;
		written = write_some(terminal, terminal->output + terminal->head, length);
		if (written >= 0) {
			terminal->head = (terminal->head + (size_t)written) % TERMINAL_BUFFER;
			terminal->count -= (size_t)written;
		} else if (errno == EAGAIN) {
			if (!terminal->stalled)
				event_raise(terminal->wake_fd);
			terminal->stalled = true;
			return;
		} else if (errno != EINTR) {
			terminal->count = 0; /* no reader (EPIPE), or a full disk: the output is lost */
		}
	}
	terminal->stalled = false;
}

static void flush_later_locked(struct terminal *terminal)
{
	struct itimerspec delay = { .it_value.tv_nsec = FLUSH_NANOSECONDS };

	if (!terminal->flush_set)
		terminal->flush_set = timerfd_settime(terminal->flush_fd, 0, &delay, NULL) == 0;
}

/* Adds what the ring has space for. Returns how many bytes. */
static size_t add_locked(struct terminal *terminal, const uint8_t *bytes, size_t count)
{
	size_t tail = (terminal->head + terminal->count) % TERMINAL_BUFFER;
	size_t straight = TERMINAL_BUFFER - tail;

	if (count > TERMINAL_BUFFER - terminal->count)
		count = TERMINAL_BUFFER - terminal->count;
	if (straight > count)
		straight = count;
	memcpy(terminal->output + tail, bytes, straight);
	memcpy(terminal->output, bytes + straight, count - straight);
	terminal->count += count;
	return count;
}

size_t terminal_write(struct terminal *terminal, const uint8_t *bytes, size_t count)
{
	size_t taken;

	if (terminal->output_fd < 0)
		return count;
	pthread_mutex_lock(&terminal->lock);
	taken = add_locked(terminal, bytes, count);
	if (!terminal->stalled) {
		if (terminal->count >= FLUSH_BYTES || memchr(bytes, '\n', taken))
			flush_locked(terminal);
		else if (terminal->count > 0)
			flush_later_locked(terminal);
	}
	if (taken < count && !terminal->stalled)
		taken += add_locked(terminal, bytes + taken, count - taken);
	if (taken < count)
		terminal->starved = true;
	pthread_mutex_unlock(&terminal->lock);
	return taken;
}

/* On the main thread: flushes, or waits for POLLOUT. Notifies a starved device when half of the ring is free. */
static void serve_output(struct terminal *terminal)
{
	bool space;

	pthread_mutex_lock(&terminal->lock);
	flush_locked(terminal);
	loop_change(terminal->loop, terminal->output_fd, terminal->stalled ? POLLOUT : 0);
	space = terminal->starved && terminal->count <= TERMINAL_BUFFER / 2;
	if (space)
		terminal->starved = false;
	pthread_mutex_unlock(&terminal->lock);

	if (space && terminal->device.writable)
		terminal->device.writable(terminal->device.owner);
}

static void terminal_output_ready(void *owner, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	serve_output(owner);
}

static void terminal_flush_due(void *owner, int fd, uint32_t events)
{
	struct terminal *terminal = owner;
	uint64_t expirations;

	(void)events;
	if (read(fd, &expirations, sizeof(expirations)) < 0)
		return;
	pthread_mutex_lock(&terminal->lock);
	terminal->flush_set = false;
	pthread_mutex_unlock(&terminal->lock);
	serve_output(terminal);
}

/* Input. */

/* Offers input to the device until it accepts no more. */
static void offer_input(struct terminal *terminal)
{
	bool again = terminal->device.receive != NULL;

	while (again && terminal->pending > 0) {
		size_t taken;

		pthread_mutex_lock(&terminal->lock);
		terminal->input_wanted = false;
		terminal->input_refused = false;
		pthread_mutex_unlock(&terminal->lock);

		taken = terminal->device.receive(terminal->device.owner, terminal->input, terminal->pending);
		terminal->pending -= taken;
		memmove(terminal->input, terminal->input + taken, terminal->pending);

		/* The device may have called terminal_input_wanted() while it refused. */
		pthread_mutex_lock(&terminal->lock);
		again = terminal->input_wanted;
		terminal->input_refused = !again && terminal->pending > 0;
		pthread_mutex_unlock(&terminal->lock);
	}
}

/* Reads only while there is space. Input that stays in a pipe is not lost. */
static void watch_input(struct terminal *terminal)
{
	bool space = terminal->pending < TERMINAL_INPUT;
	bool readable = !terminal->input_is_terminal || terminal->raw;

	loop_change(terminal->loop, terminal->input_fd, space && readable ? POLLIN : 0);
}

/*
 * Executes and removes commands among `count` bytes from a terminal. Returns how many bytes are left for the guest.
 * Sets `leave` for Ctrl-A x.
 */
static size_t parse_commands(struct terminal *terminal, uint8_t *bytes, size_t count, bool *leave)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++) {
		if (!terminal->escape && bytes[i] != CTRL_A) {
			bytes[kept++] = bytes[i];
			continue;
		}
		if (!terminal->escape) {
			terminal->escape = true;
			continue;
		}
		terminal->escape = false;
		if (bytes[i] == CTRL_A || bytes[i] == 'a')
			bytes[kept++] = CTRL_A;
		else if (bytes[i] == 'h' && terminal->help)
			terminal_write(terminal, (const uint8_t *)terminal->help, strlen(terminal->help));
		else if (bytes[i] == 'x')
			*leave = true;
	}
	return kept;
}

static void terminal_input_ready(void *owner, int fd, uint32_t events)
{
	struct terminal *terminal = owner;
	uint8_t *free_space = terminal->input + terminal->pending;
	ssize_t got = read(fd, free_space, TERMINAL_INPUT - terminal->pending);
	bool leave = false;

	(void)events;
	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) {
		loop_remove(terminal->loop, fd);
		terminal->input_fd = -1;
		return;
	}
	if (terminal->input_is_terminal)
		terminal->pending += parse_commands(terminal, free_space, (size_t)got, &leave);
	else
		terminal->pending += (size_t)got;
	offer_input(terminal);
	watch_input(terminal);
	if (leave && terminal->leave)
		terminal->leave(terminal->leave_owner);
}

void terminal_attach(struct terminal *terminal, const struct terminal_device *device)
{
	terminal->device = *device;
	offer_input(terminal);
	watch_input(terminal);
}

void terminal_input_wanted(struct terminal *terminal)
{
	pthread_mutex_lock(&terminal->lock);
	terminal->input_wanted = true;
	if (terminal->input_refused) {
		terminal->input_refused = false;
		event_raise(terminal->wake_fd);
	}
	pthread_mutex_unlock(&terminal->lock);
}

/* Another thread stalled the output, or called terminal_input_wanted(). */
static void terminal_woken(void *owner, int fd, uint32_t events)
{
	struct terminal *terminal = owner;

	(void)events;
	event_clear(fd);
	serve_output(terminal);
	offer_input(terminal);
	watch_input(terminal);
}

/* Opening and closing. */

static void set_raw(struct terminal *terminal)
{
	int fd = terminal->input_fd;

	terminal->raw = false;
	if (!tty_in_foreground(fd))
		return; /* the settings are those of another process now, and not the ones to restore */
	if (terminal->saved_fd < 0 && tcgetattr(fd, &terminal->saved) == 0)
		terminal->saved_fd = fd;
	terminal->raw = terminal->saved_fd >= 0 && tty_set_raw(fd, &terminal->saved);
}

void terminal_continue(struct terminal *terminal)
{
	if (!terminal->input_is_terminal || terminal->input_fd < 0)
		return;
	set_raw(terminal);
	watch_input(terminal);
}

static int open_descriptors(struct terminal *terminal, int output_fd, struct error *error)
{
	struct loop *loop = terminal->loop;

	terminal->wake_fd = event_open(error);
	if (terminal->wake_fd < 0)
		return -1;
	terminal->flush_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (terminal->flush_fd < 0)
		return error_system(error, errno, "timerfd");
	if (output_fd >= 0) {
		terminal->output_fd = tty_open_output(output_fd, &terminal->output_may_block, error);
		if (terminal->output_fd < 0 ||
		    loop_add(loop, terminal->output_fd, 0, terminal_output_ready, terminal, error))
			return -1;
	}
	if (terminal->input_fd >= 0 && loop_add(loop, terminal->input_fd, 0, terminal_input_ready, terminal, error))
		return -1;
	if (loop_add(loop, terminal->wake_fd, POLLIN, terminal_woken, terminal, error) ||
	    loop_add(loop, terminal->flush_fd, POLLIN, terminal_flush_due, terminal, error))
		return -1;
	return 0;
}

int terminal_open(struct terminal *terminal, struct loop *loop, int input_fd, int output_fd,
		  struct error *error)
{
	int result;

	memset(terminal, 0, offsetof(struct terminal, output)); /* not the ring: most guests use few of its pages */
	terminal->loop = loop;
	terminal->input_fd = input_fd;
	terminal->output_fd = terminal->wake_fd = terminal->flush_fd = terminal->saved_fd = -1;
	result = pthread_mutex_init(&terminal->lock, NULL);
	if (result) {
		terminal->loop = NULL;
		return error_system(error, result, "terminal: pthread_mutex_init");
	}
	if (open_descriptors(terminal, output_fd, error)) {
		terminal_close(terminal);
		return error_context(error, "terminal");
	}
	terminal->input_is_terminal = input_fd >= 0 && isatty(input_fd);
	if (terminal->input_is_terminal)
		set_raw(terminal);
	watch_input(terminal);
	return 0;
}

/* Writes the last lines of a guest that powers off. The reader may be slow or gone. */
static void drain_locked(struct terminal *terminal)
{
	struct pollfd polled = { .fd = terminal->output_fd, .events = POLLOUT };
	int64_t left, end = (int64_t)monotonic_ms() + CLOSE_MILLISECONDS;

	do {
		flush_locked(terminal);
		left = end - (int64_t)monotonic_ms();
	} while (terminal->stalled && left > 0 && poll(&polled, 1, (int)left) != 0);
}

static void close_watched(struct loop *loop, int *fd)
{
	if (*fd < 0)
		return;
	loop_remove(loop, *fd);
	close(*fd);
	*fd = -1;
}

void terminal_restore(const struct terminal *terminal)
{
	if (terminal->loop && terminal->raw && tty_in_foreground(terminal->saved_fd))
		tcsetattr(terminal->saved_fd, TCSANOW, &terminal->saved);
}

void terminal_close(struct terminal *terminal)
{
	if (!terminal->loop)
		return;
	pthread_mutex_lock(&terminal->lock);
	if (terminal->output_fd >= 0)
		drain_locked(terminal);
	pthread_mutex_unlock(&terminal->lock);

	terminal_restore(terminal);
	terminal->raw = false;
	loop_remove(terminal->loop, terminal->input_fd);
	terminal->input_fd = -1;
	close_watched(terminal->loop, &terminal->output_fd);
	close_watched(terminal->loop, &terminal->wake_fd);
	close_watched(terminal->loop, &terminal->flush_fd);
	pthread_mutex_destroy(&terminal->lock);
	terminal->loop = NULL;
}
