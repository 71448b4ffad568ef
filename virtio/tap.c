/* SPDX-License-Identifier: MIT */
/*
 * A tap interface as the backend of the network device. Each packet is one read(2) or write(2), with the virtio
 * header in front. So the host's stack exchanges large segments and partial checksums with the driver, if the
 * driver can. Kernel: Documentation/networking/tuntap.rst.
 */
#include "virtio/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/child.h"

#define TAP_FEATURES                                                                                       \
	(NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN |           \
	 NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_HOST_ECN)

struct tap {
	struct net_backend backend; /* first: backend.fds are the tap's queues */
	unsigned queues;
	unsigned attached; /* queues that the kernel steers packets to */
	struct child script; /* its pipe stays open: programs that the script started may write to it */
};

static ssize_t tap_receive(struct net_backend *backend, unsigned pair, const struct iovec *iov, int count)
{
	ssize_t length = readv(backend->fds[pair], iov, count);

	if (length >= 0)
		return length;
	return errno == EINTR ? -EAGAIN : -errno;
}

static int tap_send(struct net_backend *backend, unsigned pair, const struct iovec *iov, int count)
{
	int fd = backend->fds[pair];

	/* One buffer, the common case, saves the kernel from importing a vector. */
	if ((count == 1 ? write(fd, iov->iov_base, iov->iov_len) : writev(fd, iov, count)) >= 0)
		return 0;
	/*
	 * With an interface that is down, an invalid header, or no memory, the packet is lost, as on a wire.
	 * EFAULT: guest memory is lost, which the caller handles.
	 */
	return errno == EBADFD || errno == ENODEV || errno == EFAULT ? -errno : 0;
}

static void tap_watch(struct net_backend *backend, unsigned pair, bool on)
{
	struct epoll_event event = { .events = EPOLLIN };

	/* Removed, not only masked: epoll always reports errors, and would wake the worker again and again. */
	epoll_ctl(backend->watch_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, backend->fds[pair], &event);
}

static void tap_negotiate(struct net_backend *backend, uint64_t features)
{
	unsigned offload = 0;

	if (features & NET_F_GUEST_CSUM) {
		offload = TUN_F_CSUM;
		if (features & NET_F_GUEST_TSO4)
			offload |= TUN_F_TSO4;
		if (features & NET_F_GUEST_TSO6)
			offload |= TUN_F_TSO6;
		if (offload & (TUN_F_TSO4 | TUN_F_TSO6) && features & NET_F_GUEST_ECN)
			offload |= TUN_F_TSO_ECN;
	}
	/* If the kernel refuses, offload stays off, and the host does the work. */
	ioctl(backend->fds[0], TUNSETOFFLOAD, (unsigned long)offload);
}

static int tap_set_pairs(struct net_backend *backend, unsigned pairs)
{
	struct tap *tap = (struct tap *)backend;

	while (tap->attached != pairs) {
		bool more = tap->attached < pairs;
		unsigned queue = more ? tap->attached : tap->attached - 1;
		struct ifreq request = { .ifr_flags = more ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

		if (ioctl(backend->fds[queue], TUNSETQUEUE, &request) < 0)
			return -errno;
		tap->attached = more ? tap->attached + 1 : tap->attached - 1;
	}
	return 0;
}

static void close_descriptors(struct tap *tap)
{
	if (tap->backend.watch_fd >= 0 && tap->backend.watch_fd != tap->backend.fds[0])
		close(tap->backend.watch_fd);
	for (unsigned i = 0; i < tap->queues; i++)
		close(tap->backend.fds[i]);
	child_stop(&tap->script);
}

static void tap_close(struct net_backend *backend)
{
	close_descriptors((struct tap *)backend);
	free(backend);
}

static const struct net_backend_ops tap_ops = {
	.name = "tap",
	.receive = tap_receive,
	.send = tap_send,
	.negotiate = tap_negotiate,
	.close = tap_close,
};

static const struct net_backend_ops tap_queues_ops = {
	.name = "tap",
	.receive = tap_receive,
	.send = tap_send,
	.watch = tap_watch,
	.negotiate = tap_negotiate,
	.set_pairs = tap_set_pairs,
	.close = tap_close,
};

/* Attaches `fd` to the interface as one more queue. Makes the interface if it does not exist. 0 or -errno. */
static int attach_queue(int fd, struct ifreq *request, bool several)
{
	short flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;

	request->ifr_flags = (short)(flags | (several ? IFF_MULTI_QUEUE : 0));
	if (ioctl(fd, TUNSETIFF, request) == 0)
		return 0;
	/* An interface that was made for several queues requires the flag. */
	if (errno == EINVAL && !several) {
		request->ifr_flags = (short)(flags | IFF_MULTI_QUEUE);
		if (ioctl(fd, TUNSETIFF, request) == 0)
			return 0;
	}
	return -errno;
}

static int attach_error(struct error *error, int code, const char *name, unsigned queues)
{
	const char *tap = *name ? name : "a new one";

	switch (code) {
	case EPERM:
		return error_set(error, code, "tap %s: not permitted: run lkvm as root, or make the interface "
				 "for this user (ip tuntap add NAME mode tap user NAME)", tap);
	case EBUSY:
		return error_set(error, code, "tap %s: in use by another program", tap);
	case EINVAL:
		return error_set(error, code, "tap %s: not a tap interface%s", tap, queues == 1 ? "" :
				 ", or not made for several queues (ip tuntap add ... multi_queue)");
	default:
		return error_system(error, code, "tap %s", tap);
	}
}

static int open_by_name(struct tap *tap, const char *name, unsigned queues, struct error *error)
{
	struct ifreq request = { 0 };

	if (name && strlen(name) >= sizeof(request.ifr_name))
		return error_set(error, EINVAL, "tap %s: names of interfaces have at most %zu characters",
				 name, sizeof(request.ifr_name) - 1);
	if (name)
		snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);

	while (tap->queues < queues) {
		int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
		int result;

		if (fd < 0)
			return error_system(error, errno, "cannot open /dev/net/tun (kernel module tun)");
		tap->backend.fds[tap->queues++] = fd;
		result = attach_queue(fd, &request, queues > 1);
		if (result < 0)
			return attach_error(error, -result, request.ifr_name, queues);
		/* The request has the name that the kernel chose now. */
	}
	tap->attached = queues;
	snprintf(tap->backend.name, sizeof(tap->backend.name), "%s", request.ifr_name);
	return 0;
}

/* Uses a tap or macvtap that another program opened. The descriptor stays the caller's. */
static int open_by_fd(struct tap *tap, int given, unsigned queues, struct error *error)
{
	struct ifreq request = { 0 };
	int fd;

	if (queues > 1)
		return error_set(error, EINVAL, "a given tap descriptor makes one queue pair, not %u",
				 queues);
	fd = fcntl(given, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return error_system(error, errno, "tap descriptor %d", given);
	tap->backend.fds[tap->queues++] = fd;
	if (ioctl(fd, TUNGETIFF, &request) < 0)
		return error_system(error, errno, "descriptor %d is not a tap", given);
	if (!(request.ifr_flags & IFF_VNET_HDR) || !(request.ifr_flags & IFF_TAP))
		return error_set(error, EINVAL, "tap %s: was not opened with IFF_TAP and IFF_VNET_HDR",
				 request.ifr_name);
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return error_system(error, errno, "tap %s", request.ifr_name);
	tap->attached = 1;
	snprintf(tap->backend.name, sizeof(tap->backend.name), "%s", request.ifr_name);
	return 0;
}

static int run_script(struct tap *tap, const char *script, const struct log *log, struct error *error)
{
	const char *const arguments[] = { script, tap->backend.name, NULL };

	if (child_run(&tap->script, arguments, error) < 0)
		return -1;
	if (*child_output(&tap->script))
		log_message(log, LOG_LEVEL_WARNING, "%s: %s", script, child_output(&tap->script));
	child_detach_output(&tap->script);
	return 0;
}

/* Brings the interface up, if permitted, runs the script, and then reads the MTU. */
static int set_up(struct tap *tap, const struct virtio_net_config *config, const struct log *log,
		  struct error *error)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = 0;

	if (fd < 0)
		return error_system(error, errno, "tap %s: socket", tap->backend.name);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", tap->backend.name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_UP)) {
		request.ifr_flags |= IFF_UP;
		if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
			log_message(log, LOG_LEVEL_WARNING, "tap %s: cannot bring it up: %s",
				    tap->backend.name, strerror(errno));
	}
	if (config->script)
		result = run_script(tap, config->script, log, error);
	/* Linux drivers refuse a device with a smaller MTU. */
	if (result == 0 && ioctl(fd, SIOCGIFMTU, &request) == 0 && request.ifr_mtu >= 68 &&
	    request.ifr_mtu <= UINT16_MAX) {
		tap->backend.mtu = (uint16_t)request.ifr_mtu;
		tap->backend.features |= NET_F_MTU;
	}
	close(fd);
	return result;
}

static int set_headers(struct tap *tap, struct error *error)
{
	const int size = NET_HEADER;

	for (unsigned i = 0; i < tap->queues; i++) {
		if (ioctl(tap->backend.fds[i], TUNSETVNETHDRSZ, &size) < 0)
			return error_system(error, errno, "tap %s: TUNSETVNETHDRSZ", tap->backend.name);
	}
	return 0;
}

/* Several queues are polled by one epoll instance. */
static int make_watchable(struct tap *tap, struct error *error)
{
	tap->backend.watch_fd = tap->backend.fds[0];
	if (tap->queues == 1)
		return 0;
	tap->backend.ops = &tap_queues_ops;
	tap->backend.watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (tap->backend.watch_fd < 0)
		return error_system(error, errno, "epoll_create1");
	return 0;
}

struct net_backend *tap_open(const struct virtio_net_config *config, const struct log *log,
			     struct error *error)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int result;

	if (!tap) {
		error_system(error, ENOMEM, "tap");
		return NULL;
	}
	tap->backend.ops = &tap_ops;
	tap->backend.features = TAP_FEATURES;
	tap->backend.watch_fd = -1;
	tap->script = (struct child)CHILD_NONE;

	if (config->tap_fd >= 0)
		result = open_by_fd(tap, config->tap_fd, config->queues, error);
	else
		result = open_by_name(tap, config->tap, config->queues, error);
	if (result < 0 || set_headers(tap, error) < 0 || make_watchable(tap, error) < 0 ||
	    set_up(tap, config, log, error) < 0) {
		close_descriptors(tap);
		free(tap);
		return NULL;
	}
	return (struct net_backend *)tap;
}
