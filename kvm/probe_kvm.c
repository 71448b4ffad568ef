/* SPDX-License-Identifier: MIT */
/* Probes of what KVM can do, for lkvm doctor. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "kvm/probe.h"

static void probe_addresses(struct probes *probes, int kvm_fd)
{
	int bits = kvm_extension(kvm_fd, KVM_CAP_ARM_VM_IPA_SIZE);

	if (!bits)
		bits = 40; /* older kernels do not have the capability */
	probes_add(probes, "IPA size", PROBE_GOOD, "%d bits: guests with RAM up to %llu GiB", bits,
		   (1ull << (bits - 30)) - 2);
}

static void probe_vcpus(struct probes *probes, int vm_fd)
{
	probes_add(probes, "vCPUs", PROBE_GOOD, "up to %d", kvm_extension(vm_fd, KVM_CAP_MAX_VCPUS));
}

static int test_device(int vm_fd, uint32_t type)
{
	struct kvm_create_device create = { .type = type, .flags = KVM_CREATE_DEVICE_TEST };

	return kvm_call(vm_fd, KVM_CREATE_DEVICE, (uintptr_t)&create);
}

static bool probe_gic(struct probes *probes, int vm_fd)
{
	int result = test_device(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V3);

	probes_add(probes, "vGICv3", result ? PROBE_MISSING : PROBE_GOOD, "%s",
		   result ? strerror(-result) : "in the kernel");
	probes_need(probes);
	if (result)
		probes_remedy(probes, "a host with GICv3 or later: lkvm cannot run guests with GICv2 alone");
	return result == 0;
}

static void probe_its_attribute(struct probes *probes, int its_fd, const char *name, uint64_t attribute)
{
	bool exists = kvm_attribute_exists(its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, attribute);

	probes_add(probes, name, exists ? PROBE_GOOD : PROBE_MISSING, "%s",
		   exists ? "in the kernel" : "this kernel's ITS cannot do it");
	if (!exists)
		probes_remedy(probes, "Linux 4.15 or later");
}

/* Checks the attributes of a scratch ITS, which needs a scratch vGIC. */
static void probe_its(struct probes *probes, int vm_fd)
{
	int result = test_device(vm_fd, KVM_DEV_TYPE_ARM_VGIC_ITS);
	struct error error = { .text = "" };
	int gic_fd, its_fd;

	probes_add(probes, "ITS", result ? PROBE_MISSING : PROBE_GOOD, "%s",
		   result ? strerror(-result) : "in the kernel: guests have MSIs");
	if (result) {
		probes_remedy(probes, "--irqchip gicv3 runs guests without MSIs");
		return;
	}
	gic_fd = kvm_device_create(vm_fd, KVM_DEV_TYPE_ARM_VGIC_V3, "vGICv3", &error);
	its_fd = gic_fd < 0 ? -1 : kvm_device_create(vm_fd, KVM_DEV_TYPE_ARM_VGIC_ITS, "ITS", &error);
	if (its_fd >= 0) {
		probe_its_attribute(probes, its_fd, "ITS save", KVM_DEV_ARM_ITS_SAVE_TABLES);
		probe_its_attribute(probes, its_fd, "ITS reset", KVM_DEV_ARM_ITS_CTRL_RESET);
		close(its_fd);
	} else {
		probes_add(probes, "ITS save", PROBE_WARNING, "%.140s", error.text);
	}
	if (gic_fd >= 0)
		close(gic_fd);
}

static void probe_extension(struct probes *probes, int vm_fd, const char *name, long capability,
			    const char *reason, const char *remedy)
{
	bool there = kvm_extension(vm_fd, capability) > 0;

	probes_add(probes, name, there ? PROBE_GOOD : PROBE_MISSING, "%s", there ? "KVM has it" : reason);
	if (!there && remedy)
		probes_remedy(probes, "%s", remedy);
}

static void probe_extensions(struct probes *probes, int vm_fd)
{
	static const char hardware[] = "the processor or the kernel lacks it";
	const long pauth = kvm_extension(vm_fd, KVM_CAP_ARM_PTRAUTH_ADDRESS) > 0
				   ? KVM_CAP_ARM_PTRAUTH_GENERIC
				   : KVM_CAP_ARM_PTRAUTH_ADDRESS;

	probe_extension(probes, vm_fd, "dirty log", KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
			"only the old form that clears at each read", "Linux 5.0 or later");
	probe_extension(probes, vm_fd, "dirty ring", KVM_CAP_DIRTY_LOG_RING_ACQ_REL,
			"this kernel has only the dirty log", "Linux 6.2 or later");
	probe_extension(probes, vm_fd, "SVE", KVM_CAP_ARM_SVE, hardware, NULL);
	probe_extension(probes, vm_fd, "pointer authentication", pauth, hardware, NULL);
	probe_extension(probes, vm_fd, "MTE", KVM_CAP_ARM_MTE, hardware, NULL);
	probe_extension(probes, vm_fd, "PMU", KVM_CAP_ARM_PMU_V3, "guests cannot have --pmu", NULL);
}

void probe_kvm(struct probes *probes)
{
	struct error error;
	int kvm_fd = kvm_open(&error);
	int vm_fd;

	if (kvm_fd < 0)
		return; /* probe_base() reported why */
	vm_fd = kvm_call(kvm_fd, KVM_CREATE_VM, 0);
	if (vm_fd < 0) {
		probes_add(probes, "virtual machine", PROBE_MISSING, "KVM_CREATE_VM: %s", strerror(-vm_fd));
		probes_need(probes);
		close(kvm_fd);
		return;
	}
	probe_addresses(probes, kvm_fd);
	probe_vcpus(probes, vm_fd);
	if (probe_gic(probes, vm_fd))
		probe_its(probes, vm_fd);
	probe_extensions(probes, vm_fd);
	close(vm_fd);
	close(kvm_fd);
}
