/* SPDX-License-Identifier: MIT */
/* The network device's queues while vhost-net, in the kernel, serves them: starting, stopping, errors. */
#include <errno.h>
#include <unistd.h>

#include "memory/memory_loss.h"
#include "util/io.h"
#include "virtio/net.h"

int net_open_vhosts(struct net *net, struct error *error)
{
	net->error_fd = event_open(error);
	if (net->error_fd < 0)
		return -1;
	for (unsigned i = 0; i < net->max_pairs; i++) {
		if (vhost_open(&net->vhosts[i], error) < 0) {
			while (i-- > 0)
				vhost_close(&net->vhosts[i]);
			close(net->error_fd);
			return -1;
		}
		net->vhosts[i].error_fd = net->error_fd;
	}
	net->vhost_wanted = true;
	return 0;
}

void net_close_vhosts(struct net *net)
{
	for (unsigned i = 0; net->vhost_wanted && i < net->max_pairs; i++)
		vhost_close(&net->vhosts[i]);
	if (net->vhost_wanted)
		close(net->error_fd);
	net->vhost_wanted = false;
}

void net_use_vhost_doorbells(struct net *net, bool on)
{
	struct virtio_device *device = &net->device;

	for (unsigned i = 0; i < 2 * net->max_pairs; i++)
		device->doorbell_fds[i] = on && net->vhosts[i / 2].running ? net->vhosts[i / 2].kick_fds[i % 2] :
									     device->worker.kick_fd;
}

int net_start_vhosts(struct net *net, struct error *error)
{
	struct virtio_device *device = &net->device;

	for (unsigned i = 0; i < net->max_pairs; i++) {
		struct virtqueue *queues = &device->queues[2 * i];
		int call_fds[2] = { virtio_call_fd(device, 2 * i), virtio_call_fd(device, 2 * i + 1) };

		if (!net->pairs[i].receive || !queues[0].descriptor_ring || !queues[1].descriptor_ring)
			continue;
		if (call_fds[0] < 0 || call_fds[1] < 0)
			error_set(error, 0, "a queue has no MSI-X vector");
		else if (vhost_start(&net->vhosts[i], queues, call_fds, device->features,
				     net->backend->fds[i], error) == 0)
			continue;

		while (i-- > 0)
			vhost_stop(&net->vhosts[i], &device->queues[2 * i]);
		return -1;
	}
	net->vhost_on = true;
	return 0;
}

void net_stop_vhosts(struct net *net)
{
	for (unsigned i = 0; net->vhost_on && i < net->max_pairs; i++)
		vhost_stop(&net->vhosts[i], &net->device.queues[2 * i]);
	net->vhost_on = false;
}

/* Logged once: a guest may start its driver again and again. */
void net_go_without_vhost(struct net *net, const struct error *why)
{
	if (!net->vhost_reported)
		log_message(net->device.vm->log, LOG_LEVEL_WARNING, "%s: packets go through lkvm: %s",
			    net->device.name, why->text);
	net->vhost_reported = true;
}

/*
 * The guest's rings are wrong, or their memory is lost. vhost-net does not report which. To find out may
 * require reading a whole snapshot, so it is done only once after the driver started.
 */
void net_check_vhost_error(struct net *net)
{
	struct error why;

	if (!net->vhost_on || !event_clear(net->error_fd) || net->vhost_failed)
		return;
	net->vhost_failed = true;
	error_system(&why, EFAULT, "%s: vhost-net", net->device.name);
	memory_suspect(&why);
}

int virtio_net_dirty_set(struct virtio_device *device, bool on, struct error *error)
{
	struct net *net = net_of(device);

	for (unsigned i = 0; net->vhost_wanted && i < net->max_pairs; i++)
		if (vhost_dirty_set(&net->vhosts[i], &device->vm->ram, on, error) < 0)
			return error_context(error, "%s", device->name);
	return 0;
}

void virtio_net_dirty_mark(struct virtio_device *device)
{
	struct net *net = net_of(device);

	for (unsigned i = 0; net->vhost_wanted && i < net->max_pairs; i++)
		vhost_dirty_mark(&net->vhosts[i], &device->vm->ram);
}
