/* SPDX-License-Identifier: MIT */
/* Opens a snapshot and the chain of its bases. */
#include "chain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "read.h"
#include "snapshot/working_set.h"
#include "state/names.h"
#include "util/file.h"
#include "util/io.h"

#define LONGEST_CHAIN 64u /* files; each needs a descriptor, and may add a step to each read of RAM */

static int chain_open(struct snapshot *snapshot, int fd, const char *path, unsigned depth,
		      const struct error_collector *faults, struct error *error);

struct base_section {
	uint8_t identity[16];
	char path[PATH_MAX];
	struct field pages;
};

static int read_section(const struct snapshot *snapshot, const struct section *section, struct base_section *base,
			struct error *error)
{
	struct field identity;

	if (!field_find(&section->fields, FIELD_BASE_IDENTITY, &identity) || identity.size != 1 ||
	    identity.count != sizeof(base->identity) || !field_find(&section->fields, FIELD_BASE_PAGES, &base->pages) ||
	    base->pages.size != 1 || base->pages.count != snapshot->ram_size / FORMAT_RAM_PAGE / 8)
		return error_set(error, EBADMSG, "section %s does not fit %llu bytes of RAM", SECTION_RAM_BASE,
				 (unsigned long long)snapshot->ram_size);
	if (field_get_text(&section->fields, FIELD_BASE_PATH, base->path, sizeof(base->path), error) < 0)
		return error_context(error, "section %s", SECTION_RAM_BASE);
	memcpy(base->identity, identity.values, sizeof(base->identity));
	return 0;
}

/* Sets `beside` to the file of the same name in the folder of `of`, which may be the base. "" if that path is too long. */
static void path_beside(const char *of, const char *path, char beside[PATH_MAX])
{
	const char *name = strrchr(path, '/'), *folder_end = strrchr(of, '/');
	int folder = folder_end ? (int)(folder_end - of) + 1 : 0;

	if (snprintf(beside, PATH_MAX, "%.*s%s", folder, of, name ? name + 1 : path) >= PATH_MAX)
		beside[0] = '\0';
}

/* Whether an open file is a snapshot with that identity. Reads only its header. */
static bool is_it(int fd, const char *path, const uint8_t identity[16], struct error *error)
{
	uint8_t bytes[FORMAT_HEADER_SIZE];
	struct format_header header;
	ssize_t got = pread_full(fd, bytes, sizeof(bytes), 0);
	char text[FORMAT_IDENTITY_TEXT];

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

/*
 * Opens the file at `path` if it is the base with that identity. Otherwise files that are based on one another in a circle would
 * be opened without end. Returns a descriptor, or -1.
 */
static int open_if_it(const char *path, const uint8_t identity[16], struct error *error)
{
	int fd = file_open_regular(path, O_RDONLY);

	if (fd == -EINVAL)
		return error_set(error, EINVAL, "its base %s is not a regular file", path);
	if (fd < 0)
		return error_system(error, -fd, "its base %s", path);
	if (is_it(fd, path, identity, error))
		return fd;
	close(fd);
	return -1;
}

static int find(struct snapshot *base, const struct base_section *wanted, const char *of, unsigned depth, struct error *error)
{
	char beside[PATH_MAX];
	const char *path = beside;
	int fd = -1;

	path_beside(of, wanted->path, beside);
	if (beside[0])
		fd = open_if_it(beside, wanted->identity, error);
	if (fd < 0) {
		path = wanted->path;
		fd = open_if_it(path, wanted->identity, error);
	}
	if (fd < 0)
		return -1;
	return chain_open(base, fd, path, depth, NULL, error) < 0 ? error_context(error, "its base") : 0;
}

/* Opens the base, if there is one. `path` is the path of `snapshot`. `depth` is the number of snapshots based on it. */
static int open_base(struct snapshot *snapshot, const char *path, unsigned depth, struct error *error)
{
	const struct section *section = sections_find(&snapshot->sections, SECTION_RAM_BASE);
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
		result = error_set(error, EBADMSG, "its base %s has different RAM", wanted->path);
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

static int find_contents(struct snapshot *snapshot, const struct format_commit *commit, const char *path, unsigned depth,
			 struct error *error)
{
	if (snapshot_find_ram(snapshot, commit, error) < 0)
		return -1;
	if (open_base(snapshot, path, depth, error) == 0)
		return working_set_load(&snapshot->sections, snapshot->ram_size, &snapshot->working_set, error);
	snapshot->ram_size = 0; /* no open file has some of its pages */
	return -1;
}

/* If sections are damaged, a later failure is not counted as another fault: a damaged section may have caused it. */
static int read_contents(struct snapshot *snapshot, const char *path, unsigned depth, struct error *error)
{
	const struct error_collector *faults = snapshot->sections.faults;
	struct format_commit commit = { 0 };

	if (snapshot_read_sections(snapshot, &commit, error) == 0 &&
	    (find_contents(snapshot, &commit, path, depth, error) == 0 || snapshot->sections.damaged))
		return 0;
	snapshot->sections.damaged++;
	return error_collect(faults, error);
}

/* Opens one file of a chain, and its bases. `fd` is its descriptor if it is open already, or -1. */
static int chain_open(struct snapshot *snapshot, int fd, const char *path, unsigned depth,
		     const struct error_collector *faults, struct error *error)
{
	*snapshot = (struct snapshot){ .fd = fd, .sections.faults = faults };
	if (snapshot_open_path(snapshot, path, error) == 0 && read_contents(snapshot, path, depth, error) == 0)
		return 0;
	snapshot_close(snapshot);
	return error_context(error, "%s", path);
}

int snapshot_examine(struct snapshot *snapshot, const char *path, const struct error_collector *faults,
		     struct error *error)
{
	return chain_open(snapshot, -1, path, 0, faults, error);
}

int snapshot_open(struct snapshot *snapshot, const char *path, struct error *error)
{
	return chain_open(snapshot, -1, path, 0, NULL, error);
}

int snapshot_open_file(struct snapshot *snapshot, int fd, const char *name, struct error *error)
{
	return chain_open(snapshot, fd, name, 0, NULL, error);
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
	return error_set(error, ELOOP, "more than %u snapshots would be based on one another: save without a base, or first merge "
			 "the base into one file with `lkvm snapshot merge`", LONGEST_CHAIN);
}
