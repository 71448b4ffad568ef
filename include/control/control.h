/* SPDX-License-Identifier: MIT */
/*
 * The control socket, by which other processes use a running VM: NAME.sock in $XDG_RUNTIME_DIR/lkvm or else ~/.lkvm. Only the
 * same user and root may connect.
 *
 * A connection carries one request and its reply. The request is a line "VERB [WORD...]". The reply is the line "ok" or "error
 * SENTENCE"; after "ok" a body follows until the end of the stream. The VM answers after the request took effect, so a reply
 * may take long.
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
#define CONTROL_DEFERRABLE (CONTROL_CLIENTS / 2) /* requests that may wait for a guest at the same time */
#define CONTROL_FDS 3

/* Checks a name: 1 to 64 characters of A-Z a-z 0-9 . _ -, the first neither a dot nor a dash. */
int control_check_name(const char *name, struct error *error);

/*
 * Server: the VMM's end. Everything runs on the main thread. A bad client can only occupy one of CONTROL_CLIENTS places, for a
 * few seconds unless it waits for a reply. When all places are taken, a client that sends or receives nothing loses its place
 * to the next. The server must keep places free of deferred requests: CONTROL_DEFERRABLE.
 */

struct control;

enum control_client_state {
	CONTROL_FREE,
	CONTROL_READING,  /* the request is not complete */
	CONTROL_SERVING,  /* it is being served now */
	CONTROL_DEFERRED, /* it waits for an event */
	CONTROL_WRITING,  /* the reply is not sent completely */
};

struct control_client {
	struct control *control;
	enum control_client_state state;
	int fd;
	uint64_t deadline; /* milliseconds of CLOCK_MONOTONIC */
	size_t length;
	char request[CONTROL_REQUEST_LENGTH + 1];
	int fds[CONTROL_FDS]; /* descriptors that came with the request; -1: none */
	bool fds_lost;        /* some could not be received */
	int event; /* while deferred */
	struct error timeout;
	char *reply;
	size_t reply_size, sent;
};

struct control {
	struct loop *loop; /* NULL while closed */
	/* Serves a request of 1 to CONTROL_WORDS words; NULL ends them. It must answer, refuse or defer the request. */
	void (*serve)(void *owner, struct control_client *client, unsigned count, char **words);
	/* A client with a deferred request has disconnected. May be NULL. */
	void (*left)(void *owner, struct control_client *client);
	void *owner;
	char name[CONTROL_NAME_LENGTH + 1];
	bool bound;   /* this process made the socket's file and must remove it */
	dev_t device; /* of that file; another process may have replaced it */
	ino_t inode;
	int listen_fd;
	int timer_fd; /* ticks while a client has a deadline */
	bool ticking;
	struct control_client clients[CONTROL_CLIENTS];
};

/*
 * Takes the name and serves its socket on the loop. Fails with EEXIST if a VM of that name runs. Removes the socket of a VM
 * that has died.
 */
int control_open(struct control *control, const char *name, struct loop *loop,
		 void (*serve)(void *owner, struct control_client *client, unsigned count, char **words),
		 void *owner, struct error *error);

/* Gives the name back: another VM may take it. Deferred requests can still be answered. */
void control_withdraw(struct control *control);

/* Only removes the socket's file, for a process that ends at once. Any thread. */
void control_unlink(const struct control *control);

/* Withdraws, and closes all connections. Allowed after a failed open, and twice. */
void control_close(struct control *control);

/* Answer or refuse a request. `body` may be NULL or empty. */
void control_answer(struct control_client *client, const char *body);
void control_refuse(struct control_client *client, const struct error *why);

/*
 * Defers the reply until control_complete() with the same `event`, for at most `seconds`. Then the client is refused with
 * `timeout`. A client that disconnects meanwhile is dropped.
 */
void control_defer(struct control_client *client, int event, unsigned seconds, const struct error *timeout);

/* Returns the number of deferred requests. */
unsigned control_count_deferred(const struct control *control);

/* Sends "ok" to a deferred client before its reply: what it requested has begun. */
void control_report_begun(struct control_client *client);

/* Returns descriptor `index` of the request, which then belongs to the caller; -1 if there is none. */
int control_claim_fd(struct control_client *client, unsigned index);

/* Answers all requests that wait for `event`, or refuses them if `why` is not NULL. */
void control_complete(struct control *control, int event, const struct error *why);

/*
 * Client: the end of the other commands. These functions block.
 */

struct control_reply {
	pid_t pid;  /* of the VMM; 0 if none was reached */
	char *body; /* terminated; the caller frees it; NULL after a failure */
};

/*
 * Sends a request line (without newline) and waits for the whole reply. Fails with ENOENT if no such VM runs, with ETIMEDOUT if
 * the VMM does not answer in time, and with the VMM's message (code 0) if it refuses.
 */
int control_call(const char *name, const char *request, unsigned seconds, struct control_reply *reply,
		 struct error *error);

/* The same, with descriptors and a callback. */
struct control_extras {
	int fds[CONTROL_FDS]; /* sent with the request; the first -1 ends them */
	/* Called a few times a second until the reply. Returns false to stop waiting (ECANCELED). May be NULL. */
	bool (*tick)(void *owner);
	void *owner;
};

int control_call_with(const char *name, const char *request, unsigned seconds, const struct control_extras *extras,
		      struct control_reply *reply, struct error *error);

/*
 * Sends a request that has an effect as long as the connection exists. Returns the connection's descriptor once the VM has
 * reported that the effect began, or -1.
 */
int control_start(const char *name, const char *request, unsigned seconds, struct error *error);

struct control_names {
	size_t count;
	char (*names)[CONTROL_NAME_LENGTH + 1]; /* sorted */
};

/* Lists the VMs that run now. Removes stale sockets. */
int control_list(struct control_names *names, struct error *error);
void control_names_free(struct control_names *names);

/*
 * Both ends: the directory of the sockets.
 */

/* Opens the directory, and makes it if `create`. Returns a descriptor, or -1; code ENOENT if there is no directory. */
int control_directory_open(bool create, struct error *error);

/*
 * The same, with a lock: until the descriptor is closed, no other process takes or removes names. The directory itself is the
 * lock file. Waits a few seconds for the lock.
 */
int control_directory_lock(bool create, struct error *error);

/* Finds out whether a process listens at NAME.sock. A socket without a listener is stale; STRANGE is no socket. */
enum control_presence { CONTROL_ABSENT, CONTROL_STALE, CONTROL_PRESENT, CONTROL_STRANGE };
enum control_presence control_probe(int directory_fd, const char *name);

/* Format "NAME.sock", and its address, which is short enough for any path of the directory. */
void control_file_name(char file[CONTROL_NAME_LENGTH + 6], const char *name);
void control_address(struct sockaddr_un *address, int directory_fd, const char *name);

#endif
