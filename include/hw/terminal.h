/* SPDX-License-Identifier: MIT */
/*
 * The user's end of the guest's console: standard input and standard output. A terminal is set to raw mode and
 * restored at the end; a pipe, a FIFO, a file or /dev/null works as well. Output never blocks a vCPU: output
 * that the reader does not read stays in a buffer. If that is full, the console device makes its guest wait.
 *
 * On a terminal, Ctrl-A begins a command: x leaves, h prints help, a or Ctrl-A sends one Ctrl-A to the guest.
 * Other kinds of input are passed unchanged.
 */
#ifndef LKVM_HW_TERMINAL_H
#define LKVM_HW_TERMINAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "util/err.h"
#include "util/loop.h"

#define TERMINAL_BUFFER 65536
#define TERMINAL_INPUT 4096 /* the size of the kernel's buffer for a terminal */

/*
 * The console device of the terminal. There is one at a time. Both functions run on the main thread, with no
 * lock held.
 */
struct terminal_device {
	/*
	 * Accepts up to `count` bytes, and returns how many. The rest is offered again after
	 * terminal_input_wanted().
	 */
	size_t (*receive)(void *owner, const uint8_t *bytes, size_t count);
	/* After terminal_write() accepted less than it was given: there is space for output again. */
	void (*writable)(void *owner);
	void *owner;
};

struct terminal {
	struct loop *loop; /* NULL while closed */
	int input_fd;  /* the caller's; -1 once the input ended */
	int output_fd; /* opened by terminal_open(); -1: output is discarded */
	bool input_is_terminal;
	bool output_may_block;
	bool raw; /* the terminal is in raw mode */
	int saved_fd; /* the terminal that `saved` belongs to; -1: nothing saved */
	struct termios saved; /* settings to restore */
	struct terminal_device device;

	/* Set by the caller after terminal_open(); NULL: nothing. On the main thread. */
	void (*leave)(void *owner); /* for Ctrl-A x; must not close the terminal */
	void *leave_owner;
	const char *help; /* for Ctrl-A h: complete lines */

	/* Main thread only. */
	bool escape;    /* after Ctrl-A */
	size_t pending; /* bytes at the start of `input` that the device has not accepted */
	uint8_t input[TERMINAL_INPUT];

	int wake_fd;  /* eventfd: other threads wake the main thread */
	int flush_fd; /* timer: flushes output without the end of a line */

	pthread_mutex_t lock; /* for all members below */
	bool input_wanted;    /* terminal_input_wanted() was called since input was offered */
	bool input_refused;   /* the device accepted less than it was offered, and has not called that since */
	bool flush_set;       /* the timer runs */
	bool stalled;         /* the output would block: the main thread waits for POLLOUT */
	bool starved;         /* terminal_write() accepted less than it was given */
	size_t head, count;   /* of the ring `output`: first byte to write, number of bytes */
	uint8_t output[TERMINAL_BUFFER];
};

/*
 * Starts on the loop. A descriptor may be -1: none. If input_fd is a terminal and the process is in its foreground, raw
 * mode is set. In the background such input is not read. Both descriptors stay the caller's and keep their flags, which
 * other processes share. SIGPIPE must be ignored.
 */
int terminal_open(struct terminal *terminal, struct loop *loop, int input_fd, int output_fd, struct error *error);

/* Writes the rest of the output, waiting half a second at most, and restores the terminal. Safe to call twice. */
void terminal_close(struct terminal *terminal);

/* Only restores the terminal, for a process that exits at once. Any thread, whatever locks are held. */
void terminal_restore(const struct terminal *terminal);

/* For SIGCONT: sets raw mode if the process is in the foreground of the terminal now. Main thread. */
void terminal_continue(struct terminal *terminal);

/* Sets the console device. Before the VM runs, on the main thread. */
void terminal_attach(struct terminal *terminal, const struct terminal_device *device);

/* Returns the bytes accepted. If they are fewer than `count`, `writable` will be called. Never blocks. Any thread. */
size_t terminal_write(struct terminal *terminal, const uint8_t *bytes, size_t count);

/* The device has space for input again. Any thread. */
void terminal_input_wanted(struct terminal *terminal);

#endif
