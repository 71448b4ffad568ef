/* SPDX-License-Identifier: MIT */
/*
 * The network device, VIRTIO 1.2 section 5.1: its configuration. Its packets are moved either by lkvm, on the device's
 * worker (virtio/net_packets.c), or by the kernel's vhost-net, which is only an accelerator. The driver sees the same
 * device, and lkvm takes the queues back whenever the VM is paused.
 */
#include "virtio/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/bits.h"

#define CONFIG_SIZE 12u /* of struct virtio_net_config up to mtu (5.1.4) */
#define STATUS_LINK_UP 1u

static const struct state_field net_fields[] = {
	STATE_ARRAY(struct net_state, mac, STATE_CONFIG, 0),
	STATE_FIELD(struct net_state, pairs, STATE_RUNTIME, 1),
};

const struct state_table net_state_table = STATE_TABLE(struct net_state, "net", 1, net_fields);

static void net_config_read(struct virtio_device *device, unsigned offset, unsigned size, void *to)
{
	struct net *net = net_of(device);
	uint8_t config[CONFIG_SIZE];

	memcpy(config, net->state.mac, sizeof(net->state.mac));
	put16(config + 6, atomic_load(&net->link) ? STATUS_LINK_UP : 0);
	put16(config + 8, net->max_pairs);
	put16(config + 10, net->backend->mtu);
	memcpy(to, config + offset, size);
}

/*
 * Sets the queues of the pairs that exist for the driver. Without MQ there is one pair, and the control queue
 * follows it.
 */
static void set_queues(struct net *net)
{
	unsigned count = net->device.features & NET_F_MQ ? net->max_pairs : 1;

	for (unsigned i = 0; i < net->max_pairs; i++) {
		struct net_pair *pair = &net->pairs[i];

		pair->receive = i < count ? &net->device.queues[2 * i] : NULL;
		pair->transmit = i < count ? &net->device.queues[2 * i + 1] : NULL;
	}
}

static void net_pause(struct virtio_device *device)
{
	struct net *net = net_of(device);

	/* vhost_on stays set: the doorbells belong to the kernel. */
	for (unsigned i = 0; net->vhost_on && i < net->max_pairs; i++)
		vhost_stop(&net->vhosts[i], &device->queues[2 * i]);
}

static void net_start(struct virtio_device *device)
{
	struct net *net = net_of(device);
	struct error error;

	set_queues(net);
	if (net->backend->ops->negotiate)
		net->backend->ops->negotiate(net->backend, device->features);
	net_set_pairs(net, net->state.pairs);

	if (net->vhost_wanted && net_start_vhosts(net, &error) < 0)
		net_go_without_vhost(net, &error);
	net_use_vhost_doorbells(net, net->vhost_on);
	net->vhost_failed = false;
	device->worker.watch_fd = net->vhost_on ? net->error_fd : net->backend->watch_fd;
	if (net->vhost_on || (net->backend->ops->watch && atomic_load(&net->link)))
		worker_watch(&device->worker, true);
	/* During a restore the machine is still paused. vhost starts again when it resumes. */
	if (device->paused)
		net_pause(device);
}

static void net_stop(struct virtio_device *device)
{
	struct net *net = net_of(device);

	net_stop_vhosts(net);
	net_stop_watching(net);
	for (unsigned i = 0; i < net->max_pairs; i++) {
		net->pairs[i].held = 0;
		net->pairs[i].expected = 0;
	}
	if (net->backend->ops->negotiate)
		net->backend->ops->negotiate(net->backend, 0);
	state_reset(&net_state_table, &net->state);
}

static void net_resume(struct virtio_device *device)
{
	struct net *net = net_of(device);
	struct error error;

	if (!net->vhost_on || net_start_vhosts(net, &error) == 0)
		return;
	log_message(device->vm->log, LOG_LEVEL_WARNING, "%s: %s", device->name, error.text);
	virtio_needs_reset(device, "vhost-net does not resume");
}

static void net_process(struct virtio_device *device)
{
	struct net *net = net_of(device);
	bool more = false;
	int result = net->backend->ops->flush ? net->backend->ops->flush(net->backend) : 0;

	net_check_vhost_error(net);
	if (result < 0)
		net_link_lost(net, -result);
	net_control(net);
	for (unsigned i = 0; !net->vhost_on && i < net->state.pairs && net->pairs[i].receive; i++) {
		more |= net_transmit(net, i);
		more |= net_receive(net, i);
		virtio_interrupt_pair(device, net->pairs[i].receive, net->pairs[i].transmit);
	}
	/* The transport does not call a broken device until reset, so packets must not wake it. */
	if (__atomic_load_n(&device->state.status, __ATOMIC_ACQUIRE) & VIRTIO_STATUS_NEEDS_RESET)
		net_stop_watching(net);
	else if (more)
		worker_kick(&device->worker);
}

static void net_stat(struct virtio_device *device, struct report *report)
{
	struct net *net = net_of(device);

	report_string(report, "backend", net->backend->name);
	report_bool(report, "link_up", atomic_load(&net->link));
	report_bool(report, "vhost", net->vhost_on);
	report_number(report, "queue_pairs", net->state.pairs);
	if (net->vhost_on)
		return; /* the kernel has no counters */
	report_number(report, "packets_received", atomic_load(&net->counters.received));
	report_number(report, "packets_sent", atomic_load(&net->counters.sent));
	report_number(report, "packets_dropped", atomic_load(&net->counters.dropped));
}

static void net_close(struct virtio_device *device)
{
	struct net *net = net_of(device);

	net_stop_vhosts(net);
	net_close_vhosts(net);
	if (net->backend)
		net->backend->ops->close(net->backend);
	net->backend = NULL;
}

static bool is_mac(const uint8_t mac[6])
{
	static const uint8_t none[6];

	return memcmp(mac, none, sizeof(none)) != 0;
}

static int net_restored(struct virtio_device *device, struct error *error)
{
	struct net *net = net_of(device);

	if (net->state.pairs < 1 || net->state.pairs > net->max_pairs)
		return error_set(error, EINVAL, "%u pairs of queues are in use, it has %u", net->state.pairs, net->max_pairs);
	if (is_mac(net->new_mac)) {
		memcpy(net->state.mac, net->new_mac, sizeof(net->new_mac));
		device->state.generation++; /* the driver may have read a part of the MAC */
	}
	return 0;
}

static const struct virtio_ops net_ops = {
	.name = "net",
	.id = VIRTIO_NET,
	.class_code = 0x020000, /* network controller, Ethernet */
	.config_read = net_config_read,
	.start = net_start,
	.stop = net_stop,
	.process = net_process,
	.pause = net_pause,
	.resume = net_resume,
	.stat = net_stat,
	.state_table = &net_state_table,
	.state_offset = offsetof(struct net, state),
	.restored = net_restored,
	.close = net_close,
};

static int check(const struct virtio_net_config *config, struct error *error)
{
	if (config->queues < 1 || config->queues > NET_MAX_PAIRS)
		return error_set(error, EINVAL, "1 to %d queue pairs are possible, not %u", NET_MAX_PAIRS,
				 config->queues);
	if (config->mode == NET_USER && config->queues > 1)
		return error_set(error, EINVAL, "user mode networking has one queue pair");
	if (config->mode == NET_USER && config->vhost_required)
		return error_set(error, EINVAL, "vhost-net works with a tap only, not in user mode");
	return 0;
}

/* Sets the user's MAC, or a random one, which is locally administered and unicast. */
static void choose_mac(struct net *net, const uint8_t given[6])
{
	uint8_t *mac = net->state.mac;

	memcpy(mac, given, sizeof(net->state.mac));
	if (is_mac(mac))
		return;
	while (getrandom(mac, sizeof(net->state.mac), 0) != (ssize_t)sizeof(net->state.mac))
		;
	mac[0] = (uint8_t)((mac[0] & ~1u) | 2u);
}

static int open_backend(struct net *net, const struct virtio_net_config *config, struct vm *vm,
			struct error *error)
{
	if (config->mode == NET_USER) {
		net->backend = passt_open(config, error);
		return net->backend ? 0 : -1;
	}
	net->backend = tap_open(config, vm->log, error);
	if (!net->backend)
		return -1;
	if (!config->vhost && !config->vhost_required)
		return 0;
	if (net_open_vhosts(net, error) < 0) {
		if (config->vhost_required)
			return -1;
		log_message(vm->log, LOG_LEVEL_INFO, "network %s: packets go through lkvm: %s",
			    net->backend->name, error->text);
	}
	return 0;
}

void virtio_net_describe(struct virtio_device *device, struct virtio_net_config *config)
{
	struct net *net = net_of(device);

	memcpy(config->mac, net->state.mac, sizeof(config->mac));
	if (config->mode == NET_TAP)
		config->tap = net->backend->name;
}

struct virtio_device *virtio_net_open(struct vm *vm, struct pci_bus *pci, unsigned index,
				      const struct virtio_net_config *config, struct error *error)
{
	struct net *net;

	if (check(config, error) < 0) {
		error_context(error, "network %u", index);
		return NULL;
	}
	net = calloc(1, sizeof(*net));
	if (!net) {
		error_system(error, ENOMEM, "network %u", index);
		return NULL;
	}
	net->max_pairs = config->queues;
	atomic_init(&net->link, true);
	state_reset(&net_state_table, &net->state);
	choose_mac(net, config->mac);
	memcpy(net->new_mac, config->new_mac, sizeof(net->new_mac));

	if (open_backend(net, config, vm, error) == 0) {
		struct virtio_setup setup = {
			.ops = &net_ops,
			.index = index,
			.features = NET_F_MAC | NET_F_STATUS | NET_F_MRG_RXBUF | net->backend->features,
			.queue_count = 2,
			.vectors = 2, /* both queues share one: they often interrupt at the same time */
			.config_size = CONFIG_SIZE,
			.watch_fd = net->backend->watch_fd,
		};

		if (net->max_pairs > 1) {
			setup.features |= NET_F_MQ | NET_F_CTRL_VQ;
			setup.queue_count = 2 * net->max_pairs + 1;
			setup.vectors = 0;
		}
		if (virtio_open(&net->device, &setup, vm, pci, error) == 0)
			return &net->device;
	}
	error_context(error, "network %u", index);
	net_close(&net->device);
	free(net);
	return NULL;
}
