/* SPDX-License-Identifier: MIT */
/*
 * Loads a kernel file: Image, gzip, zboot or anything. Input: a byte that selects the size of RAM, and whether there is an
 * initrd (the same file); then the file.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "arm/boot.h"
#include "arm/fdt.h"

#define RAM_BASE 0x80000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t sizes[] = { 5u << 20, 0x10000, 1u << 20, 3u << 20 };
	struct ram ram = { .base = RAM_BASE };
	struct boot boot = { .kernel_path = "kernel", .kernel_fd = -1, .initrd_fd = -1 };
	struct error error;

	if (size < 1)
		return 0;
	ram.size = sizes[data[0] & 3];
	/* On the heap, so that the sanitizer finds writes outside. */
	ram.host = malloc(ram.size);
	boot.kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	fuzz_must(ram.host && boot.kernel_fd >= 0);
	fuzz_must(write(boot.kernel_fd, data + 1, size - 1) == (ssize_t)(size - 1));
	if (data[0] & 4) {
		boot.initrd_path = "initrd";
		boot.initrd_fd = dup(boot.kernel_fd);
	}
	error.text[0] = '\0';
	if (boot_load(&boot, &ram, &error) == 0) {
		fuzz_must(boot.entry >= RAM_BASE && boot.entry < RAM_BASE + ram.size);
		fuzz_must(ram_at(&ram, boot.fdt, FDT_MAX_SIZE) != NULL);
		if (boot.initrd_size)
			fuzz_must(ram_at(&ram, boot.initrd, boot.initrd_size) != NULL &&
				  boot.initrd + boot.initrd_size <= boot.fdt);
	} else {
		fuzz_must(error.text[0] != '\0');
	}
	boot_close(&boot);
	free(ram.host);
	return 0;
}
