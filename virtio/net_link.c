/* SPDX-License-Identifier: MIT */
/*
 * The network device's link to its backend: when packets wake the worker, how many queue pairs serve, and the
 * loss of the link.
 */
#include <string.h>

#include "memory/memory_loss.h"
#include "virtio/net.h"

void net_watch(struct net *net, unsigned pair, bool on)
{
	if (net->pairs[pair].watched == on)
		return;
	net->pairs[pair].watched = on;
	if (net->backend->ops->watch)
		net->backend->ops->watch(net->backend, pair, on);
	else
		worker_watch(&net->device.worker, on);
}

void net_stop_watching(struct net *net)
{
	for (unsigned i = 0; i < net->max_pairs; i++)
		net_watch(net, i, false);
	worker_watch(&net->device.worker, false);
}

void net_link_lost(struct net *net, int code)
{
	memory_check(code, net->backend->name);
	if (!atomic_exchange(&net->link, false))
		return;
	net_stop_watching(net);
	log_message(net->device.vm->log, LOG_LEVEL_WARNING, "%s: %s is gone (%s): the link is down",
		    net->device.name, net->backend->name, strerror(code));
	virtio_config_changed(&net->device);
}

int net_set_pairs(struct net *net, unsigned pairs)
{
	int result = net->backend->ops->set_pairs ? net->backend->ops->set_pairs(net->backend, pairs) : 0;

	if (result < 0)
		return result;
	for (unsigned i = pairs; i < net->max_pairs; i++)
		net_watch(net, i, false);
	net->state.pairs = (uint16_t)pairs;
	return 0;
}
