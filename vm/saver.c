/* SPDX-License-Identifier: MIT */
#include "lkvm/saver.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "lkvm/io.h"
#include "lkvm/thread.h"

static bool go_on(void *owner, uint64_t done, uint64_t total)
{
	struct saver *saver = owner;

	(void)done;
	(void)total;
	return !atomic_load(&saver->cancelled);
}

static void *save(void *argument)
{
	struct saver *saver = argument;
	const struct snapshot_progress progress = { .step = go_on, .owner = saver };
	const char *fault = saver->machine->config.fault;
	struct snapshot_writer writer = {
		.fd = saver->fd,
		.ram = &saver->machine->vm.ram,
		.sections = &saver->sections.buffer,
		.fault = fault,
		.progress = &progress,
	};

	saver->result = snapshot_write(&writer, &saver->error);
	saver->figures = writer.figures;
	event_raise(saver->done_fd);
	return NULL;
}

static void finish(struct saver *saver)
{
	if (!saver->active)
		return;
	saver->active = false;
	pthread_join(saver->thread, NULL);
	loop_remove(saver->loop, saver->done_fd);
	close(saver->done_fd);
	close(saver->fd);
	byte_buffer_free(&saver->sections.buffer);
}

static void ended(void *owner, int fd, uint32_t events)
{
	struct saver *saver = owner;

	(void)fd;
	(void)events;
	finish(saver);
	saver->done(saver->owner);
}

int saver_start(struct saver *saver, struct machine *machine, int fd, struct loop *loop, void (*done)(void *owner),
		void *owner, struct error *error)
{
	int result;

	*saver = (struct saver){
		.machine = machine, .loop = loop, .done = done, .owner = owner, .fd = fd, .done_fd = -1,
	};
	if (machine_save(machine, &saver->sections, error) < 0)
		goto fail;
	saver->done_fd = event_open(error);
	if (saver->done_fd < 0 || loop_add(loop, saver->done_fd, POLLIN, ended, saver, error) < 0)
		goto fail;
	result = thread_create(&saver->thread, save, saver);
	if (result) {
		error_system(error, result, "a thread to save RAM");
		goto fail;
	}
	saver->active = true;
	return 0;

fail:
	if (saver->done_fd >= 0) {
		loop_remove(loop, saver->done_fd);
		close(saver->done_fd);
	}
	close(fd);
	byte_buffer_free(&saver->sections.buffer);
	return -1;
}

void saver_cancel(struct saver *saver)
{
	atomic_store(&saver->cancelled, true);
}

void saver_close(struct saver *saver)
{
	saver_cancel(saver);
	finish(saver);
}
