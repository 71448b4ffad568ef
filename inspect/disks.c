/* SPDX-License-Identifier: MIT */
/* Compares the files of a snapshot's disks with their identities at the save. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/inspect.h"
#include "util/file.h"

struct file {
	const char *what, *path; /* "overlay", "/o" */
	const struct disk_identity *saved;
};

/* A hostile snapshot may have any path, so only regular files and block devices are opened. */
static int open_file(const struct file *file, struct error *error)
{
	int fd = file_open_image(file->path, O_RDONLY);

	if (fd == -EINVAL)
		return error_set(error, EINVAL, "%s %s is neither a file nor a block device", file->what, file->path);
	return fd < 0 ? error_system(error, -fd, "%s %s", file->what, file->path) : fd;
}

static enum inspect_disk_state compare(const struct file *file, struct error *error)
{
	struct disk_identity found;
	char what[PATH_MAX + 16];
	int fd = open_file(file, error), result;

	if (fd < 0)
		return INSPECT_DISK_UNREADABLE;
	result = disk_identity_compute(fd, &found);
	close(fd);
	if (result) {
		error_system(error, result, "%s %s", file->what, file->path);
		return INSPECT_DISK_UNREADABLE;
	}
	snprintf(what, sizeof(what), "%s %s", file->what, file->path);
	return disk_identity_check(file->saved, &found, what, "the snapshot was saved", error) < 0 ? INSPECT_DISK_DIFFERS :
	       INSPECT_DISK_MATCHES;
}

static void report_file(const struct file *file, unsigned index, inspect_disk_report *report, void *owner)
{
	struct error error = { .code = 0 };
	enum inspect_disk_state state;

	if (!file->path || !file->saved->known)
		return;
	state = compare(file, &error);
	report(owner, index, file->path, state, error.text);
}

void inspect_disks(const struct machine_config *config, inspect_disk_report *report, void *owner)
{
	for (unsigned i = 0; i < config->disk_count; i++) {
		const struct virtio_block_config *disk = &config->disks[i];

		report_file(&(struct file){ "disk", disk->path, &disk->identity }, i, report, owner);
		for (unsigned j = 0; j < VIRTIO_BLOCK_LOWER; j++)
			report_file(&(struct file){ "overlay", disk->lower[j], &disk->lower_identities[j] }, i, report, owner);
		report_file(&(struct file){ "overlay", disk->overlay, &disk->overlay_identity }, i, report, owner);
	}
}
