/* SPDX-License-Identifier: MIT */
/* The one call of ioctl(2) for VFIO, which unit tests replace. */
#include <errno.h>
#include <sys/ioctl.h>

#include "vfio/vfio.h"

int vfio_call(int fd, unsigned long request, uintptr_t argument)
{
	int result = ioctl(fd, request, argument);

	return result < 0 ? -errno : result;
}
