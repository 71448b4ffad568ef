/* SPDX-License-Identifier: MIT */
/*
 * The device tree, which describes the machine to the guest. Devicetree Specification 0.4; the bindings in the kernel's
 * Documentation/devicetree/bindings.
 */
#ifndef LKVM_ARM_FDT_H
#define LKVM_ARM_FDT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arm/fdt_writer.h"
#include "arm/gic.h"
#include "kvm/vm.h"
#include "util/err.h"

#define FDT_MAX_SIZE (2u << 20) /* the boot protocol's limit, bytes */

/* The machine, as far as struct vm does not have it. */
struct fdt_machine {
	const char *bootargs;
	uint64_t initrd, initrd_size;
	uint64_t kaslr_seed;
	uint8_t rng_seed[32];
	struct gic_layout gic;
	uint64_t its; /* used if vm->its_fd >= 0 */
	uint64_t uart; /* of the console */
	bool pmu;
	unsigned pmu_ppi;

	/* Writes the nodes of the devices. */
	void (*devices)(void *owner, struct fdt_writer *writer);
	void *owner;
};

/* Writes the tree into `buffer` of `size` bytes (8-byte aligned). */
int fdt_build(void *buffer, size_t size, const struct vm *vm, const struct fdt_machine *machine, struct error *error);

/* Returns the size of a finished tree in bytes. */
size_t fdt_size(const void *fdt);

#endif
