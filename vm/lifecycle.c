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
#include <time.h>
#include <unistd.h>

#include "lkvm/log.h"
#include "lkvm/parse.h"

/* What requests wait for. */
enum { HAPPENED_END = 1, HAPPENED_RESET, HAPPENED_SAVE, HAPPENED_NEVER };

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

/*
 * Saving. The client gives a file that has no name yet, and names it once it is complete: whoever dies in between, no
 * half a snapshot is left, and the guest goes on.
 */

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void go_on(struct lifecycle *lifecycle)
{
	lifecycle->saving = false;
	if (lifecycle->was_running && lifecycle->end == LIFECYCLE_RUNNING)
		machine_resume(lifecycle->machine);
}

/* "PAUSE-NANOSECONDS RAM-BYTES DATA-BYTES FILE-BYTES" */
static void save_done(void *owner)
{
	struct lifecycle *lifecycle = owner;
	const struct saver *saver = &lifecycle->saver;
	struct control_client *client = lifecycle->saves;
	char body[128];

	go_on(lifecycle);
	lifecycle->saves = NULL;
	if (!client)
		return;
	if (saver->result < 0) {
		control_refuse(client, &saver->error);
		return;
	}
	snprintf(body, sizeof(body), "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", now() - lifecycle->paused_at,
		 saver->figures.ram, saver->figures.data, saver->figures.size);
	control_answer(client, body);
}

static void serve_save(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	const struct error none = { 0 };
	int fd = control_take_fd(client);
	struct error error;

	(void)word;
	if (fd < 0) {
		error_set(&error, EINVAL, "no file came with the request");
		control_refuse(client, &error);
		return;
	}
	lifecycle->paused_at = now();
	lifecycle->was_running = lifecycle->machine->running;
	machine_pause(lifecycle->machine);
	/* What the guest did before it was paused comes first: a power-off, a reset. Both are not in the saved state. */
	event_came(lifecycle, -1, 0);
	if (lifecycle->end != LIFECYCLE_RUNNING) {
		close(fd);
		error_set(&error, ECANCELED, "the guest has just ended");
		control_refuse(client, &error);
		return;
	}
	if (saver_start(&lifecycle->saver, lifecycle->machine, fd, lifecycle->loop, save_done, lifecycle, &error) < 0) {
		go_on(lifecycle);
		control_refuse(client, &error);
		return;
	}
	lifecycle->saving = true;
	lifecycle->saves = client;
	control_defer(client, HAPPENED_SAVE, MAX_WAIT_SECONDS, &none);
}

/* Pauses as long as the client stays: for what it does after a save, before the guest may go on. */
static void serve_hold(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	const struct error none = { 0 };
	struct error error;

	(void)word;
	if (lifecycle->holds || !lifecycle->machine->running) {
		error_set(&error, EBUSY, "it is paused already");
		control_refuse(client, &error);
		return;
	}
	machine_pause(lifecycle->machine);
	lifecycle->holds = client;
	control_defer(client, HAPPENED_NEVER, MAX_WAIT_SECONDS, &none);
}

void lifecycle_left(void *owner, struct control_client *client)
{
	struct lifecycle *lifecycle = owner;

	if (client == lifecycle->saves) {
		lifecycle->saves = NULL;
		saver_cancel(&lifecycle->saver);
	}
	if (client == lifecycle->holds) {
		lifecycle->holds = NULL;
		lifecycle->was_running = true; /* for a save that is not done yet */
		if (!lifecycle->saving && lifecycle->end == LIFECYCLE_RUNNING)
			machine_resume(lifecycle->machine);
	}
}

static const struct verb {
	const char *name;
	void (*serve)(struct lifecycle *lifecycle, struct control_client *client, const char *word);
} verbs[] = {
	{ "save", serve_save },
	{ "hold", serve_hold },
	{ "pause", serve_pause },
	{ "resume", serve_resume },
	{ "stop", serve_stop },
	{ "reboot", serve_reboot },
	{ "balloon", serve_balloon },
}, looks[] = { /* these change nothing, and are served at any time */
	{ "info", serve_info },
	{ "stat", serve_stat },
};

static const struct verb *find_verb(const struct verb *table, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(table[i].name, name))
			return &table[i];
	return NULL;
}

/* While it is being saved, or held for that, it must not go on: all that is left is to finish that, or to end. */
static bool may_be_served(const struct lifecycle *lifecycle, const char *verb, const char *word)
{
	bool ends = !strcmp(verb, "stop") && !strcmp(word, "force");

	return ends || (!lifecycle->saving && (!lifecycle->holds || !strcmp(verb, "save")));
}

void lifecycle_serve(void *owner, struct control_client *client, unsigned count, char **words)
{
	struct lifecycle *lifecycle = owner;
	const struct verb *look = find_verb(looks, sizeof(looks) / sizeof(looks[0]), words[0]);
	const struct verb *verb = look ? look : find_verb(verbs, sizeof(verbs) / sizeof(verbs[0]), words[0]);
	struct error error;

	if (!verb) {
		error_set(&error, EINVAL, "unknown request: %.40s", words[0]);
		control_refuse(client, &error);
	} else if (!may_be_served(lifecycle, words[0], count > 1 ? words[1] : "") && !look) {
		error_set(&error, EBUSY, "it is being saved");
		control_refuse(client, &error);
	} else {
		verb->serve(lifecycle, client, count > 1 ? words[1] : NULL);
	}
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
	if (lifecycle->saving)
		saver_close(&lifecycle->saver);
	lifecycle->saving = false;
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
	error_set(&no_restart, ECANCELED, "the virtual machine ended while it was saved");
	control_happened(lifecycle->control, HAPPENED_SAVE, &no_restart);
	control_happened(lifecycle->control, HAPPENED_END, failed ? &lifecycle->error : NULL);
}
