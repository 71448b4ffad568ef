/* SPDX-License-Identifier: MIT */
/* lkvm snapshot save: saves a running VM to a snapshot. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control.h"
#include "save/request.h"
#include "snapshot_output.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/newfile.h"

#define PATIENCE 30   /* seconds for a VMM to answer a quick request */
#define SAVING 86400  /* seconds for a VMM to write all of RAM */

struct save_options {
	bool stop;
	bool json;
	const char *live;   /* NULL, or the way in the words of the request; "" for rounds */
	uint64_t max_pause; /* milliseconds */
	const char *base;
	bool working_set;
	bool detach;
	bool force;
	const char *overlays; /* folder or NULL */
	uint64_t level;
};

static int parse_live(void *field, char *value, struct error *error)
{
	const char **live = field;

	*live = !value ? "live" : !strcmp(value, "point-in-time") ? "point-in-time" : "";
	if (value && !**live && strcmp(value, "rounds"))
		return error_set(error, EINVAL, "point-in-time or rounds, not \"%s\"", value);
	return 0;
}

static const struct option_entry entries[] = {
	{ .name = "stop", .kind = OPTION_FLAG, .offset = offsetof(struct save_options, stop),
	  .help = "End the virtual machine after the save" },
	{ .name = "live", .kind = OPTION_PARSED, .parse = parse_live, .argument = "WAY", .choices = "point-in-time|rounds",
	  .optional = true, .offset = offsetof(struct save_options, live),
	  .help = "Pause the guest only for a moment. point-in-time copies RAM\nafter the pause, each part before the guest writes it.\n"
		  "rounds copies RAM before the pause, repeatedly.\nDefault: the first of them that this host supports" },
	{ .name = "max-pause", .kind = OPTION_NUMBER, .argument = "MS", .minimum = 1, .maximum = 60000,
	  .offset = offsetof(struct save_options, max_pause), .help = "Longest pause in milliseconds (10); implies --live=rounds" },
	{ .name = "base", .kind = OPTION_FILE, .argument = "FILE", .offset = offsetof(struct save_options, base),
	  .help = "Write only pages that differ from this snapshot;\na restore then needs both" },
	{ .name = "working-set", .kind = OPTION_FLAG, .offset = offsetof(struct save_options, working_set),
	  .help = "Save which memory the guest touched first after its\nrestore; the next restore loads it ahead" },
	{ .name = "disk-overlays", .kind = OPTION_FILE, .argument = "DIR", .offset = offsetof(struct save_options, overlays),
	  .help = "Keep the disks as they are at the save: from then on the\nguest writes to new overlays in this folder" },
	{ .name = "detach-vfio", .kind = OPTION_FLAG, .offset = offsetof(struct save_options, detach),
	  .help = "Detach passed-through devices whose state cannot be\nsaved: reset them, and notify the guest" },
	{ .name = "force", .kind = OPTION_FLAG, .offset = offsetof(struct save_options, force),
	  .help = "Save even a state that cannot be restored, for inspection" },
	SNAPSHOT_OUTPUT_COMPRESS(struct save_options, level),
	{ .name = "json", .kind = OPTION_FLAG, .offset = offsetof(struct save_options, json),
	  .help = "Print the figures as JSON" },
};

static const struct save_options defaults = { .stop = false };
const struct option_table snapshot_save_options_table = OPTION_TABLE(entries, defaults);

/* One save. */
struct save {
	const struct command_call *call;
	const char *name, *path;
	const struct save_options *options;
	int base_fd, folder_fd; /* -1: none */
	bool folder_made, has_overlays; /* has_overlays: the VMM reported success, so the guest uses them */
	struct new_file file;
	bool shows; /* progress, on a terminal */
	uint64_t duration; /* nanoseconds, of the whole save */
	struct save_figures figures;
	struct error refusal; /* why a restore will refuse the snapshot, or "" */
};

/* Shows the size of the file as progress, so the VMM need not report it. */
static bool save_show_progress(void *owner)
{
	const struct save *save = owner;
	struct stat status;

	if (save->shows && fstat(save->file.fd, &status) == 0)
		fprintf(stderr, "\rlkvm: %s: %" PRIu64 " MiB written", save->name, (uint64_t)status.st_blocks >> 11);
	return true;
}

static struct save_request describe(const struct save *save)
{
	const struct save_options *options = save->options;
	struct save_request request = {
		.max_pause = options->max_pause ? options->max_pause * 1000000 : SAVE_DEFAULT_PAUSE,
		.working_set = options->working_set,
		.detach = options->detach,
		.force = options->force,
		.overlays = options->overlays != NULL,
	};
	struct stat replaced;

	if (options->max_pause || (options->live && !*options->live))
		request.way = SAVE_ROUNDS;
	else if (options->live)
		request.way = strcmp(options->live, save_way_name(SAVE_LIVE)) ? SAVE_POINT_IN_TIME : SAVE_LIVE;
	if (!snapshot_is_stream(save->path) && stat(save->path, &replaced) == 0) {
		request.replaces = true;
		request.device = replaced.st_dev;
		request.inode = replaced.st_ino;
	}
	return request;
}

/* An older VMM accepts the request, ignores the options and reports no identity. */
static int check_answer(const struct save *save, const struct save_request *request, struct error *error)
{
	if ((request->working_set || request->detach || request->force || request->overlays) && !save->figures.identity[0])
		return error_set(error, ENOTSUP, "%s is run by an older lkvm, which ignored --working-set, --disk-overlays, "
				 "--detach-vfio or --force", save->name);
	if (request->replaces && save->base_fd >= 0 && !save->figures.identity[0])
		return error_set(error, ENOTSUP, "%s is run by an older lkvm, which does not check whether the base needs the file "
				 "to be replaced: save to another file", save->name);
	return 0;
}

static int save_to_file(struct save *save, struct error *error)
{
	const bool based = save->base_fd >= 0;
	const struct control_extras extras = {
		.fds = { save->file.fd, based ? save->base_fd : save->folder_fd, based ? save->folder_fd : -1 },
		.tick = save_show_progress, .owner = save,
	};
	const struct save_request request = describe(save);
	char text[SAVE_REQUEST_LENGTH + 1];
	struct control_reply reply;
	bool understood;

	save_request_format(&request, text);
	if (control_call_with(save->name, text, SAVING, &extras, &reply, error) < 0)
		return error_context(error, "%s", save->name);
	understood = save_figures_parse(reply.body, &save->figures);
	free(reply.body);
	if (!understood)
		return error_set(error, EPROTO, "%s sent an answer that does not fit a save", save->name);
	if (check_answer(save, &request, error) < 0)
		return -1;
	save->has_overlays = request.overlays;
	return 0;
}

static int save_stop(const struct save *save, struct error *error)
{
	struct control_reply reply;

	if (control_call(save->name, "stop force", PATIENCE, &reply, error) < 0)
		return error_context(error, "%s is saved, but does not stop", save->name);
	free(reply.body);
	return 0;
}

/* The VMM writes an uncompressed file. For a stream or a compressed file, that file is temporary and never gets a name. */
static bool is_rewritten(const struct save *save)
{
	return save->options->level || snapshot_is_stream(save->path);
}

static int open_base(struct save *save, struct error *error)
{
	const char *path = save->options->base;

	save->base_fd = -1;
	if (!path)
		return 0;
	if (is_rewritten(save))
		return error_set(error, EINVAL, "--base: a snapshot that is compressed or written to a pipe has no base");
	save->base_fd = file_open_regular(path, O_RDONLY);
	if (save->base_fd == -EINVAL)
		return error_set(error, EINVAL, "--base: %s is not a regular file", path);
	if (save->base_fd < 0)
		return error_system(error, -save->base_fd, "--base: %s", path);
	return 0;
}

static int open_folder(struct save *save, struct error *error)
{
	const char *folder = save->options->overlays;

	if (!folder)
		return 0;
	if (save->options->stop)
		return error_set(error, EINVAL, "--disk-overlays: --stop ends the guest, which could not use them");
	save->folder_made = mkdir(folder, 0755) == 0;
	if (!save->folder_made && errno != EEXIST)
		return error_system(error, errno, "--disk-overlays: cannot make the folder %s", folder);
	save->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return save->folder_fd < 0 ? error_system(error, errno, "--disk-overlays: %s", folder) : 0;
}

/* After a failed save: removes the folder that was made for overlays, unless the guest uses overlays there. */
static void close_folder(struct save *save, struct error *error)
{
	if (save->folder_made)
		rmdir(save->options->overlays);
	if (save->has_overlays)
		error_set(error, error->code, "%s; no snapshot was made, but the guest now writes to the new overlays in %s",
					      error->text,
			  save->options->overlays);
}

static int open_file(struct save *save, struct error *error)
{
	if (!snapshot_is_stream(save->path))
		return new_file_open(&save->file, save->path, error);
	save->file = (struct new_file){ .fd = new_file_open_temporary(error) };
	return save->file.fd < 0 ? -1 : 0;
}

/* What the file must contain according to the VMM's answer. */
static struct snapshot_expected expect(struct save *save)
{
	return (struct snapshot_expected){
		.identity = save->figures.identity, .ram = save->figures.ram, .refusal = &save->refusal,
	};
}

/* Compresses or streams the snapshot. The guest does not wait for it. */
static int rewrite(struct save *save, struct error *error)
{
	const struct snapshot_expected expected = expect(save);
	struct snapshot_output output = { .path = save->path, .level = save->options->level, .shows = save->shows };
	int fd = fcntl(save->file.fd, F_DUPFD_CLOEXEC, 0), result;
	struct snapshot plain;

	if (fd < 0)
		return error_system(error, errno, "descriptors");
	if (snapshot_open_file(&plain, fd, save->path, error) < 0)
		return -1;
	result = snapshot_output_compare(&plain, &expected, error);
	if (result == 0)
		result = snapshot_output_write(&output, &plain, error);
	snapshot_close(&plain);
	save->figures.size = output.size;
	return result;
}

static int save_as_wanted(struct save *save, struct error *error)
{
	struct snapshot_expected expected;
	int result = open_file(save, error);

	if (result < 0)
		return -1;
	result = save_to_file(save, error);
	if (save->shows)
		fprintf(stderr, "\r\033[K");
	expected = expect(save);
	if (result == 0 && !is_rewritten(save))
		return snapshot_output_commit(&save->file, &expected, error);
	if (result == 0)
		result = rewrite(save, error);
	new_file_discard(&save->file);
	return result;
}

/* With --stop the guest must not run after the saved state: it is held until it has ended. */
static int save_all(struct save *save, bool stops, struct error *error)
{
	int hold_fd = stops ? control_start(save->name, "hold", PATIENCE, error) : -1;
	uint64_t start = monotonic_ns();
	int result;

	if (stops && hold_fd < 0)
		return error_context(error, "%s", save->name);
	result = save_as_wanted(save, error);
	save->duration = monotonic_ns() - start;
	if (result == 0 && stops)
		result = save_stop(save, error);
	if (hold_fd >= 0)
		close(hold_fd);
	return result;
}

static void warn(const struct save *save)
{
	if (save->refusal.text[0])
		fprintf(stderr, "lkvm: warning: %s: %s\n", snapshot_output_name(save->path), save->refusal.text);
}

static int print_figures(const struct save *save, bool stopped, bool json)
{
	uint64_t rate = save->figures.size * 1000 / (save->duration / 1000 + 1); /* bytes a millisecond: KB/s */
	FILE *output = snapshot_is_stream(save->path) ? stderr : stdout;
	struct report report;

	if (!json) {
		fprintf(output,
			"Guest %s saved to %s%s: %" PRIu64 " MiB of RAM, %" PRIu64 ".%" PRIu64
			" MiB written, paused for %" PRIu64 ".%" PRIu64 " ms (%" PRIu64 " MB/s)\n",
			save->name, snapshot_output_name(save->path), stopped ? ", and stopped" : "", save->figures.ram >> 20,
			save->figures.size >> 20, (save->figures.size & 0xfffff) * 10 >> 20, save->figures.pause / 1000000,
			save->figures.pause / 100000 % 10, rate / 1000);
		if (save->figures.throttle)
			fprintf(output, "The guest was slowed down, because it wrote as fast as its RAM could be saved "
				"(%" PRIu64 " rounds)\n", save->figures.rounds);
		if (save->options->overlays)
			fprintf(output, "The guest now writes to new overlays in %s; the overlays and the snapshot need the disks "
				"unchanged\n", save->options->overlays);
		else if (save->figures.disks && !stopped)
			fprintf(output, "The snapshot is valid only for the guest's disks as they are now: after the guest writes "
				"to them, a restore refuses them\n");
		return EXIT_OK;
	}
	report_open(&report, true);
	report_string(&report, "name", save->name);
	report_string(&report, "file", save->path);
	report_bool(&report, "stopped", stopped);
	report_bool(&report, "restorable", !save->refusal.text[0]);
	report_number(&report, "pause_ns", save->figures.pause);
	report_number(&report, "duration_ns", save->duration);
	report_bytes(&report, "ram", save->figures.ram);
	report_bytes(&report, "data", save->figures.data);
	report_bytes(&report, "written", save->figures.size);
	report_string(&report, "way", save_way_name(save->figures.way));
	report_number(&report, "rounds", save->figures.rounds);
	report_number(&report, "throttle", save->figures.throttle);
	report_number(&report, "held_writes", save->figures.held_writes);
	report_number(&report, "writable_disks", save->figures.disks);
	if (save->options->overlays)
		report_string(&report, "disk_overlays", save->options->overlays);
	return snapshot_output_print_report(save->call, save->path, &report);
}

/* Refuses options that other options would make useless. */
static int check_options(const struct save_options *options, struct error *error)
{
	if (!options->live || strcmp(options->live, save_way_name(SAVE_POINT_IN_TIME)))
		return 0;
	if (options->max_pause)
		return error_set(error, EINVAL, "--max-pause is only for --live=rounds: the pause of --live=point-in-time cannot "
				 "be limited");
	if (options->stop)
		return error_set(error, EINVAL, "--live=point-in-time and --stop exclude each other: the first copies RAM while "
				 "the guest runs");
	return 0;
}

int cmd_snapshot_save(const struct command_call *call)
{
	const struct save_options *options = call->values;
	struct save save = {
		.call = call, .options = options, .base_fd = -1, .folder_fd = -1,
		.shows = isatty(STDERR_FILENO) && !options->json,
	};
	struct error error;
	int result;

	if (call->count != 2) {
		error_set(&error, EINVAL, "a virtual machine and a file are required");
		return command_usage_error(call, &error);
	}
	if (check_options(options, &error) < 0)
		return command_usage_error(call, &error);
	save.name = call->operands[0];
	save.path = call->operands[1];
	result = snapshot_output_check(save.path, &error);
	if (result == 0)
		result = open_base(&save, &error);
	if (result == 0)
		result = open_folder(&save, &error);
	if (result == 0)
		result = save_all(&save, options->stop, &error);
	if (save.base_fd >= 0)
		close(save.base_fd);
	if (save.folder_fd >= 0)
		close(save.folder_fd);
	if (result < 0) {
		close_folder(&save, &error);
		return command_error(call, &error);
	}
	warn(&save);
	return print_figures(&save, options->stop, options->json);
}
