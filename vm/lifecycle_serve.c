/* SPDX-License-Identifier: MIT */
/* What other processes ask of a running machine, through its control socket. Each request is answered, refused or deferred. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lifecycle_parts.h"
#include "lkvm/parse.h"

#define MAX_WAIT_SECONDS 86400
#define DEFAULT_PAUSE UINT64_C(10000000) /* nanoseconds, of a live save */

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
	lifecycle_end(lifecycle, LIFECYCLE_STOPPED);
}

static void serve_reboot(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	struct error error;

	if (!word || strcmp(word, "force")) {
		press(lifecycle, client, MACHINE_KEY_RESTART, HAPPENED_RESET, word);
		return;
	}
	if (lifecycle_reset(lifecycle, &error) < 0)
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

void lifecycle_go_on(struct lifecycle *lifecycle)
{
	if (!lifecycle->halted || lifecycle->frozen || lifecycle->holds)
		return;
	lifecycle->halted = false;
	if (lifecycle->goes_on && lifecycle->end == LIFECYCLE_RUNNING)
		machine_resume(lifecycle->machine);
}

void lifecycle_halt(struct lifecycle *lifecycle)
{
	lifecycle->paused_at = now();
	if (!lifecycle->halted)
		lifecycle->goes_on = lifecycle->machine->running;
	lifecycle->halted = true;
	machine_pause(lifecycle->machine);
}

/* The machine may go on, unless it is held. */
static void thaw(struct lifecycle *lifecycle)
{
	if (lifecycle->frozen)
		lifecycle->pause = now() - lifecycle->paused_at; /* it may run before we do, once it may */
	lifecycle->frozen = false;
	lifecycle_go_on(lifecycle);
}

static void save_settled(void *owner)
{
	thaw(owner);
}

/*
 * It has ended with an error if there is one. "PAUSE-NANOSECONDS RAM-BYTES DATA-BYTES FILE-BYTES ROUNDS THROTTLE WAY HELD-WRITES"
 */
static void end_save(struct lifecycle *lifecycle, const struct error *error)
{
	const struct snapshot_figures *figures = &lifecycle->saver.figures;
	struct control_client *client = lifecycle->saves;
	char body[192];

	lifecycle->saving = false;
	lifecycle->finish_waits = false;
	lifecycle->saves = NULL;
	thaw(lifecycle);
	if (!client)
		return;
	if (error) {
		control_refuse(client, error);
		return;
	}
	snprintf(body, sizeof(body), "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %u %u %" PRIu64 "\n", lifecycle->pause,
		 figures->ram, figures->data, figures->size, lifecycle->saver.rounds.count, lifecycle->saver.rounds.slow,
		 lifecycle->saver.way, lifecycle->saver.held);
	control_answer(client, body);
}

static void save_done(void *owner)
{
	struct lifecycle *lifecycle = owner;

	end_save(lifecycle, lifecycle->saver.result < 0 ? &lifecycle->saver.error : NULL);
}

void lifecycle_finish_save(void *owner)
{
	struct lifecycle *lifecycle = owner;
	struct error error;

	/* Damage would be saved as if it were right. */
	lifecycle->finish_waits = checker_is_open(&lifecycle->checker) || pager_is_open(&lifecycle->machine->pager);
	if (lifecycle->finish_waits)
		return;
	machine_hold_interrupts(lifecycle->machine);
	lifecycle_halt(lifecycle);
	lifecycle->frozen = true;
	/* What the guest did before it was paused comes first: a power-off, a reset. Both are not in the saved state. */
	lifecycle_take_event(lifecycle);
	if (lifecycle->end != LIFECYCLE_RUNNING) {
		saver_close(&lifecycle->saver);
		error_set(&error, ECANCELED, "the guest has just ended");
		end_save(lifecycle, &error);
	} else if (saver_finish(&lifecycle->saver, &error) < 0) {
		end_save(lifecycle, &error);
	}
}

static void close_both(const struct save_request *request)
{
	if (request->fd >= 0)
		close(request->fd);
	if (request->base_fd >= 0)
		close(request->base_fd);
}

/* Nanoseconds of a pause that rounds are to come down to; 0: no rounds. */
static int read_way(const char *word, struct save_request *request, struct error *error)
{
	request->max_pause = DEFAULT_PAUSE;
	request->way = SAVE_LIVE;
	if (!strcmp(word, "live"))
		return 0;
	request->way = SAVE_POINT_IN_TIME;
	if (!strcmp(word, "point-in-time"))
		return 0;
	if (parse_number(word, 0, UINT64_MAX, &request->max_pause, error) < 0)
		return -1;
	request->way = request->max_pause ? SAVE_ROUNDS : SAVE_PLAIN;
	return 0;
}

static void begin_save(struct lifecycle *lifecycle, struct control_client *client, const char *word, struct save_request request)
{
	const struct error none = { 0 };
	struct saver *saver = &lifecycle->saver;
	struct error error;

	request.fd = control_take_fd(client, 0);
	request.base_fd = control_take_fd(client, 1);
	request.stays = lifecycle->holds != NULL;
	if (request.fd < 0 || read_way(word ? word : "0", &request, &error) < 0) {
		if (request.fd < 0)
			error_set(&error, EINVAL, "no file came with the request");
		close_both(&request);
		control_refuse(client, &error);
		return;
	}
	*saver = (struct saver){ .copied = lifecycle_finish_save, .settled = save_settled, .done = save_done, .owner = lifecycle };
	if (saver_open(saver, lifecycle->machine, &request, lifecycle->loop, &error) < 0 ||
	    (lifecycle->machine->running && saver_copy(saver, &error) < 0)) {
		control_refuse(client, &error);
		return;
	}
	lifecycle->saving = true;
	lifecycle->saves = client;
	control_defer(client, HAPPENED_SAVE, MAX_WAIT_SECONDS, &none);
	if (!lifecycle->machine->running)
		lifecycle_finish_save(lifecycle);
}

/* "save [live|point-in-time|PAUSE]" with the file, and one to base it on. */
static void serve_save(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	begin_save(lifecycle, client, word, (struct save_request){ 0 });
}

static void serve_save_working_set(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	begin_save(lifecycle, client, word, (struct save_request){ .working_set = true });
}

static void serve_save_detached(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	begin_save(lifecycle, client, word, (struct save_request){ .detach = true });
}

/* As long as the client stays, a machine that was paused for a save does not go on: for what it does behind that. */
static void serve_hold(struct lifecycle *lifecycle, struct control_client *client, const char *word)
{
	const struct error none = { 0 };
	struct error error;

	(void)word;
	if (lifecycle->holds) {
		error_set(&error, EBUSY, "somebody else holds it");
		control_refuse(client, &error);
		return;
	}
	lifecycle->holds = client;
	control_defer(client, HAPPENED_NEVER, MAX_WAIT_SECONDS, &none);
	control_begun(client);
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
		lifecycle_go_on(lifecycle);
	}
}

static const struct verb {
	const char *name;
	void (*serve)(struct lifecycle *lifecycle, struct control_client *client, const char *word);
} verbs[] = {
	{ "save", serve_save },
	{ "save-working-set", serve_save_working_set },
	{ "save-detached", serve_save_detached },
	{ "hold", serve_hold },
	{ "inspect", lifecycle_serve_inspect },
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
	bool saves = !strncmp(verb, "save", 4);

	return ends || (!lifecycle->saving && (!lifecycle->holds || saves));
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
