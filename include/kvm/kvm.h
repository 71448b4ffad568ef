/* SPDX-License-Identifier: MIT */
/*
 * All calls of KVM. They go through kvm_call(), which unit tests replace by a fake that records the calls and can make them
 * fail.
 * Kernel: Documentation/virt/kvm/api.rst and Documentation/virt/kvm/devices/.
 */
#ifndef LKVM_KVM_H
#define LKVM_KVM_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/* ioctl(2) on /dev/kvm, a VM, a vCPU or a KVM device. Returns its result or -errno. Does not restart on EINTR. */
int kvm_call(int fd, unsigned long request, uintptr_t argument);

/* Opens /dev/kvm and checks KVM_GET_API_VERSION. Returns the descriptor, or -1 and an error with the remedy. */
int kvm_open(struct error *error);

/* KVM_CHECK_EXTENSION on /dev/kvm or a VM. Returns 0 if the capability is absent. */
int kvm_extension(int fd, long capability);

/* KVM_CREATE_DEVICE on a VM. Returns the device's descriptor or -1. `what` names the device in the error. */
int kvm_device_create(int vm_fd, uint32_t type, const char *what, struct error *error);

/* Attributes of a device or vCPU. The kernel reads or fills `value`: u32 or u64, depending on the group. Return 0 or -errno. */
int kvm_attribute_set(int fd, uint32_t group, uint64_t attribute, const void *value);
int kvm_attribute_get(int fd, uint32_t group, uint64_t attribute, void *value);
bool kvm_attribute_exists(int fd, uint32_t group, uint64_t attribute);

/* KVM_GET_ONE_REG and KVM_SET_ONE_REG on a vCPU. `id` contains the size of `value`. Return 0 or -errno. */
int kvm_register_get(int vcpu_fd, uint64_t id, void *value);
int kvm_register_set(int vcpu_fd, uint64_t id, const void *value);

#endif
