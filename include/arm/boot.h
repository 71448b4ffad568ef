/* SPDX-License-Identifier: MIT */
/*
 * Places kernel and initrd in guest RAM and loads them, at the start and at each reset.
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
	int kernel_fd, initrd_fd; /* stay open: a reset loads the same files again, even if they were renamed or deleted */

	bool flat; /* the kernel has no header of an arm64 Image; known after boot_open() */

	/* Filled by boot_load(): guest physical addresses and bytes. */
	uint64_t entry;
	uint64_t initrd, initrd_size;
	uint64_t fdt; /* FDT_MAX_SIZE bytes are free there */
};

/*
 * Opens the files; `initrd` may be NULL. The error "Unable to open kernel X: reason" is kvmtool's. Refuses a kernel in a
 * known format that boot_load() cannot load.
 */
int boot_open(struct boot *boot, const char *kernel, const char *initrd, struct error *error);

/* Only keeps the names. The first boot_load() or boot_check() opens the files, and fails if they are missing. */
void boot_defer(struct boot *boot, const char *kernel, const char *initrd);
void boot_close(struct boot *boot);

/*
 * Loads both. The kernel may be an arm64 Image with or without an image size in its header, an Image compressed by
 * gzip (alone or in an EFI zboot wrapper), or a flat binary in no known format. A flat binary is loaded at 512 KiB, as old
 * Images are.
 */
int boot_load(struct boot *boot, const struct ram *ram, struct error *error);

/*
 * Checks whether boot_load() can succeed: opens files that are not open yet, recognizes their format and measures them.
 * Does not write RAM.
 */
int boot_check(struct boot *boot, const struct ram *ram, struct error *error);

#endif
