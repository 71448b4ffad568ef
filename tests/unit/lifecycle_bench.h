/* SPDX-License-Identifier: MIT */
/* A lifecycle with a fake machine, and child processes that send requests over the real socket. For programs of one file. */
#ifndef TESTS_UNIT_LIFECYCLE_BENCH_H
#define TESTS_UNIT_LIFECYCLE_BENCH_H

#include "unit/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake/machine.h"
#include "control/lifecycle.h"
#include "unit/run_loop.h"

struct bench {
	struct loop loop;
	struct control control;
	struct machine machine;
	struct lifecycle lifecycle;
};

static struct bench *bench;
static char scratch[40];

static inline int set_up(void **state)
{
	struct machine_config config = { .cpus = 2, .memory = 256ull << 20 };
	struct error error;

	(void)state;
	strcpy(scratch, "/tmp/lkvm-lifecycle-XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	setenv("XDG_RUNTIME_DIR", scratch, 1);
	fake_machine = (struct fake_machine){ 0 };
	bench = calloc(1, sizeof(*bench));
	loop_open(&bench->loop);
	lifecycle_block_signals();
	if (control_open(&bench->control, "vm", &bench->loop, lifecycle_serve, &bench->lifecycle, &error) ||
	    machine_open(&bench->machine, &config, &bench->loop, NULL, &error) < 0 ||
	    lifecycle_open(&bench->lifecycle, &bench->machine, &bench->control, &error) < 0)
		return -1;
	machine_resume(&bench->machine);
	return 0;
}

static inline int tear_down(void **state)
{
	char command[64];

	(void)state;
	lifecycle_close(&bench->lifecycle);
	lifecycle_close(&bench->lifecycle);
	machine_close(&bench->machine);
	control_close(&bench->control);
	free(bench);
	snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
	return system(command);
}

/* A child process that sends a request, and writes the reply to a pipe. */
struct asking {
	pid_t child;
	int fd;
};

static inline struct asking ask(const char *request)
{
	struct asking asking;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	asking.child = fork();
	if (!asking.child) {
		struct control_reply reply;
		struct error error;

		if (control_call("vm", request, 20, &reply, &error) < 0)
			dprintf(fds[1], "error %s", error.text);
		else
			dprintf(fds[1], "ok %s", reply.body);
		_exit(0);
	}
	close(fds[1]);
	asking.fd = fds[0];
	return asking;
}

/*
 * The same with descriptors: a file in `scratch`, opened with `flags`, and `other_fd` unless it is -1. `tick` is as in struct
 * control_extras.
 */
static inline struct asking ask_with_files(const char *request, int flags, int other_fd, bool (*tick)(void *owner))
{
	struct asking asking;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	asking.child = fork();
	if (!asking.child) {
		struct control_extras extras = { .fds = { -1, other_fd, -1 }, .tick = tick };
		struct control_reply reply;
		struct error error;
		char path[80];

		snprintf(path, sizeof(path), "%s/file", scratch);
		extras.fds[0] = open(path, flags | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (control_call_with("vm", request, 20, &extras, &reply, &error) < 0)
			dprintf(fds[1], "error %s", error.text);
		else
			dprintf(fds[1], "ok %s", reply.body);
		_exit(0);
	}
	close(fds[1]);
	asking.fd = fds[0];
	return asking;
}

static inline struct asking ask_with_file(const char *request, int flags, bool (*tick)(void *owner))
{
	return ask_with_files(request, flags, -1, tick);
}

/* Returns the reply, or "" if there is none yet. */
static inline const char *answer(struct asking asking, bool wait)
{
	struct pollfd polled = { .fd = asking.fd, .events = POLLIN };
	static char text[512];
	ssize_t got;

	/* Longer than the child's timeout: the child inherits the listening socket, so without a server it waits till then. */
	if (poll(&polled, 1, wait ? 30000 : 0) == 0)
		return "";
	got = read(asking.fd, text, sizeof(text) - 1);
	text[got < 0 ? 0 : got] = '\0';
	close(asking.fd);
	waitpid(asking.child, NULL, 0);
	return text;
}

static inline void answered(void *owner, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	loop_stop(owner);
}

/* Runs the loop until there is a reply. */
static inline const char *serve(struct asking asking)
{
	struct error error;

	assert_int_equal(loop_add(&bench->loop, asking.fd, POLLIN, answered, &bench->loop, &error), 0);
	loop_run(&bench->loop);
	loop_remove(&bench->loop, asking.fd);
	return answer(asking, true);
}

static inline const char *serve_one(const char *request)
{
	return serve(ask(request));
}

#endif
