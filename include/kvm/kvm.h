/* SPDX-License-Identifier: MIT */
/*
 * The one place that talks to KVM. Everything goes through kvm_call(), which the unit tests replace by a
 * fake that records the calls and makes them fail on demand.
 * Kernel: Documentation/virt/kvm/api.rst and Documentation/virt/kvm/devices/.
 */
#ifndef LKVM_KVM_H
#define LKVM_KVM_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/* ioctl(2) on /dev/kvm, a VM, a vCPU or a KVM device. Its result, or -errno. Does not restart on EINTR. */
int kvm_call(int fd, unsigned long request, uintptr_t argument);

/* Opens /dev/kvm and checks KVM_GET_API_VERSION. The descriptor, or -1 with the remedy in the sentence. */
int kvm_open(struct error *error);

/* KVM_CHECK_EXTENSION on /dev/kvm or a VM: 0 where it is absent. */
int kvm_extension(int fd, long capability);

/* KVM_CREATE_DEVICE on a VM. The device's descriptor, or -1; `what` names it in the sentence. */
int kvm_device_create(int vm_fd, uint32_t type, const char *what, struct error *error);

/* Attributes of a device (or vCPU); `value` is what the kernel reads or fills: u32 or u64 by group. 0 or -errno. */
int kvm_attribute_set(int fd, uint32_t group, uint64_t attribute, const void *value);
int kvm_attribute_get(int fd, uint32_t group, uint64_t attribute, void *value);
bool kvm_attribute_exists(int fd, uint32_t group, uint64_t attribute);

/* KVM_GET_ONE_REG and KVM_SET_ONE_REG on a vCPU; `value` is as wide as `id` says. 0 or -errno. */
int kvm_register_get(int vcpu_fd, uint64_t id, void *value);
int kvm_register_set(int vcpu_fd, uint64_t id, const void *value);

#endif
