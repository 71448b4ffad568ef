/* SPDX-License-Identifier: MIT */
/* virtio-rng: VIRTIO 1.2, section 5.4. One queue of buffers, which are filled with the host's random bytes. */
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

#include "memory/memory_loss.h"
#include "util/bits.h"
#include "virtio/virtio.h"

#define MAX_BYTES 65536u /* at a time: the driver requests more, and a huge buffer does not delay a pause */

/* Fills the chain from its start. Returns the bytes filled. */
static uint32_t fill(const struct virtqueue_chain *chain)
{
	uint32_t given = 0;

	for (unsigned i = chain->readable; i < chain->readable + chain->writable && given < MAX_BYTES; i++) {
		const struct iovec *iov = &chain->iov[i];
		size_t size = MIN(iov->iov_len, MAX_BYTES - given);
		ssize_t got = getrandom(iov->iov_base, size, 0);

		if (got < 0) {
			memory_check(errno, "getrandom");
			break;
		}
		given += (uint32_t)got;
		if ((size_t)got < size)
			break;
	}
	return given;
}

static void entropy_process(struct virtio_device *device)
{
	struct virtqueue *queue = &device->queues[0];
	struct virtqueue_chain chain;
	int popped;

	do {
		virtqueue_quiet(queue);
		while (!worker_is_wanted(&device->worker) && (popped = virtqueue_pop(queue, &chain)) != 0) {
			if (popped < 0) {
				virtio_needs_reset(device, queue->reason);
				return;
			}
			virtqueue_push(queue, chain.head, fill(&chain));
			atomic_fetch_add_explicit(&device->counters.requests, 1, memory_order_relaxed);
			virtio_interrupt(device, queue);
		}
	} while (virtqueue_listen(queue) && !worker_is_wanted(&device->worker));
}

static const struct virtio_ops entropy_ops = {
	.name = "entropy",
	.id = VIRTIO_ENTROPY,
	.class_code = 0xff0000, /* no class fits */
	.process = entropy_process,
};

struct virtio_device *virtio_entropy_open(struct vm *vm, struct pci_bus *pci, struct error *error)
{
	const struct virtio_setup setup = {
		.ops = &entropy_ops,
		.queue_count = 1,
		.watch_fd = -1,
	};
	struct virtio_device *device = calloc(1, sizeof(*device));

	if (!device) {
		error_system(error, ENOMEM, "virtio-entropy");
		return NULL;
	}
	if (virtio_open(device, &setup, vm, pci, error) < 0) {
		free(device);
		return NULL;
	}
	return device;
}
