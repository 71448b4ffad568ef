/* SPDX-License-Identifier: MIT */
/* Watches the files that guest memory is mapped from. */
#include "snapshot/watch.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "memory/memory_loss.h"

/* Compressed RAM is not mapped but read, and its checksums reveal a change. */
static bool is_mapped(const struct snapshot *file)
{
	return file->frames.size == 0;
}

/*
 * Watches the file by its descriptor, because the file may be renamed and another one may get its name. A second call for the
 * same file returns the same number.
 */
static int add(int fd, const struct snapshot *file)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	return inotify_add_watch(fd, path, IN_MODIFY);
}

static void declare(const struct snapshot_watch *watch, int number)
{
	struct error error;

	for (const struct snapshot *file = watch->snapshot; file; file = file->base) {
		if (!is_mapped(file) || add(watch->fd, file) != number)
			continue;
		snapshot_explain_write(file, &error);
		memory_lost(&error);
	}
}

static void snapshot_watch_serve(void *owner, int fd, uint32_t events)
{
	const struct snapshot_watch *watch = owner;
	/* Events of watched files have no name, so that all have this size. */
	struct inotify_event happened[16];
	ssize_t got = read(fd, happened, sizeof(happened));

	(void)events;
	for (ssize_t i = 0; i < got / (ssize_t)sizeof(*happened); i++)
		if (happened[i].mask & IN_MODIFY)
			declare(watch, happened[i].wd);
}

static int watch_all(struct snapshot_watch *watch, struct error *error)
{
	char path[SNAPSHOT_PATH];

	for (const struct snapshot *file = watch->snapshot; file; file = file->base)
		if (is_mapped(file) && add(watch->fd, file) < 0)
			return error_system(error, errno, "inotify_add_watch of %s", snapshot_path(file, path, sizeof(path)));
	return loop_add(watch->loop, watch->fd, POLLIN, snapshot_watch_serve, watch, error);
}

static bool any_is_mapped(const struct snapshot *snapshot)
{
	for (const struct snapshot *file = snapshot; file; file = file->base)
		if (is_mapped(file))
			return true;
	return false;
}

int snapshot_watch_open(struct snapshot_watch *watch, const struct snapshot *snapshot, struct loop *loop, struct error *error)
{
	*watch = (struct snapshot_watch){ .snapshot = snapshot, .loop = loop, .fd = -1 };
	if (!any_is_mapped(snapshot))
		return 0;
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd < 0)
		return error_system(error, errno, "inotify_init1");
	if (watch_all(watch, error) == 0)
		return 0;
	snapshot_watch_close(watch);
	return -1;
}

void snapshot_watch_close(struct snapshot_watch *watch)
{
	if (watch->fd < 0)
		return;
	loop_remove(watch->loop, watch->fd);
	close(watch->fd);
	watch->fd = -1;
}
