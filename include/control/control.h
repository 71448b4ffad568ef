/* SPDX-License-Identifier: MIT */
/*
 * How other processes talk to a running VM: a UNIX socket a VM, NAME.sock in $XDG_RUNTIME_DIR/lkvm or else
 * ~/.lkvm, for the same user and root only.
 *
 * A connection carries one request, a line "VERB [WORD...]", and its reply: the line "ok" or "error
 * SENTENCE", then, after "ok", a body until the end of the stream. A request is answered after it took
 * effect, so a reply may take long.
 */
#ifndef LKVM_CONTROL_H
#define LKVM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "util/err.h"
#include "util/loop.h"

#define CONTROL_NAME_LENGTH 64
#define CONTROL_REQUEST_LENGTH 256
#define CONTROL_WORDS 8
#define CONTROL_CLIENTS 16
#define CONTROL_FDS 3

/* 1 to 64 characters of A-Z a-z 0-9 . _ - of which the first is neither a dot nor a dash. */
int control_check_name(const char *name, struct error *error);

/*
 * Server: the VMM's end. Everything runs on the main thread. Whatever a client does or does not do, it costs
 * no more than its place among CONTROL_CLIENTS, and that for a few seconds unless it waits for a reply.
 */

struct control;

enum control_client_state {
	CONTROL_FREE,
	CONTROL_READING,  /* the request is not complete */
	CONTROL_SERVING,  /* it is being answered now */
	CONTROL_DEFERRED, /* it waits for something to happen */
	CONTROL_WRITING,  /* the reply is not out completely */
};

struct control_client {
	struct control *control;
	enum control_client_state state;
	int fd;
	uint64_t deadline; /* milliseconds of CLOCK_MONOTONIC */
	size_t length;
	char request[CONTROL_REQUEST_LENGTH + 1];
	int fds[CONTROL_FDS]; /* descriptors that came with the request, each or -1 */
	bool fds_lost;        /* not all that were sent could be opened here */
	int event; /* while deferred */
	struct error timeout;
	char *reply;
	size_t reply_size, sent;
};

struct control {
	struct loop *loop; /* NULL while closed */
	/* Serves a request of `count` words, 1 to CONTROL_WORDS, then NULL: answers, refuses or defers it. */
	void (*serve)(void *owner, struct control_client *client, unsigned count, char **words);
	/* A client whose request is deferred went away: it waits for nothing any more. May be NULL. */
	void (*left)(void *owner, struct control_client *client);
	void *owner;
	char name[CONTROL_NAME_LENGTH + 1];
	bool bound;   /* the socket file is ours to remove */
	dev_t device; /* of that file, which somebody may have replaced */
	ino_t inode;
	int listen_fd;
	int timer_fd; /* ticks while somebody has a deadline */
	bool ticking;
	struct control_client clients[CONTROL_CLIENTS];
};

/*
 * Takes the name and serves it on the loop. Fails with EEXIST where a VM of that name runs. What a dead VM
 * left behind is removed.
 */
int control_open(struct control *control, const char *name, struct loop *loop,
		 void (*serve)(void *owner, struct control_client *client, unsigned count, char **words),
		 void *owner, struct error *error);

/* Gives the name back, so that another VM may take it; requests that wait can still be answered. */
void control_withdraw(struct control *control);

/* Only removes the socket's file, as the process ends at once: by any thread. */
void control_unlink(const struct control *control);

/* Withdraws, and closes all connections. Safe after a failed open, and twice. */
void control_close(struct control *control);

/* The three ways to serve a request. `body` may be NULL or empty. */
void control_answer(struct control_client *client, const char *body);
void control_refuse(struct control_client *client, const struct error *why);

/*
 * The reply waits for control_complete() with the same `event`, for at most so many seconds; then the client
 * is refused with `timeout`. A client that goes away meanwhile is forgotten.
 */
void control_defer(struct control_client *client, int event, unsigned seconds, const struct error *timeout);

/* Says "ok" to a client that is deferred, before its reply: that what it asked for began. */
void control_report_begun(struct control_client *client);

/* Takes the `index`th descriptor that came with the request, now the caller's; -1 where there is none. */
int control_claim_fd(struct control_client *client, unsigned index);

/* Answers all requests that wait for `event`; refuses them where `why` is not NULL. */
void control_complete(struct control *control, int event, const struct error *why);

/*
 * Client: the other commands' end. These block.
 */

struct control_reply {
	pid_t pid;  /* the VMM's; 0 where none was reached */
	char *body; /* terminated; to be freed; NULL after a failure */
};

/*
 * Sends a request line (without newline) and waits for the whole reply. Fails with ENOENT where no such VM
 * runs, ETIMEDOUT where the VMM does not answer in time, and with the VMM's own sentence (code 0) where it
 * refuses.
 */
int control_call(const char *name, const char *request, unsigned seconds, struct control_reply *reply,
		 struct error *error);

/* The same with more: */
struct control_extras {
	int fds[CONTROL_FDS]; /* passed along with the request; -1: none, nor any behind it */
	/* Called a few times a second while there is no reply; false: wait no longer (ECANCELED). May be NULL. */
	bool (*tick)(void *owner);
	void *owner;
};

int control_call_with(const char *name, const char *request, unsigned seconds, const struct control_extras *extras,
		      struct control_reply *reply, struct error *error);

/*
 * Sends a request that takes effect for as long as the connection stands: its descriptor once the VM said that it began,
 * or -1.
 */
int control_start(const char *name, const char *request, unsigned seconds, struct error *error);

struct control_names {
	size_t count;
	char (*names)[CONTROL_NAME_LENGTH + 1]; /* sorted */
};

/* The VMs that run now. Sockets that nobody listens at are removed. */
int control_list(struct control_names *names, struct error *error);
void control_names_free(struct control_names *names);

/*
 * Both ends: where the sockets are.
 */

/* Opens the directory, and makes it if `create`. A descriptor, or -1; code ENOENT where there is none. */
int control_directory_open(bool create, struct error *error);

/*
 * The same, and keeps others from taking and removing names until the descriptor is closed: the directory
 * itself is the lock file. Waits a few seconds for others.
 */
int control_directory_lock(bool create, struct error *error);

/* Whether somebody listens at NAME.sock. A socket that nobody listens at is stale. */
enum control_presence { CONTROL_ABSENT, CONTROL_STALE, CONTROL_PRESENT, CONTROL_STRANGE };
enum control_presence control_probe(int directory_fd, const char *name);

/* "NAME.sock", and its address, which is short enough whatever the directory's path is. */
void control_file_name(char file[CONTROL_NAME_LENGTH + 6], const char *name);
void control_address(struct sockaddr_un *address, int directory_fd, const char *name);

#endif
