/* SPDX-License-Identifier: MIT */
/*
 * vhost-net: the kernel serves one receive and one transmit queue. It accesses guest memory through this
 * process's mapping. Eventfds connect it: those of the doorbells wake it, and those of the MSI-X vectors
 * interrupt the guest. Kernel: drivers/vhost/, include/uapi/linux/vhost.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/io.h"
#include "virtio/net.h"

/* Features that change the format of rings and packets: vhost needs those that the driver accepted. */
#define SHAPING                                                                                            \
	(NET_F_MRG_RXBUF | VIRTIO_FEATURE_INDIRECT | VIRTIO_FEATURE_EVENT_INDEX | VIRTIO_FEATURE_VERSION_1)

int vhost_open(struct vhost *vhost, struct error *error)
{
	*vhost = (struct vhost){ .kick_fds = { -1, -1 }, .error_fd = -1 };
	vhost->fd = open("/dev/vhost-net", O_RDWR | O_CLOEXEC);
	if (vhost->fd < 0)
		return error_system(error, errno, "cannot open /dev/vhost-net (kernel module vhost_net)");
	if (ioctl(vhost->fd, VHOST_SET_OWNER) < 0)
		error_system(error, errno, "VHOST_SET_OWNER");
	else if (ioctl(vhost->fd, VHOST_GET_FEATURES, &vhost->features) < 0)
		error_system(error, errno, "VHOST_GET_FEATURES");
	else if ((vhost->kick_fds[0] = event_open(error)) >= 0 &&
		 (vhost->kick_fds[1] = event_open(error)) >= 0)
		return 0;
	vhost_close(vhost);
	return -1;
}

void vhost_close(struct vhost *vhost)
{
	int fds[] = { vhost->fd, vhost->kick_fds[0], vhost->kick_fds[1] };

	for (unsigned i = 0; i < 3; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	free(vhost->log);
	*vhost = (struct vhost){ .fd = -1, .kick_fds = { -1, -1 } };
}

int vhost_dirty_set(struct vhost *vhost, const struct ram *ram, bool on, struct error *error)
{
	if (on && !(vhost->features & 1ull << VHOST_F_LOG_ALL))
		return error_set(error, ENOTSUP, "this host's vhost-net cannot log its writes");
	if (on && !vhost->log)
		vhost->log = calloc(ram->size / VHOST_LOG_PAGE / 64 + 1, sizeof(*vhost->log));
	vhost->logs = on;
	return on && !vhost->log ? error_system(error, ENOMEM, "vhost-net's log") : 0;
}

void vhost_dirty_mark(struct vhost *vhost, const struct ram *ram)
{
	uint64_t words = ram->size / VHOST_LOG_PAGE / 64;

	_Static_assert(RAM_MARK % VHOST_LOG_PAGE == 0 && 64 * VHOST_LOG_PAGE % RAM_MARK == 0, "marks are whole pages");
	for (uint64_t i = 0; vhost->log && i < words; i++) {
		uint64_t bits = __atomic_load_n(&vhost->log[i], __ATOMIC_RELAXED) ?
			__atomic_exchange_n(&vhost->log[i], 0, __ATOMIC_ACQ_REL) : 0;

		for (unsigned bit = 0; bits; bit++, bits >>= 1)
			if (bits & 1)
				ram_mark(ram, ram->host + (i * 64 + bit) * VHOST_LOG_PAGE, VHOST_LOG_PAGE);
	}
}

static int share_memory(const struct vhost *vhost, const struct ram *ram, struct error *error)
{
	struct {
		struct vhost_memory header;
		struct vhost_memory_region region;
	} table = {
		.header = { .nregions = 1 },
		.region = {
			.guest_phys_addr = ram->base,
			.memory_size = ram->size,
			.userspace_addr = (uintptr_t)ram->host,
		},
	};

	if (ioctl(vhost->fd, VHOST_SET_MEM_TABLE, &table) < 0)
		return error_system(error, errno, "VHOST_SET_MEM_TABLE");
	return 0;
}

static int share_queue(const struct vhost *vhost, unsigned index, const struct virtqueue *queue, int call_fd,
		       struct error *error)
{
	struct vhost_vring_state size = { .index = index, .num = queue->state.size };
	struct vhost_vring_state base = { .index = index, .num = queue->state.next_available };
	struct vhost_vring_addr address = {
		.index = index,
		.desc_user_addr = (uintptr_t)queue->descriptor_ring,
		.avail_user_addr = (uintptr_t)queue->available_ring,
		.used_user_addr = (uintptr_t)queue->used_ring,
		.flags = vhost->logs ? 1u << VHOST_VRING_F_LOG : 0,
		.log_guest_addr = queue->state.device,
	};
	struct vhost_vring_file kick = { .index = index, .fd = vhost->kick_fds[index] };
	struct vhost_vring_file call = { .index = index, .fd = call_fd };
	struct vhost_vring_file failed = { .index = index, .fd = vhost->error_fd };

	if (ioctl(vhost->fd, VHOST_SET_VRING_NUM, &size) < 0)
		return error_system(error, errno, "VHOST_SET_VRING_NUM");
	if (ioctl(vhost->fd, VHOST_SET_VRING_BASE, &base) < 0)
		return error_system(error, errno, "VHOST_SET_VRING_BASE");
	if (ioctl(vhost->fd, VHOST_SET_VRING_ADDR, &address) < 0)
		return error_system(error, errno, "VHOST_SET_VRING_ADDR");
	if (ioctl(vhost->fd, VHOST_SET_VRING_KICK, &kick) < 0)
		return error_system(error, errno, "VHOST_SET_VRING_KICK");
	if (ioctl(vhost->fd, VHOST_SET_VRING_CALL, &call) < 0)
		return error_system(error, errno, "VHOST_SET_VRING_CALL");
	if (ioctl(vhost->fd, VHOST_SET_VRING_ERR, &failed) < 0)
		return error_system(error, errno, "VHOST_SET_VRING_ERR");
	return 0;
}

/* The kernel's log begins at guest physical address 0, ours at that of RAM. So its base is that much below ours. */
static int share_log(const struct vhost *vhost, const struct ram *ram, struct error *error)
{
	uint64_t base = (uintptr_t)vhost->log - ram->base / VHOST_LOG_PAGE / 8;

	if (vhost->logs && ioctl(vhost->fd, VHOST_SET_LOG_BASE, &base) < 0)
		return error_system(error, errno, "VHOST_SET_LOG_BASE");
	return 0;
}

static int set_backend(const struct vhost *vhost, unsigned index, int fd)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };

	return ioctl(vhost->fd, VHOST_NET_SET_BACKEND, &file) < 0 ? -errno : 0;
}

int vhost_start(struct vhost *vhost, struct virtqueue *queues, const int call_fds[2], uint64_t features,
		int backend_fd, struct error *error)
{
	uint64_t taken = features & SHAPING;

	if (taken & ~vhost->features)
		return error_set(error, ENOTSUP, "vhost-net lacks features 0x%llx that the driver uses",
				 (unsigned long long)(taken & ~vhost->features));
	/* The kernel checks the size of the log against the memory table, so that comes first. */
	if (share_memory(vhost, queues[0].ram, error) < 0 || share_log(vhost, queues[0].ram, error) < 0)
		return -1;
	if (vhost->logs)
		taken |= 1ull << VHOST_F_LOG_ALL;
	if (ioctl(vhost->fd, VHOST_SET_FEATURES, &taken) < 0)
		return error_system(error, errno, "VHOST_SET_FEATURES");
	for (unsigned i = 0; i < 2; i++) {
		if (share_queue(vhost, i, &queues[i], call_fds[i], error) < 0)
			return -1;
	}
	/* The kernel uses the rings from the first backend on. */
	vhost->running = true;
	for (unsigned i = 0; i < 2; i++) {
		int result = set_backend(vhost, i, backend_fd);

		if (result < 0) {
			vhost_stop(vhost, queues);
			return error_system(error, -result, "VHOST_NET_SET_BACKEND");
		}
	}
	/* Buffers may have been added before the kernel had the doorbell. */
	for (unsigned i = 0; i < 2; i++)
		event_raise(vhost->kick_fds[i]);
	return 0;
}

void vhost_stop(struct vhost *vhost, struct virtqueue *queues)
{
	for (unsigned i = 0; vhost->running && i < 2; i++) {
		struct vhost_vring_state base = { .index = i };
		struct virtqueue_state *state = &queues[i].state;
		const uint16_t *used = (const uint16_t *)queues[i].used_ring;

		/* Returns when the kernel has finished with its chains. */
		set_backend(vhost, i, -1);
		if (ioctl(vhost->fd, VHOST_GET_VRING_BASE, &base) == 0)
			state->next_available = (uint16_t)base.num;
		/* Its position in the used ring is only in the ring: {flags, index, ...}. */
		state->next_used = __atomic_load_n(&used[1], __ATOMIC_ACQUIRE);
		state->signalled = state->next_used;
	}
	vhost->running = false;
}
