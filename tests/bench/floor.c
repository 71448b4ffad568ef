/* SPDX-License-Identifier: MIT */
/*
 * Measures the least that any restore needs: a VM of one vCPU with memory, vGICv3 and ITS, with plain ioctls. Prints "figure
 * NAME lkvm NANOSECONDS" for each part. Usage: floor FILE, a snapshot, of which 256 MiB after the first 64 KiB are mapped.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define RAM 0x80000000ull
#define SIZE (256ull << 20)
#define REDISTRIBUTORS 0x30000000ull
#define DISTRIBUTOR 0x3fff0000ull
#define ITS 0x3ffd0000ull

static struct timespec last;

static void part(const char *name)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("figure floor-%s lkvm %lld\n", name,
	       (long long)(now.tv_sec - last.tv_sec) * 1000000000 + now.tv_nsec - last.tv_nsec);
	clock_gettime(CLOCK_MONOTONIC, &last);
}

static int must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

static int device(int vm, unsigned type)
{
	struct kvm_create_device device = { .type = type };

	must(ioctl(vm, KVM_CREATE_DEVICE, &device), "KVM_CREATE_DEVICE");
	return (int)device.fd;
}

static void set(int fd, unsigned group, unsigned long long attribute, unsigned long long value)
{
	struct kvm_device_attr what = { .group = group, .attr = attribute, .addr = (unsigned long)&value };

	must(ioctl(fd, KVM_SET_DEVICE_ATTR, &what), "KVM_SET_DEVICE_ATTR");
}

int main(int argc, char **argv)
{
	struct kvm_userspace_memory_region region = { .guest_phys_addr = RAM, .memory_size = SIZE };
	struct kvm_vcpu_init init = { .features[0] = 1u << KVM_ARM_VCPU_PSCI_0_2 };
	int kvm, vm, vcpu, gic, its, file;
	void *host;

	if (argc != 2)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &last);
	kvm = must(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	part("vm");
	file = must(open(argv[1], O_RDONLY | O_CLOEXEC), argv[1]);
	host = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0x10000);
	must(host == MAP_FAILED ? -1 : 0, "mmap");
	region.userspace_addr = (unsigned long)host;
	must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	part("memory");
	vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	part("vcpu");
	gic = device(vm, KVM_DEV_TYPE_ARM_VGIC_V3);
	set(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, 128);
	set(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, DISTRIBUTOR);
	set(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION, REDISTRIBUTORS | 1ull << 52);
	part("gic");
	its = device(vm, KVM_DEV_TYPE_ARM_VGIC_ITS);
	set(its, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, ITS);
	set(its, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
	part("its");
	init.target = KVM_ARM_TARGET_GENERIC_V8;
	must(ioctl(vcpu, KVM_ARM_VCPU_INIT, &init), "KVM_ARM_VCPU_INIT");
	set(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, 0);
	part("initialise");
	return 0;
}
