/* SPDX-License-Identifier: MIT */
/*
 * The user's end of the guest's console: bytes from standard input, bytes to standard output. A terminal is put in raw mode and
 * given back as it was; a pipe, a FIFO, a file or /dev/null works as well. Output never blocks a vCPU: what the reader does not
 * take stays in a buffer, and when that is full the console device tells its guest to wait.
 *
 * From a terminal, Ctrl-A begins a command: x leaves, h shows the help, a or Ctrl-A is one Ctrl-A for the guest. From
 * anything else all bytes go through as they are.
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
#define TERMINAL_INPUT 4096 /* as much as the kernel keeps for a terminal */

/* The console device behind the terminal: one at a time. Both functions run on the main thread, no lock held. */
struct terminal_device {
	/* Takes up to `count` bytes; how many it took. The rest is offered again after terminal_input_wanted(). */
	size_t (*receive)(void *owner, const uint8_t *bytes, size_t count);
	/* There is room for output again after terminal_write() took less than it was given. */
	void (*writable)(void *owner);
	void *owner;
};

struct terminal {
	struct loop *loop; /* NULL while closed */
	int input_fd;  /* the caller's; -1 once the input ended */
	int output_fd; /* our own; -1: output is thrown away */
	bool input_is_terminal;
	bool output_may_block;
	bool raw; /* the terminal is ours */
	int saved_fd; /* the terminal that `saved` belongs to; -1: nothing saved */
	struct termios saved; /* as we found it */
	struct terminal_device device;

	/* Set by the caller after terminal_open(); NULL: nothing. On the main thread. */
	void (*leave)(void *owner); /* what Ctrl-A x does; may not close the terminal */
	void *leave_owner;
	const char *help; /* what Ctrl-A h shows: lines, each ended */

	/* Main thread only. */
	bool escape;    /* Ctrl-A came in */
	size_t pending; /* bytes at the start of `input` that the device has not taken */
	uint8_t input[TERMINAL_INPUT];

	int wake_fd;  /* eventfd: other threads tell the main thread to look */
	int flush_fd; /* timer: output without the end of a line has waited long enough */

	pthread_mutex_t lock; /* what follows */
	bool input_wanted;    /* the device said so since it was offered input */
	bool input_refused;   /* the device took less than it was offered, and has not said that it wants more */
	bool flush_set;       /* the timer runs */
	bool stalled;         /* the output takes nothing now: the main thread waits for it */
	bool starved;         /* the device was refused output */
	size_t head, count;   /* of the ring `output`: first byte to write, how many wait */
	uint8_t output[TERMINAL_BUFFER];
};

/*
 * Starts serving on the loop. -1 for a descriptor that is not there. Raw mode is set if input_fd is a terminal in whose
 * foreground the process is; in the background such input is left alone. Both descriptors stay the caller's, as they are:
 * their flags are shared with other processes. SIGPIPE must be ignored.
 */
int terminal_open(struct terminal *terminal, struct loop *loop, int input_fd, int output_fd, struct error *error);

/* Writes out what can be written without waiting long, and restores the terminal. Safe to call twice. */
void terminal_close(struct terminal *terminal);

/* Only restores the terminal, as the process ends at once: by any thread, whoever holds which lock. */
void terminal_restore(const struct terminal *terminal);

/* Takes the terminal if the process is in its foreground now, leaves it alone if not: for SIGCONT. Main thread. */
void terminal_continue(struct terminal *terminal);

/* Names the device behind it. Before the VM runs, on the main thread. */
void terminal_attach(struct terminal *terminal, const struct terminal_device *device);

/* Any thread. Bytes taken; fewer than `count` means that `writable` will be called. Never blocks. */
size_t terminal_write(struct terminal *terminal, const uint8_t *bytes, size_t count);

/* Any thread: the device has room for input again. */
void terminal_input_wanted(struct terminal *terminal);

#endif
