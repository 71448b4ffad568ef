/* SPDX-License-Identifier: MIT */
/* Checks the RAM of a snapshot in a thread, while the machine runs. */
#include "snapshot/checker.h"

#include <poll.h>
#include <unistd.h>

#include "memory/memory_loss.h"
#include "util/io.h"
#include "util/thread.h"

static bool checker_continues(void *owner, uint64_t done, uint64_t total)
{
	const struct checker *checker = owner;

	(void)done;
	(void)total;
	return !atomic_load(&checker->cancelled);
}

/* This thread declares the loss at once: the loop may be busy, and the guest runs. */
static void declare_lost(const struct checker *checker)
{
	struct error error = checker->error;
	char path[SNAPSHOT_PATH];

	error_context(&error, "the snapshot %s", snapshot_path(checker->snapshot, path, sizeof(path)));
	memory_lost(&error);
}

static void *checker_work(void *argument)
{
	struct checker *checker = argument;
	const struct snapshot_progress progress = { .step = checker_continues, .owner = checker };

	thread_lowest_priority();
	checker->result = snapshot_check_ram(checker->snapshot, &progress, &checker->error);
	if (checker->result < 0 && !atomic_load(&checker->cancelled))
		declare_lost(checker);
	event_raise(checker->done_fd);
	return NULL;
}

static void finish(struct checker *checker)
{
	pthread_join(checker->thread, NULL);
	loop_remove(checker->loop, checker->done_fd);
	close(checker->done_fd);
	checker->done_fd = -1;
}

static void checker_ended(void *owner, int fd, uint32_t events)
{
	struct checker *checker = owner;

	(void)fd;
	(void)events;
	finish(checker);
	checker->done(checker->owner);
}

int checker_open(struct checker *checker, const struct snapshot *snapshot, struct loop *loop, struct error *error)
{
	int result;

	checker->snapshot = snapshot;
	checker->loop = loop;
	checker->result = 0;
	atomic_store(&checker->cancelled, false);
	checker->done_fd = event_open(error);
	if (checker->done_fd < 0)
		return -1;
	if (loop_add(loop, checker->done_fd, POLLIN, checker_ended, checker, error) < 0) {
		close(checker->done_fd);
		checker->done_fd = -1;
		return -1;
	}
	result = thread_create(&checker->thread, checker_work, checker);
	if (!result)
		return 0;
	loop_remove(loop, checker->done_fd);
	close(checker->done_fd);
	checker->done_fd = -1;
	return error_start(error, result, "a thread to check RAM");
}

void checker_close(struct checker *checker)
{
	if (!checker_is_open(checker))
		return;
	atomic_store(&checker->cancelled, true);
	finish(checker);
}
