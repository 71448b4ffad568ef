/* SPDX-License-Identifier: MIT */
/* What other processes ask of a running machine, through its control socket. Each request is answered, refused or deferred. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lifecycle_private.h"
#include "util/parse.h"

#define MAX_WAIT_SECONDS 86400

_Static_assert(SAVE_REQUEST_LENGTH <= CONTROL_REQUEST_LENGTH, "a request to save fits into a request");

static void serve_info(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	const struct machine *machine = lifecycle->machine;
	char body[128];

	(void)words;
	snprintf(body, sizeof(body), "%s %u %" PRIu64 "\n", machine->running ? "running" : "paused",
		 machine->config.cpus, machine->config.memory);
	control_answer(client, body);
}

static void serve_stat(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	struct report report;
	struct error error;
	const char *text;

	report_open(&report, words[1] && !strcmp(words[1], "json"));
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

static void serve_pause(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	(void)words;
	if (lifecycle->machine->running)
		machine_pause(lifecycle->machine);
	control_answer(client, NULL);
}

static void serve_resume(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	(void)words;
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

static void serve_stop(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	struct error none = { 0 };

	if (!words[1] || strcmp(words[1], "force")) {
		press(lifecycle, client, MACHINE_KEY_POWER, HAPPENED_END, words[1]);
		return;
	}
	control_defer(client, HAPPENED_END, MAX_WAIT_SECONDS, &none);
	lifecycle_end(lifecycle, LIFECYCLE_STOPPED);
}

static void serve_reboot(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	const struct error none = { 0 };
	struct error error;

	/* Also before the guest is asked: its reset would end it. */
	if (!lifecycle->no_reboot && machine_check_kernel(lifecycle->machine, &error) < 0) {
		error_set(&error, error.code, "%s; the guest goes on without a reset: put the file back first", error.text);
		control_refuse(client, &error);
	} else if (!words[1] || strcmp(words[1], "force")) {
		press(lifecycle, client, MACHINE_KEY_RESTART, HAPPENED_RESET, words[1]);
	} else if (lifecycle_reset(lifecycle, "lkvm reboot --force resets the guest", &error) < 0) {
		control_refuse(client, &error);
	} else if (lifecycle->end != LIFECYCLE_RUNNING) {
		control_defer(client, HAPPENED_RESET, MAX_WAIT_SECONDS, &none);
	} else {
		control_answer(client, NULL);
	}
}

/* In the user's unit. */
static int check_balloon(uint64_t memory, uint64_t bytes, char unit, struct error *error)
{
	char has[PARSE_SIZE_TEXT], wanted[PARSE_SIZE_TEXT];

	if (bytes <= memory)
		return 0;
	format_size(memory, unit, has);
	format_size(bytes, unit, wanted);
	return error_set(error, ERANGE, "the guest has %s of memory, and cannot give up %s", has, wanted);
}

static void serve_balloon(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	struct machine *machine = lifecycle->machine;
	struct error error;
	uint64_t bytes;

	if (!machine->balloon) {
		error_set(&error, ENODEV, "the guest has no balloon; lkvm run --balloon gives it one");
		control_refuse(client, &error);
		return;
	}
	if (parse_number(words[1] ? words[1] : "", 0, UINT64_MAX, &bytes, &error) < 0 ||
	    check_balloon(machine->config.memory, bytes, words[2] ? words[2][0] : 'M', &error) < 0) {
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

/* What the client is told of a save that succeeded. */
static void answer_save(const struct lifecycle *lifecycle, struct control_client *client)
{
	const struct saver *saver = &lifecycle->saver;
	struct save_figures figures = {
		.pause = lifecycle->pause,
		.ram = saver->figures.ram,
		.data = saver->figures.data,
		.size = saver->figures.size,
		.rounds = saver->rounds.count,
		.throttle = saver->rounds.slow,
		.way = saver->way,
		.held_writes = saver->held,
	};
	char body[SAVE_FIGURES_LENGTH];

	for (unsigned i = 0; i < lifecycle->machine->config.disk_count; i++)
		figures.disks += !lifecycle->machine->config.disks[i].read_only;
	format_identity_text(saver->writer.commit.identity, figures.identity);
	save_figures_format(&figures, body);
	control_answer(client, body);
}

/* The save has ended, with an error if there is one. */
static void end_save(struct lifecycle *lifecycle, const struct error *error)
{
	struct control_client *client = lifecycle->saves;
	struct error after;

	if (error && lifecycle->saver.overlays.switched) {
		error_set(&after, error->code, "%s; no snapshot was made, but the guest goes on with the new overlays", error->text);
		error = &after;
		if (!client)
			log_message(lifecycle->machine->config.log, LOG_LEVEL_WARNING, "save: %s", error->text);
	}
	lifecycle->saving = false;
	lifecycle->finish_waits = false;
	lifecycle->saves = NULL;
	thaw(lifecycle);
	if (client && error)
		control_refuse(client, error);
	else if (client)
		answer_save(lifecycle, client);
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

static void close_all(const struct save_request *request)
{
	if (request->fd >= 0)
		close(request->fd);
	if (request->base_fd >= 0)
		close(request->base_fd);
	if (request->folder_fd >= 0)
		close(request->folder_fd);
}

static int read_request(struct lifecycle *lifecycle, struct control_client *client, char **words,
			struct save_request *request, struct error *error)
{
	int result = save_request_parse(words, request, error);

	request->fd = control_take_fd(client, 0);
	request->base_fd = control_take_fd(client, 1);
	request->folder_fd = control_take_fd(client, 2);
	/* Descriptors come without gaps. */
	if (request->overlays && request->folder_fd < 0) {
		request->folder_fd = request->base_fd;
		request->base_fd = -1;
	}
	if (result == 0 && request->overlays != (request->folder_fd >= 0))
		result = error_set(error, EINVAL, "a folder for overlays comes with disk-overlays only");
	request->stays = lifecycle->holds != NULL;
	if (result == 0 && request->fd >= 0)
		return 0;
	close_all(request);
	return result < 0 ? -1 : error_set(error, EINVAL, "no file came with the request");
}

/* save/request.h has the words; the file and any base come as descriptors. */
static void serve_save(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	const struct error none = { 0 };
	struct saver *saver = &lifecycle->saver;
	struct save_request request;
	struct error error;

	if (read_request(lifecycle, client, words, &request, &error) < 0) {
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

/* As long as the client stays, a machine that was paused for a save does not go on: for what it does behind that. */
static void serve_hold(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	const struct error none = { 0 };
	struct error error;

	(void)words;
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
	void (*serve)(struct lifecycle *lifecycle, struct control_client *client, char **words);
} verbs[] = {
	{ "save", serve_save },
	{ "save-working-set", serve_save }, /* an older client's */
	{ "save-detached", serve_save },    /* an older client's */
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
		verb->serve(lifecycle, client, words);
	}
}
