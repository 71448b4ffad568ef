/* SPDX-License-Identifier: MIT */
/* Checks whether a disk's file is in a format other than raw, by its first and last bytes. */
#include "disk_format.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/types.h>

#include "util/bits.h"
#include "util/file_format.h"
#include "util/io.h"

#define FOOTER 512u /* bytes at the end of the file that include all magic numbers */
#define RAW "; format=raw uses its bytes as they are"

/* Formats with a footer: VHDs of a fixed size have no header. */
static const struct {
	unsigned from_end; /* offset of the magic number */
	char magic[9];
	const char *name;
	const char *tool; /* qemu-img's name of the format; NULL: it is lkvm's */
} footers[] = {
	{ 512, "conectix", "a VHD image", "vpc" },
	{ 511, "conectix", "a VHD image", "vpc" }, /* of Virtual PC before 2004 */
	{ 512, "koly", "a DMG image", "dmg" },
	{ 64, "lkvmOVER", "an overlay of lkvm", NULL },
};

static int refuse_image(const char *path, const char *name, const char *tool, struct error *error)
{
	return error_set(error, ENOTSUP, "disk %s is %s, not a raw one: convert it (qemu-img convert -f %s -O raw %s NEW)" RAW, path,
			 name, tool, path);
}

static int refuse_own(const char *path, const char *name, struct error *error)
{
	return error_set(error, ENOTSUP, "disk %s is %s, not a disk" RAW, path, name);
}

static int check_start(const uint8_t *start, size_t size, const char *path, struct error *error)
{
	const struct file_format *format = file_format_find(start, size);

	if (!format)
		return 0;
	switch (format->kind) {
	case FILE_COMPRESSED:
		return error_set(error, ENOTSUP, "disk %s is compressed by %s: decompress it first (%s)" RAW, path, format->name,
				 format->tool);
	case FILE_DISK_IMAGE:
		return refuse_image(path, format->name, format->tool, error);
	case FILE_SNAPSHOT:
		return refuse_own(path, format->name, error);
	case FILE_ARCHIVE: /* valid raw disks: guests read such files from them */
	case FILE_PROGRAM:
		break;
	}
	return 0;
}

static int check_end(const uint8_t *end, size_t size, const char *path, struct error *error)
{
	for (size_t i = 0; i < COUNT(footers); i++) {
		if (footers[i].from_end > size || memcmp(end + size - footers[i].from_end, footers[i].magic, strlen(footers[i].magic)))
			continue;
		if (footers[i].tool)
			return refuse_image(path, footers[i].name, footers[i].tool, error);
		return refuse_own(path, footers[i].name, error);
	}
	return 0;
}

int disk_format_check(int fd, uint64_t size, const char *path, struct error *error)
{
	uint8_t bytes[FILE_FORMAT_HEAD];
	size_t head = MIN(size, sizeof(bytes)), end = MIN(size, FOOTER);
	ssize_t done = pread_full(fd, bytes, head, 0);

	if (done < 0)
		return error_system(error, (int)-done, "reading disk %s", path);
	if (check_start(bytes, (size_t)done, path, error) < 0)
		return -1;
	done = pread_full(fd, bytes, end, (off_t)(size - end));
	if (done < 0)
		return error_system(error, (int)-done, "reading disk %s", path);
	return check_end(bytes, (size_t)done, path, error);
}
