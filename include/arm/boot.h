/* SPDX-License-Identifier: MIT */
/*
 * Kernel and initrd: where they go in guest RAM, and getting them there, at the start and at every reset.
 * Kernel: Documentation/arch/arm64/booting.rst.
 */
#ifndef LKVM_ARM_BOOT_H
#define LKVM_ARM_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/ram.h"
#include "util/err.h"

struct boot {
	const char *kernel_path, *initrd_path;
	int kernel_fd, initrd_fd; /* stay open: a reset loads the same files again, whatever happened to their names */

	bool flat; /* the kernel has no header of an arm64 Image; known after boot_open() */

	/* Filled by boot_load(): guest physical addresses and bytes. */
	uint64_t entry;
	uint64_t initrd, initrd_size;
	uint64_t fdt; /* FDT_MAX_SIZE bytes are free there */
};

/*
 * Opens the files; `initrd` may be NULL. "Unable to open kernel X: reason", in kvmtool's words. Refuses a kernel that is in
 * a known format which boot_load() cannot load.
 */
int boot_open(struct boot *boot, const char *kernel, const char *initrd, struct error *error);

/* Takes the names only: the files are opened, and may turn out to be missing, at the first boot_load() or boot_check(). */
void boot_defer(struct boot *boot, const char *kernel, const char *initrd);
void boot_close(struct boot *boot);

/*
 * Loads both. The kernel may be an arm64 Image with or without an image size in its header, an Image compressed by
 * gzip (alone or in an EFI zboot wrapper), or a flat binary in no known format, which is put where old Images go (512 KiB
 * into RAM).
 */
int boot_load(struct boot *boot, const struct ram *ram, struct error *error);

/*
 * Whether boot_load() can succeed: opens files that are not open yet, recognises and measures them. Writes nothing to
 * RAM.
 */
int boot_check(struct boot *boot, const struct ram *ram, struct error *error);

#endif
