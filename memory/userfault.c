/* SPDX-License-Identifier: MIT */
/* userfaultfd: its system calls and events. */
#include "memory/userfault.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * KVM accesses guest memory in the kernel. With the system call only a privileged process gets such faults. Since Linux 6.1 a
 * process that may open the device gets them too.
 */
static int open_any(void)
{
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), fd = -1;

	if (device >= 0) {
		fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
		close(device);
	}
	return fd >= 0 ? fd : (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
}

static int open_with(uint64_t features, struct error *error)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = open_any();

	if (fd < 0)
		return error_system(error, errno, "userfaultfd");
	if (ioctl(fd, UFFDIO_API, &api) == 0)
		return fd;
	error_system(error, errno, "UFFDIO_API");
	close(fd);
	return -1;
}

int userfault_open(struct error *error)
{
	return open_with(UFFD_FEATURE_EVENT_REMOVE, error);
}

int userfault_open_protecting(struct error *error)
{
	return open_with(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM, error);
}

static int register_for(int fd, void *at, uint64_t size, uint64_t mode, struct error *error)
{
	struct uffdio_register area = { .range = { .start = (uintptr_t)at, .len = size }, .mode = mode };

	return ioctl(fd, UFFDIO_REGISTER, &area) < 0 ? error_system(error, errno, "UFFDIO_REGISTER") : 0;
}

int userfault_register(int fd, void *at, uint64_t size, struct error *error)
{
	return register_for(fd, at, size, UFFDIO_REGISTER_MODE_MISSING, error);
}

int userfault_register_protecting(int fd, void *at, uint64_t size, struct error *error)
{
	return register_for(fd, at, size, UFFDIO_REGISTER_MODE_WP, error);
}

int userfault_protect(int fd, void *at, uint64_t size, bool on, struct error *error)
{
	struct uffdio_writeprotect area = {
		.range = { .start = (uintptr_t)at, .len = size }, .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(fd, UFFDIO_WRITEPROTECT, &area) < 0 ? error_system(error, errno, "UFFDIO_WRITEPROTECT") : 0;
}

void userfault_unregister(int fd, void *at, uint64_t size)
{
	struct uffdio_range range = { .start = (uintptr_t)at, .len = size };

	ioctl(fd, UFFDIO_UNREGISTER, &range);
}

bool userfault_read(int fd, struct userfault_event *event)
{
	struct uffd_msg message;

	/* Other events are not enabled. */
	while (read(fd, &message, sizeof(message)) == sizeof(message)) {
		if (message.event == UFFD_EVENT_PAGEFAULT) {
			uint8_t *at = (uint8_t *)(uintptr_t)message.arg.pagefault.address;

			*event = (struct userfault_event){ .kind = USERFAULT_TOUCHED, .at = at, .end = at };
			return true;
		}
		if (message.event == UFFD_EVENT_REMOVE) {
			*event = (struct userfault_event){
				.kind = USERFAULT_REMOVED,
				.at = (uint8_t *)(uintptr_t)message.arg.remove.start,
				.end = (uint8_t *)(uintptr_t)message.arg.remove.end,
			};
			return true;
		}
	}
	return false;
}

/* The kernel returns an error for a partial success. `done` has its bytes. */
static int64_t outcome(int result, int64_t done, uint64_t size)
{
	if (result == 0)
		return (int64_t)size;
	return done > 0 ? done : -errno;
}

int64_t userfault_copy(int fd, void *to, const void *from, uint64_t size)
{
	struct uffdio_copy copy = { .dst = (uintptr_t)to, .src = (uintptr_t)from, .len = size };
	int result = ioctl(fd, UFFDIO_COPY, &copy);

	return outcome(result, copy.copy, size);
}

int64_t userfault_zero(int fd, void *to, uint64_t size)
{
	struct uffdio_zeropage zero = { .range = { .start = (uintptr_t)to, .len = size } };
	int result = ioctl(fd, UFFDIO_ZEROPAGE, &zero);

	return outcome(result, zero.zeropage, size);
}

void userfault_wake(int fd, void *at, uint64_t size)
{
	struct uffdio_range range = { .start = (uintptr_t)at, .len = size };

	ioctl(fd, UFFDIO_WAKE, &range);
}
