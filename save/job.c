/* SPDX-License-Identifier: MIT */
/* A save: its thread, its phases, and the file that they write. */
#include "save/job.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memory/memory_loss.h"
#include "util/io.h"
#include "util/thread.h"

void save_job_enter(struct save_job *job, enum save_phase next)
{
	/* A paused machine is saved without a copy before the pause. Each phase may fail, and end the save. */
	static const unsigned after[] = {
		[SAVE_IDLE] = 1u << SAVE_COPYING | 1u << SAVE_WAITING | 1u << SAVE_PAUSED,
		[SAVE_COPYING] = 1u << SAVE_WAITING | 1u << SAVE_PAUSED | 1u << SAVE_IDLE,
		[SAVE_WAITING] = 1u << SAVE_WAITING | 1u << SAVE_PAUSED | 1u << SAVE_IDLE,
		[SAVE_PAUSED] = 1u << SAVE_FINISHING | 1u << SAVE_IDLE,
		[SAVE_FINISHING] = 1u << SAVE_IDLE,
	};

	assert(after[job->phase] & 1u << next);
	job->phase = next;
}

static bool save_job_continues(void *owner, uint64_t done, uint64_t total)
{
	struct save_job *job = owner;

	(void)done;
	(void)total;
	return !atomic_load(&job->cancelled);
}

/* Returns whether a later save can use the log: RAM is tracked since a snapshot. */
static bool is_tracked(const struct machine *machine)
{
	static const uint8_t none[sizeof(machine->tracked_since)];

	return memcmp(machine->tracked_since, none, sizeof(none)) != 0;
}

static bool keeps_account(const struct save_job *job)
{
	return job->precopy.dirty != NULL;
}

static int copy(struct save_job *job)
{
	return keeps_account(job) ? precopy_copy(&job->precopy, &job->outcome.error) :
				      snapshot_copy(&job->writer, NULL, &job->outcome.error);
}

/* A save with a base may be the base of another one, so tracking continues after it. */
static int save_rest_of_ram(struct save_job *job)
{
	const uint16_t *pages = NULL;

	if (keeps_account(job) && precopy_finish(&job->precopy, job->writer.base != NULL, &job->outcome.error) < 0)
		return -1;
	if (keeps_account(job) && job->precopy.has_map && job->machine->dirty_log.is_exact)
		pages = job->precopy.dirty;
	return snapshot_write_final(&job->writer, pages, &job->outcome.error);
}

/* Flushes the disks before the snapshot is complete: both must survive a power loss together. The guest runs meanwhile. */
static int finish(struct save_job *job)
{
	if (machine_sync_disks(job->machine, &job->outcome.error) < 0)
		return -1;
	return snapshot_finish(&job->writer, &job->sections.buffer, &job->outcome.error);
}

/* One thread does all of it, from before the pause on: writers may wait for it at any time. */
static int copy_in_background(struct save_job *job)
{
	if (background_prepare(&job->background, &job->outcome.error) < 0)
		return -1;
	atomic_store(&job->prepared, true);
	event_raise(job->done_fd);
	if (background_copy(&job->background, &job->outcome.error) < 0)
		return -1;
	return finish(job);
}

static int run_phase(struct save_job *job)
{
	switch (job->phase) {
	case SAVE_COPYING:
		machine_read_disks_ahead(job->machine);
		return job->way == SAVE_POINT_IN_TIME ? copy_in_background(job) : copy(job);
	case SAVE_PAUSED:
		return save_rest_of_ram(job);
	case SAVE_FINISHING:
	case SAVE_IDLE:
	case SAVE_WAITING:
		break;
	}
	return finish(job);
}

static void *save_job_run(void *argument)
{
	struct save_job *job = argument;

	job->outcome.result = run_phase(job);
	if (job->outcome.result < 0)
		memory_suspect(&job->outcome.error);
	/* If the loop has not yet seen `prepared`, it must not pause the machine for a thread that has ended. */
	if (job->outcome.result < 0)
		atomic_store(&job->prepared, false);
	event_raise(job->done_fd);
	return NULL;
}

static int start(struct save_job *job, struct error *error)
{
	int result = thread_create(&job->thread, save_job_run, job);

	if (result)
		return error_start(error, result, "a thread to save RAM");
	job->working = true;
	return 0;
}

/* Ends the phase. From here on no thread writes to the job. */
static void join(struct save_job *job)
{
	pthread_join(job->thread, NULL);
	job->working = false;
	job->result = job->outcome.result;
	job->error = job->outcome.error;
}

/*
 * The snapshot refers to the disks under the overlays. A save that fails before this point has not changed the guest's disks.
 */
static void end_paused_part(struct save_job *job)
{
	save_job_enter(job, SAVE_FINISHING);
	machine_overlays_switch(job->machine, &job->overlays);
	job->paused_part_done(job->owner);
}

static void save_job_event(void *owner, int fd, uint32_t events)
{
	struct save_job *job = owner;

	(void)events;
	event_clear(fd);
	if (job->phase == SAVE_COPYING && atomic_load(&job->prepared)) {
		job->copied(job->owner);
		return;
	}
	join(job);
	if (job->result == 0 && job->phase == SAVE_COPYING) {
		job->copied(job->owner);
		return;
	}
	if (job->result == 0 && job->phase == SAVE_PAUSED) {
		throttle_close(&job->throttle);
		end_paused_part(job);
		if (start(job, &job->error) == 0)
			return;
		job->result = -1;
	}
	throttle_close(&job->throttle);
	job->figures = snapshot_written(&job->writer);
	job->held = job->background.held;
	if (job->result == 0 && job->writer.base)
		memcpy(job->machine->tracked_since, job->writer.commit.identity, sizeof(job->machine->tracked_since));
	machine_overlays_close(job->machine, &job->overlays); /* before `done`: the client looks for files that are left */
	save_job_enter(job, SAVE_IDLE);
	job->done(job->owner);
	save_job_close(job); /* last: unmapping the file is slow, and the guest may run meanwhile */
}

/* Finds the path of the base's descriptor: the snapshot refers to its base by path. */
static int open_base(struct save_job *job, int fd, struct error *error)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, job->base_path, sizeof(job->base_path) - 1);
	if (length < 0)
		return error_system(error, errno, "the base");
	job->base_path[length] = '\0';
	if (snapshot_open(&job->base, job->base_path, error) < 0)
		return -1;
	if (job->base.ram_base != job->machine->vm.ram.base || job->base.ram_size != job->machine->vm.ram.size)
		return error_set(error, EINVAL, "%s is a snapshot of another machine: its RAM is not the same", job->base_path);
	job->writer.base = &job->base;
	job->writer.base_path = job->base_path;
	return 0;
}

/* Chooses the way of a save with SAVE_LIVE. Fails if the requested way is not possible. */
static int choose(struct save_job *job, const struct save_request *request, struct error *error)
{
	job->way = request->way;
	if (request->way != SAVE_LIVE && request->way != SAVE_POINT_IN_TIME)
		return 0;
	if (request->way == SAVE_POINT_IN_TIME && request->base_fd >= 0)
		return error_set(error, EINVAL, "a save with a base needs --live=rounds, not point-in-time");
	if (request->way == SAVE_POINT_IN_TIME && job->machine->vfio)
		return error_set(error, EINVAL, "a passed-through device's writes to RAM cannot be intercepted: its guest needs "
				 "--live=rounds, not point-in-time");
	/* A paused machine needs no live way. For one that stays paused after the save, copying after the pause gains nothing. */
	if (!job->machine->running || request->base_fd >= 0 || request->stays || job->machine->vfio) {
		job->way = job->machine->running ? SAVE_ROUNDS : SAVE_PLAIN;
		return 0;
	}
	job->way = SAVE_POINT_IN_TIME;
	if (background_open(&job->background, &job->machine->vm.ram, &job->writer, error) == 0)
		return 0;
	if (request->way == SAVE_POINT_IN_TIME)
		return error_context(error, "RAM cannot be write-protected while the guest runs");
	job->way = SAVE_ROUNDS;
	return 0;
}

/* Refuses to replace a file that is needed: the base, the snapshot that the machine was restored from, or a base of these. */
static int check_replaced(const struct save_job *job, const struct save_request *request, struct error *error)
{
	if (!request->replaces)
		return 0;
	if (job->base.fd >= 0 && snapshot_chain_has(&job->base, request->device, request->inode))
		return error_set(error, EBUSY, "the file to be replaced is the base, or the base needs it: save to another file");
	return machine_check_replaced(job->machine, request->device, request->inode, error);
}

static int begin(struct save_job *job, const struct save_request *request, struct error *error)
{
	if ((request->working_set && machine_working_set_check(job->machine, error) < 0) ||
	    vfio_check_saving(job->machine->vfio, request->detach, error) < 0)
		return -1;
	machine_working_set_invalidate(job->machine); /* the save reads all of RAM */
	if (loop_add(job->loop, job->done_fd, POLLIN, save_job_event, job, error) < 0 ||
	    choose(job, request, error) < 0 ||
	    (request->base_fd >= 0 && open_base(job, request->base_fd, error) < 0))
		return -1;
	if ((job->base.fd >= 0 && snapshot_check_as_base(&job->base, error) < 0) ||
	    check_replaced(job, request, error) < 0 ||
	    machine_overlays_create(job->machine, &job->overlays, error) < 0)
		return -1;
	if (job->way == SAVE_ROUNDS && throttle_open(&job->throttle, job->machine, job->loop, error) < 0)
		return -1;
	job->precopy.max_pause = job->way == SAVE_ROUNDS ? request->max_pause : 0;
	job->precopy.throttle = &job->throttle.step;
	if ((request->base_fd >= 0 || job->way == SAVE_ROUNDS) &&
	    precopy_open(&job->precopy, job->machine, &job->writer, error) < 0)
		return -1;
	return snapshot_begin(&job->writer, error);
}

int save_job_open(struct save_job *job, struct machine *machine, const struct save_request *request, struct loop *loop,
	       struct error *error)
{
	int result;

	job->machine = machine;
	job->loop = loop;
	job->progress = (struct snapshot_progress){ .step = save_job_continues, .owner = job };
	job->writer = (struct snapshot_writer){
		.fd = request->fd, .ram = &machine->vm.ram, .fault = machine->config.fault, .progress = &job->progress,
	};
	job->sections = (struct section_writer){ 0 };
	job->precopy = (struct precopy){ .dirty = NULL };
	job->throttle.timer_fd = -1;
	job->background = (struct background){ .fault_fd = -1 };
	job->base = (struct snapshot){ .fd = -1 };
	job->working_set = request->working_set;
	job->detach = request->detach;
	job->force = request->force;
	machine_overlays_open(&job->overlays, request->overlays ? request->folder_fd : -1);
	job->working = false;
	job->phase = SAVE_IDLE;
	atomic_store(&job->cancelled, false);
	atomic_store(&job->prepared, false);
	job->done_fd = event_open(error);
	result = job->done_fd < 0 ? -1 : begin(job, request, error);
	if (request->base_fd >= 0)
		close(request->base_fd);
	if (job->done_fd < 0) {
		close(request->fd);
		machine_overlays_close(machine, &job->overlays);
	} else if (result < 0) {
		save_job_close(job);
	}
	return result;
}

int save_job_copy(struct save_job *job, struct error *error)
{
	save_job_enter(job, SAVE_COPYING);
	if (start(job, error) == 0)
		return 0;
	save_job_close(job);
	return -1;
}

int save_job_finish(struct save_job *job, struct error *error)
{
	int result;

	vfio_may_detach(job->machine->vfio, job->detach);
	result = machine_save(job->machine, job->force, &job->sections, error);
	if (result == 0 && job->working_set)
		machine_working_set_save(job->machine, &job->sections);
	if (result == 0)
		result = job->way == SAVE_POINT_IN_TIME ? background_freeze(&job->background, error) : start(job, error);
	if (result < 0) {
		save_job_close(job);
		return -1;
	}
	if (job->way == SAVE_POINT_IN_TIME) {
		end_paused_part(job);
		background_proceed(&job->background);
	}
	return 0;
}

void save_job_cancel(struct save_job *job)
{
	atomic_store(&job->cancelled, true);
}

void save_job_close(struct save_job *job)
{
	if (job->done_fd < 0)
		return;
	save_job_cancel(job);
	if (background_is_open(&job->background))
		background_proceed(&job->background);
	if (job->working)
		pthread_join(job->thread, NULL);
	job->working = false;
	if (job->phase != SAVE_IDLE) /* only now: a thread that starts late reads the phase */
		save_job_enter(job, SAVE_IDLE);
	throttle_close(&job->throttle);
	background_close(&job->background);
	loop_remove(job->loop, job->done_fd);
	close(job->done_fd);
	job->done_fd = -1;
	snapshot_end(&job->writer);
	close(job->writer.fd);
	machine_overlays_close(job->machine, &job->overlays);
	if (keeps_account(job) && !is_tracked(job->machine))
		machine_untrack(job->machine);
	vfio_cancel_precopy(job->machine->vfio);
	precopy_close(&job->precopy);
	if (job->base.fd >= 0)
		snapshot_close(&job->base);
	byte_buffer_free(&job->sections.buffer);
}
