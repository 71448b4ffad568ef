/* SPDX-License-Identifier: MIT */
/* An MSI vector: its eventfd, its route and its irqfd. */
#include "hw/msi_vector.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

int msi_vector_open(struct msi_vector *vector, struct error *error)
{
	*vector = MSI_VECTOR_NONE;
	vector->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (vector->event_fd < 0)
		return error_system(error, errno, "an eventfd");
	return 0;
}

void msi_vector_close(struct msi_vector *vector, struct interrupts *interrupts)
{
	if (vector->event_fd < 0)
		return;
	msi_vector_release(vector, interrupts);
	close(vector->event_fd);
	vector->event_fd = -1;
}

bool msi_vector_clear_pending(const struct msi_vector *vector)
{
	eventfd_t count;

	return eventfd_read(vector->event_fd, &count) == 0;
}

bool msi_vector_is_pending(const struct msi_vector *vector)
{
	struct pollfd poll_fd = { .fd = vector->event_fd, .events = POLLIN };

	return !vector->attached && poll(&poll_fd, 1, 0) == 1;
}

bool msi_vector_sends(const struct msi_vector *vector, const struct msi_message *message)
{
	const struct msi_message *last = &vector->message;

	return last->address == message->address && last->data == message->data && last->device_id == message->device_id;
}

int msi_vector_attach(struct msi_vector *vector, struct interrupts *interrupts, const struct msi_message *message,
		      struct error *error)
{
	if (vector->gsi < 0) {
		vector->gsi = interrupts_route_add(interrupts, message, error);
		if (vector->gsi < 0)
			return -1;
	} else if (!msi_vector_sends(vector, message) &&
		   interrupts_route_change(interrupts, vector->gsi, message, error) < 0) {
		return -1;
	}
	vector->message = *message;
	if (interrupts_irqfd_attach(interrupts, vector->gsi, vector->event_fd, error) < 0)
		return -1;
	vector->attached = true;
	return 0;
}

void msi_vector_detach(struct msi_vector *vector, struct interrupts *interrupts)
{
	if (vector->attached)
		interrupts_irqfd_detach(interrupts, vector->gsi, vector->event_fd);
	vector->attached = false;
	__atomic_store_n(&vector->direct, false, __ATOMIC_RELEASE);
}

void msi_vector_release(struct msi_vector *vector, struct interrupts *interrupts)
{
	msi_vector_detach(vector, interrupts);
	if (vector->gsi >= 0)
		interrupts_route_remove(interrupts, vector->gsi);
	vector->gsi = -1;
}
