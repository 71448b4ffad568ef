/* SPDX-License-Identifier: MIT */
/* Serves the requests of the control socket. Each request is answered, refused or deferred. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lifecycle_private.h"
#include "util/bits.h"
#include "util/parse.h"

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

/* Presses a key of the guest, and defers the reply. A paused guest is resumed first: it could not react. */
static void press(struct lifecycle *lifecycle, struct control_client *client, enum machine_key key, int event,
		  const char *seconds)
{
	struct machine *machine = lifecycle->machine;
	bool was_paused = !machine->running;
	struct error error;
	uint64_t wait;

	if (parse_number(seconds ? seconds : "", 1, LIFECYCLE_MAX_WAIT, &wait, &error) < 0) {
		control_refuse(client, &error);
		return;
	}
	if (control_count_deferred(client->control) >= CONTROL_DEFERRABLE) {
		error_set(&error, EBUSY, "%u commands wait for this virtual machine already; --force does not wait", CONTROL_DEFERRABLE);
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
		press(lifecycle, client, MACHINE_KEY_POWER, AWAIT_END, words[1]);
		return;
	}
	control_defer(client, AWAIT_END, LIFECYCLE_MAX_WAIT, &none);
	lifecycle_end(lifecycle, LIFECYCLE_STOPPED);
}

static void serve_reboot(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	const struct error none = { 0 };
	struct error error;

	/* Checked also before the guest is asked: without the kernel, its reset would end the VM. */
	if (!lifecycle->no_reboot && machine_check_kernel(lifecycle->machine, &error) < 0) {
		error_set(&error, error.code, "%s; the guest continues without a reset: put the file back first", error.text);
		control_refuse(client, &error);
	} else if (!words[1] || strcmp(words[1], "force")) {
		press(lifecycle, client, MACHINE_KEY_RESTART, AWAIT_RESET, words[1]);
	} else if (lifecycle_reset(lifecycle, "lkvm reboot --force resets the guest", &error) < 0) {
		control_refuse(client, &error);
	} else if (lifecycle->end != LIFECYCLE_RUNNING) {
		control_defer(client, AWAIT_RESET, LIFECYCLE_MAX_WAIT, &none);
	} else {
		control_answer(client, NULL);
	}
}

/* Checks the size; the message uses the user's unit. */
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

static const struct verb {
	const char *name;
	void (*serve)(struct lifecycle *lifecycle, struct control_client *client, char **words);
} verbs[] = {
	{ "save", lifecycle_serve_save },
	{ "save-working-set", lifecycle_serve_save }, /* an older client's */
	{ "save-detached", lifecycle_serve_save },    /* an older client's */
	{ "hold", lifecycle_serve_hold },
	{ "inspect", lifecycle_serve_inspect },
	{ "pause", serve_pause },
	{ "resume", serve_resume },
	{ "stop", serve_stop },
	{ "reboot", serve_reboot },
	{ "balloon", serve_balloon },
}, queries[] = { /* these change nothing, and are served at any time */
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

/* During a save or a hold only two requests are served: those that finish the save, and "stop force". */
static bool may_be_served(const struct lifecycle *lifecycle, const char *verb, const char *word)
{
	bool ends = !strcmp(verb, "stop") && !strcmp(word, "force");
	bool saves = !strncmp(verb, "save", 4);

	return ends || (lifecycle->save_job.phase == SAVE_IDLE && (!lifecycle->hold_client || saves));
}

void lifecycle_serve(void *owner, struct control_client *client, unsigned count, char **words)
{
	struct lifecycle *lifecycle = owner;
	const struct verb *query = find_verb(queries, sizeof(queries) / sizeof(queries[0]), words[0]);
	const struct verb *verb = query ? query : find_verb(verbs, sizeof(verbs) / sizeof(verbs[0]), words[0]);
	struct error error;

	if (!verb) {
		error_set(&error, EINVAL, "unknown request: %.40s", words[0]);
		control_refuse(client, &error);
	} else if (!may_be_served(lifecycle, words[0], count > 1 ? words[1] : "") && !query) {
		error_set(&error, EBUSY, "it is being saved");
		control_refuse(client, &error);
	} else {
		verb->serve(lifecycle, client, words);
	}
}
