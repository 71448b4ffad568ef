/* SPDX-License-Identifier: MIT */
/*
 * passt(1) as the backend of the network device: user-mode networking without privileges, in another program.
 * It runs as a child process. Each packet goes over a stream socket, after its length (32 bits, big-endian). If
 * the socket does not accept a whole packet, the rest is kept, and nothing else is sent before it.
 */
#include "virtio/net.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/child.h"
#include "util/clock.h"

#define LENGTH_SIZE 4u
#define MAX_FRAME (NET_MAX_PACKET - NET_HEADER)
#define MAX_ARGUMENTS 64
#define START_POLL 2 /* milliseconds between checks whether it has started */
#define START_MAX 10000 /* milliseconds */
#define END_MAX 2000    /* milliseconds from its hang-up to its exit, whose status is a better error */

struct passt {
	struct net_backend backend; /* first: backend.fds[0] is the socket */
	struct child child;
	bool watched;               /* the device waits for packets */
	uint32_t events;            /* in epoll; 0: the socket is not in it */
	char *options;              /* the user's, split into words */
	size_t in_start, in_end;    /* bytes of `in` that are not delivered yet */
	size_t out_start, out_end;  /* bytes of `out` that the socket did not accept */
	uint8_t in[2 * MAX_FRAME];
	uint8_t out[LENGTH_SIZE + MAX_FRAME];
};

static void update_events(struct passt *passt)
{
	struct epoll_event event = {
		.events = (passt->watched ? EPOLLIN : 0u) | (passt->out_end > 0 ? EPOLLOUT : 0u),
	};
	int what = EPOLL_CTL_MOD;

	if (event.events == passt->events)
		return;
	if (!passt->events)
		what = EPOLL_CTL_ADD;
	if (!event.events)
		what = EPOLL_CTL_DEL; /* epoll always reports a hang-up, and would wake the worker again and again */
	epoll_ctl(passt->backend.watch_fd, what, passt->backend.fds[0], &event);
	passt->events = event.events;
}

static void passt_watch(struct net_backend *backend, unsigned pair, bool on)
{
	struct passt *passt = (struct passt *)backend;

	(void)pair;
	passt->watched = on;
	update_events(passt);
}

/* Sends what was kept. 0 if nothing is left; -EAGAIN or another -errno. */
static int send_kept(struct passt *passt)
{
	while (passt->out_start < passt->out_end) {
		ssize_t sent = send(passt->backend.fds[0], passt->out + passt->out_start,
				    passt->out_end - passt->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EINTR)
			return -errno;
		if (sent > 0)
			passt->out_start += (size_t)sent;
	}
	if (passt->out_end > 0) {
		passt->out_start = passt->out_end = 0;
		update_events(passt);
	}
	return 0;
}

static int passt_flush(struct net_backend *backend)
{
	int result = send_kept((struct passt *)backend);

	return result == -EAGAIN ? 0 : result;
}

/* Keeps what follows the first `skip` bytes of `iov`, to be sent later. */
static void keep(struct passt *passt, const struct iovec *iov, int count, size_t skip)
{
	for (int i = 0; i < count; i++) {
		size_t part = MIN(skip, iov[i].iov_len);
		size_t length = iov[i].iov_len - part;

		memcpy(passt->out + passt->out_end, (const uint8_t *)iov[i].iov_base + part, length);
		passt->out_end += length;
		skip -= part;
	}
	if (passt->out_end > 0)
		update_events(passt);
}

static int passt_send(struct net_backend *backend, unsigned pair, const struct iovec *iov, int count)
{
	struct passt *passt = (struct passt *)backend;
	struct iovec frame[VIRTQUEUE_MAX_SEGMENTS + 1];
	struct msghdr message = { .msg_iov = frame };
	uint8_t prefix[LENGTH_SIZE];
	size_t skip = NET_HEADER, length = 0;
	ssize_t sent;
	int result = send_kept(passt);

	(void)pair;
	if (result < 0)
		return result;

	frame[message.msg_iovlen++] = (struct iovec){ .iov_base = prefix, .iov_len = sizeof(prefix) };
	for (int i = 0; i < count; i++) {
		size_t part = MIN(skip, iov[i].iov_len);

		frame[message.msg_iovlen++] = (struct iovec){
			.iov_base = (uint8_t *)iov[i].iov_base + part,
			.iov_len = iov[i].iov_len - part,
		};
		length += iov[i].iov_len - part;
		skip -= part;
	}
	for (unsigned i = 0; i < LENGTH_SIZE; i++)
		prefix[i] = (uint8_t)(length >> (24 - 8 * i));

	sent = sendmsg(backend->fds[0], &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	/* Keep a copy of the rest: the guest may reuse its buffers. */
	keep(passt, frame, (int)message.msg_iovlen, sent > 0 ? (size_t)sent : 0);
	return 0;
}

/* The size of the next complete frame, without its length field. 0: not complete yet. Or -errno. */
static ssize_t next_frame(const struct passt *passt)
{
	const uint8_t *at = passt->in + passt->in_start;
	size_t length;

	if (passt->in_end - passt->in_start < LENGTH_SIZE)
		return 0;
	length = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
	if (length == 0 || length > MAX_FRAME)
		return -EPROTO;
	return passt->in_end - passt->in_start - LENGTH_SIZE >= length ? (ssize_t)length : 0;
}

/* Reads once from the socket. 0 or -errno. */
static int fill(struct passt *passt)
{
	ssize_t got;

	if (passt->in_start > 0) {
		memmove(passt->in, passt->in + passt->in_start, passt->in_end - passt->in_start);
		passt->in_end -= passt->in_start;
		passt->in_start = 0;
	}
	got = recv(passt->backend.fds[0], passt->in + passt->in_end, sizeof(passt->in) - passt->in_end,
		   MSG_DONTWAIT);
	if (got == 0)
		return -EPIPE;
	if (got < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	passt->in_end += (size_t)got;
	return 0;
}

static ssize_t passt_receive(struct net_backend *backend, unsigned pair, const struct iovec *iov, int count)
{
	static const uint8_t header[NET_HEADER];
	struct passt *passt = (struct passt *)backend;
	ssize_t length = next_frame(passt);
	const uint8_t *frame;
	size_t done = 0;

	(void)pair;
	if (length == 0) {
		int result = fill(passt);

		if (result < 0)
			return result;
		length = next_frame(passt);
	}
	if (length <= 0)
		return length < 0 ? length : -EAGAIN;

	/* The buffers are always large enough: the last one is lkvm's own. */
	frame = passt->in + passt->in_start + LENGTH_SIZE;
	for (int i = 0; i < count && done < NET_HEADER + (size_t)length; i++) {
		uint8_t *to = iov[i].iov_base;
		size_t room = iov[i].iov_len;

		while (room > 0 && done < NET_HEADER + (size_t)length) {
			bool head = done < NET_HEADER;
			size_t left = head ? NET_HEADER - done : NET_HEADER + (size_t)length - done;
			size_t part = MIN(room, left);

			memcpy(to, head ? header + done : frame + done - NET_HEADER, part);
			to += part;
			room -= part;
			done += part;
		}
	}
	passt->in_start += LENGTH_SIZE + (size_t)length;
	return (ssize_t)done;
}

static void passt_stop(struct passt *passt)
{
	if (passt->backend.fds[0] >= 0)
		close(passt->backend.fds[0]);
	if (passt->backend.watch_fd >= 0)
		close(passt->backend.watch_fd);
	child_stop(&passt->child);
	free(passt->options);
}

static void passt_close(struct net_backend *backend)
{
	passt_stop((struct passt *)backend);
	free(backend);
}

static const struct net_backend_ops passt_ops = {
	.name = "passt",
	.receive = passt_receive,
	.send = passt_send,
	.flush = passt_flush,
	.watch = passt_watch,
	.close = passt_close,
};

static int start(struct passt *passt, const struct virtio_net_config *config, int fd, struct error *error)
{
	const char *arguments[MAX_ARGUMENTS] = {
		config->passt ? config->passt : "passt", "--foreground", "--quiet", "--fd", "3",
	};
	unsigned count = 5;
	char *rest = NULL;

	_Static_assert(CHILD_FD == 3, "the descriptor named above");
	if (config->passt_options) {
		passt->options = strdup(config->passt_options);
		if (!passt->options)
			return error_system(error, ENOMEM, "passt");
	}
	for (char *word = passt->options ? strtok_r(passt->options, " \t", &rest) : NULL; word;
	     word = strtok_r(NULL, " \t", &rest)) {
		if (count == MAX_ARGUMENTS - 1)
			return error_set(error, E2BIG, "too many options for passt");
		arguments[count++] = word;
	}

	if (child_start(&passt->child, arguments, fd, error) == 0)
		return 0;
	if (error->code == ENOENT)
		return error_set(error, ENOENT, "%s was not found: user mode networking needs it (package passt); or use --network "
				 "mode=tap", arguments[0]);
	return -1;
}

static bool has_hung_up(int fd)
{
	struct pollfd end = { .fd = fd, .events = POLLRDHUP };

	return poll(&end, 1, 0) != 0;
}

/* Whether it has read all data. Unread data is dropped when it closes the socket. */
static bool has_read(int fd)
{
	int unread = 1;

	return ioctl(fd, SIOCOUTQ, &unread) == 0 && unread == 0 && !has_hung_up(fd);
}

static int set_failed(struct child *child, const char *what, struct error *error)
{
	const char *output = child_output(child);

	return error_set(error, EPIPE, "%.100s %s%s%s", child->name, what, *output ? ": " : "", output);
}

/*
 * passt does not report that it has started. So lkvm sends a frame that no network uses (an EtherType for local
 * experiments, IEEE 802), which passt reads when it serves the guest. The guest waits START_MAX at most.
 */
static int wait_for_start(struct passt *passt, const uint8_t mac[6], struct error *error)
{
	uint8_t frame[LENGTH_SIZE + 60] = { 0, 0, 0, 60, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, [16] = 0x88, 0xb5 };
	int fd = passt->backend.fds[0];
	uint64_t end = monotonic_ms() + START_MAX;
	bool hung_up = false;

	memcpy(frame + LENGTH_SIZE + 6, mac, 6);
	if (send(fd, frame, sizeof(frame), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE)
		return error_system(error, errno, "%s", passt->child.name);
	do {
		enum child_state state = child_wait(&passt->child, START_POLL, error);

		if (state == CHILD_DONE)
			return set_failed(&passt->child, "ended with status 0 at its start", error);
		if (state == CHILD_FAILED)
			return -1;
		if (!hung_up && has_hung_up(fd)) {
			hung_up = true;
			end = monotonic_ms() + END_MAX;
		}
	} while (!has_read(fd) && monotonic_ms() < end);
	if (hung_up)
		return set_failed(&passt->child, "closed its connection at its start", error);
	child_detach_output(&passt->child);
	return 0;
}

struct net_backend *passt_open(const struct virtio_net_config *config, struct error *error)
{
	struct passt *passt = calloc(1, sizeof(*passt));
	int ends[2] = { -1, -1 };
	int result;

	if (!passt) {
		error_system(error, ENOMEM, "passt");
		return NULL;
	}
	passt->backend.ops = &passt_ops;
	passt->child = (struct child)CHILD_NONE;
	snprintf(passt->backend.name, sizeof(passt->backend.name), "passt");
	passt->backend.watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (passt->backend.watch_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		result = error_system(error, errno, "passt: socket");
	else
		result = start(passt, config, ends[1], error);
	passt->backend.fds[0] = ends[0];
	if (ends[1] >= 0)
		close(ends[1]);
	if (result == 0)
		result = wait_for_start(passt, config->mac, error);
	if (result < 0) {
		passt_stop(passt);
		free(passt);
		return NULL;
	}
	return (struct net_backend *)passt;
}
