/* SPDX-License-Identifier: MIT */
/*
 * Events of a device on the main thread. The kernel reports an error, or wants the device back; there is no
 * hot-plug, so both are only logged. KVM reports that the guest has handled the device's line, where the
 * kernel's driver does not listen itself.
 */
#include <linux/vfio.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "device.h"

static void vfio_error_event(void *owner, int fd, uint32_t events)
{
	struct vfio_device *device = owner;
	eventfd_t count;

	(void)events;
	eventfd_read(fd, &count);
	log_message(device->log, LOG_LEVEL_ERROR, "%s: the device reported an error that it cannot recover from; %s",
		    device->address, vfio_errors_report(device) ? "its driver in the guest is notified to reset it" :
		    "the guest cannot be notified");
}

/* The kernel repeats the request until the device is closed. */
static void vfio_request_event(void *owner, int fd, uint32_t events)
{
	struct vfio_device *device = owner;

	(void)events;
	log_message(device->log, LOG_LEVEL_WARNING, "%s: the host wants the device back (it is unbound or unplugged), "
		    "and waits until this guest has ended", device->address);
	loop_remove(device->loop, fd);
}

/* The guest has handled the line. vfio-pci gets that from the eventfd itself, drivers of mediated devices do not. */
static void vfio_line_unmask(void *owner, int fd, uint32_t events)
{
	struct vfio_device *device = owner;
	struct vfio_irq_set unmask = {
		.argsz = sizeof(unmask),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK,
		.index = VFIO_PCI_INTX_IRQ_INDEX,
		.count = 1,
	};
	eventfd_t count;

	(void)events;
	pthread_mutex_lock(&device->pci.lock);
	if (eventfd_read(fd, &count) == 0 && device->interrupts.mode == VFIO_MODE_LINE)
		vfio_call(device->fd, VFIO_DEVICE_SET_IRQS, (uintptr_t)&unmask);
	pthread_mutex_unlock(&device->pci.lock);
}

static int open_event(struct vfio_device *device, unsigned index, void (*handler)(void *owner, int fd, uint32_t events))
{
	struct {
		struct vfio_irq_set header;
		int32_t fd;
	} set = {
		.header = {
			.argsz = sizeof(set),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = 1,
		},
	};
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	struct error ignored;

	if (!device->loop || vfio_call(device->fd, VFIO_DEVICE_GET_IRQ_INFO, (uintptr_t)&info) < 0 || info.count == 0)
		return -1;
	set.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (set.fd < 0)
		return -1;
	if (loop_add(device->loop, set.fd, POLLIN, handler, device, &ignored) == 0) {
		if (vfio_call(device->fd, VFIO_DEVICE_SET_IRQS, (uintptr_t)&set) >= 0)
			return set.fd;
		loop_remove(device->loop, set.fd);
	}
	close(set.fd);
	return -1;
}

int vfio_events_open(struct vfio_device *device, struct error *error)
{
	device->error_fd = open_event(device, VFIO_PCI_ERR_IRQ_INDEX, vfio_error_event);
	device->request_fd = open_event(device, VFIO_PCI_REQ_IRQ_INDEX, vfio_request_event);
	if (!device->loop || !device->interrupts.has_line || !device->interrupts.unmask_by_user)
		return 0;
	return loop_add(device->loop, device->interrupts.resample_fd, POLLIN, vfio_line_unmask, device, error);
}

static void close_event(struct vfio_device *device, int *fd)
{
	if (*fd < 0)
		return;
	loop_remove(device->loop, *fd);
	close(*fd);
	*fd = -1;
}

void vfio_events_close(struct vfio_device *device)
{
	if (device->loop)
		loop_remove(device->loop, device->interrupts.resample_fd);
	close_event(device, &device->error_fd);
	close_event(device, &device->request_fd);
}
