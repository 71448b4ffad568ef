/* SPDX-License-Identifier: MIT */
/* The text form of a request to save a machine, and of its answer. */
#include "save/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/bits.h"
#include "util/parse.h"


#define REPLACES "replaces="

static const char *const way_names[] = { "plain", "rounds", "point-in-time", "live" };

const char *save_way_name(enum save_way way)
{
	return (size_t)way < COUNT(way_names) ? way_names[way] : NULL;
}

/* The options that are on or off. */
static const struct save_flag {
	const char *word;
	const char *verb; /* NULL, or the older verb that implies it */
	size_t offset;
} flags[] = {
	{ "working-set", "save-working-set", offsetof(struct save_request, working_set) },
	{ "disk-overlays", NULL, offsetof(struct save_request, overlays) },
	{ "detach-vfio", "save-detached", offsetof(struct save_request, detach) },
	{ "force", NULL, offsetof(struct save_request, force) },
};

static bool *flag_of(struct save_request *request, const struct save_flag *flag)
{
	return (bool *)((char *)request + flag->offset);
}

static bool is_set(const struct save_request *request, const struct save_flag *flag)
{
	return *(const bool *)((const char *)request + flag->offset);
}

static void format_way(const struct save_request *request, char text[32])
{
	switch (request->way) {
	case SAVE_PLAIN:
		snprintf(text, 32, "0");
		break;
	case SAVE_ROUNDS:
		snprintf(text, 32, "%" PRIu64, request->max_pause);
		break;
	case SAVE_POINT_IN_TIME:
	case SAVE_LIVE:
		snprintf(text, 32, "%s", save_way_name(request->way));
		break;
	}
}

static int parse_way(const char *word, struct save_request *request, struct error *error)
{
	request->max_pause = SAVE_DEFAULT_PAUSE;
	for (request->way = SAVE_POINT_IN_TIME; request->way <= SAVE_LIVE; request->way++)
		if (!strcmp(word, way_names[request->way]))
			return 0;
	if (parse_number(word, 0, UINT64_MAX, &request->max_pause, error) < 0)
		return -1;
	request->way = request->max_pause ? SAVE_ROUNDS : SAVE_PLAIN;
	return 0;
}

void save_request_format(const struct save_request *request, char text[SAVE_REQUEST_LENGTH + 1])
{
	char way[32];
	size_t size;

	format_way(request, way);
	size = (size_t)snprintf(text, SAVE_REQUEST_LENGTH + 1, "save %s", way);
	for (size_t i = 0; i < COUNT(flags); i++)
		if (is_set(request, &flags[i]))
			size += (size_t)snprintf(text + size, SAVE_REQUEST_LENGTH + 1 - size, " %s", flags[i].word);
	if (request->replaces)
		snprintf(text + size, SAVE_REQUEST_LENGTH + 1 - size, " " REPLACES "%" PRIu64 ":%" PRIu64, request->device,
			 request->inode);
}

/* "replaces=DEVICE:INODE" */
static int parse_replaces(char *value, struct save_request *request, struct error *error)
{
	char *colon = strchr(value, ':');

	if (!colon)
		return error_set(error, EINVAL, "replaces: DEVICE:INODE, not \"%.40s\"", value);
	*colon = '\0';
	request->replaces = true;
	if (parse_number(value, 0, UINT64_MAX, &request->device, error) < 0)
		return -1;
	return parse_number(colon + 1, 0, UINT64_MAX, &request->inode, error);
}

static int parse_option(char *word, struct save_request *request, struct error *error)
{
	for (size_t i = 0; i < COUNT(flags); i++) {
		if (!strcmp(word, flags[i].word)) {
			*flag_of(request, &flags[i]) = true;
			return 0;
		}
	}
	if (!strncmp(word, REPLACES, sizeof(REPLACES) - 1))
		return parse_replaces(word + sizeof(REPLACES) - 1, request, error);
	return error_set(error, EINVAL, "unknown option of a save: %.40s", word);
}

int save_request_parse(char **words, struct save_request *request, struct error *error)
{
	*request = (struct save_request){ .fd = -1, .base_fd = -1, .folder_fd = -1 };
	for (size_t i = 0; i < COUNT(flags); i++)
		*flag_of(request, &flags[i]) = flags[i].verb && !strcmp(words[0], flags[i].verb);
	words++;
	if (parse_way(*words ? *words : "0", request, error) < 0)
		return -1;
	for (words += *words != NULL; *words; words++)
		if (parse_option(*words, request, error) < 0)
			return -1;
	return 0;
}

/* The answer. */

void save_figures_format(const struct save_figures *figures, char text[SAVE_FIGURES_LENGTH])
{
	size_t size = (size_t)snprintf(text, SAVE_FIGURES_LENGTH,
				       "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %" PRIu64,
				       figures->pause, figures->ram, figures->data, figures->size, figures->rounds,
				       figures->throttle, (unsigned)figures->way, figures->held_writes);

	if (figures->identity[0])
		size += (size_t)snprintf(text + size, SAVE_FIGURES_LENGTH - size, " identity=%s", figures->identity);
	size += (size_t)snprintf(text + size, SAVE_FIGURES_LENGTH - size, " disks=%u", figures->disks);
	snprintf(text + size, SAVE_FIGURES_LENGTH - size, "\n");
}

static void parse_word(const char *word, size_t length, struct save_figures *figures)
{
	static const char identity[] = "identity=", disks[] = "disks=";
	const size_t name = sizeof(identity) - 1;

	if (!strncmp(word, disks, sizeof(disks) - 1))
		figures->disks = (unsigned)strtoul(word + sizeof(disks) - 1, NULL, 10);
	if (length == name + FORMAT_IDENTITY_TEXT - 1 && !strncmp(word, identity, name))
		snprintf(figures->identity, sizeof(figures->identity), "%.*s", (int)(length - name), word + name);
}

bool save_figures_parse(const char *text, struct save_figures *figures)
{
	uint64_t way = 0;
	uint64_t *const numbers[] = {
		&figures->pause, &figures->ram, &figures->data, &figures->size, &figures->rounds, &figures->throttle, &way,
		&figures->held_writes,
	};

	*figures = (struct save_figures){ 0 };
	for (size_t i = 0; i < COUNT(numbers); i++) {
		char *end;

		*numbers[i] = strtoull(text, &end, 10);
		if (end == text)
			return false;
		text = end;
	}
	for (size_t length; (text += strspn(text, " \n"), (length = strcspn(text, " \n")) > 0); text += length)
		parse_word(text, length, figures);
	figures->way = (enum save_way)way;
	return way < SAVE_LIVE;
}
