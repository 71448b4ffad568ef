/* SPDX-License-Identifier: MIT */
/* The client's end of a control socket. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/control.h"
#include "util/clock.h"

#define TICK 200 /* milliseconds */
#define REPLY_LIMIT (64u << 20) /* far more than a VM sends; limits the memory that another program can make us use */

static int no_such(struct error *error)
{
	return error_set(error, ENOENT, "no virtual machine of that name is running");
}

static int no_answer(struct error *error)
{
	return error_set(error, ETIMEDOUT, "the virtual machine does not answer");
}

/* Connects within the time: the listener may be busy. Returns a blocking descriptor, or -1. */
static int connect_to(const char *name, unsigned seconds, struct error *error)
{
	struct timeval patience = { .tv_sec = seconds };
	struct sockaddr_un address;
	int directory_fd = control_directory_open(false, error);
	int fd, result;

	if (directory_fd < 0)
		return error->code == ENOENT ? no_such(error) : -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		close(directory_fd);
		return error_system(error, errno, "socket");
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)); /* applies to connect(2), too */
	control_address(&address, directory_fd, name);
	result = connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? errno : 0;
	close(directory_fd);
	if (!result)
		return fd;
	close(fd);
	if (result == ENOENT || result == ECONNREFUSED)
		return no_such(error);
	if (result == EAGAIN)
		return no_answer(error);
	return error_system(error, result, "connecting");
}

/* Reads until the end of the stream into `*text`, terminated. The caller frees it in any case. */
static int read_reply(int fd, uint64_t deadline, const struct control_extras *extras, char **text, struct error *error)
{
	const bool ticks = extras && extras->tick;

	size_t size = 0, capacity = 0;

	for (;;) {
		struct pollfd polled = { .fd = fd, .events = POLLIN };
		uint64_t time = monotonic_ms();
		ssize_t got;
		int ready;

		if (size + 1 >= capacity) {
			char *larger = capacity < REPLY_LIMIT ? realloc(*text, capacity * 2 + 4096) : NULL;

			if (!larger)
				return error_set(error, ENOMEM, "the reply is too large");
			capacity = capacity * 2 + 4096;
			*text = larger;
		}
		if (time >= deadline)
			return no_answer(error);
		ready = poll(&polled, 1, ticks && deadline - time > TICK ? TICK : (int)(deadline - time));
		if (ready == 0 && ticks && !extras->tick(extras->owner))
			return error_set(error, ECANCELED, "cancelled");
		if (ready == 0)
			continue;
		got = recv(fd, *text + size, capacity - size - 1, MSG_DONTWAIT);
		if (got == 0)
			break;
		if (got > 0)
			size += (size_t)got;
		else if (errno != EINTR && errno != EAGAIN)
			return error_system(error, errno, "the virtual machine closed the connection");
	}
	(*text)[size] = '\0';
	return 0;
}

static int send_request(int fd, const char *request, const struct control_extras *extras, struct error *error)
{
	char line[CONTROL_REQUEST_LENGTH + 2];
	int length = snprintf(line, sizeof(line), "%s\n", request);
	union {
		char bytes[CMSG_SPACE(CONTROL_FDS * sizeof(int))];
		struct cmsghdr header;
	} control = { .header = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = line, .iov_len = (size_t)length };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	size_t count = 0;
	ssize_t sent;

	while (extras && count < CONTROL_FDS && extras->fds[count] >= 0)
		count++;
	if (count > 0) {
		memcpy(CMSG_DATA(&control.header), extras->fds, count * sizeof(int));
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	}

	if (length > CONTROL_REQUEST_LENGTH)
		return error_set(error, EINVAL, "the request is too long");
	/* The request fits into the socket's buffer, so it is sent completely or not at all. */
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno == EAGAIN)
		return no_answer(error);
	return sent < 0 ? error_system(error, errno, "the virtual machine closed the connection") : 0;
}

/* Parses the first line of the reply and moves the body to the front. */
static int read_status(char *text, struct error *error)
{
	static const char refusal[] = "error ";
	char *end = strchr(text, '\n');

	if (!end)
		return error_set(error, EPROTO, "the virtual machine ended before it answered");
	*end = '\0';
	if (!strncmp(text, refusal, sizeof(refusal) - 1))
		return error_set(error, 0, "%s", text + sizeof(refusal) - 1);
	if (strcmp(text, "ok"))
		return error_set(error, EPROTO, "the process that listens there is not lkvm");
	memmove(text, end + 1, strlen(end + 1) + 1);
	return 0;
}

int control_call_with(const char *name, const char *request, unsigned seconds, const struct control_extras *extras,
		      struct control_reply *reply, struct error *error)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int fd, result;

	*reply = (struct control_reply){ 0 };
	if (control_check_name(name, error) < 0)
		return -1;
	fd = connect_to(name, seconds, error);
	if (fd < 0)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		reply->pid = peer.pid;
	result = send_request(fd, request, extras, error);
	if (result == 0)
		result = read_reply(fd, monotonic_ms() + seconds * UINT64_C(1000), extras, &reply->body, error);
	if (result == 0)
		result = read_status(reply->body, error);
	close(fd);
	if (result < 0) {
		free(reply->body);
		reply->body = NULL;
	}
	return result;
}

int control_call(const char *name, const char *request, unsigned seconds, struct control_reply *reply,
		 struct error *error)
{
	return control_call_with(name, request, seconds, NULL, reply, error);
}

/* Reads up to the first newline; the VM sends no more before the end. */
static int read_line(int fd, unsigned seconds, char line[sizeof(struct error)], struct error *error)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	size_t size = 0;

	while (size < sizeof(struct error) - 1 && !memchr(line, '\n', size)) {
		ssize_t got = poll(&polled, 1, (int)seconds * 1000) > 0 ?
			recv(fd, line + size, sizeof(struct error) - 1 - size, MSG_DONTWAIT) : -1;

		if (got <= 0)
			return no_answer(error);
		size += (size_t)got;
	}
	line[size] = '\0';
	return 0;
}

int control_start(const char *name, const char *request, unsigned seconds, struct error *error)
{
	char line[sizeof(struct error)];
	int fd;

	if (control_check_name(name, error) < 0)
		return -1;
	fd = connect_to(name, seconds, error);
	if (fd < 0)
		return -1;
	if (send_request(fd, request, NULL, error) == 0 && read_line(fd, seconds, line, error) == 0 &&
	    read_status(line, error) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Listing. */

/* The name in "NAME.sock"; false for any other file. */
static bool name_of_file(const char *file, char name[CONTROL_NAME_LENGTH + 1])
{
	static const char suffix[] = ".sock";
	size_t length = strlen(file);
	struct error error;

	if (length <= sizeof(suffix) - 1 || length - (sizeof(suffix) - 1) > CONTROL_NAME_LENGTH)
		return false;
	length -= sizeof(suffix) - 1;
	if (strcmp(file + length, suffix))
		return false;
	memcpy(name, file, length);
	name[length] = '\0';
	return control_check_name(name, &error) == 0;
}

/* Checks again with the lock: another VM may have taken the name meanwhile. */
static void remove_stale(const char *name)
{
	char file[CONTROL_NAME_LENGTH + 6];
	struct error error;
	int lock_fd = control_directory_lock(false, &error);

	if (lock_fd < 0)
		return;
	control_file_name(file, name);
	if (control_probe(lock_fd, name) == CONTROL_STALE)
		unlinkat(lock_fd, file, 0);
	close(lock_fd);
}

static int add_name(struct control_names *names, const char *name, struct error *error)
{
	void *larger = reallocarray(names->names, names->count + 1, sizeof(names->names[0]));

	if (!larger)
		return error_system(error, ENOMEM, "list");
	names->names = larger;
	snprintf(names->names[names->count++], sizeof(names->names[0]), "%s", name);
	return 0;
}

static int compare_names(const void *left, const void *right)
{
	return strcmp(left, right);
}

static int list_directory(int directory_fd, DIR *directory, struct control_names *names, struct error *error)
{
	char name[CONTROL_NAME_LENGTH + 1];

	for (struct dirent *entry; (entry = readdir(directory));) {
		if (!name_of_file(entry->d_name, name))
			continue;
		switch (control_probe(directory_fd, name)) {
		case CONTROL_PRESENT:
			if (add_name(names, name, error) < 0)
				return -1;
			break;
		case CONTROL_STALE:
			remove_stale(name);
			break;
		case CONTROL_ABSENT:
		case CONTROL_STRANGE:
			break;
		}
	}
	if (names->count)
		qsort(names->names, names->count, sizeof(names->names[0]), compare_names);
	return 0;
}

int control_list(struct control_names *names, struct error *error)
{
	int directory_fd = control_directory_open(false, error);
	DIR *directory;
	int result;

	*names = (struct control_names){ 0 };
	if (directory_fd < 0)
		return error->code == ENOENT ? 0 : -1;
	directory = fdopendir(directory_fd);
	if (!directory) {
		result = error_system(error, errno, "list");
		close(directory_fd);
		return result;
	}
	result = list_directory(directory_fd, directory, names, error);
	closedir(directory);
	if (result < 0)
		control_names_free(names);
	return result;
}

void control_names_free(struct control_names *names)
{
	free(names->names);
	*names = (struct control_names){ 0 };
}
