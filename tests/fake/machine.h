/* SPDX-License-Identifier: MIT */
/*
 * A machine without a guest, which replaces machine/machine.c, run.c and components.c. It counts the calls. The name of its
 * kernel selects what its guest does. It defines the functions, so only one source file of a test program may include it.
 */
#ifndef TESTS_FAKE_MACHINE_H
#define TESTS_FAKE_MACHINE_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../machine/components.h"
#include "util/io.h"

struct fake_machine {
	bool deaf;          /* machine_press() fails: no driver for the keys */
	bool reset_fails;
	bool kernel_gone;   /* machine_check_kernel() fails */
	bool open_fails;
	const char *refuses; /* the error that machine_check_host() collects, or NULL */
	unsigned pauses, resumes, resets, closes;
	unsigned presses[2];
	bool pressed_paused; /* a key was pressed while it was paused */
	uint64_t balloon;
	struct machine_config config; /* the argument of machine_open() */
};

static struct fake_machine fake_machine;

/* It has no components. */
const struct component *const machine_components[] = { NULL };
const size_t machine_component_count = 0;

static inline void fake_machine_event(struct machine *machine, enum vm_event_kind kind, const char *sentence)
{
	struct vm_event event = { .kind = kind };

	if (sentence)
		error_set(&event.error, 0, "%s", sentence);
	vm_event_post(&machine->vm, &event);
}

/* A kernel whose name has "unusable" is refused. See machine_resume() and machine_press() for other names. */
int machine_open(struct machine *machine, const struct machine_config *config, struct loop *loop,
		 struct terminal *terminal, struct error *error)
{
	*machine = (struct machine){ .config = *config, .loop = loop, .terminal = terminal, .pager.done_fd = -1 };
	fake_machine.config = *config;
	if (fake_machine.open_fails || (config->kernel && strstr(config->kernel, "unusable")))
		return error_set(error, 0, "this kernel is no kernel");
	pthread_mutex_init(&machine->vm.lock, NULL);
	machine->vm.event_fd = event_open(error);
	return 0;
}

void machine_close(struct machine *machine)
{
	close(machine->vm.event_fd);
	machine->vm.event_fd = -1;
	pthread_mutex_destroy(&machine->vm.lock);
	fake_machine.closes++;
}

void machine_stop(struct machine *machine)
{
	machine->running = false;
}

void machine_pause(struct machine *machine)
{
	machine->running = false;
	fake_machine.pauses++;
}

void machine_resume(struct machine *machine)
{
	const char *kernel = machine->config.kernel ? machine->config.kernel : "";

	machine->running = true;
	fake_machine.resumes++;
	if (strstr(kernel, "poweroff"))
		fake_machine_event(machine, VM_EVENT_POWER_OFF, NULL);
	if (strstr(kernel, "crash"))
		fake_machine_event(machine, VM_EVENT_CRASH, "the guest crashed");
	if (strstr(kernel, "failure"))
		fake_machine_event(machine, VM_EVENT_FAILURE, "vCPU 1: KVM_RUN: Bad address");
	if (strstr(kernel, "reset"))
		fake_machine_event(machine, fake_machine.resets < 100 ? VM_EVENT_RESET : VM_EVENT_POWER_OFF,
				   NULL);
}

int machine_reset(struct machine *machine, struct error *error)
{
	if (machine->running)
		return error_set(error, 0, "it runs");
	if (fake_machine.reset_fails)
		return error_set(error, ENOENT, "the kernel is gone");
	machine->clock.resets++;
	fake_machine.resets++;
	return 0;
}

int machine_check_kernel(struct machine *machine, struct error *error)
{
	(void)machine;
	return fake_machine.kernel_gone ? error_set(error, ENOENT, "the kernel is gone") : 0;
}

int machine_press(struct machine *machine, enum machine_key key, struct error *error)
{
	const char *kernel = machine->config.kernel ? machine->config.kernel : "";

	fake_machine.pressed_paused |= !machine->running;
	if (fake_machine.deaf)
		return error_set(error, ENODEV, "the guest listens to no power key");
	fake_machine.presses[key]++;
	if (strstr(kernel, "obedient"))
		fake_machine_event(machine, key == MACHINE_KEY_POWER ? VM_EVENT_POWER_OFF : VM_EVENT_RESET,
				   NULL);
	return 0;
}

int machine_check_host(struct snapshot *snapshot, const struct error_collector *refused, const struct error_collector *lost,
		       struct error *error)
{
	(void)lost;
	(void)snapshot;
	if (fake_machine.open_fails)
		return error_set(error, ENODEV, "no KVM");
	if (fake_machine.refuses && error_set(error, EINVAL, "%s", fake_machine.refuses) < 0)
		error_collect(refused, error);
	return 0;
}

void machine_stat(struct machine *machine, struct report *report)
{
	report_string(report, "state", machine->running ? "running" : "paused");
}

void virtio_balloon_set(struct virtio_device *device, uint64_t bytes)
{
	(void)device;
	fake_machine.balloon = bytes;
}

#endif
