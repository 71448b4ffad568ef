/* SPDX-License-Identifier: MIT */
#include "lkvm/lifecycle.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/parse.h"

/* What requests wait for. */
enum { HAPPENED_END = 1, HAPPENED_RESET };

#define MAX_WAIT_SECONDS 86400

/* Signals. */

static sigset_t our_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCONT);
	return set;
}

void lifecycle_block_signals(void)
{
	sigset_t set = our_signals();

	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Ends. */

static void end(struct lifecycle *lifecycle, enum lifecycle_end how)
{
	if (lifecycle->end != LIFECYCLE_RUNNING)
		return;
	lifecycle->end = how;
	loop_stop(lifecycle->loop);
}

static void end_with_error(struct lifecycle *lifecycle, enum lifecycle_end how, const struct error *error)
{
	if (lifecycle->end == LIFECYCLE_RUNNING)
		lifecycle->error = *error;
	end(lifecycle, how);
}

void lifecycle_leave(void *owner)
{
	end(owner, LIFECYCLE_LEFT);
}

static void signal_came(void *owner, int fd, uint32_t events)
{
	struct lifecycle *lifecycle = owner;
	struct signalfd_siginfo info;

	(void)events;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCONT) {
		if (lifecycle->machine->terminal)
			terminal_continue(lifecycle->machine->terminal);
		return;
	}
	lifecycle->signal = (int)info.ssi_signo;
	end(lifecycle, LIFECYCLE_SIGNAL);
}

/* A paused machine stays paused: its user decides when it goes on. */
static int reset(struct lifecycle *lifecycle, struct error *error)
{
	struct machine *machine = lifecycle->machine;
	bool running = machine->running;

	if (running)
		machine_pause(machine);
	if (machine_reset(machine, error) < 0) {
		error_context(error, "reset");
		end_with_error(lifecycle, LIFECYCLE_FAILURE, error);
		return -1;
	}
	if (running)
		machine_resume(machine);
	control_happened(lifecycle->control, HAPPENED_RESET, NULL);
	return 0;
}

/* What the guest did. */
static void event_came(void *owner, int fd, uint32_t events)
{
	struct lifecycle *lifecycle = owner;
	struct vm_event event = vm_event_take(&lifecycle->machine->vm);
	struct error error;

	(void)fd;
	(void)events;
	switch (event.kind) {
	case VM_EVENT_NONE:
		break;
	case VM_EVENT_POWER_OFF:
		end(lifecycle, LIFECYCLE_POWER_OFF);
		break;
	case VM_EVENT_RESET:
		log_message(lifecycle->machine->config.log, LOG_LEVEL_INFO, "the guest resets");
		(void)reset(lifecycle, &error); /* a failure is kept as the end */
		break;
	case VM_EVENT_CRASH:
		end_with_error(lifecycle, LIFECYCLE_CRASH, &event.error);
		break;
	case VM_EVENT_FAILURE:
		end_with_error(lifecycle, LIFECYCLE_FAILURE, &event.error);
		break;
	}
}

/* Requests. Each function answers, refuses or defers. */

static void serve_info(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	const struct machine *machine = lifecycle->machine;
	char body[128];

	(void)word;
	snprintf(body, sizeof(body), "%s %u %" PRIu64 "\n", machine->running ? "running" : "paused",
		 machine->config.cpus, machine->config.memory);
	control_answer(client, body);
}

static void serve_stat(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	struct report report;
	struct error error;
	const char *text;

	report_open(&report, word && !strcmp(word, "json"));
	machine_stat(lifecycle->machine, &report);
	text = report_text(&report);
	if (text) {
		control_answer(client, text);
	} else {
		error_system(&error, ENOMEM, "stat");
		control_refuse(client, &error);
	}
	report_close(&report);
}

static void serve_pause(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	(void)word;
	if (lifecycle->machine->running)
		machine_pause(lifecycle->machine);
	control_answer(client, NULL);
}

static void serve_resume(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	(void)word;
	if (!lifecycle->machine->running)
		machine_resume(lifecycle->machine);
	control_answer(client, NULL);
}

/* Asks the guest, and lets the client wait. A paused guest could not obey. */
static void press(struct lifecycle *lifecycle, struct control_client *client, enum machine_key key, int event,
		  const char *seconds)
{
	struct machine *machine = lifecycle->machine;
	bool was_paused = !machine->running;
	struct error error;
	uint64_t wait;

	if (parse_number(seconds ? seconds : "", 1, MAX_WAIT_SECONDS, &wait, &error) < 0) {
		control_refuse(client, &error);
		return;
	}
	if (was_paused)
		machine_resume(machine);
	if (machine_press(machine, key, &error) < 0) {
		if (was_paused)
			machine_pause(machine);
		error_set(&error, error.code, "%s; --force does not ask the guest", error.text);
		control_refuse(client, &error);
		return;
	}
	error_set(&error, ETIMEDOUT, "the guest did not %s within %s s; --force does not ask it",
		  key == MACHINE_KEY_POWER ? "power off" : "restart", seconds);
	control_defer(client, event, (unsigned)wait, &error);
}

static void serve_stop(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	struct error none = { 0 };

	if (!word || strcmp(word, "force")) {
		press(lifecycle, client, MACHINE_KEY_POWER, HAPPENED_END, word);
		return;
	}
	control_defer(client, HAPPENED_END, MAX_WAIT_SECONDS, &none);
	end(lifecycle, LIFECYCLE_STOPPED);
}

static void serve_reboot(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	struct error error;

	if (!word || strcmp(word, "force")) {
		press(lifecycle, client, MACHINE_KEY_RESTART, HAPPENED_RESET, word);
		return;
	}
	if (reset(lifecycle, &error) < 0)
		control_refuse(client, &error);
	else
		control_answer(client, NULL);
}

static void serve_balloon(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	struct machine *machine = lifecycle->machine;
	struct error error;
	uint64_t bytes;

	if (!machine->balloon) {
		error_set(&error, ENODEV, "the guest has no balloon; lkvm run --balloon gives it one");
		control_refuse(client, &error);
		return;
	}
	if (parse_number(word ? word : "", 0, machine->config.memory, &bytes, &error) < 0) {
		control_refuse(client, &error);
		return;
	}
	virtio_balloon_set(machine->balloon, bytes & ~UINT64_C(4095));
	control_answer(client, NULL);
}

static const struct verb {
	const char *name;
	void (*serve)(struct lifecycle *lifecycle, struct control_client *client, const char *word);
} verbs[] = {
	{ "info", serve_info },
	{ "stat", serve_stat },
	{ "pause", serve_pause },
	{ "resume", serve_resume },
	{ "stop", serve_stop },
	{ "reboot", serve_reboot },
	{ "balloon", serve_balloon },
};

void lifecycle_serve(void *owner, struct control_client *client, unsigned count, char **words)
{
	struct error error;

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (!strcmp(verbs[i].name, words[0])) {
			verbs[i].serve(owner, client, count > 1 ? words[1] : NULL);
			return;
		}
	}
	error_set(&error, EINVAL, "unknown request: %.40s", words[0]);
	control_refuse(client, &error);
}

/* Opening and closing. */

static int watch(struct lifecycle *lifecycle, struct error *error)
{
	sigset_t set = our_signals();

	lifecycle->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (lifecycle->signal_fd < 0)
		return error_system(error, errno, "signalfd");
	if (loop_add(lifecycle->loop, lifecycle->signal_fd, POLLIN, signal_came, lifecycle, error) < 0)
		return -1;
	return loop_add(lifecycle->loop, lifecycle->machine->vm.event_fd, POLLIN, event_came, lifecycle,
			error);
}

int lifecycle_open(struct lifecycle *lifecycle, struct machine *machine, struct control *control,
		   struct error *error)
{
	*lifecycle = (struct lifecycle){
		.machine = machine, .control = control, .loop = machine->loop, .signal_fd = -1,
	};
	if (watch(lifecycle, error) < 0) {
		lifecycle_close(lifecycle);
		return -1;
	}
	return 0;
}

void lifecycle_close(struct lifecycle *lifecycle)
{
	if (lifecycle->signal_fd < 0)
		return;
	loop_remove(lifecycle->loop, lifecycle->machine->vm.event_fd);
	loop_remove(lifecycle->loop, lifecycle->signal_fd);
	close(lifecycle->signal_fd);
	lifecycle->signal_fd = -1;
}

void lifecycle_tell(struct lifecycle *lifecycle)
{
	bool failed = lifecycle->end == LIFECYCLE_CRASH || lifecycle->end == LIFECYCLE_FAILURE;
	struct error no_restart;

	error_set(&no_restart, ECANCELED, "the guest ended and did not restart");
	control_happened(lifecycle->control, HAPPENED_RESET, &no_restart);
	control_happened(lifecycle->control, HAPPENED_END, failed ? &lifecycle->error : NULL);
}
