/* SPDX-License-Identifier: MIT */
/* Ends, resets and events of a running machine, and the pause of a save. */
#include "lifecycle_private.h"

#include <errno.h>

#include "memory/memory_loss.h"
#include "util/clock.h"
#include "util/log.h"

void lifecycle_end(struct lifecycle *lifecycle, enum lifecycle_end how)
{
	if (lifecycle->end != LIFECYCLE_RUNNING)
		return;
	lifecycle->end = how;
	loop_stop(lifecycle->loop);
}

void lifecycle_fail(struct lifecycle *lifecycle, enum lifecycle_end how, const struct error *error)
{
	memory_suspect(error);
	if (lifecycle->end == LIFECYCLE_RUNNING)
		lifecycle->error = *error;
	lifecycle_end(lifecycle, how);
}

void lifecycle_leave(void *owner)
{
	lifecycle_end(owner, LIFECYCLE_LEFT);
}

int lifecycle_reset(struct lifecycle *lifecycle, const char *cause, struct error *error)
{
	struct machine *machine = lifecycle->machine;
	bool running = machine->running;
	struct vm_event event;

	/* A warning makes a guest visible that panics and restarts again and again. */
	log_message(machine->config.log, LOG_LEVEL_WARNING, "%s: %s", cause,
		    lifecycle->no_reboot ? "--no-reboot ends the virtual machine" : "it starts again");
	if (lifecycle->no_reboot) {
		lifecycle_end(lifecycle, LIFECYCLE_RESET);
		return 0;
	}
	if (running)
		machine_pause(machine);
	/* An event of the guest before the reset, such as an expired watchdog, is not one of the guest after it. */
	event = vm_event_pop(&machine->vm);
	if (event.kind == VM_EVENT_FAILURE)
		vm_event_post(&machine->vm, &event);
	if (machine_reset(machine, error) < 0) {
		error_context(error, "the guest cannot start again after its reset");
		lifecycle_fail(lifecycle, LIFECYCLE_FAILURE, error);
		return -1;
	}
	if (running)
		machine_resume(machine);
	control_complete(lifecycle->control, AWAIT_RESET, NULL);
	return 0;
}

void lifecycle_handle_event(struct lifecycle *lifecycle)
{
	struct vm_event event = vm_event_pop(&lifecycle->machine->vm);
	struct error error;

	switch (event.kind) {
	case VM_EVENT_NONE:
		break;
	case VM_EVENT_POWER_OFF:
		if (event.cause)
			log_message(lifecycle->machine->config.log, LOG_LEVEL_WARNING, "%s: the virtual machine ends", event.cause);
		lifecycle_end(lifecycle, LIFECYCLE_POWER_OFF);
		break;
	case VM_EVENT_RESET:
		(void)lifecycle_reset(lifecycle, event.cause ? event.cause : "the guest has reset itself", &error); /* keeps a failure */
		break;
	case VM_EVENT_CRASH:
		lifecycle_fail(lifecycle, LIFECYCLE_CRASH, &event.error);
		break;
	case VM_EVENT_FAILURE:
		lifecycle_fail(lifecycle, LIFECYCLE_FAILURE, &event.error);
		break;
	}
}

void lifecycle_resume(struct lifecycle *lifecycle)
{
	if (!lifecycle->has_paused || lifecycle->save_job.phase == SAVE_PAUSED || lifecycle->hold_client)
		return;
	lifecycle->has_paused = false;
	if (lifecycle->was_running && lifecycle->end == LIFECYCLE_RUNNING)
		machine_resume(lifecycle->machine);
}

void lifecycle_pause(struct lifecycle *lifecycle)
{
	lifecycle->paused_at = monotonic_ns();
	if (!lifecycle->has_paused)
		lifecycle->was_running = lifecycle->machine->running;
	lifecycle->has_paused = true;
	machine_pause(lifecycle->machine);
}

void lifecycle_notify(struct lifecycle *lifecycle)
{
	bool failed = lifecycle->end == LIFECYCLE_CRASH || lifecycle->end == LIFECYCLE_FAILURE;
	struct error no_restart;

	error_set(&no_restart, ECANCELED, "%s", lifecycle->end == LIFECYCLE_RESET ?
		  "the guest was reset, and --no-reboot ended the virtual machine" : "the guest ended and did not restart");
	control_complete(lifecycle->control, AWAIT_RESET, &no_restart);
	error_set(&no_restart, ECANCELED, "the virtual machine ended while it was saved");
	control_complete(lifecycle->control, AWAIT_SAVE, &no_restart);
	control_complete(lifecycle->control, AWAIT_END, failed ? &lifecycle->error : NULL);
}
