/* SPDX-License-Identifier: MIT */
/* Reads and writes snapshots as files or streams, compressed or not. */
#include "snapshot_output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/parse.h"

int snapshot_output_parse_level(void *field, char *value, struct error *error)
{
	uint64_t *level = field;

	*level = REWRITE_LEVEL;
	return value ? parse_number(value, 1, 9, level, error) : 0;
}

bool snapshot_is_stream(const char *path)
{
	return strcmp(path, "-") == 0;
}

const char *snapshot_input_name(const char *path)
{
	return snapshot_is_stream(path) ? "standard input" : path;
}

const char *snapshot_output_name(const char *path)
{
	return snapshot_is_stream(path) ? "standard output" : path;
}

int snapshot_output_check(const char *path, struct error *error)
{
	if (snapshot_is_stream(path) && isatty(STDOUT_FILENO))
		return error_set(error, EINVAL, "refusing to write a snapshot to a terminal: \"-\" is for a pipe");
	return 0;
}

/* After the stream has ended, standard input becomes the terminal, so that the user can type to the guest. */
static void replace_input(void)
{
	int fd = isatty(STDOUT_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		close(fd);
	}
}

static int open_stream(struct snapshot *snapshot, struct error *error)
{
	int fd;

	if (isatty(STDIN_FILENO))
		return error_set(error, EINVAL, "a snapshot does not come from a terminal: \"-\" is for a pipe");
	fd = new_file_open_temporary(error);
	if (fd < 0)
		return -1;
	if (snapshot_receive(STDIN_FILENO, fd, error) < 0) {
		close(fd);
		return error_context(error, "%s", snapshot_input_name("-"));
	}
	replace_input();
	return snapshot_open_file(snapshot, fd, snapshot_input_name("-"), error);
}

int snapshot_input_open(struct snapshot *snapshot, const char *path, struct error *error)
{
	return snapshot_is_stream(path) ? open_stream(snapshot, error) : snapshot_open(snapshot, path, error);
}

struct show {
	const struct snapshot_output *output;
	time_t shown;
};

static bool snapshot_output_show_progress(void *owner, uint64_t done, uint64_t total)
{
	struct show *show = owner;
	time_t now = time(NULL);

	if (!show->output->shows || now == show->shown)
		return true;
	fprintf(stderr, "\rlkvm: %s: %" PRIu64 " of %" PRIu64 " MiB of RAM", show->output->path, done >> 20, total >> 20);
	show->shown = now;
	return true;
}

static int write_to(struct snapshot_output *output, int fd, const struct snapshot *from, struct error *error)
{
	struct show show = { .output = output };
	const struct snapshot_progress progress = { .step = snapshot_output_show_progress, .owner = &show };
	struct rewrite rewrite = {
		.fd = fd, .stream = snapshot_is_stream(output->path), .level = (int)output->level, .progress = &progress,
	};
	int result = snapshot_rewrite(from, &rewrite, error);

	if (show.shown)
		fprintf(stderr, "\r\033[K");
	output->data = rewrite.data;
	output->size = rewrite.size;
	return result;
}

int snapshot_output_compare(struct snapshot *written, const struct snapshot_expected *expected, struct error *error)
{
	char identity[FORMAT_IDENTITY_TEXT];

	format_identity_text(written->header.identity, identity);
	if (expected->identity[0] && strcmp(identity, expected->identity) != 0)
		return error_set(error, EBADMSG, "the file holds snapshot %s instead of %s", identity, expected->identity);
	if (written->ram_size != expected->ram)
		return error_set(error, EBADMSG, "the file holds %" PRIu64 " bytes of RAM instead of %" PRIu64,
				 written->ram_size, expected->ram);
	if (expected->refusal)
		snapshot_check_restorable(written, expected->refusal);
	return 0;
}

static int read_back(const struct new_file *file, const struct snapshot_expected *expected, struct error *error)
{
	int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0), result;
	struct snapshot written;

	if (fd < 0)
		return error_system(error, errno, "descriptors");
	if (snapshot_open_file(&written, fd, file->path, error) < 0)
		return -1;
	result = snapshot_output_compare(&written, expected, error);
	snapshot_close(&written);
	return result < 0 ? error_context(error, "%s", file->path) : 0;
}

int snapshot_output_commit(struct new_file *file, const struct snapshot_expected *expected, struct error *error)
{
	if (read_back(file, expected, error) == 0)
		return new_file_commit(file, error);
	new_file_discard(file);
	return error_context(error, "the snapshot was discarded, as reading it back failed");
}

int snapshot_output_write(struct snapshot_output *output, const struct snapshot *from, struct error *error)
{
	struct snapshot_expected expected = { .ram = from->ram_size };
	char identity[FORMAT_IDENTITY_TEXT];
	struct new_file file;

	if (snapshot_is_stream(output->path)) {
		signal(SIGPIPE, SIG_IGN); /* then a reader that has ended is reported as an error */
		return write_to(output, STDOUT_FILENO, from, error);
	}
	if (new_file_open(&file, output->path, error) < 0)
		return -1;
	if (write_to(output, file.fd, from, error) == 0) {
		format_identity_text(from->header.identity, identity);
		expected.identity = identity;
		return snapshot_output_commit(&file, &expected, error);
	}
	new_file_discard(&file);
	return error_context(error, "%s", output->path);
}

int snapshot_output_print_report(const struct command_call *call, const char *path, struct report *report)
{
	if (!snapshot_is_stream(path) || !report_text(report))
		return command_print_report(call, report);
	fputs(report_text(report), stderr);
	report_close(report);
	return EXIT_OK;
}
