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

static void *work(void *argument)
{
	struct saver *saver = argument;

	saver->result = saver->finishing ? snapshot_finish(&saver->writer, &saver->sections.buffer, &saver->error) :
					   snapshot_copy(&saver->writer, &saver->error);
	event_raise(saver->done_fd);
	return NULL;
}

static void ended(void *owner, int fd, uint32_t events)
{
	struct saver *saver = owner;

	(void)events;
	event_take(fd);
	pthread_join(saver->thread, NULL);
	saver->working = false;
	if (saver->result == 0 && !saver->finishing) {
		saver->copied(saver->owner);
		return;
	}
	saver->figures = snapshot_written(&saver->writer);
	saver->done(saver->owner);
	saver_close(saver); /* unmapping the file takes its time, in which the guest may run already */
}

int saver_open(struct saver *saver, struct machine *machine, int fd, struct loop *loop, struct error *error)
{
	saver->machine = machine;
	saver->loop = loop;
	saver->progress = (struct snapshot_progress){ .step = go_on, .owner = saver };
	saver->writer = (struct snapshot_writer){
		.fd = fd, .ram = &machine->vm.ram, .fault = machine->config.fault, .progress = &saver->progress,
	};
	saver->sections = (struct section_writer){ 0 };
	saver->working = saver->finishing = false;
	atomic_store(&saver->cancelled, false);
	saver->done_fd = event_open(error);
	if (saver->done_fd < 0) {
		close(fd);
		return -1;
	}
	if (loop_add(loop, saver->done_fd, POLLIN, ended, saver, error) == 0 &&
	    snapshot_begin(&saver->writer, error) == 0)
		return 0;
	saver_close(saver);
	return -1;
}

static int start(struct saver *saver, struct error *error)
{
	int result = thread_create(&saver->thread, work, saver);

	if (result)
		return error_system(error, result, "a thread to save RAM");
	saver->working = true;
	return 0;
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
	saver->finishing = true;
	if (machine_save(saver->machine, &saver->sections, error) == 0 && start(saver, error) == 0)
		return 0;
	saver_close(saver);
	return -1;
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
	if (saver->working)
		pthread_join(saver->thread, NULL);
	saver->working = false;
	loop_remove(saver->loop, saver->done_fd);
	close(saver->done_fd);
	saver->done_fd = -1;
	snapshot_end(&saver->writer);
	close(saver->writer.fd);
	byte_buffer_free(&saver->sections.buffer);
}
