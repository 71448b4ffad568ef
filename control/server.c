/* SPDX-License-Identifier: MIT */
/* The server of a control socket: connections, requests, replies and deadlines. */
#include "bind.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/clock.h"

#define PATIENCE 5000 /* milliseconds for a client to send its request, and to receive its reply */
#define GRACE 200     /* the same while others wait for its place */

/* The timer ticks while there is a client, or while none can be accepted. A second start must not delay it. */
static void tick(struct control *control, bool on)
{
	const struct timespec time = { .tv_nsec = on ? GRACE * 1000000L : 0 };
	struct itimerspec interval = { .it_value = time, .it_interval = time };

	if (control->ticking != on && timerfd_settime(control->timer_fd, 0, &interval, NULL) == 0)
		control->ticking = on;
}

static struct control_client *find_free(struct control *control)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		if (control->clients[i].state == CONTROL_FREE)
			return &control->clients[i];
	return NULL;
}

/* A client that has sent or received nothing for a while makes room for others. A deferred client waits on purpose. */
static bool is_slow(const struct control_client *client)
{
	return (client->state == CONTROL_READING || client->state == CONTROL_WRITING) &&
	       monotonic_ms() + PATIENCE >= client->deadline + GRACE;
}

/* Returns the slow client that made no progress for the longest time, or NULL. */
static struct control_client *find_slow(struct control *control)
{
	struct control_client *slowest = NULL;

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *client = &control->clients[i];

		if (is_slow(client) && (!slowest || client->deadline < slowest->deadline))
			slowest = client;
	}
	return slowest;
}

static struct control_client free_client(struct control *control)
{
	struct control_client client = { .control = control, .fd = -1, .state = CONTROL_FREE };

	for (unsigned i = 0; i < CONTROL_FDS; i++)
		client.fds[i] = -1;
	return client;
}

static void drop_fds(struct control_client *client)
{
	for (unsigned i = 0; i < CONTROL_FDS; i++) {
		if (client->fds[i] >= 0)
			close(client->fds[i]);
		client->fds[i] = -1;
	}
}

static void drop(struct control_client *client)
{
	struct control *control = client->control;

	loop_remove(control->loop, client->fd);
	close(client->fd);
	drop_fds(client);
	free(client->reply);
	*client = free_client(control);
	loop_change(control->loop, control->listen_fd, POLLIN);
}

/* Replying. */

static void write_reply(struct control_client *client)
{
	while (client->sent < client->reply_size) {
		ssize_t sent = send(client->fd, client->reply + client->sent,
				    client->reply_size - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && errno == EAGAIN) {
			loop_change(client->control->loop, client->fd, POLLOUT);
			return;
		}
		if (sent < 0)
			break;
		client->sent += (size_t)sent;
		client->deadline = monotonic_ms() + PATIENCE; /* it makes progress */
	}
	drop(client);
}

static void reply(struct control_client *client, const char *status, const char *text, const char *body)
{
	int size = asprintf(&client->reply, "%s%s\n%s", status, text, body);

	if (size < 0) {
		client->reply = NULL;
		drop(client);
		return;
	}
	client->state = CONTROL_WRITING;
	client->reply_size = (size_t)size;
	client->deadline = monotonic_ms() + PATIENCE;
	write_reply(client);
}

void control_answer(struct control_client *client, const char *body)
{
	reply(client, "ok", "", body ? body : "");
}

void control_refuse(struct control_client *client, const struct error *why)
{
	reply(client, "error ", why->text, "");
}

void control_defer(struct control_client *client, int event, unsigned seconds, const struct error *timeout)
{
	client->state = CONTROL_DEFERRED;
	client->event = event;
	client->timeout = *timeout;
	client->deadline = monotonic_ms() + seconds * UINT64_C(1000);
	loop_change(client->control->loop, client->fd, POLLHUP);
}

void control_report_begun(struct control_client *client)
{
	/* It fits into the socket's buffer. If the client has disconnected, the loop notices. */
	(void)!send(client->fd, "ok\n", 3, MSG_DONTWAIT | MSG_NOSIGNAL);
}

void control_complete(struct control *control, int event, const struct error *why)
{
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state != CONTROL_DEFERRED || client->event != event)
			continue;
		if (why)
			control_refuse(client, why);
		else
			control_answer(client, NULL);
	}
}

unsigned control_count_deferred(const struct control *control)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		count += control->clients[i].state == CONTROL_DEFERRED;
	return count;
}

int control_claim_fd(struct control_client *client, unsigned index)
{
	int fd = client->fds[index];

	client->fds[index] = -1;
	return fd;
}

/* Requests. */

static void keep_fds(struct control_client *client, const struct cmsghdr *header)
{
	size_t size = header->cmsg_len - CMSG_LEN(0);

	drop_fds(client);
	memcpy(client->fds, CMSG_DATA(header), size < sizeof(client->fds) ? size : sizeof(client->fds));
}

/*
 * Like recv(2), and keeps descriptors that come with the bytes. The kernel drops descriptors that do not fit into the message
 * or exceed the limit of open files.
 */
static ssize_t receive(struct control_client *client, void *bytes, size_t room)
{
	union {
		char bytes[CMSG_SPACE(CONTROL_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = bytes, .iov_len = room };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
		/* Not the space, which alignment may make large enough for one more: nobody would close that. */
		.msg_controllen = CMSG_LEN(CONTROL_FDS * sizeof(int)),
	};
	ssize_t got = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header = got < 0 ? NULL : CMSG_FIRSTHDR(&message);

	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
		keep_fds(client, header);
	client->fds_lost |= got >= 0 && (message.msg_flags & MSG_CTRUNC);
	return got;
}

static void serve(struct control_client *client)
{
	struct control *control = client->control;
	char *words[CONTROL_WORDS + 1], *rest = client->request;
	unsigned count = 0;
	struct error error;

	loop_change(control->loop, client->fd, 0);
	client->state = CONTROL_SERVING;
	if (client->fds_lost) {
		error_system(&error, EMFILE, "the virtual machine cannot open the files that came with the request");
		control_refuse(client, &error);
		return;
	}
	for (char *word; (word = strtok_r(rest, " ", &rest)); count++) {
		if (count == CONTROL_WORDS) {
			error_set(&error, EINVAL, "the request has too many words");
			control_refuse(client, &error);
			return;
		}
		words[count] = word;
	}
	words[count] = NULL;
	if (!count) {
		error_set(&error, EINVAL, "the request is empty");
		control_refuse(client, &error);
		return;
	}
	control->serve(control->owner, client, count, words);
}

static void read_request(struct control_client *client)
{
	size_t room = CONTROL_REQUEST_LENGTH - client->length;
	ssize_t got = receive(client, client->request + client->length, room);
	struct error error;
	char *end;

	if (got < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (got <= 0) { /* the client disconnected, maybe in the middle of a line */
		drop(client);
		return;
	}
	client->length += (size_t)got;
	end = memchr(client->request, '\n', client->length);
	if (end) {
		*end = '\0';
		serve(client);
	} else if (client->length == CONTROL_REQUEST_LENGTH) {
		error_set(&error, EINVAL, "the request is too long");
		control_refuse(client, &error);
	}
}

static void control_client_ready(void *owner, int fd, uint32_t events)
{
	struct control_client *client = owner;

	(void)fd;
	(void)events;
	switch (client->state) {
	case CONTROL_READING:
		read_request(client);
		break;
	case CONTROL_WRITING:
		write_reply(client);
		break;
	case CONTROL_DEFERRED: /* the client disconnected */
		if (client->control->left)
			client->control->left(client->control->owner, client);
		drop(client);
		break;
	case CONTROL_SERVING:
	case CONTROL_FREE:
		drop(client);
		break;
	}
}

/* The file's mode keeps other users out. This check does so too, if the mode was changed. */
static bool is_allowed(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

/* Returns a place for a new client, or NULL. */
static struct control_client *make_room(struct control *control)
{
	struct control_client *client = find_free(control);

	if (client)
		return client;
	client = find_slow(control);
	if (client)
		drop(client);
	return client;
}

static void control_accept_client(void *owner, int fd, uint32_t events)
{
	struct control *control = owner;
	struct control_client *client = make_room(control);
	struct error error;
	int client_fd;

	(void)events;
	client_fd = client ? accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
	if (client_fd < 0) {
		/* All places are taken, or too many files are open: clients wait in the backlog. */
		if (!client || (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)) {
			loop_change(control->loop, fd, 0);
			tick(control, true);
		}
		return;
	}
	if (!is_allowed(client_fd) ||
	    loop_add(control->loop, client_fd, POLLIN, control_client_ready, client, &error) < 0) {
		close(client_fd);
		return;
	}
	client->fd = client_fd;
	client->state = CONTROL_READING;
	client->deadline = monotonic_ms() + PATIENCE;
	tick(control, true);
}

static void control_check_deadlines(void *owner, int fd, uint32_t events)
{
	struct control *control = owner;
	uint64_t expirations;
	bool any = false;

	(void)events;
	if (read(fd, &expirations, sizeof(expirations)) < 0)
		return;
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
		struct control_client *client = &control->clients[i];

		if (client->state != CONTROL_FREE && monotonic_ms() >= client->deadline) {
			if (client->state == CONTROL_DEFERRED)
				control_refuse(client, &client->timeout);
			else
				drop(client);
		}
		any |= client->state != CONTROL_FREE;
	}
	if (find_free(control) || find_slow(control))
		loop_change(control->loop, control->listen_fd, POLLIN);
	if (!any)
		tick(control, false);
}

/* Opening and closing. */

static int open_parts(struct control *control, struct error *error)
{
	control->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->listen_fd < 0)
		return error_system(error, errno, "socket");
	control->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (control->timer_fd < 0)
		return error_system(error, errno, "timerfd");
	if (control_bind(control, error) < 0 ||
	    loop_add(control->loop, control->timer_fd, POLLIN, control_check_deadlines, control, error) < 0 ||
	    loop_add(control->loop, control->listen_fd, POLLIN, control_accept_client, control, error) < 0)
		return -1;
	return 0;
}

int control_open(struct control *control, const char *name, struct loop *loop,
		 void (*serve_request)(void *owner, struct control_client *client, unsigned count,
				       char **words),
		 void *owner, struct error *error)
{
	*control = (struct control){
		.loop = loop, .serve = serve_request, .owner = owner,
		.listen_fd = -1, .timer_fd = -1,
	};
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		control->clients[i] = free_client(control);
	if (control_check_name(name, error) < 0) {
		control->loop = NULL;
		return -1;
	}
	snprintf(control->name, sizeof(control->name), "%s", name);
	if (open_parts(control, error) < 0) {
		control_close(control);
		return -1;
	}
	return 0;
}

static void close_watched(struct loop *loop, int *fd)
{
	if (*fd < 0)
		return;
	loop_remove(loop, *fd);
	close(*fd);
	*fd = -1;
}

void control_withdraw(struct control *control)
{
	if (!control->loop)
		return;
	control_unlink(control);
	control->bound = false;
	close_watched(control->loop, &control->listen_fd);
}

void control_close(struct control *control)
{
	if (!control->loop)
		return;
	control_withdraw(control);
	for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
		if (control->clients[i].state != CONTROL_FREE)
			drop(&control->clients[i]);
	close_watched(control->loop, &control->timer_fd);
	control->loop = NULL;
}
