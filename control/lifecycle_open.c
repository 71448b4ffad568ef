/* SPDX-License-Identifier: MIT */
/* Watches a running machine on the loop: signals, events of its guest, and the loading and verification of its RAM. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "lifecycle_private.h"

static sigset_t our_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGXCPU); /* RLIMIT_CPU: the soft limit ends the VM in order, before the hard limit kills it */
	sigaddset(&set, SIGCONT);
	return set;
}

void lifecycle_block_signals(void)
{
	sigset_t set = our_signals();

	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void control_watch_signal(void *owner, int fd, uint32_t events)
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

static void control_watch_event(void *owner, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	lifecycle_handle_event(owner);
}

static void control_watch_loaded(void *owner, int fd, uint32_t events)
{
	struct lifecycle *lifecycle = owner;
	struct pager *pager = &lifecycle->machine->pager;
	struct error error;

	(void)events;
	loop_remove(lifecycle->loop, fd);
	if (atomic_load(&pager->result) < 0) {
		error = pager->error; /* a copy: the pager's thread may read the original */
		error_context(&error, "the snapshot that it was restored from"); /* for the case that RAM is not watched */
		lifecycle_fail(lifecycle, LIFECYCLE_FAILURE, &error);
		return; /* closed with the machine */
	}
	machine_working_set_finish(lifecycle->machine); /* all is loaded, so nothing waits any more */
	pager_close(pager);
	if (lifecycle->save_job.phase == SAVE_WAITING)
		lifecycle_finish_save(lifecycle);
}

static int watch(struct lifecycle *lifecycle, struct error *error)
{
	sigset_t set = our_signals();

	lifecycle->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (lifecycle->signal_fd < 0)
		return error_system(error, errno, "signalfd");
	if (loop_add(lifecycle->loop, lifecycle->signal_fd, POLLIN, control_watch_signal, lifecycle, error) < 0)
		return -1;
	if (pager_is_open(&lifecycle->machine->pager) &&
	    loop_add(lifecycle->loop, lifecycle->machine->pager.done_fd, POLLIN, control_watch_loaded, lifecycle, error) < 0)
		return -1;
	return loop_add(lifecycle->loop, lifecycle->machine->vm.event_fd, POLLIN, control_watch_event, lifecycle,
			error);
}

int lifecycle_open(struct lifecycle *lifecycle, struct machine *machine, struct control *control,
		   struct error *error)
{
	*lifecycle = (struct lifecycle){
		.machine = machine, .control = control, .loop = machine->loop, .signal_fd = -1, .save_job.done_fd = -1,
		.checker.done_fd = -1,
	};
	control->left = lifecycle_client_left;
	if (watch(lifecycle, error) < 0) {
		lifecycle_close(lifecycle);
		return -1;
	}
	return 0;
}

static void control_watch_checked(void *owner)
{
	struct lifecycle *lifecycle = owner;

	if (lifecycle->checker.result < 0) {
		error_context(&lifecycle->checker.error, "the snapshot that it was restored from"); /* where nobody watches RAM */
		lifecycle_fail(lifecycle, LIFECYCLE_FAILURE, &lifecycle->checker.error);
	} else if (lifecycle->save_job.phase == SAVE_WAITING) {
		lifecycle_finish_save(lifecycle);
	}
}

int lifecycle_check(struct lifecycle *lifecycle, const struct snapshot *snapshot, struct error *error)
{
	if (lifecycle->machine->ram_is_checked)
		return 0;
	lifecycle->checker.done = control_watch_checked;
	lifecycle->checker.owner = lifecycle;
	return checker_open(&lifecycle->checker, snapshot, lifecycle->loop, error);
}

void lifecycle_close(struct lifecycle *lifecycle)
{
	if (lifecycle->signal_fd < 0)
		return;
	checker_close(&lifecycle->checker);
	save_job_close(&lifecycle->save_job);
	loop_remove(lifecycle->loop, lifecycle->machine->pager.done_fd);
	loop_remove(lifecycle->loop, lifecycle->machine->vm.event_fd);
	loop_remove(lifecycle->loop, lifecycle->signal_fd);
	close(lifecycle->signal_fd);
	lifecycle->signal_fd = -1;
}
