/* SPDX-License-Identifier: MIT */
/*
 * Records which RAM a restored machine touches in its first second. For mapped RAM the page map has the touched pages. For RAM
 * that the pager loads, it is the chunks for which a fault waited. Touching memory ahead would hide both.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "ram_private.h"
#include "snapshot/working_set.h"

#define FIRST_MOMENT 1 /* seconds */

static void stop(struct machine *machine, enum machine_working_set_state state)
{
	struct machine_working_set *set = &machine->working_set;

	if (set->state == WORKING_SET_RECORDING) {
		loop_remove(machine->loop, set->timer_fd);
		close(set->timer_fd);
	}
	set->state = state;
}

static int look(const struct machine *machine, uint8_t *chunks, struct error *error)
{
	const struct pager *pager = &machine->pager;

	if (working_set_record(&machine->vm.ram, chunks, error) < 0)
		return -1;
	for (uint64_t at = 0; pager_is_open(pager) && at < machine->vm.ram.size; at += FORMAT_RAM_CHUNK) {
		uint8_t *byte = &chunks[at / FORMAT_RAM_CHUNK / 8], bit = (uint8_t)(1u << at / FORMAT_RAM_CHUNK % 8);

		if (pager_brings(pager, at))
			*byte = pager_was_asked(pager, at) ? *byte | bit : *byte & (uint8_t)~bit;
	}
	return 0;
}

void machine_working_set_finish(struct machine *machine)
{
	struct machine_working_set *set = &machine->working_set;
	struct error error;

	if (set->state == WORKING_SET_AWAITED)
		stop(machine, WORKING_SET_INVALID);
	if (set->state != WORKING_SET_RECORDING)
		return;
	set->chunks = calloc(1, working_set_bytes(machine->vm.ram.size));
	if (set->chunks && look(machine, set->chunks, &error) == 0) {
		stop(machine, WORKING_SET_RECORDED);
		return;
	}
	log_message(machine->config.log, LOG_LEVEL_INFO, "no working set: %s", set->chunks ? error.text : "out of memory");
	stop(machine, WORKING_SET_UNKNOWN);
}

static void working_set_timer_expired(void *owner, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	machine_working_set_finish(owner);
}

void machine_working_set_resume(struct machine *machine)
{
	const struct itimerspec once = { .it_value = { .tv_sec = FIRST_MOMENT } };
	struct machine_working_set *set = &machine->working_set;
	struct error error;

	if (set->state != WORKING_SET_AWAITED)
		return;
	set->state = WORKING_SET_UNKNOWN;
	set->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (set->timer_fd < 0)
		return;
	if (loop_add(machine->loop, set->timer_fd, POLLIN, working_set_timer_expired, machine, &error) < 0) {
		close(set->timer_fd);
		return;
	}
	timerfd_settime(set->timer_fd, 0, &once, NULL);
	set->state = WORKING_SET_RECORDING;
}

void machine_working_set_invalidate(struct machine *machine)
{
	if (machine->working_set.state == WORKING_SET_AWAITED || machine->working_set.state == WORKING_SET_RECORDING)
		stop(machine, WORKING_SET_INVALID);
}

int machine_working_set_check(const struct machine *machine, struct error *error)
{
	static const char *const reasons[] = {
		[WORKING_SET_NONE] = "no working set was recorded: it was not restored, or with all of its memory loaded "
				     "first",
		[WORKING_SET_PREFAULTED] = "no working set was recorded, as memory was touched ahead of the guest: restore it with "
				       "--prefault none and no range",
		[WORKING_SET_AWAITED] = "its working set is recorded in the first second after it resumes: save it later",
		[WORKING_SET_RECORDING] = "its working set is recorded in the first second after it resumes: save it later",
		[WORKING_SET_INVALID] = "no working set was recorded: it was saved or reset in its first second, or loaded "
					  "before that",
		[WORKING_SET_UNKNOWN] = "no working set was recorded: this host does not report which memory is resident",
		[WORKING_SET_RECORDED] = NULL,
	};
	const char *reason = reasons[machine->working_set.state];

	return reason ? error_set(error, EAGAIN, "%s", reason) : 0;
}

void machine_working_set_save(const struct machine *machine, struct section_writer *writer)
{
	working_set_save(machine->working_set.chunks, machine->vm.ram.size, writer);
}

void machine_working_set_close(struct machine *machine)
{
	stop(machine, WORKING_SET_NONE);
	free(machine->working_set.chunks);
	machine->working_set.chunks = NULL;
}
