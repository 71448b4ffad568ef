/* SPDX-License-Identifier: MIT */
#include "save/job.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memory/memory_loss.h"
#include "util/io.h"
#include "util/thread.h"

static bool go_on(void *owner, uint64_t done, uint64_t total)
{
	struct saver *saver = owner;

	(void)done;
	(void)total;
	return !atomic_load(&saver->cancelled);
}

/* Whether anybody will want to know what was written since a snapshot. */
static bool is_tracked(const struct machine *machine)
{
	static const uint8_t none[sizeof(machine->tracked_since)];

	return memcmp(machine->tracked_since, none, sizeof(none)) != 0;
}

static bool keeps_account(const struct saver *saver)
{
	return saver->rounds.pages != NULL;
}

static int copy(struct saver *saver)
{
	return keeps_account(saver) ? rounds_copy(&saver->rounds, &saver->outcome.error) :
				      snapshot_copy(&saver->writer, NULL, &saver->outcome.error);
}

/* With a base there may be another save upon this one: then it goes on being kept account. */
static int settle(struct saver *saver)
{
	const uint16_t *pages = NULL;

	if (keeps_account(saver) && rounds_finish(&saver->rounds, saver->writer.base != NULL, &saver->outcome.error) < 0)
		return -1;
	if (keeps_account(saver) && saver->rounds.knows && saver->machine->dirty_log.is_exact)
		pages = saver->rounds.pages;
	return snapshot_settle(&saver->writer, pages, &saver->outcome.error);
}

/* The disks go with the snapshot: what the guest wrote before the save lasts as the snapshot does. The guest runs meanwhile. */
static int finish(struct saver *saver)
{
	if (machine_sync_disks(saver->machine, &saver->outcome.error) < 0)
		return -1;
	return snapshot_finish(&saver->writer, &saver->sections.buffer, &saver->outcome.error);
}

/* By one thread from before the pause on: others may have to wait for it while it waits. */
static int copy_point_in_time(struct saver *saver)
{
	if (point_in_time_prepare(&saver->point, &saver->outcome.error) < 0)
		return -1;
	atomic_store(&saver->prepared, true);
	event_raise(saver->done_fd);
	if (point_in_time_copy(&saver->point, &saver->outcome.error) < 0)
		return -1;
	return finish(saver);
}

static int run_phase(struct saver *saver)
{
	switch (saver->phase) {
	case SAVER_COPIES:
		machine_read_disks_ahead(saver->machine);
		return saver->way == SAVE_POINT_IN_TIME ? copy_point_in_time(saver) : copy(saver);
	case SAVER_SETTLES:
		return settle(saver);
	case SAVER_FINISHES:
		break;
	}
	return finish(saver);
}

static void *saver_run(void *argument)
{
	struct saver *saver = argument;

	saver->outcome.result = run_phase(saver);
	if (saver->outcome.result < 0)
		memory_suspect(&saver->outcome.error);
	/* Who has not yet heard that it is prepared is not to pause the machine for a thread that has ended. */
	if (saver->outcome.result < 0)
		atomic_store(&saver->prepared, false);
	event_raise(saver->done_fd);
	return NULL;
}

static int start(struct saver *saver, struct error *error)
{
	int result = thread_create(&saver->thread, saver_run, saver);

	if (result)
		return error_start(error, result, "a thread to save RAM");
	saver->working = true;
	return 0;
}

/* Ends the phase: from here on no thread writes to the saver. */
static void join(struct saver *saver)
{
	pthread_join(saver->thread, NULL);
	saver->working = false;
	saver->result = saver->outcome.result;
	saver->error = saver->outcome.error;
}

/*
 * The snapshot refers to the disks as they are under the overlays. Whatever failed until now has left the guest's disks as they
 * were.
 */
static void let_go_on(struct saver *saver)
{
	machine_overlays_switch(saver->machine, &saver->overlays);
	saver->settled(saver->owner);
}

static void saver_event(void *owner, int fd, uint32_t events)
{
	struct saver *saver = owner;

	(void)events;
	event_take(fd);
	if (saver->phase == SAVER_COPIES && atomic_load(&saver->prepared)) {
		saver->phase = SAVER_FINISHES;
		saver->copied(saver->owner);
		return;
	}
	join(saver);
	if (saver->result == 0 && saver->phase == SAVER_COPIES) {
		saver->copied(saver->owner);
		return;
	}
	if (saver->result == 0 && saver->phase == SAVER_SETTLES) {
		saver->phase = SAVER_FINISHES;
		throttle_close(&saver->throttle);
		let_go_on(saver);
		if (start(saver, &saver->error) == 0)
			return;
		saver->result = -1;
	}
	throttle_close(&saver->throttle);
	saver->figures = snapshot_written(&saver->writer);
	saver->held = saver->point.held;
	if (saver->result == 0 && saver->writer.base)
		memcpy(saver->machine->tracked_since, saver->writer.commit.identity, sizeof(saver->machine->tracked_since));
	machine_overlays_close(saver->machine, &saver->overlays); /* who is told looks for files that are left */
	saver->done(saver->owner);
	saver_close(saver); /* unmapping the file takes its time, in which the guest may run already */
}

/* Where a descriptor's file is, which is where others will look for it. */
static int open_base(struct saver *saver, int fd, struct error *error)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, saver->base_path, sizeof(saver->base_path) - 1);
	if (length < 0)
		return error_system(error, errno, "the base");
	saver->base_path[length] = '\0';
	if (snapshot_open(&saver->base, saver->base_path, error) < 0)
		return -1;
	if (saver->base.ram_base != saver->machine->vm.ram.base || saver->base.ram_size != saver->machine->vm.ram.size)
		return error_set(error, EINVAL, "%s is a snapshot of another machine: its RAM is not the same", saver->base_path);
	saver->writer.base = &saver->base;
	saver->writer.base_path = saver->base_path;
	return 0;
}

/* Which way it goes where the user leaves it to us, or why not the one that he wants. */
static int choose(struct saver *saver, const struct save_request *request, struct error *error)
{
	saver->way = request->way;
	if (request->way != SAVE_LIVE && request->way != SAVE_POINT_IN_TIME)
		return 0;
	if (request->way == SAVE_POINT_IN_TIME && request->base_fd >= 0)
		return error_set(error, EINVAL, "a save with a base goes in rounds, not point-in-time");
	if (request->way == SAVE_POINT_IN_TIME && saver->machine->vfio)
		return error_set(error, EINVAL, "what a passed-through device writes to RAM cannot be held up: its guest is saved in "
				 "rounds, not point-in-time");
	/* What stands still is as it is, and what will stand still behind the save is not to do so for all of it. */
	if (!saver->machine->running || request->base_fd >= 0 || request->stays || saver->machine->vfio) {
		saver->way = saver->machine->running ? SAVE_ROUNDS : SAVE_PLAIN;
		return 0;
	}
	saver->way = SAVE_POINT_IN_TIME;
	if (point_in_time_open(&saver->point, &saver->machine->vm.ram, &saver->writer, error) == 0)
		return 0;
	if (request->way == SAVE_POINT_IN_TIME)
		return error_context(error, "RAM cannot be kept as it is while the guest goes on");
	saver->way = SAVE_ROUNDS;
	return 0;
}

/* A snapshot that something needs must stay: the base of this one, what the machine was restored from, and their bases. */
static int check_replaced(const struct saver *saver, const struct save_request *request, struct error *error)
{
	if (!request->replaces)
		return 0;
	if (saver->base.fd >= 0 && snapshot_chain_has(&saver->base, request->device, request->inode))
		return error_set(error, EBUSY, "the file to be replaced is the base, or the base needs it: save to another file");
	return machine_check_replaced(saver->machine, request->device, request->inode, error);
}

static int begin(struct saver *saver, const struct save_request *request, struct error *error)
{
	if ((request->working_set && machine_working_set_check(saver->machine, error) < 0) ||
	    vfio_check_saving(saver->machine->vfio, request->detach, error) < 0)
		return -1;
	machine_working_set_disturb(saver->machine); /* by reading all of RAM */
	if (loop_add(saver->loop, saver->done_fd, POLLIN, saver_event, saver, error) < 0 ||
	    choose(saver, request, error) < 0 ||
	    (request->base_fd >= 0 && open_base(saver, request->base_fd, error) < 0))
		return -1;
	if ((saver->base.fd >= 0 && snapshot_check_as_base(&saver->base, error) < 0) ||
	    check_replaced(saver, request, error) < 0 ||
	    machine_overlays_create(saver->machine, &saver->overlays, error) < 0)
		return -1;
	if (saver->way == SAVE_ROUNDS && throttle_open(&saver->throttle, saver->machine, saver->loop, error) < 0)
		return -1;
	saver->rounds.max_pause = saver->way == SAVE_ROUNDS ? request->max_pause : 0;
	saver->rounds.throttle = &saver->throttle.step;
	if ((request->base_fd >= 0 || saver->way == SAVE_ROUNDS) &&
	    rounds_open(&saver->rounds, saver->machine, &saver->writer, error) < 0)
		return -1;
	return snapshot_begin(&saver->writer, error);
}

int saver_open(struct saver *saver, struct machine *machine, const struct save_request *request, struct loop *loop,
	       struct error *error)
{
	int result;

	saver->machine = machine;
	saver->loop = loop;
	saver->progress = (struct snapshot_progress){ .step = go_on, .owner = saver };
	saver->writer = (struct snapshot_writer){
		.fd = request->fd, .ram = &machine->vm.ram, .fault = machine->config.fault, .progress = &saver->progress,
	};
	saver->sections = (struct section_writer){ 0 };
	saver->rounds = (struct rounds){ .pages = NULL };
	saver->throttle.timer_fd = -1;
	saver->point = (struct point_in_time){ .fault_fd = -1 };
	saver->base = (struct snapshot){ .fd = -1 };
	saver->working_set = request->working_set;
	saver->detach = request->detach;
	saver->force = request->force;
	machine_overlays_open(&saver->overlays, request->overlays ? request->folder_fd : -1);
	saver->working = false;
	saver->phase = SAVER_COPIES;
	atomic_store(&saver->cancelled, false);
	atomic_store(&saver->prepared, false);
	saver->done_fd = event_open(error);
	result = saver->done_fd < 0 ? -1 : begin(saver, request, error);
	if (request->base_fd >= 0)
		close(request->base_fd);
	if (saver->done_fd < 0) {
		close(request->fd);
		machine_overlays_close(machine, &saver->overlays);
	} else if (result < 0) {
		saver_close(saver);
	}
	return result;
}

int saver_copy(struct saver *saver, struct error *error)
{
	if (start(saver, error) == 0)
		return 0;
	saver_close(saver);
	return -1;
}

int saver_finish(struct saver *saver, struct error *error)
{
	int result;

	vfio_may_detach(saver->machine->vfio, saver->detach);
	result = machine_save(saver->machine, saver->force, &saver->sections, error);
	if (saver->way != SAVE_POINT_IN_TIME)
		saver->phase = SAVER_SETTLES;
	if (result == 0 && saver->working_set)
		machine_working_set_save(saver->machine, &saver->sections);
	if (result == 0)
		result = saver->way == SAVE_POINT_IN_TIME ? point_in_time_freeze(&saver->point, error) : start(saver, error);
	if (result < 0) {
		saver_close(saver);
		return -1;
	}
	if (saver->way == SAVE_POINT_IN_TIME) {
		let_go_on(saver);
		point_in_time_go(&saver->point);
	}
	return 0;
}

void saver_cancel(struct saver *saver)
{
	atomic_store(&saver->cancelled, true);
}

void saver_close(struct saver *saver)
{
	if (saver->done_fd < 0)
		return;
	saver_cancel(saver);
	if (point_in_time_is_open(&saver->point))
		point_in_time_go(&saver->point);
	if (saver->working)
		pthread_join(saver->thread, NULL);
	saver->working = false;
	throttle_close(&saver->throttle);
	point_in_time_close(&saver->point);
	loop_remove(saver->loop, saver->done_fd);
	close(saver->done_fd);
	saver->done_fd = -1;
	snapshot_end(&saver->writer);
	close(saver->writer.fd);
	machine_overlays_close(saver->machine, &saver->overlays);
	if (keeps_account(saver) && !is_tracked(saver->machine))
		machine_untrack(saver->machine);
	vfio_cancel_precopy(saver->machine->vfio);
	rounds_close(&saver->rounds);
	if (saver->base.fd >= 0)
		snapshot_close(&saver->base);
	byte_buffer_free(&saver->sections.buffer);
}
