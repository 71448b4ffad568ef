/* SPDX-License-Identifier: MIT */
/* Client and server of the control socket, over real sockets in a scratch directory. The server has its own thread. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/control.h"
#include "util/bits.h"
#include "util/io.h"

#define BIG (5u << 20)
#define LARGE (512u << 10) /* more than a socket keeps */

static char scratch[40];

struct server {
	struct loop loop;
	struct control control;
	pthread_t thread;
	int quit_fd;
};

enum { EVENT_BELL = 7, EVENT_NEVER };

/* Serves the requests of a simulated VM. */
static void serve(void *owner, struct control_client *client, unsigned count, char **words)
{
	struct server *server = owner;
	struct error error;

	if (!strcmp(words[0], "echo")) {
		char body[64];

		snprintf(body, sizeof(body), "%u %s\n", count, words[count - 1]);
		control_answer(client, body);
	} else if (!strcmp(words[0], "big") || !strcmp(words[0], "large")) {
		size_t size = words[0][0] == 'b' ? BIG : LARGE;
		char *body = malloc(size + 1);

		memset(body, 'x', size);
		body[size] = '\0';
		control_answer(client, body);
		free(body);
	} else if (!strcmp(words[0], "wait")) {
		error_set(&error, 0, "no bell rang");
		control_defer(client, EVENT_BELL, 60, &error);
	} else if (!strcmp(words[0], "never")) {
		error_set(&error, 0, "it never happened");
		control_defer(client, EVENT_NEVER, 1, &error);
	} else if (!strcmp(words[0], "ring")) {
		error_set(&error, 0, "the bell broke");
		control_complete(&server->control, EVENT_BELL, count > 1 ? &error : NULL);
		control_answer(client, NULL);
	} else {
		error_set(&error, 0, "what is %s", words[0]);
		control_refuse(client, &error);
	}
}

static void quit(void *owner, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	loop_stop(owner);
}

static void *run(void *argument)
{
	struct server *server = argument;

	loop_run(&server->loop);
	return NULL;
}

static struct server *start(const char *name)
{
	struct server *server = calloc(1, sizeof(*server));
	struct error error;

	loop_open(&server->loop);
	server->quit_fd = event_open(&error);
	assert_int_equal(loop_add(&server->loop, server->quit_fd, POLLIN, quit, &server->loop, &error), 0);
	if (control_open(&server->control, name, &server->loop, serve, server, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(pthread_create(&server->thread, NULL, run, server), 0);
	return server;
}

static void stop(struct server *server)
{
	event_raise(server->quit_fd);
	pthread_join(server->thread, NULL);
	control_close(&server->control);
	control_close(&server->control);
	close(server->quit_fd);
	free(server);
}

static void assert_answer(const char *name, const char *request, const char *body)
{
	struct control_reply reply;
	struct error error;

	if (control_call(name, request, 20, &reply, &error) < 0)
		fail_msg("%s: %s", request, error.text);
	assert_string_equal(reply.body, body);
	assert_int_equal(reply.pid, getpid());
	free(reply.body);
}

static void assert_refusal(const char *name, const char *request, int code, const char *sentence)
{
	struct control_reply reply;
	struct error error;

	assert_int_equal(control_call(name, request, 20, &reply, &error), -1);
	assert_null(reply.body);
	assert_string_equal(error.text, sentence);
	assert_int_equal(error.code, code);
}

/* Connects as a misbehaving client. */
static int connect_raw(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/lkvm/%s.sock", scratch, name);
	assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void put_file(const char *name, mode_t type)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/lkvm", scratch);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/lkvm/%s.sock", scratch, name);
	if (type == S_IFSOCK) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

		assert_true(strlen(path) < sizeof(address.sun_path));
		strcpy(address.sun_path, path);
		assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
		close(fd);
	} else {
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
}

static bool file_exists(const char *name)
{
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/lkvm/%s.sock", scratch, name);
	return access(path, F_OK) == 0;
}

static int set_up(void **state)
{
	(void)state;
	strcpy(scratch, "/tmp/lkvm-control-XXXXXX");
	if (!mkdtemp(scratch))
		return -1;
	return setenv("XDG_RUNTIME_DIR", scratch, 1);
}

static int tear_down(void **state)
{
	char command[PATH_MAX + 16];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
	return system(command);
}

static void name_is_accepted_when_it_is_a_safe_file_name(void **state)
{
	static const char *const good[] = {
		"a", "guest-1", "A.b_c", "_",
		"0123456789012345678901234567890123456789012345678901234567890123",
	};
	static const char *const bad[] = {
		"", ".", "..", ".a", "-a", "a/b", "a b", "a\n", "\xc3\xa4", "a*",
		"01234567890123456789012345678901234567890123456789012345678901234",
	};
	struct error error;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(control_check_name(good[i], &error), 0);
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(control_check_name(bad[i], &error), -1);
}

static void control_answers_or_refuses_each_request(void **state)
{
	struct server *server = start("one");

	(void)state;
	assert_answer("one", "echo", "1 echo\n");
	assert_answer("one", "echo a  b ccc", "4 ccc\n");
	assert_refusal("one", "dance", 0, "what is dance");
	assert_refusal("one", "1 2 3 4 5 6 7 8 9", 0, "the request has too many words");
	assert_refusal("one", " ", 0, "the request is empty");
	assert_refusal("two", "echo", ENOENT, "no virtual machine of that name is running");
	assert_refusal("../one", "echo", EINVAL,
		       "\"../one\" is not a name: use letters, digits, dot, dash and underscore, and do not begin with a dot or "
		       "dash");
	stop(server);
	assert_refusal("one", "echo", ENOENT, "no virtual machine of that name is running");
	assert_false(file_exists("one"));
}

static void control_returns_large_reply_complete(void **state)
{
	struct server *server = start("large");
	struct control_reply reply;
	struct error error;

	(void)state;
	assert_int_equal(control_call("large", "big", 20, &reply, &error), 0);
	assert_int_equal(strlen(reply.body), BIG);
	free(reply.body);
	stop(server);
}

static void control_serves_others_when_clients_misbehave(void **state)
{
	struct server *server = start("busy");
	char *megabytes = calloc(1, BIG);
	char answer[64] = "";
	int fds[5];

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		fds[i] = connect_raw("busy");
	/* Sends nothing; begins a line; disconnects at once; sends garbage; does not read its reply. */
	send(fds[1], "ech", 3, MSG_NOSIGNAL);
	close(fds[2]);
	send(fds[3], "\0\xff\x01\n\n\n", 6, MSG_NOSIGNAL);
	send(fds[4], "big\n", 4, MSG_NOSIGNAL);
	assert_answer("busy", "echo", "1 echo\n");

	/* Megabytes without the end of a line. */
	close(fds[0]);
	fds[0] = connect_raw("busy");
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	for (unsigned i = 0; i < 100; i++)
		send(fds[0], megabytes, BIG, MSG_NOSIGNAL);
	assert_answer("busy", "echo", "1 echo\n");
	fcntl(fds[0], F_SETFL, 0);
	assert_true(recv(fds[0], answer, sizeof(answer) - 1, 0) > 0);
	assert_string_equal(answer, "error the request is too long\n");

	close(fds[0]);
	close(fds[1]);
	close(fds[3]);
	close(fds[4]);
	free(megabytes);
	assert_answer("busy", "echo", "1 echo\n");
	stop(server);
}

/* The kernel drops descriptors for which the process has no room. A request is not served without its descriptors. */
static void control_refuses_request_when_descriptors_are_lost(void **state)
{
	struct server *server = start("lost");
	const int fds[CONTROL_FDS + 1] = { STDIN_FILENO };
	union {
		char bytes[CMSG_SPACE(sizeof(fds))];
		struct cmsghdr header;
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(fds)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
	struct iovec iov = { .iov_base = (char[]){ "echo a\n" }, .iov_len = 7 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control),
	};
	char answer[256] = "";
	int fd = connect_raw("lost");

	(void)state;
	memcpy(CMSG_DATA(&control.header), fds, sizeof(fds));
	assert_int_equal(sendmsg(fd, &message, 0), 7);
	assert_true(recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) > 0);
	assert_non_null(strstr(answer, "the virtual machine cannot open the files that came with the request: Too many open files "
				       "(ulimit -n is "));
	close(fd);
	assert_answer("lost", "echo a", "2 a\n");
	stop(server);
}

/* With more silent clients than the limit, the server drops them after a while, and accepts others. */
static void control_drops_silent_clients_when_it_has_too_many(void **state)
{
	struct server *server = start("silent");
	int fds[CONTROL_CLIENTS + 2];
	char byte;

	(void)state;
	for (unsigned i = 0; i < CONTROL_CLIENTS + 2; i++)
		fds[i] = connect_raw("silent");
	assert_answer("silent", "echo", "1 echo\n");
	assert_int_equal(recv(fds[0], &byte, 1, 0), 0);
	for (unsigned i = 0; i < CONTROL_CLIENTS + 2; i++)
		close(fds[i]);
	stop(server);
}

/*
 * Connects again whenever a connection ends, sends `request` and reads no reply. With deadlines alone, it would take half a
 * minute until the last of its connections got a place.
 */
static pid_t flood_in_child(const char *name, const char *request)
{
	pid_t child = fork();
	struct pollfd clients[6 * CONTROL_CLIENTS];

	if (child)
		return child;
	for (unsigned i = 0; i < COUNT(clients); i++)
		clients[i] = (struct pollfd){ .fd = -1 };
	for (;; usleep(1000)) {
		poll(clients, COUNT(clients), 0);
		for (unsigned i = 0; i < COUNT(clients); i++) {
			if (clients[i].fd >= 0 && !(clients[i].revents & POLLHUP))
				continue;
			if (clients[i].fd >= 0)
				close(clients[i].fd);
			clients[i].fd = connect_raw(name);
			(void)!send(clients[i].fd, request, strlen(request), MSG_NOSIGNAL);
		}
	}
}

static void assert_served_in_flood(const char *name, const char *request)
{
	struct server *server = start(name);
	pid_t child = flood_in_child(name, request);
	int status;

	usleep(300000); /* they have all places */
	for (unsigned i = 0; i < 3; i++)
		assert_answer(name, "echo", "1 echo\n");
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	stop(server);
}

static void control_serves_others_when_silent_clients_connect_without_end(void **state)
{
	(void)state;
	assert_served_in_flood("silent", "");
}

static void control_serves_others_when_slow_readers_connect_without_end(void **state)
{
	(void)state;
	assert_served_in_flood("slow", "large\n");
}

/* Calls in a child process, whose exit status is the result. */
static pid_t call_in_child(const char *name, const char *request)
{
	pid_t child = fork();

	if (!child) {
		struct control_reply reply;
		struct error error;
		int result = control_call(name, request, 20, &reply, &error);

		_exit(result == 0 ? 0 : !strcmp(error.text, "the bell broke") ? 1 : 2);
	}
	return child;
}

static int wait_for(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void reply_waits_for_its_event(void **state)
{
	struct server *server = start("bell");
	pid_t first = call_in_child("bell", "wait");
	pid_t second = call_in_child("bell", "wait");
	pid_t third;

	(void)state;
	usleep(300000);
	assert_int_equal(waitpid(first, NULL, WNOHANG), 0);
	assert_answer("bell", "ring", "");
	assert_int_equal(wait_for(first), 0);
	assert_int_equal(wait_for(second), 0);

	third = call_in_child("bell", "wait");
	usleep(300000);
	assert_answer("bell", "ring badly", "");
	assert_int_equal(wait_for(third), 1);

	assert_refusal("bell", "never", 0, "it never happened");
	stop(server);
}

/* A waiting client that disconnects frees its place. */
static void control_frees_places_of_clients_that_disconnect(void **state)
{
	struct server *server = start("leave");

	(void)state;
	for (unsigned i = 0; i < 3 * CONTROL_CLIENTS; i++) {
		int fd = connect_raw("leave");

		send(fd, "wait\n", 5, MSG_NOSIGNAL);
		close(fd);
	}
	assert_answer("leave", "echo", "1 echo\n");
	stop(server);
}

/* The server removes the socket first, so the name is free when the reply arrives. */
static void reply_comes_after_the_name_is_free_when_the_vm_ends(void **state)
{
	struct server *server = start("last");
	pid_t child = call_in_child("last", "wait");

	(void)state;
	usleep(300000);
	event_raise(server->quit_fd);
	pthread_join(server->thread, NULL);
	control_withdraw(&server->control);
	assert_false(file_exists("last"));
	assert_int_equal(waitpid(child, NULL, WNOHANG), 0);
	control_complete(&server->control, EVENT_BELL, NULL);
	assert_int_equal(wait_for(child), 0);
	control_close(&server->control);
	close(server->quit_fd);
	free(server);
}

static void control_call_times_out_when_the_vmm_hangs(void **state)
{
	struct server *server = calloc(1, sizeof(*server));
	struct control_reply reply;
	struct error error;
	time_t begin = time(NULL);

	(void)state;
	loop_open(&server->loop); /* it does not run */
	assert_int_equal(control_open(&server->control, "hung", &server->loop, serve, server, &error), 0);
	assert_int_equal(control_call("hung", "echo", 1, &reply, &error), -1);
	assert_int_equal(error.code, ETIMEDOUT);
	assert_int_equal(reply.pid, getpid());
	assert_true(time(NULL) - begin < 10);
	control_close(&server->control);
	free(server);
}

static void control_open_denies_other_users_by_file_modes(void **state)
{
	struct server *server;
	char path[PATH_MAX + 32];
	struct stat status;

	(void)state;
	snprintf(path, sizeof(path), "%s/lkvm", scratch);
	server = start("modes");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0700);
	strcat(path, "/modes.sock");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	stop(server);
}

/* Neither a server nor a list uses the directory of sockets. */
static void assert_directory_is_refused(int code, const char *words)
{
	struct control_names names;
	struct control control;
	struct error error;
	struct loop loop;

	loop_open(&loop);
	assert_int_equal(control_open(&control, "x", &loop, serve, NULL, &error), -1);
	assert_int_equal(error.code, code);
	assert_non_null(strstr(error.text, words));
	assert_int_equal(control_list(&names, &error), -1);
	assert_int_equal(error.code, code);
}

static void control_refuses_directory_of_another_user(void **state)
{
	char path[PATH_MAX + 32];

	(void)state;
	if (geteuid())
		return; /* only root can change the owner of a directory */
	snprintf(path, sizeof(path), "%s/lkvm", scratch);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chown(path, 12345, 12345), 0);
	assert_directory_is_refused(EPERM, "belongs to another user");
}

/* lkvm did not make it, so that it does not change its mode. */
static void control_refuses_directory_that_others_can_open(void **state)
{
	char path[PATH_MAX + 32];
	struct stat status;

	(void)state;
	snprintf(path, sizeof(path), "%s/lkvm", scratch);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0750), 0);
	assert_directory_is_refused(EPERM, "chmod 700");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0750);
}

static void control_refuses_directory_that_is_a_link(void **state)
{
	char path[PATH_MAX + 32], target[PATH_MAX + 32];
	struct stat status;

	(void)state;
	snprintf(path, sizeof(path), "%s/lkvm", scratch);
	snprintf(target, sizeof(target), "%s/target", scratch);
	assert_int_equal(mkdir(target, 0700), 0);
	assert_int_equal(symlink(target, path), 0);
	assert_directory_is_refused(ENOTDIR, "is a symbolic link");
	assert_int_equal(rmdir(target), 0); /* nothing is in it */
	assert_directory_is_refused(ENOTDIR, "is a symbolic link");
	assert_int_equal(stat(target, &status), -1); /* and it was not made again */
}

static void control_refuses_parent_of_another_user(void **state)
{
	char path[PATH_MAX + 32];
	struct stat status;

	(void)state;
	if (geteuid())
		return; /* only root can change the owner of a directory */
	assert_int_equal(chown(scratch, 12345, 12345), 0);
	assert_directory_is_refused(EPERM, "belongs to another user: set XDG_RUNTIME_DIR to");
	snprintf(path, sizeof(path), "%s/lkvm", scratch);
	assert_int_equal(stat(path, &status), -1);
	assert_int_equal(chown(scratch, 0, 0), 0);
}

/* Even if the file modes allow another user. */
static void control_drops_clients_of_other_users(void **state)
{
	struct server *server;
	char path[PATH_MAX];
	int status;
	pid_t child;

	(void)state;
	if (geteuid())
		return; /* only root can change its user */
	server = start("mine");
	chmod(scratch, 0755);
	snprintf(path, sizeof(path), "%s/lkvm", scratch);
	chmod(path, 0755);
	strcat(path, "/mine.sock");
	chmod(path, 0666);
	child = fork();
	if (!child) {
		char byte;
		int fd;

		if (setuid(12345) < 0)
			_exit(3);
		fd = connect_raw("mine");
		send(fd, "echo\n", 5, MSG_NOSIGNAL);
		_exit(recv(fd, &byte, 1, 0) == 1);
	}
	status = wait_for(child);
	assert_int_equal(status, 0);
	stop(server);
}

static void control_open_fails_when_the_name_is_taken(void **state)
{
	struct server *server = start("taken");
	struct control control;
	struct loop loop;
	struct error error;

	(void)state;
	loop_open(&loop);
	assert_int_equal(control_open(&control, "taken", &loop, serve, NULL, &error), -1);
	assert_int_equal(error.code, EEXIST);
	assert_string_equal(error.text, "a virtual machine named taken is already running");
	control_close(&control);
	assert_answer("taken", "echo", "1 echo\n"); /* the first server still works */
	stop(server);

	put_file("strange", S_IFREG);
	assert_int_equal(control_open(&control, "strange", &loop, serve, NULL, &error), -1);
	assert_int_equal(error.code, EEXIST);
	assert_true(file_exists("strange"));
}

static void control_removes_stale_sockets(void **state)
{
	struct control_names names;
	struct server *server;
	struct error error;

	(void)state;
	put_file("stale", S_IFSOCK);
	put_file("older", S_IFSOCK);
	put_file("strange", S_IFREG);
	server = start("stale");
	assert_answer("stale", "echo", "1 echo\n");
	assert_int_equal(control_list(&names, &error), 0);
	assert_int_equal(names.count, 1);
	assert_string_equal(names.names[0], "stale");
	control_names_free(&names);
	assert_false(file_exists("older"));
	assert_true(file_exists("strange"));
	stop(server);
}

static void control_close_keeps_socket_of_another_server(void **state)
{
	struct server *first = start("same"), *second;
	char path[PATH_MAX + 32];

	(void)state;
	snprintf(path, sizeof(path), "%s/lkvm/same.sock", scratch);
	unlink(path);
	second = start("same");
	stop(first);
	assert_true(file_exists("same"));
	assert_answer("same", "echo", "1 echo\n");
	stop(second);
}

static void control_list_sorts_names(void **state)
{
	struct server *b = start("b"), *c = start("c"), *a = start("a");
	struct control_names names;
	struct error error;

	(void)state;
	assert_int_equal(control_list(&names, &error), 0);
	assert_int_equal(names.count, 3);
	assert_string_equal(names.names[0], "a");
	assert_string_equal(names.names[1], "b");
	assert_string_equal(names.names[2], "c");
	control_names_free(&names);
	stop(a);
	stop(b);
	stop(c);
}

static void control_list_is_empty_when_its_directory_is_missing(void **state)
{
	struct control_names names;
	struct error error;

	(void)state;
	assert_int_equal(control_list(&names, &error), 0);
	assert_int_equal(names.count, 0);
}

static void control_list_fails_when_runtime_directory_is_missing(void **state)
{
	struct control_names names;
	struct error error;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/nonexistent/runtime", 1);
	assert_int_equal(control_list(&names, &error), -1);
	assert_non_null(strstr(error.text, "XDG_RUNTIME_DIR is /nonexistent/runtime, which does not exist"));
	assert_refusal("one", "echo", ENOTDIR, error.text);
}

static void control_works_in_a_directory_with_a_long_path(void **state)
{
	char deep[PATH_MAX + 256];
	struct server *server;

	(void)state;
	snprintf(deep, sizeof(deep), "%s/%0200d", scratch, 0);
	assert_int_equal(mkdir(deep, 0700), 0);
	setenv("XDG_RUNTIME_DIR", deep, 1);
	server = start("0123456789012345678901234567890123456789012345678901234567890123");
	assert_answer("0123456789012345678901234567890123456789012345678901234567890123", "echo", "1 echo\n");
	stop(server);
}

/* Many servers start at once under one name, over a stale socket. One succeeds. */
static void control_open_succeeds_once_when_many_race_for_a_name(void **state)
{
	enum { RACERS = 12, ROUNDS = 5 };

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		pid_t children[RACERS];
		int gate[2], winners = 0;

		if (!file_exists("race"))
			put_file("race", S_IFSOCK);
		assert_int_equal(pipe(gate), 0);
		for (unsigned i = 0; i < RACERS; i++) {
			children[i] = fork();
			if (!children[i]) {
				struct control control;
				struct loop loop;
				struct error error;
				char byte;
				int result;

				close(gate[1]);
				(void)!read(gate[0], &byte, 1);
				loop_open(&loop);
				result = control_open(&control, "race", &loop, serve, NULL, &error);
				usleep(300000); /* until all have tried; then it ends without cleanup, as after SIGKILL */
				_exit(result == 0 ? 0 : error.code == EEXIST ? 1 : 2);
			}
		}
		close(gate[0]);
		close(gate[1]);
		for (unsigned i = 0; i < RACERS; i++) {
			int status = wait_for(children[i]);

			assert_int_not_equal(status, 2);
			winners += status == 0;
		}
		assert_int_equal(winners, 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(name_is_accepted_when_it_is_a_safe_file_name),
		cmocka_unit_test_setup_teardown(control_answers_or_refuses_each_request, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_returns_large_reply_complete, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_serves_others_when_clients_misbehave, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_refuses_request_when_descriptors_are_lost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_drops_silent_clients_when_it_has_too_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_serves_others_when_silent_clients_connect_without_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_serves_others_when_slow_readers_connect_without_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reply_waits_for_its_event, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_frees_places_of_clients_that_disconnect, set_up, tear_down),
		cmocka_unit_test_setup_teardown(reply_comes_after_the_name_is_free_when_the_vm_ends, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(control_call_times_out_when_the_vmm_hangs, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_open_denies_other_users_by_file_modes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_refuses_directory_of_another_user, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_refuses_directory_that_others_can_open, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_refuses_directory_that_is_a_link, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_refuses_parent_of_another_user, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_drops_clients_of_other_users, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_open_fails_when_the_name_is_taken, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_removes_stale_sockets, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_close_keeps_socket_of_another_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_list_sorts_names, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_list_is_empty_when_its_directory_is_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_list_fails_when_runtime_directory_is_missing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_works_in_a_directory_with_a_long_path, set_up, tear_down),
		cmocka_unit_test_setup_teardown(control_open_succeeds_once_when_many_race_for_a_name, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
