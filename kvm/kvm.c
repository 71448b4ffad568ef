/* SPDX-License-Identifier: MIT */
/* The ioctls on KVM's descriptors. Unit tests replace this file. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm/kvm.h"

int kvm_call(int fd, unsigned long request, uintptr_t argument)
{
	int result = ioctl(fd, request, argument);

	return result < 0 ? -errno : result;
}

int kvm_open(struct error *error)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return error_system(error, ENOENT, "/dev/kvm (this kernel has no KVM, or the processor no EL2; "
				    "see `lkvm doctor`)");
	if (fd < 0 && errno == EACCES)
		return error_system(error, EACCES, "/dev/kvm (join the group that owns it; see `lkvm doctor`)");
	if (fd < 0)
		return error_system(error, errno, "/dev/kvm");

	int version = kvm_call(fd, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION) {
		close(fd);
		return error_set(error, 0, "/dev/kvm has version %d of the KVM interface, not %d", version,
				 KVM_API_VERSION);
	}
	return fd;
}
