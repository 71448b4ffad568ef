/* SPDX-License-Identifier: MIT */
/*
 * A request to save a running machine, and its answer: the structures and their text form on the control socket. The
 * client (cmd/snapshot_save.c) and the VMM (control/lifecycle_save.c) both use it.
 *
 *     save [WAY] [OPTION...]
 *
 * WAY is 0, the nanoseconds of the longest pause, point-in-time or live. Two older verbs have no words but WAY:
 * save-working-set and save-detached. The answer is eight numbers and, from newer VMMs, words NAME=VALUE.
 */
#ifndef LKVM_SAVE_REQUEST_H
#define LKVM_SAVE_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "snapshot/format.h"
#include "util/err.h"

#define SAVE_DEFAULT_PAUSE UINT64_C(10000000) /* nanoseconds */

enum save_way {
	SAVE_PLAIN,         /* copies RAM once while the guest runs; the pause copies what has changed since */
	SAVE_ROUNDS,        /* copies what has changed again and again, until the rest fits into a pause of `max_pause` */
	SAVE_POINT_IN_TIME, /* pauses the guest for a moment only, and copies RAM as it was then while the guest runs */
	SAVE_LIVE,          /* point-in-time where this host and this machine have it, else rounds */
};

/* "plain", "rounds", "point-in-time", "live"; NULL for any other value. */
const char *save_way_name(enum save_way way);

struct save_request {
	/* Passed beside the text. The save job takes them over and closes them in any case. */
	int fd;      /* an empty regular file, open for reading and writing */
	int base_fd; /* -1, or a snapshot: only pages that differ from it are written */
	int folder_fd; /* -1, or with `overlays` the folder for them */

	enum save_way way;
	uint64_t max_pause; /* nanoseconds; of SAVE_ROUNDS, and of SAVE_LIVE where it becomes rounds */
	bool working_set;   /* with the working set that was recorded */
	bool detach;        /* detaches passed-through devices whose state cannot be saved */
	bool force;         /* saves also what cannot be restored, and marks it */
	bool replaces;      /* the file will replace another one, with these st_dev and st_ino */
	uint64_t device, inode;
	bool overlays;      /* puts new overlays over the guest's disks in the pause */

	bool stays; /* set by the VMM: the machine stays paused, so copying after the pause would only prolong it */
};

#define SAVE_REQUEST_LENGTH 256 /* of the text, without its final zero; the control socket takes as much */

/* The text, without descriptors and `stays`. */
void save_request_format(const struct save_request *request, char text[SAVE_REQUEST_LENGTH + 1]);

/* Parses the words of a request, the verb first; NULL ends them. Refuses what it does not know. The descriptors are -1. */
int save_request_parse(char **words, struct save_request *request, struct error *error);

struct save_figures {
	uint64_t pause;             /* nanoseconds that the guest was paused */
	uint64_t ram, data, size;   /* bytes: struct snapshot_figures */
	uint64_t rounds, throttle;  /* passes over RAM; by how much vCPUs were slowed down */
	enum save_way way;          /* that was used */
	uint64_t held_writes;       /* writes of the guest that waited until their page was copied */
	unsigned disks;             /* that the guest may write; 0 from a VMM that does not report it */
	char identity[FORMAT_IDENTITY_TEXT]; /* of the snapshot; "" from a VMM that does not report it */
};

#define SAVE_FIGURES_LENGTH 256
void save_figures_format(const struct save_figures *figures, char text[SAVE_FIGURES_LENGTH]);

/* False if it is malformed. Skips words that it does not know. */
bool save_figures_parse(const char *text, struct save_figures *figures);

#endif
