/* SPDX-License-Identifier: MIT */
/*
 * Inside the network device (VIRTIO 1.2, section 5.1): what virtio/net*.c and the backends that carry
 * its packets (virtio/tap.c, virtio/passt.c, virtio/vhost.c) agree on. Nobody else includes this.
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

/* <linux/virtio_net.h> cannot be used beside virtio/virtio.h: both know a struct virtio_net_config. */
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

/* In front of each packet, both ways: struct virtio_net_hdr with num_buffers. */
#define NET_HEADER 12u
#define NET_HEADER_BUFFERS 10u /* offset of num_buffers, 16 bits */
#define NET_MAX_PACKET (NET_HEADER + 69632u) /* 64 KiB of segments not yet cut, and their headers */

/*
 * What carries packets, each with its NET_HEADER, to and from the host. receive and send run on the
 * worker and never wait; open, negotiate and the rest with the worker parked.
 */
struct net_backend;
struct net_backend_ops {
	const char *name; /* "tap" */

	/*
	 * One packet. Its bytes, or -errno: -EAGAIN when none waits; all else means that the host's end
	 * is gone.
	 */
	ssize_t (*receive)(struct net_backend *backend, unsigned pair, const struct iovec *iov, int count);

	/*
	 * One packet; 0 if it went or was dropped (an interface that is down), or -errno: -EAGAIN if it
	 * must be sent again, once watch_fd is readable; all else means that the host's end is gone.
	 */
	int (*send)(struct net_backend *backend, unsigned pair, const struct iovec *iov, int count);

	/*
	 * Goes on with what send took but could not pass on yet. 0 or -errno: the host's end is gone.
	 * NULL: no such thing.
	 */
	int (*flush)(struct net_backend *backend);

	/*
	 * Whether packets for `pair` are to make watch_fd readable. NULL: worker_watch() is all it
	 * takes.
	 */
	void (*watch)(struct net_backend *backend, unsigned pair, bool on);

	/* The driver took `features`, or 0: it is gone. NULL: nothing to do. */
	void (*negotiate)(struct net_backend *backend, uint64_t features);

	/* Steer packets to the first `pairs` pairs only. 0 or -errno. NULL where there is one. */
	int (*set_pairs)(struct net_backend *backend, unsigned pairs);

	void (*close)(struct net_backend *backend);
};

struct net_backend {
	const struct net_backend_ops *ops;
	char name[16];      /* for people: the interface's, or the program's */
	uint64_t features;  /* that it adds to those of any network device */
	uint16_t mtu;       /* if features has NET_F_MTU */
	int watch_fd;
	int fds[NET_MAX_PAIRS]; /* one a pair; what vhost takes as its backend */
};

/* Both return NULL with the error set. */
struct net_backend *tap_open(const struct virtio_net_config *config, const struct log *log,
			     struct error *error);
struct net_backend *passt_open(const struct virtio_net_config *config, struct error *error);

/*
 * vhost-net: the kernel moves one pair's packets between the rings and a tap, while we stay out of the
 * way.
 */
struct vhost {
	int fd;
	int kick_fds[2]; /* doorbells of the receive and the transmit queue */
	int error_fd;    /* the owner's eventfd, or -1: raised when a ring cannot be used */
	uint64_t features;
	bool running;
	bool logs;     /* from its next start on it keeps account of what it writes */
	uint64_t *log; /* NULL, or a bit a page of VHOST_LOG_PAGE, from guest physical address 0 on, but beginning with RAM's */
};

#define VHOST_LOG_PAGE 4096u

/* Opens /dev/vhost-net. On failure nothing is left open; vhost_close() works either way, and twice. */
int vhost_open(struct vhost *vhost, struct error *error);
void vhost_close(struct vhost *vhost);

/*
 * Hands queues[0] (receive) and queues[1] (transmit), both started, to the kernel, from where they
 * stand. On failure they are ours as before.
 */
int vhost_start(struct vhost *vhost, struct virtqueue *queues, const int call_fds[2], uint64_t features,
		int backend_fd, struct error *error);

/*
 * Whether it is to keep account from its next start on; not while it runs. Failing, it cannot. vhost_dirty_mark() hands what is
 * known to ram_mark().
 */
int vhost_dirty_set(struct vhost *vhost, const struct ram *ram, bool on, struct error *error);
void vhost_dirty_mark(struct vhost *vhost, const struct ram *ram);

/* Takes them back: their state says how far the kernel came. Nothing is touched if it was not running. */
void vhost_stop(struct vhost *vhost, struct virtqueue *queues);

/* Chains taken from a receive queue for one packet, and not yet returned. */
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
	size_t expected; /* the length of the last packet: room for the next is made accordingly */
	size_t held;     /* bytes of `packet` that wait for room; 0: nothing waits */
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
	uint8_t new_mac[6]; /* for when it is restored, or zeroes */
	struct net_backend *backend;
	unsigned max_pairs;
	atomic_bool link;

	bool vhost_wanted; /* vhosts[] are open */
	bool vhost_on;     /* the kernel serves the pairs, whenever the VM runs */
	bool vhost_reported;   /* the log says why it does not */
	bool vhost_failed; /* since the driver started: memory was looked at */
	int error_fd;      /* of all vhosts[] */
	struct vhost vhosts[NET_MAX_PAIRS];

	struct { /* relaxed counters of what passed through us */
		atomic_ulong received, sent, dropped;
	} counters;

	/* Only the worker's. */
	struct net_pair pairs[NET_MAX_PAIRS];
	struct net_room room;
	struct virtqueue_chain chain;
};

static inline struct net *net_of(struct virtio_device *device)
{
	return (struct net *)device;
}

/*
 * virtio/net_packets.c: both return true if they stopped for fairness' sake and want to be called again.
 * To interrupt the driver is left to the caller.
 */
bool net_receive(struct net *net, unsigned pair);
bool net_transmit(struct net *net, unsigned pair);

/*
 * virtio/net_link.c, on the worker or with the worker parked. Packets that arrive for a pair wake the worker, or do not.
 * net_set_pairs() changes how many pairs serve: 0 or -errno. net_link_lost() is called when the host's end is gone with error
 * `code`: the driver sees the link go down, and the device goes on.
 */
void net_watch(struct net *net, unsigned pair, bool on);
void net_stop_watching(struct net *net);
int net_set_pairs(struct net *net, unsigned pairs);
void net_link_lost(struct net *net, int code);

/*
 * virtio/net_vhost.c. Opening fails where the host has no vhost-net, and leaves nothing open; closing is safe either way. Starting
 * hands every pair that the driver enabled to the kernel, all or none; with the worker parked, as stopping.
 */
int net_open_vhosts(struct net *net, struct error *error);
void net_close_vhosts(struct net *net);
int net_start_vhosts(struct net *net, struct error *error);
void net_stop_vhosts(struct net *net);
void net_use_vhost_doorbells(struct net *net, bool on);
void net_go_without_vhost(struct net *net, const struct error *why); /* the log says why, once */
void net_check_vhost_error(struct net *net);                         /* on the worker: error_fd may be readable */

/* virtio/net_control.c: answers the driver's requests. */
void net_control(struct net *net);

#endif
