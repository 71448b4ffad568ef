/* SPDX-License-Identifier: MIT */
/*
 * Declares guest memory lost. It uses mprotect() and not UFFDIO_POISON: mprotect() works on every kernel, covers mapped files
 * and loaded pages too, and is one call. A thread that sleeps in a page fault of a userfaultfd is not woken. Its page is
 * never filled, and it ends with the process. If such a thread repeats the access, the memory is inaccessible.
 */
#include "memory/memory_loss.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/io.h"
#include "util/thread.h"

static const int memory_loss_signals[] = { SIGBUS, SIGSEGV };
#define SIGNALS (COUNT(memory_loss_signals))

/* The one mutable variable of file scope: a signal handler gets no argument of its owner. NULL while nothing is open. */
static struct memory_loss *_Atomic watched;

static void stop_for_ever(void)
{
	for (;;)
		pause();
}

/*
 * Keeps the first thread's arguments, and ignores those of later ones. Returns only if `loss` is closed. Async-signal-safe,
 * as it runs in a signal handler.
 */
static void declare(struct memory_loss *loss, const uint8_t *at, bool hardware, const struct error *why)
{
	int state = MEMORY_LOSS_WATCHED;

	if (atomic_compare_exchange_strong(&loss->state, &state, MEMORY_LOSS_CLAIMED)) {
		loss->at = at;
		loss->hardware = hardware;
		if (why)
			loss->error = *why;
		/* It can fail only for lack of kernel memory. Then each thread that finds the loss still stops here. */
		mprotect((void *)(uintptr_t)loss->host, loss->size, PROT_NONE);
		atomic_store(&loss->declared, true);
		event_raise(loss->event_fd);
	}
	if (state != MEMORY_LOSS_CLOSED)
		stop_for_ever();
}

static bool is_guest_memory(const struct memory_loss *loss, const uint8_t *at)
{
	return loss && loss->host && at >= loss->host && at < loss->host + loss->size;
}

/* Guest memory is accessible until a loss is claimed. Before that, SIGSEGV is a bug of lkvm. */
static bool can_be_lost(const struct memory_loss *loss, int number)
{
	return number == SIGBUS || atomic_load(&loss->state) == MEMORY_LOSS_CLAIMED;
}

static void memory_loss_handle(int number, siginfo_t *info, void *context)
{
	struct memory_loss *loss = atomic_load(&watched);
	bool hardware = number == SIGBUS && (info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO);

	(void)context;
	/* A positive code: the kernel sent the signal, and not kill(2). */
	if (info->si_code > 0 && is_guest_memory(loss, info->si_addr) && can_be_lost(loss, number))
		declare(loss, info->si_addr, hardware, NULL);
	/* A bug of lkvm: the access is repeated, and ends the process as it would without a handler. */
	signal(number, SIG_DFL);
	if (info->si_code <= 0 || hardware)
		raise(number);
}

void memory_lost(const struct error *why)
{
	struct memory_loss *loss = atomic_load(&watched);

	if (loss && loss->host)
		declare(loss, NULL, false, why);
}

void memory_check(int code, const char *what)
{
	struct error error;

	if (code != EFAULT)
		return;
	error_system(&error, code, "%s", what);
	memory_lost(&error);
}

void memory_suspect(const struct error *why)
{
	struct memory_loss *loss = atomic_load(&watched);

	if (why->code == EFAULT && loss && loss->host && loss->is_damaged && loss->is_damaged(loss->owner))
		declare(loss, NULL, false, why);
}

void memory_loss_watch(void *host, uint64_t size)
{
	struct memory_loss *loss = atomic_load(&watched);

	if (!loss)
		return;
	loss->host = host;
	loss->size = size;
}

static void *memory_loss_wait(void *argument)
{
	struct memory_loss *loss = argument;
	struct pollfd wait = { .fd = loss->event_fd, .events = POLLIN };

	while (!event_clear(loss->event_fd))
		poll(&wait, 1, -1);
	if (atomic_load(&loss->declared))
		loss->lost(loss->owner); /* does not return */
	return NULL;
}

int memory_loss_open(struct memory_loss *loss, struct error *error)
{
	struct sigaction action = { .sa_sigaction = memory_loss_handle, .sa_flags = SA_SIGINFO };
	int result;

	loss->event_fd = event_open(error);
	if (loss->event_fd < 0)
		return -1;
	result = thread_create(&loss->thread, memory_loss_wait, loss);
	if (result) {
		close(loss->event_fd);
		loss->event_fd = -1;
		return error_start(error, result, "a thread for lost memory");
	}
	atomic_store(&watched, loss);
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(memory_loss_signals[i], &action, &loss->before[i]);
	return 0;
}

void memory_loss_close(struct memory_loss *loss)
{
	int state = MEMORY_LOSS_WATCHED;

	if (loss->event_fd < 0)
		return;
	/* Claimed: the thread is about to end the process, and the join never returns. */
	if (atomic_compare_exchange_strong(&loss->state, &state, MEMORY_LOSS_CLOSED))
		event_raise(loss->event_fd);
	pthread_join(loss->thread, NULL);
	atomic_store(&watched, NULL);
	for (size_t i = 0; i < SIGNALS; i++)
		sigaction(memory_loss_signals[i], &loss->before[i], NULL);
	close(loss->event_fd);
	loss->event_fd = -1;
}
