/* SPDX-License-Identifier: MIT */
/* vCPU threads: KVM_RUN, the exits, and parking. */
#include <endian.h>
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "kvm/vm.h"
#include "memory/memory_loss.h"
#include "util/signals.h"
#include "util/thread.h"

/* Interrupts KVM_RUN in a vCPU thread. The handler does nothing: the interruption is all that is needed. */
#define KICK_SIGNAL SIGRTMIN

static void vcpu_kicked(int signal)
{
	(void)signal;
}

int vcpus_open(struct vm *vm, struct error *error)
{
	int size = kvm_call(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	int limit = kvm_extension(vm->fd, KVM_CAP_MAX_VCPUS);

	if (size < (int)sizeof(struct kvm_run))
		return error_set(error, 0, "KVM_GET_VCPU_MMAP_SIZE returned %d", size);
	if (limit && vm->vcpu_count > (unsigned)limit)
		return error_set(error, EINVAL, "%u vCPUs are too many: KVM allows %d on this host", vm->vcpu_count,
				 limit);
	vm->vcpus = calloc(vm->vcpu_count, sizeof(*vm->vcpus));
	if (!vm->vcpus)
		return error_system(error, ENOMEM, "%u vCPUs", vm->vcpu_count);
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		vm->vcpus[i] = (struct vcpu){ .vm = vm, .index = i, .fd = -1, .run_size = (size_t)size };

	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];
		void *run;

		vcpu->fd = kvm_call(vm->fd, KVM_CREATE_VCPU, i);
		if (vcpu->fd < 0)
			return error_system(error, -vcpu->fd, "KVM_CREATE_VCPU %u", i);
		run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
		if (run == MAP_FAILED)
			return error_system(error, errno, "mapping vCPU %u", i);
		vcpu->run = run;
	}
	return 0;
}

void vcpus_close(struct vm *vm)
{
	if (!vm->vcpus)
		return;
	vcpus_pause(vm);
	pthread_mutex_lock(&vm->lock);
	vm->stop_wanted = true;
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = &vm->vcpus[i];

		if (vcpu->started)
			pthread_join(vcpu->thread, NULL);
		if (vcpu->run)
			munmap(vcpu->run, vcpu->run_size);
		if (vcpu->fd >= 0)
			close(vcpu->fd);
	}
	free(vm->vcpus);
	vm->vcpus = NULL;
}

static void fail(struct vcpu *vcpu, int code, const char *what, unsigned long long detail)
{
	struct vm_event event = { .kind = VM_EVENT_FAILURE, .vcpu = vcpu->index };

	if (code)
		error_system(&event.error, code, "vCPU %u: %s", vcpu->index, what);
	else
		error_set(&event.error, 0, "vCPU %u: %s 0x%llx", vcpu->index, what, detail);
	vm_event_post(vcpu->vm, &event);
}

/* Increments a counter and returns it. Only the vCPU's thread writes it, so no atomic read-modify-write is needed. */
static uint64_t count(_Atomic uint64_t *counter)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed) + 1;

	atomic_store_explicit(counter, value, memory_order_relaxed);
	return value;
}

/* KVM reads it, and the thread that pauses the vCPU writes it, too. */
static void set_immediate_exit(struct vcpu *vcpu, uint8_t value)
{
	__atomic_store_n(&vcpu->run->immediate_exit, value, __ATOMIC_RELEASE);
}

static void handle_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint64_t value = 0;
	bool known;

	/* KVM passes the bytes little-endian, on any host. */
	if (run->mmio.is_write) {
		memcpy(&value, run->mmio.data, run->mmio.len);
		known = bus_write(&vcpu->vm->bus, run->mmio.phys_addr, run->mmio.len, le64toh(value));
	} else {
		known = bus_read(&vcpu->vm->bus, run->mmio.phys_addr, run->mmio.len, &value);
		value = htole64(value);
		memcpy(run->mmio.data, &value, run->mmio.len);
	}
	count(&vcpu->counters.mmio);
	if (!known && count(&vcpu->counters.unmapped) == 1)
		log_message(vcpu->vm->log, LOG_LEVEL_INFO, "vCPU %u: no device is at 0x%llx (reported once)", vcpu->index,
			    (unsigned long long)run->mmio.phys_addr);
}

/* The processor did not describe the access. The guest gets an external abort, as from an address without a device. */
static void handle_undescribed_access(struct vcpu *vcpu)
{
	struct kvm_vcpu_events events = { .exception.ext_dabt_pending = 1 };
	int result = kvm_call(vcpu->fd, KVM_SET_VCPU_EVENTS, (uintptr_t)&events);

	if (result < 0)
		fail(vcpu, -result, "an access to a device that KVM cannot describe", 0);
}

static void handle_system_event(struct vcpu *vcpu)
{
	struct vm_event event = { .vcpu = vcpu->index };

	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		event.kind = VM_EVENT_POWER_OFF;
		break;
	case KVM_SYSTEM_EVENT_RESET:
		event.kind = VM_EVENT_RESET;
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		event.kind = VM_EVENT_CRASH;
		error_set(&event.error, 0, "vCPU %u: the guest reported a crash", vcpu->index);
		break;
	default:
		fail(vcpu, 0, "unknown system event", vcpu->run->system_event.type);
		return;
	}
	vm_event_post(vcpu->vm, &event);
}

/* Returns whether KVM_RUN may be called again. If not, an event was posted. */
static bool handle_exit(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	switch (run->exit_reason) {
	case KVM_EXIT_MMIO:
		handle_mmio(vcpu);
		return true;
	case KVM_EXIT_SYSTEM_EVENT:
		/* Now all vCPUs have MP_STATE stopped, and KVM_RUN would sleep. */
		handle_system_event(vcpu);
		return false;
	case KVM_EXIT_ARM_NISV:
		handle_undescribed_access(vcpu);
		return true;
	case KVM_EXIT_INTR:
		return true;
	case KVM_EXIT_FAIL_ENTRY:
		fail(vcpu, 0, "the processor refused to enter the guest, reason",
		     run->fail_entry.hardware_entry_failure_reason);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		fail(vcpu, 0, "KVM gave up, suberror", run->internal.suberror);
		return false;
	default:
		fail(vcpu, 0, "KVM_RUN returned with unknown reason", run->exit_reason);
		return false;
	}
}

/*
 * Waits while the VM is paused. With `idle` this vCPU has nothing to run, and also waits until a pause begins. Returns false if
 * the thread must end.
 */
static bool park(struct vcpu *vcpu, bool idle)
{
	struct vm *vm = vcpu->vm;
	bool go_on;

	pthread_mutex_lock(&vm->lock);
	while (idle && !vm->pause_wanted && !vm->stop_wanted)
		pthread_cond_wait(&vm->changed, &vm->lock);
	vm->parked++;
	pthread_cond_broadcast(&vm->changed);
	while (vm->pause_wanted && !vm->stop_wanted)
		pthread_cond_wait(&vm->changed, &vm->lock);
	vm->parked--;
	set_immediate_exit(vcpu, 0);
	go_on = !vm->stop_wanted;
	pthread_mutex_unlock(&vm->lock);
	return go_on;
}

static void *vcpu_thread(void *argument)
{
	struct vcpu *vcpu = argument;
	struct vm *vm = vcpu->vm;
	bool unfinished = false; /* the result of the last exit is not yet in the vCPU's registers */
	bool idle = false;
	sigset_t signals;
	char name[16];

	signals_blockable(&signals);
	sigdelset(&signals, KICK_SIGNAL);
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
	snprintf(name, sizeof(name), "vcpu%u", vcpu->index);
	pthread_setname_np(pthread_self(), name);

	for (;;) {
		if (__atomic_load_n(&vm->pause_wanted, __ATOMIC_ACQUIRE) || idle) {
			if (unfinished) {
				set_immediate_exit(vcpu, 1);
				kvm_call(vcpu->fd, KVM_RUN, 0);
				unfinished = false;
			}
			if (!park(vcpu, idle))
				return NULL;
			idle = false;
			continue;
		}

		int result = kvm_call(vcpu->fd, KVM_RUN, 0);

		count(&vcpu->counters.runs);
		if (result == -EINTR || result == -EAGAIN) {
			count(&vcpu->counters.signals);
			unfinished = false;
		} else if (result < 0) {
			memory_check(-result, "KVM_RUN");
			fail(vcpu, -result, result == -ENOSYS ? "KVM_RUN (an access to a device that KVM cannot describe)" :
								"KVM_RUN", 0);
			idle = true;
		} else {
			unfinished = handle_exit(vcpu);
			idle = !unfinished;
		}
	}
}

int vcpus_start(struct vm *vm, struct error *error)
{
	/* SA_RESTART: a kick must interrupt only KVM_RUN, which never restarts. */
	struct sigaction action = { .sa_handler = vcpu_kicked, .sa_flags = SA_RESTART };

	sigaction(KICK_SIGNAL, &action, NULL);
	vm->pause_wanted = true;
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		int result = thread_create(&vm->vcpus[i].thread, vcpu_thread, &vm->vcpus[i]);

		if (result)
			return error_start(error, result, "the thread of vCPU %u", i);
		vm->vcpus[i].started = true;
	}
	vcpus_pause(vm);
	return 0;
}

void vcpus_pause(struct vm *vm)
{
	unsigned threads = 0;

	pthread_mutex_lock(&vm->lock);
	__atomic_store_n(&vm->pause_wanted, true, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&vm->changed);
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		if (!vm->vcpus[i].started)
			continue;
		threads++;
		set_immediate_exit(&vm->vcpus[i], 1);
		pthread_kill(vm->vcpus[i].thread, KICK_SIGNAL);
	}
	while (vm->parked < threads)
		pthread_cond_wait(&vm->changed, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

void vcpus_resume(struct vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	__atomic_store_n(&vm->pause_wanted, false, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&vm->changed);
	pthread_mutex_unlock(&vm->lock);
}
