/* SPDX-License-Identifier: MIT */
/* Replaces kvm/kvm.c: records calls, and makes them fail. */
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fake/kvm.h"
#include "kvm/kvm.h"

#define RUN_SIZE 4096
#define MAX_FDS 1024

struct fake_kvm fake_kvm = { .fail_at = SIZE_MAX, .extensions = 1 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct kvm_run *runs[MAX_FDS]; /* by vCPU descriptor */
static uint64_t mpidrs[MAX_FDS];

void fake_kvm_reset(void)
{
	fake_kvm.count = 0;
	fake_kvm.fail_at = SIZE_MAX;
	fake_kvm.attribute_value = 0;
	fake_kvm.fail_request = 0;
	fake_kvm.fail_with = 0;
	fake_kvm.extensions = 1;
	fake_kvm.run = NULL;
}

size_t fake_find(size_t from, unsigned long request)
{
	for (size_t i = from; i < fake_kvm.count; i++)
		if (fake_kvm.calls[i].request == request)
			return i;
	return SIZE_MAX;
}

size_t fake_find_attribute(size_t from, int fd, uint32_t group, uint64_t attribute)
{
	for (size_t i = from; i < fake_kvm.count; i++) {
		const struct fake_call *call = &fake_kvm.calls[i];

		if (call->request == KVM_SET_DEVICE_ATTR && call->fd == fd && call->group == group &&
		    call->attribute == attribute)
			return i;
	}
	return SIZE_MAX;
}

/* Returns a descriptor that can be closed like KVM's and mapped like a vCPU's. */
static int new_fd(void)
{
	int fd = memfd_create("fake-kvm", MFD_CLOEXEC);

	if (fd < 0 || fd >= MAX_FDS || ftruncate(fd, RUN_SIZE) < 0)
		abort();
	return fd;
}

static int new_vcpu(uint64_t index)
{
	int fd = new_fd();

	if (runs[fd])
		munmap(runs[fd], RUN_SIZE);
	runs[fd] = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (runs[fd] == MAP_FAILED)
		abort();
	mpidrs[fd] = 0x80000000 | (index & 0xf) | (index >> 4 & 0xff) << 8 | (index >> 12 & 0xff) << 16;
	return fd;
}

static int run(int fd)
{
	const struct timespec moment = { .tv_nsec = 100000 };
	struct kvm_run *state = runs[fd];

	if (fake_kvm.run && !__atomic_load_n(&state->immediate_exit, __ATOMIC_ACQUIRE))
		return fake_kvm.run(fd, state);
	while (!__atomic_load_n(&state->immediate_exit, __ATOMIC_ACQUIRE))
		nanosleep(&moment, NULL);
	return -EINTR;
}

/* Returns the size in bytes of a group's values. */
static size_t width(uint32_t group)
{
	return group == KVM_DEV_ARM_VGIC_GRP_ADDR || group == KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS ||
	       group == KVM_DEV_ARM_VGIC_GRP_ITS_REGS ? 8 : 4;
}

static void record(struct fake_call *call, int fd, unsigned long request, uintptr_t argument)
{
	const struct kvm_device_attr *attr = (const void *)argument;

	*call = (struct fake_call){ .fd = fd, .request = request, .argument = argument };
	if (request == KVM_IOEVENTFD) {
		const struct kvm_ioeventfd *doorbell = (const void *)argument;

		call->group = doorbell->flags;
		call->attribute = doorbell->addr;
		call->value = (uint64_t)doorbell->fd;
		return;
	}
	if (request == KVM_SET_USER_MEMORY_REGION) {
		const struct kvm_userspace_memory_region *slot = (const void *)argument;

		call->group = slot->flags << 16 | slot->slot;
		call->attribute = slot->guest_phys_addr;
		call->value = slot->memory_size;
		return;
	}
	if (request == KVM_ENABLE_CAP) {
		const struct kvm_enable_cap *capability = (const void *)argument;

		call->attribute = capability->cap;
		call->value = capability->args[0];
		return;
	}
	if (request == KVM_CLEAR_DIRTY_LOG) {
		const struct kvm_clear_dirty_log *part = (const void *)argument;
		const uint64_t *words = part->dirty_bitmap;

		call->attribute = part->first_page;
		for (uint32_t i = 0; i < (part->num_pages + 63) / 64; i++)
			call->value += (uint64_t)__builtin_popcountll(words[i]);
		return;
	}
	if (request == KVM_IRQFD) {
		const struct kvm_irqfd *irqfd = (const void *)argument;

		call->group = irqfd->flags;
		call->attribute = irqfd->gsi;
		call->value = irqfd->fd;
		return;
	}
	if (request == KVM_IRQ_LINE) {
		const struct kvm_irq_level *line = (const void *)argument;

		call->attribute = line->irq;
		call->value = line->level;
		return;
	}
	if (request != KVM_SET_DEVICE_ATTR && request != KVM_GET_DEVICE_ATTR && request != KVM_HAS_DEVICE_ATTR)
		return;
	call->group = attr->group;
	call->attribute = attr->attr;
	if (request != KVM_SET_DEVICE_ATTR || !attr->addr)
		return;

	memcpy(&call->value, (const void *)(uintptr_t)attr->addr, width(attr->group));
}

int kvm_call(int fd, unsigned long request, uintptr_t argument)
{
	size_t index;

	if (request == KVM_RUN)
		return run(fd);

	pthread_mutex_lock(&lock);
	if (fake_kvm.count == FAKE_MAX_CALLS)
		abort();
	index = fake_kvm.count++;
	record(&fake_kvm.calls[index], fd, request, argument);
	pthread_mutex_unlock(&lock);

	if (index == fake_kvm.fail_at || request == fake_kvm.fail_request)
		return -fake_kvm.fail_with;
	switch (request) {
	case KVM_CHECK_EXTENSION:
		if (argument == KVM_CAP_ARM_VM_IPA_SIZE)
			return 44;
		return argument == KVM_CAP_MAX_VCPUS ? 512 : fake_kvm.extensions;
	case KVM_CREATE_VM:
		return new_fd();
	case KVM_CREATE_VCPU:
		return new_vcpu(argument);
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_SIZE;
	case KVM_CREATE_DEVICE:
		((struct kvm_create_device *)argument)->fd = (uint32_t)new_fd();
		return 0;
	case KVM_GET_ONE_REG: {
		const struct kvm_one_reg *reg = (const void *)argument;

		memcpy((void *)(uintptr_t)reg->addr, &mpidrs[fd], 8);
		return 0;
	}
	case KVM_GET_DEVICE_ATTR: {
		const struct kvm_device_attr *attr = (const void *)argument;

		memcpy((void *)(uintptr_t)attr->addr, &fake_kvm.attribute_value, width(attr->group));
		return 0;
	}
	case KVM_ARM_PREFERRED_TARGET:
		memset((void *)argument, 0, sizeof(struct kvm_vcpu_init));
		return 0;
	case KVM_SIGNAL_MSI:
		return 1;
	default:
		return 0;
	}
}

int kvm_open(struct error *error)
{
	(void)error;
	return new_fd();
}
