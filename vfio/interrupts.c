/* SPDX-License-Identifier: MIT */
/*
 * Interrupts of a passed-through device, without lkvm in their way. The device's driver in the kernel writes an
 * eventfd, and an irqfd leads from that to KVM. On a host with GICv4 KVM forwards an MSI to the vCPU in
 * hardware, as long as both have the eventfd.
 *
 * A vector gets its eventfd in the driver once: with all other unmasked ones when the guest enables MSI-X, or
 * when it is first unmasked. Setting it and removing it costs the host an interrupt's teardown, and loses what
 * is pending. After that, masking only detaches the irqfd.
 *
 * KVM does not notice that the route of a forwarded interrupt changes, so a change detaches the irqfd, too.
 * When it is detached, KVM loses what is pending in hardware. So after it is attached again, one message is
 * replayed. It may be one too many, which drivers tolerate; one too few would make them hang.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "device.h"
#include "sysfs.h"
#include "util/bits.h"

#define MAX_VECTORS 2048u /* PCI_MSIX_FLAGS_QSIZE */
#define MAX_MESSAGES 32u  /* one mask bit each */

static const unsigned indices[] = {
	[VFIO_MODE_LINE] = VFIO_PCI_INTX_IRQ_INDEX,
	[VFIO_MODE_MSI] = VFIO_PCI_MSI_IRQ_INDEX,
	[VFIO_MODE_MSIX] = VFIO_PCI_MSIX_IRQ_INDEX,
};

/* The kernel's format: a header, then descriptors. */
struct irq_set {
	struct vfio_irq_set header;
	int32_t fds[];
};

static struct interrupts *gic(const struct vfio_device *device)
{
	return &device->vm->interrupts;
}

/* Sets the eventfds of vectors from `first` on (-1: none) for an `action`. */
static int set_fds(const struct vfio_device *device, uint32_t action, unsigned first, unsigned count, const int *fds)
{
	size_t size = sizeof(struct irq_set) + count * sizeof(int32_t);
	struct irq_set *set = calloc(1, size);
	int result;

	if (!set)
		return -ENOMEM;
	set->header = (struct vfio_irq_set){
		.argsz = (uint32_t)size,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | action,
		.index = indices[device->interrupts.mode],
		.start = first,
		.count = count,
	};
	for (unsigned i = 0; i < count; i++)
		set->fds[i] = fds[i];
	result = vfio_call(device->fd, VFIO_DEVICE_SET_IRQS, (uintptr_t)set);
	free(set);
	return result > 0 ? -ENOSPC : result; /* > 0: so many vectors are available */
}

/* Once a device: a guest could cause it again and again. */
static void warn_once(struct vfio_device *device, const char *what, const char *why)
{
	if (!device->interrupts.warned)
		log_message(device->log, LOG_LEVEL_WARNING, "%s: %s: %s", device->address, what, why);
	device->interrupts.warned = true;
}

/*
 * The line. It is high from the device's interrupt until the guest has handled it. Then the interrupt is
 * unmasked in the device.
 */

static void line_on(struct vfio_device *device)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	struct msi_vector *line = &interrupts->line;
	unsigned spi = device->pci.bus->layout.first_line + device->pci.slot;
	struct error error;
	int result;

	line->gsi = interrupts_route_add_line(gic(device), spi, &error);
	if (line->gsi < 0 || interrupts_irqfd_attach_line(gic(device), line->gsi, line->event_fd, interrupts->resample_fd,
							   &error) < 0) {
		warn_once(device, "its interrupt line", error.text);
		return;
	}
	line->attached = true;
	if (interrupts->replay_line)
		eventfd_write(line->event_fd, 1);
	interrupts->replay_line = false;
	result = set_fds(device, VFIO_IRQ_SET_ACTION_TRIGGER, 0, 1, &line->event_fd);
	if (result == 0 && !interrupts->unmask_by_user)
		result = set_fds(device, VFIO_IRQ_SET_ACTION_UNMASK, 0, 1, &interrupts->resample_fd);
	if (result < 0)
		warn_once(device, "its interrupt line cannot be set up", strerror(-result));
}

static void line_off(struct vfio_device *device)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	eventfd_t count;

	msi_vector_release(&interrupts->line, gic(device));
	msi_vector_clear_pending(&interrupts->line);
	eventfd_read(interrupts->resample_fd, &count);
}

/*
 * Messages
 */

/* Attaches or detaches the irqfd of a vector. Returns whether it is unmasked. */
static bool attach_unmasked(struct vfio_device *device, unsigned number)
{
	struct vfio_vector *vector = &device->interrupts.vectors[number];
	const struct msi_message message = vfio_message(device, number);
	bool unmasked = vfio_message_is_unmasked(device, number);
	struct error error;

	if (vector->msi.attached && (!unmasked || !msi_vector_sends(&vector->msi, &message))) {
		msi_vector_detach(&vector->msi, gic(device));
		vector->replay = true;
	}
	if (!unmasked || vector->msi.attached)
		return unmasked;
	if (vector->replay)
		eventfd_write(vector->msi.event_fd, 1);
	vector->replay = false;
	if (msi_vector_attach(&vector->msi, gic(device), &message, &error) < 0)
		warn_once(device, "an interrupt cannot be set up", error.text);
	return true;
}

void vfio_interrupts_update_vector(struct vfio_device *device, unsigned number)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	struct vfio_vector *vector = &interrupts->vectors[number];
	int result;

	if (interrupts->mode < VFIO_MODE_MSI || number >= interrupts->active || !attach_unmasked(device, number) ||
	    vector->has_trigger)
		return;
	result = set_fds(device, VFIO_IRQ_SET_ACTION_TRIGGER, number, 1, &vector->msi.event_fd);
	if (result < 0)
		warn_once(device, "an interrupt cannot be set up", strerror(-result));
	vector->has_trigger = true; /* otherwise each access would warn */
}

/*
 * Adds the routes of all unmasked vectors by one call. If there are not enough, each gets its route when it is
 * attached.
 */
static void route_all(struct vfio_device *device)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	struct msi_message *messages = calloc(interrupts->active + 1, sizeof(*messages));
	unsigned count = 0, numbers[MAX_VECTORS];
	int gsis[MAX_VECTORS];
	struct error ignored;

	for (unsigned i = 0; messages && i < interrupts->active; i++) {
		if (!vfio_message_is_unmasked(device, i))
			continue;
		numbers[count] = i;
		messages[count++] = vfio_message(device, i);
	}
	if (count && interrupts_routes_add(gic(device), messages, count, gsis, &ignored) == 0) {
		for (unsigned i = 0; i < count; i++) {
			interrupts->vectors[numbers[i]].msi.gsi = gsis[i];
			interrupts->vectors[numbers[i]].msi.message = messages[i];
		}
	}
	free(messages);
}

static void messages_on(struct vfio_device *device)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	int fds[MAX_VECTORS];
	int result;

	route_all(device);
	for (unsigned i = 0; i < interrupts->active; i++) {
		struct vfio_vector *vector = &interrupts->vectors[i];

		vector->has_trigger = attach_unmasked(device, i);
		fds[i] = vector->has_trigger ? vector->msi.event_fd : -1;
	}
	result = set_fds(device, VFIO_IRQ_SET_ACTION_TRIGGER, 0, interrupts->active, fds);
	if (result < 0)
		warn_once(device, "its interrupts cannot be set up", strerror(-result));
}

static void messages_off(struct vfio_device *device)
{
	struct vfio_interrupts *interrupts = &device->interrupts;

	for (unsigned i = 0; i < interrupts->active; i++) {
		struct vfio_vector *vector = &interrupts->vectors[i];

		msi_vector_release(&vector->msi, gic(device));
		msi_vector_clear_pending(&vector->msi);
		vector->has_trigger = vector->replay = false;
	}
	interrupts->active = 0;
}

/*
 * Modes: at most one of the three is on, in the device and in KVM.
 */

static void turn_off(struct vfio_device *device)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	struct vfio_irq_set none = {
		.argsz = sizeof(none),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
	};

	if (interrupts->mode == VFIO_MODE_OFF)
		return;
	none.index = indices[interrupts->mode];
	/* The device first, so that it does not write an eventfd that is no longer attached. */
	vfio_call(device->fd, VFIO_DEVICE_SET_IRQS, (uintptr_t)&none);
	if (interrupts->mode == VFIO_MODE_LINE)
		line_off(device);
	else
		messages_off(device);
	interrupts->mode = VFIO_MODE_OFF;
}

void vfio_interrupts_update(struct vfio_device *device)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	enum vfio_mode mode = vfio_wanted_mode(device);
	unsigned vectors = vfio_wanted_vectors(device, mode);

	if (mode == interrupts->mode && vectors == interrupts->active) {
		for (unsigned i = 0; i < interrupts->active; i++)
			vfio_interrupts_update_vector(device, i);
		return;
	}
	turn_off(device);
	interrupts->mode = mode;
	interrupts->active = vectors;
	if (mode == VFIO_MODE_LINE)
		line_on(device);
	else if (mode != VFIO_MODE_OFF)
		messages_on(device);
}

static void clear_table(struct vfio_interrupts *interrupts)
{
	for (unsigned i = 0; i < interrupts->msix_count; i++)
		interrupts->entries[i] = MSIX_ENTRY_MASKED;
}

void vfio_interrupts_off(struct vfio_device *device)
{
	turn_off(device);
	if (device->interrupts.entries)
		clear_table(&device->interrupts);
}

void vfio_interrupts_replay(struct vfio_device *device)
{
	struct vfio_interrupts *interrupts = &device->interrupts;

	for (unsigned i = 0; i < interrupts->msi_count || i < interrupts->msix_count; i++)
		interrupts->vectors[i].replay = true;
	interrupts->replay_line = true;
}

void vfio_interrupts_detach(struct vfio_device *device)
{
	for (unsigned i = 0; i < device->interrupts.active; i++) {
		struct vfio_vector *vector = &device->interrupts.vectors[i];

		vector->replay |= vector->msi.attached;
		msi_vector_detach(&vector->msi, gic(device));
	}
}

/*
 * Opening and closing
 */

static int count_of(const struct vfio_device *device, enum vfio_mode mode, unsigned *count, struct error *error)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = indices[mode] };
	int result = vfio_call(device->fd, VFIO_DEVICE_GET_IRQ_INFO, (uintptr_t)&info);

	if (result < 0)
		return error_system(error, -result, "VFIO_DEVICE_GET_IRQ_INFO");
	*count = MIN(info.count, MAX_VECTORS);
	return 0;
}

int vfio_interrupts_open(struct vfio_device *device, struct error *error)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	unsigned lines = 0, count;

	if (count_of(device, VFIO_MODE_LINE, &lines, error) < 0 ||
	    (device->msi_capability && count_of(device, VFIO_MODE_MSI, &interrupts->msi_count, error) < 0) ||
	    (device->msix_capability && count_of(device, VFIO_MODE_MSIX, &interrupts->msix_count, error) < 0))
		return -1;
	if (interrupts->msi_count > MAX_MESSAGES)
		interrupts->msi_count = MAX_MESSAGES;
	interrupts->unmask_by_user = vfio_is_mediated(device->address); /* their drivers accept no eventfd for it */
	interrupts->has_line = lines && device->pci.state.config[PCI_INTERRUPT_PIN];
	count = interrupts->msix_count > interrupts->msi_count ? interrupts->msix_count : interrupts->msi_count;
	interrupts->vectors = calloc(count + 1, sizeof(*interrupts->vectors));
	interrupts->entries = calloc(interrupts->msix_count + 1, sizeof(*interrupts->entries));
	if (!interrupts->vectors || !interrupts->entries)
		return error_system(error, ENOMEM, "its vectors");
	clear_table(interrupts);
	for (unsigned i = 0; i < count; i++)
		interrupts->vectors[i].msi = MSI_VECTOR_NONE;
	for (unsigned i = 0; i < count; i++)
		if (msi_vector_open(&interrupts->vectors[i].msi, error) < 0)
			return -1;
	if (!interrupts->has_line)
		return 0;
	interrupts->resample_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (interrupts->resample_fd < 0)
		return error_system(error, errno, "an eventfd");
	return msi_vector_open(&interrupts->line, error);
}

void vfio_interrupts_close(struct vfio_device *device)
{
	struct vfio_interrupts *interrupts = &device->interrupts;
	unsigned count = interrupts->msix_count > interrupts->msi_count ? interrupts->msix_count : interrupts->msi_count;

	for (unsigned i = 0; interrupts->vectors && i < count; i++)
		msi_vector_close(&interrupts->vectors[i].msi, gic(device));
	free(interrupts->vectors);
	free(interrupts->entries);
	msi_vector_close(&interrupts->line, gic(device));
	if (interrupts->resample_fd >= 0)
		close(interrupts->resample_fd);
	*interrupts = VFIO_INTERRUPTS_NONE;
}
