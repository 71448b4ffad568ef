/* SPDX-License-Identifier: MIT */
#include "lifecycle_private.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "memory/memory_loss.h"
#include "util/log.h"

/* Signals. */

static sigset_t our_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGXCPU); /* RLIMIT_CPU: the soft limit ends it in order, before the hard one kills */
	sigaddset(&set, SIGCONT);
	return set;
}

void lifecycle_block_signals(void)
{
	sigset_t set = our_signals();

	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Ends. */

void lifecycle_end(struct lifecycle *lifecycle, enum lifecycle_end how)
{
	if (lifecycle->end != LIFECYCLE_RUNNING)
		return;
	lifecycle->end = how;
	loop_stop(lifecycle->loop);
}

static void end_with_error(struct lifecycle *lifecycle, enum lifecycle_end how, const struct error *error)
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

static void signal_came(void *owner, int fd, uint32_t events)
{
	struct lifecycle *lifecycle = owner;
	struct signalfd_siginfo info;

	(void)events;
	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGCONT) {
		if (lifecycle->machine->terminal)
			terminal_continue(lifecycle->machine->terminal);
		return;
	}
	lifecycle->signal = (int)info.ssi_signo;
	lifecycle_end(lifecycle, LIFECYCLE_SIGNAL);
}

int lifecycle_reset(struct lifecycle *lifecycle, const char *cause, struct error *error)
{
	struct machine *machine = lifecycle->machine;
	bool running = machine->running;

	/* A warning, so that a guest that panics and restarts again and again is noticed. */
	log_message(machine->config.log, LOG_LEVEL_WARNING, "%s: %s", cause,
		    lifecycle->no_reboot ? "--no-reboot ends the virtual machine" : "it starts again");
	if (lifecycle->no_reboot) {
		lifecycle_end(lifecycle, LIFECYCLE_RESET);
		return 0;
	}
	if (running)
		machine_pause(machine);
	if (machine_reset(machine, error) < 0) {
		error_context(error, "the guest cannot start again after its reset");
		end_with_error(lifecycle, LIFECYCLE_FAILURE, error);
		return -1;
	}
	if (running)
		machine_resume(machine);
	control_happened(lifecycle->control, HAPPENED_RESET, NULL);
	return 0;
}

/* What the guest did. */
void lifecycle_take_event(struct lifecycle *lifecycle)
{
	struct vm_event event = vm_event_take(&lifecycle->machine->vm);
	struct error error;

	switch (event.kind) {
	case VM_EVENT_NONE:
		break;
	case VM_EVENT_POWER_OFF:
		lifecycle_end(lifecycle, LIFECYCLE_POWER_OFF);
		break;
	case VM_EVENT_RESET:
		(void)lifecycle_reset(lifecycle, "the guest has reset itself", &error); /* a failure is kept as the end */
		break;
	case VM_EVENT_CRASH:
		end_with_error(lifecycle, LIFECYCLE_CRASH, &event.error);
		break;
	case VM_EVENT_FAILURE:
		end_with_error(lifecycle, LIFECYCLE_FAILURE, &event.error);
		break;
	}
}

static void event_came(void *owner, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	lifecycle_take_event(owner);
}

/* Opening and closing. */

static void loaded(void *owner, int fd, uint32_t events)
{
	struct lifecycle *lifecycle = owner;
	struct pager *pager = &lifecycle->machine->pager;
	struct error error;

	(void)events;
	loop_remove(lifecycle->loop, fd);
	if (atomic_load(&pager->result) < 0) {
		error = pager->error; /* which the pager's thread may be reading */
		error_context(&error, "the snapshot that it was restored from"); /* where nobody watches RAM */
		end_with_error(lifecycle, LIFECYCLE_FAILURE, &error);
		return; /* closed with the machine */
	}
	machine_working_set_take(lifecycle->machine); /* nobody waits for anything any more */
	pager_close(pager);
	if (lifecycle->finish_waits)
		lifecycle_finish_save(lifecycle);
}

static int watch(struct lifecycle *lifecycle, struct error *error)
{
	sigset_t set = our_signals();

	lifecycle->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (lifecycle->signal_fd < 0)
		return error_system(error, errno, "signalfd");
	if (loop_add(lifecycle->loop, lifecycle->signal_fd, POLLIN, signal_came, lifecycle, error) < 0)
		return -1;
	if (pager_is_open(&lifecycle->machine->pager) &&
	    loop_add(lifecycle->loop, lifecycle->machine->pager.done_fd, POLLIN, loaded, lifecycle, error) < 0)
		return -1;
	return loop_add(lifecycle->loop, lifecycle->machine->vm.event_fd, POLLIN, event_came, lifecycle,
			error);
}

int lifecycle_open(struct lifecycle *lifecycle, struct machine *machine, struct control *control,
		   struct error *error)
{
	*lifecycle = (struct lifecycle){
		.machine = machine, .control = control, .loop = machine->loop, .signal_fd = -1, .saver.done_fd = -1,
		.checker.done_fd = -1,
	};
	control->left = lifecycle_left;
	if (watch(lifecycle, error) < 0) {
		lifecycle_close(lifecycle);
		return -1;
	}
	return 0;
}

static void checked(void *owner)
{
	struct lifecycle *lifecycle = owner;

	if (lifecycle->checker.result < 0) {
		error_context(&lifecycle->checker.error, "the snapshot that it was restored from"); /* where nobody watches RAM */
		end_with_error(lifecycle, LIFECYCLE_FAILURE, &lifecycle->checker.error);
	} else if (lifecycle->finish_waits) {
		lifecycle_finish_save(lifecycle);
	}
}

int lifecycle_check(struct lifecycle *lifecycle, const struct snapshot *snapshot, struct error *error)
{
	if (lifecycle->machine->ram_is_checked)
		return 0;
	lifecycle->checker.done = checked;
	lifecycle->checker.owner = lifecycle;
	return checker_open(&lifecycle->checker, snapshot, lifecycle->loop, error);
}

void lifecycle_close(struct lifecycle *lifecycle)
{
	if (lifecycle->signal_fd < 0)
		return;
	checker_close(&lifecycle->checker);
	saver_close(&lifecycle->saver);
	lifecycle->saving = false;
	loop_remove(lifecycle->loop, lifecycle->machine->pager.done_fd);
	loop_remove(lifecycle->loop, lifecycle->machine->vm.event_fd);
	loop_remove(lifecycle->loop, lifecycle->signal_fd);
	close(lifecycle->signal_fd);
	lifecycle->signal_fd = -1;
}

void lifecycle_tell(struct lifecycle *lifecycle)
{
	bool failed = lifecycle->end == LIFECYCLE_CRASH || lifecycle->end == LIFECYCLE_FAILURE;
	struct error no_restart;

	error_set(&no_restart, ECANCELED, "%s", lifecycle->end == LIFECYCLE_RESET ?
		  "the guest was reset, and --no-reboot ended the virtual machine" : "the guest ended and did not restart");
	control_happened(lifecycle->control, HAPPENED_RESET, &no_restart);
	error_set(&no_restart, ECANCELED, "the virtual machine ended while it was saved");
	control_happened(lifecycle->control, HAPPENED_SAVE, &no_restart);
	control_happened(lifecycle->control, HAPPENED_END, failed ? &lifecycle->error : NULL);
}
