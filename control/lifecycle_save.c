/* SPDX-License-Identifier: MIT */
/*
 * The requests "save" and "hold". The client sends the descriptor of a file without a name, and names the file when it is
 * complete. If either process dies before that, no partial snapshot is left. If the client dies, the guest continues.
 */
#include <errno.h>
#include <unistd.h>

#include "lifecycle_private.h"
#include "util/clock.h"

_Static_assert(SAVE_REQUEST_LENGTH <= CONTROL_REQUEST_LENGTH, "a request to save fits into a request");

static void save_request_paused_part_done(void *owner)
{
	struct lifecycle *lifecycle = owner;

	/* Before the machine may resume: its vCPUs may run before this thread continues. */
	lifecycle->pause = monotonic_ns() - lifecycle->paused_at;
	lifecycle_resume(lifecycle);
}

/* Answers the client of a successful save with its figures. */
static void answer_save(const struct lifecycle *lifecycle, struct control_client *client)
{
	const struct save_job *job = &lifecycle->save_job;
	struct save_figures figures = {
		.pause = lifecycle->pause,
		.ram = job->figures.ram,
		.data = job->figures.data,
		.size = job->figures.size,
		.rounds = job->precopy.rounds,
		.throttle = job->precopy.throttle_step,
		.way = job->way,
		.held_writes = job->held,
	};
	char body[SAVE_FIGURES_LENGTH];

	for (unsigned i = 0; i < lifecycle->machine->config.disk_count; i++)
		figures.disks += !lifecycle->machine->config.disks[i].read_only;
	format_identity_text(job->writer.commit.identity, figures.identity);
	save_figures_format(&figures, body);
	control_answer(client, body);
}

/* Ends a save; `error` is NULL if it succeeded. */
static void end_save(struct lifecycle *lifecycle, const struct error *error)
{
	struct control_client *client = lifecycle->save_client;
	struct error after;

	if (error && lifecycle->save_job.overlays.switched) {
		error_set(&after, error->code, "%s; no snapshot was made, but the guest now writes to the new overlays",
					       error->text);
		error = &after;
		if (!client)
			log_message(lifecycle->machine->config.log, LOG_LEVEL_WARNING, "save: %s", error->text);
	}
	lifecycle->save_client = NULL;
	lifecycle_resume(lifecycle);
	if (client && error)
		control_refuse(client, error);
	else if (client)
		answer_save(lifecycle, client);
}

static void save_request_done(void *owner)
{
	struct lifecycle *lifecycle = owner;

	end_save(lifecycle, lifecycle->save_job.result < 0 ? &lifecycle->save_job.error : NULL);
}

void lifecycle_finish_save(void *owner)
{
	struct lifecycle *lifecycle = owner;
	struct error error;

	/* Before RAM is verified and loaded, damage would be saved with a valid checksum. */
	if (checker_is_open(&lifecycle->checker) || pager_is_open(&lifecycle->machine->pager)) {
		save_job_enter(&lifecycle->save_job, SAVE_WAITING);
		return;
	}
	machine_defer_interrupts(lifecycle->machine);
	lifecycle_pause(lifecycle);
	save_job_enter(&lifecycle->save_job, SAVE_PAUSED);
	/* Handle a power-off or reset from before the pause first: the saved state would not contain it. */
	lifecycle_handle_event(lifecycle);
	if (lifecycle->end != LIFECYCLE_RUNNING) {
		save_job_close(&lifecycle->save_job);
		error_set(&error, ECANCELED, "the guest has just ended");
		end_save(lifecycle, &error);
	} else if (save_job_finish(&lifecycle->save_job, &error) < 0) {
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

	request->fd = control_claim_fd(client, 0);
	request->base_fd = control_claim_fd(client, 1);
	request->folder_fd = control_claim_fd(client, 2);
	/* Descriptors have no gaps: without a base, the folder is the second. */
	if (request->overlays && request->folder_fd < 0) {
		request->folder_fd = request->base_fd;
		request->base_fd = -1;
	}
	if (result == 0 && request->overlays != (request->folder_fd >= 0))
		result = error_set(error, EINVAL, "a folder for overlays comes with disk-overlays only");
	request->stays = lifecycle->hold_client != NULL;
	if (result == 0 && request->fd >= 0)
		return 0;
	close_all(request);
	return result < 0 ? -1 : error_set(error, EINVAL, "no file came with the request");
}

void lifecycle_serve_save(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	const struct error none = { 0 };
	struct save_job *job = &lifecycle->save_job;
	struct save_request request;
	struct error error;

	if (read_request(lifecycle, client, words, &request, &error) < 0) {
		control_refuse(client, &error);
		return;
	}
	*job = (struct save_job){
		.copied = lifecycle_finish_save, .paused_part_done = save_request_paused_part_done, .done = save_request_done,
		.owner = lifecycle,
	};
	if (save_job_open(job, lifecycle->machine, &request, lifecycle->loop, &error) < 0 ||
	    (lifecycle->machine->running && save_job_copy(job, &error) < 0)) {
		control_refuse(client, &error);
		return;
	}
	lifecycle->save_client = client;
	control_defer(client, AWAIT_SAVE, LIFECYCLE_MAX_WAIT, &none);
	if (!lifecycle->machine->running)
		lifecycle_finish_save(lifecycle);
}

/* Until the client disconnects, a machine that a save has paused stays paused: the client has more to do after the save. */
void lifecycle_serve_hold(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	const struct error none = { 0 };
	struct error error;

	(void)words;
	if (lifecycle->hold_client) {
		error_set(&error, EBUSY, "another client holds it");
		control_refuse(client, &error);
		return;
	}
	lifecycle->hold_client = client;
	control_defer(client, AWAIT_NOTHING, LIFECYCLE_MAX_WAIT, &none);
	control_report_begun(client);
}

void lifecycle_client_left(void *owner, struct control_client *client)
{
	struct lifecycle *lifecycle = owner;

	if (client == lifecycle->save_client) {
		lifecycle->save_client = NULL;
		save_job_cancel(&lifecycle->save_job);
	}
	if (client == lifecycle->hold_client) {
		lifecycle->hold_client = NULL;
		lifecycle_resume(lifecycle);
	}
}
