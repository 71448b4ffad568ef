/* SPDX-License-Identifier: MIT */
/*
 * The network device (VIRTIO 1.2, section 5.1): the interface between virtio/net*.c and the backends that carry packets
 * (virtio/tap.c, virtio/passt.c, virtio/vhost.c). Private to them.
 */
#ifndef LKVM_VIRTIO_NET_H
#define LKVM_VIRTIO_NET_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "util/err.h"
#include "util/log.h"
#include "virtio/virtio.h"

#define NET_MAX_PAIRS 8

/* <linux/virtio_net.h> cannot be included with virtio/virtio.h: both define a struct virtio_net_config. */
#define NET_F_CSUM (1ull << 0)
#define NET_F_GUEST_CSUM (1ull << 1)
#define NET_F_MTU (1ull << 3)
#define NET_F_MAC (1ull << 5)
#define NET_F_GUEST_TSO4 (1ull << 7)
#define NET_F_GUEST_TSO6 (1ull << 8)
#define NET_F_GUEST_ECN (1ull << 9)
#define NET_F_HOST_TSO4 (1ull << 11)
#define NET_F_HOST_TSO6 (1ull << 12)
#define NET_F_HOST_ECN (1ull << 13)
#define NET_F_MRG_RXBUF (1ull << 15)
#define NET_F_STATUS (1ull << 16)
#define NET_F_CTRL_VQ (1ull << 17)
#define NET_F_MQ (1ull << 22)

/* Before each packet, in both directions: struct virtio_net_hdr with num_buffers. */
#define NET_HEADER 12u
#define NET_HEADER_BUFFERS 10u /* offset of num_buffers, 16 bits */
#define NET_MAX_PACKET (NET_HEADER + 69632u) /* 64 KiB that are not segmented yet, and their headers */

/*
 * A backend carries packets, each with its NET_HEADER, to and from the host. receive and send run on the worker
 * and never wait. All others run with the worker parked.
 */
struct net_backend;
struct net_backend_ops {
	const char *name; /* "tap" */

	/*
	 * Receives one packet. Its size in bytes, or -errno: -EAGAIN if there is none, otherwise the host's end
	 * is gone.
	 */
	ssize_t (*receive)(struct net_backend *backend, unsigned pair, const struct iovec *iov, int count);

	/*
	 * Sends one packet. 0 if it was sent or dropped (an interface that is down), or -errno: -EAGAIN if it
	 * must be sent again after watch_fd is readable, otherwise the host's end is gone.
	 */
	int (*send)(struct net_backend *backend, unsigned pair, const struct iovec *iov, int count);

	/*
	 * Continues with data that send accepted but could not pass on. 0, or -errno: the host's end is gone.
	 * NULL: none.
	 */
	int (*flush)(struct net_backend *backend);

	/* Sets whether packets for `pair` make watch_fd readable. NULL: worker_watch() is sufficient. */
	void (*watch)(struct net_backend *backend, unsigned pair, bool on);

	/* The driver accepted `features`; 0: there is no driver any more. NULL: nothing to do. */
	void (*negotiate)(struct net_backend *backend, uint64_t features);

	/* Steers packets to the first `pairs` pairs only. 0 or -errno. NULL: there is only one pair. */
	int (*set_pairs)(struct net_backend *backend, unsigned pairs);

	void (*close)(struct net_backend *backend);
};

struct net_backend {
	const struct net_backend_ops *ops;
	char name[16];      /* for messages: of the interface or the program */
	uint64_t features;  /* in addition to those of any network device */
	uint16_t mtu;       /* if features has NET_F_MTU */
	int watch_fd;
	int fds[NET_MAX_PAIRS]; /* one a pair; the backend of vhost */
};

/* Both return NULL with the error set. */
struct net_backend *tap_open(const struct virtio_net_config *config, const struct log *log,
			     struct error *error);
struct net_backend *passt_open(const struct virtio_net_config *config, struct error *error);

/* vhost-net: the kernel moves one pair's packets between the rings and a tap, without lkvm. */
struct vhost {
	int fd;
	int kick_fds[2]; /* doorbells of the receive and the transmit queue */
	int error_fd;    /* the owner's eventfd: raised if a ring cannot be used; -1: none */
	uint64_t features;
	bool running;
	bool logs;     /* from its next start on it tracks what it writes */
	uint64_t *log; /* NULL, or one bit for each page (VHOST_LOG_PAGE) of RAM */
};

#define VHOST_LOG_PAGE 4096u

/* Opens /dev/vhost-net. On failure nothing is left open; vhost_close() works either way, and twice. */
int vhost_open(struct vhost *vhost, struct error *error);
void vhost_close(struct vhost *vhost);

/*
 * Gives queues[0] (receive) and queues[1] (transmit), both started, to the kernel, which continues at their positions.
 * After a failure nothing has changed.
 */
int vhost_start(struct vhost *vhost, struct virtqueue *queues, const int call_fds[2], uint64_t features,
		int backend_fd, struct error *error);

/*
 * Turns dirty tracking on or off from the next start on. Not while vhost runs. Fails if this host's vhost cannot track.
 * vhost_dirty_mark() passes what was written to ram_mark().
 */
int vhost_dirty_set(struct vhost *vhost, const struct ram *ram, bool on, struct error *error);
void vhost_dirty_mark(struct vhost *vhost, const struct ram *ram);

/* Takes the queues back, and sets their positions to the kernel's. Does nothing if it was not running. */
void vhost_stop(struct vhost *vhost, struct virtqueue *queues);

/* Chains popped from a receive queue for one packet, and not pushed yet. */
struct net_room {
	unsigned chains, segments;
	uint64_t bytes;
	uint64_t chain_bytes[VIRTQUEUE_MAX_SIZE];
	uint16_t heads[VIRTQUEUE_MAX_SIZE];
	struct iovec iov[IOV_MAX];
};

struct net_pair {
	struct virtqueue *receive, *transmit;
	bool watched;
	size_t expected; /* the length of the last packet, for which chains are popped before the next is received */
	size_t held;     /* bytes of `packet` that wait for buffers of the driver; 0: nothing waits */
	uint8_t packet[NET_MAX_PACKET];
};

struct net_state {
	uint8_t mac[6];
	uint16_t pairs; /* in use, 1.. */
};

extern const struct state_table net_state_table;

struct net {
	struct virtio_device device; /* first: free() of the device frees this */
	struct net_state state;
	uint8_t new_mac[6]; /* set by a restore; zeroes: none */
	struct net_backend *backend;
	unsigned max_pairs;
	atomic_bool link;

	bool vhost_wanted; /* vhosts[] are open */
	bool vhost_on;     /* the kernel serves the pairs while the VM runs */
	bool vhost_reported; /* it was logged why the kernel does not */
	bool vhost_failed; /* since the driver started; memory was checked for loss */
	int error_fd;      /* of all vhosts[] */
	struct vhost vhosts[NET_MAX_PAIRS];

	struct { /* relaxed counters of packets through lkvm */
		atomic_ulong received, sent, dropped;
	} counters;

	/* Used by the worker only. */
	struct net_pair pairs[NET_MAX_PAIRS];
	struct net_room room;
	struct virtqueue_chain chain;
};

static inline struct net *net_of(struct virtio_device *device)
{
	return (struct net *)device;
}

/*
 * virtio/net_packets.c. Both return true if they stopped only for fairness and must be called again. The caller
 * interrupts the driver.
 */
bool net_receive(struct net *net, unsigned pair);
bool net_transmit(struct net *net, unsigned pair);

/*
 * virtio/net_link.c, on the worker or with the worker parked. net_watch() sets whether packets for a pair wake
 * the worker. net_set_pairs() changes how many pairs are served: 0 or -errno. Call net_link_lost() if the
 * host's end is gone with error `code`: the driver sees the link go down, and the VM continues.
 */
void net_watch(struct net *net, unsigned pair, bool on);
void net_stop_watching(struct net *net);
int net_set_pairs(struct net *net, unsigned pairs);
void net_link_lost(struct net *net, int code);

/*
 * virtio/net_vhost.c. Opening fails if the host has no vhost-net, and leaves nothing open. Closing is safe in any case.
 * Starting gives all pairs that the driver enabled to the kernel, or none. Start and stop with the worker parked.
 */
int net_open_vhosts(struct net *net, struct error *error);
void net_close_vhosts(struct net *net);
int net_start_vhosts(struct net *net, struct error *error);
void net_stop_vhosts(struct net *net);
void net_use_vhost_doorbells(struct net *net, bool on);
void net_go_without_vhost(struct net *net, const struct error *why); /* logs why, once */
void net_check_vhost_error(struct net *net);                         /* on the worker */

/* virtio/net_control.c. Executes the driver's requests. */
void net_control(struct net *net);

#endif
