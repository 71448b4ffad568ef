/* SPDX-License-Identifier: MIT */
/* The snapshot that an incremental one is based on, and its own base, and so on. */
#include "chain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/io.h"

#define LONGEST_CHAIN 64u /* files; each is a descriptor, and may be a step of each look at RAM */

struct base_section {
	uint8_t identity[16];
	char path[PATH_MAX];
	struct field pages;
};

static int read_section(const struct snapshot *snapshot, const struct section *section, struct base_section *base,
			struct error *error)
{
	struct field identity;

	if (!field_find(&section->fields, "identity", &identity) || identity.size != 1 ||
	    identity.count != sizeof(base->identity) || !field_find(&section->fields, "pages", &base->pages) ||
	    base->pages.size != 1 || base->pages.count != snapshot->ram_size / FORMAT_RAM_PAGE / 8)
		return error_set(error, EBADMSG, "section %s does not fit %llu bytes of RAM", FORMAT_BASE_SECTION,
				 (unsigned long long)snapshot->ram_size);
	if (field_get_text(&section->fields, "path", base->path, sizeof(base->path), error) < 0)
		return error_context(error, "section %s", FORMAT_BASE_SECTION);
	memcpy(base->identity, identity.values, sizeof(base->identity));
	return 0;
}

/* What has the same name in the folder of `of` may be it. "" where that is too long. */
static void path_beside(const char *of, const char *path, char beside[PATH_MAX])
{
	const char *name = strrchr(path, '/'), *folder_end = strrchr(of, '/');
	int folder = folder_end ? (int)(folder_end - of) + 1 : 0;

	if (snprintf(beside, PATH_MAX, "%.*s%s", folder, of, name ? name + 1 : path) >= PATH_MAX)
		beside[0] = '\0';
}

/*
 * Whether a file is a snapshot with that identity. Only its header is looked at: files that are based on one another in a
 * circle would else be opened for ever.
 */
static bool is_it(const char *path, const uint8_t identity[16], struct error *error)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct format_header header;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got = fd < 0 ? -errno : pread_full(fd, bytes, sizeof(bytes), 0);
	char text[FORMAT_IDENTITY_TEXT];

	if (fd >= 0)
		close(fd);
	if (got < 0) {
		error_system(error, (int)-got, "its base %s", path);
		return false;
	}
	if ((size_t)got == sizeof(bytes) && format_read_header(bytes, &header, error) == 0 &&
	    memcmp(header.identity, identity, sizeof(header.identity)) == 0)
		return true;
	format_identity_text(identity, text);
	error_set(error, ESTALE, "its base %s is another snapshot now: the one with identity %s is needed", path, text);
	return false;
}

static int find(struct snapshot *base, const struct base_section *wanted, const char *of, unsigned depth, struct error *error)
{
	char beside[PATH_MAX];
	const char *path = beside;

	path_beside(of, wanted->path, beside);
	if (!beside[0] || !is_it(beside, wanted->identity, error))
		path = wanted->path;
	if (path == wanted->path && !is_it(path, wanted->identity, error))
		return -1;
	return snapshot_open_chain(base, path, depth, error) < 0 ? error_context(error, "its base") : 0;
}

int snapshot_open_base(struct snapshot *snapshot, const char *path, unsigned depth, struct error *error)
{
	const struct section *section = sections_find(&snapshot->sections, FORMAT_BASE_SECTION);
	struct base_section *wanted;
	struct snapshot *base;
	int result = -1;

	if (!section)
		return 0;
	if (depth == LONGEST_CHAIN)
		return error_set(error, ELOOP, "more than %u snapshots are based on one another", LONGEST_CHAIN);
	wanted = malloc(sizeof(*wanted));
	base = malloc(sizeof(*base));
	if (!wanted || !base)
		error_system(error, ENOMEM, "memory");
	else if (section->version > 1)
		error_set(error, ENOTSUP, "section %s is of version %u, this lkvm reads up to 1", section->name, section->version);
	else if (read_section(snapshot, section, wanted, error) == 0 && find(base, wanted, path, depth + 1, error) == 0)
		result = 0;
	if (result == 0 && (base->ram_base != snapshot->ram_base || base->ram_size != snapshot->ram_size)) {
		snapshot_close(base);
		result = error_set(error, EBADMSG, "its base %s has other RAM", wanted->path);
	}
	if (result == 0) {
		snapshot->base = base;
		snapshot->pages = wanted->pages;
	} else {
		free(base);
	}
	free(wanted);
	return result;
}

bool snapshot_chain_has(const struct snapshot *snapshot, uint64_t device, uint64_t inode)
{
	struct stat status;

	for (; snapshot; snapshot = snapshot->base)
		if (fstat(snapshot->fd, &status) == 0 && status.st_dev == device && status.st_ino == inode)
			return true;
	return false;
}

int snapshot_check_as_base(const struct snapshot *snapshot, struct error *error)
{
	unsigned count = 0;

	for (; snapshot; snapshot = snapshot->base)
		count++;
	if (count <= LONGEST_CHAIN)
		return 0;
	return error_set(error, ELOOP, "more than %u snapshots would be based on one another: save without a base, or to one that "
			 "`lkvm snapshot merge` has made whole", LONGEST_CHAIN);
}
