/* SPDX-License-Identifier: MIT */
/*
 * Writes nodes and properties of the guest's device tree. Devices write their own nodes with it.
 * Devicetree Specification 0.4.
 */
#ifndef LKVM_ARM_FDT_WRITER_H
#define LKVM_ARM_FDT_WRITER_H

#include <stddef.h>
#include <stdint.h>

/* Cells of an interrupt specifier (arm,gic-v3.yaml). */
#define FDT_GIC_SPI 0
#define FDT_GIC_PPI 1
#define FDT_IRQ_EDGE_RISING 1
#define FDT_IRQ_LEVEL_HIGH 4

/* Nodes that others refer to. */
enum fdt_phandle { FDT_PHANDLE_GIC = 1, FDT_PHANDLE_ITS, FDT_PHANDLE_CLOCK, FDT_PHANDLE_GPIO };

/* libfdt's writer does not keep errors. This keeps the first one, and later calls do nothing. */
struct fdt_writer {
	void *fdt;
	int result; /* of libfdt: 0, or a negative error */
};

/* Each node that begins must end. The unit address of _begin_at() is the base of the first `reg`. */
void fdt_writer_begin(struct fdt_writer *writer, const char *name);
void fdt_writer_begin_at(struct fdt_writer *writer, const char *name, uint64_t address);
void fdt_writer_end(struct fdt_writer *writer);

/* Properties of the node that began last. */
void fdt_writer_string(struct fdt_writer *writer, const char *name, const char *value);
void fdt_writer_bytes(struct fdt_writer *writer, const char *name, const void *value, size_t size);
void fdt_writer_flag(struct fdt_writer *writer, const char *name); /* without a value */
void fdt_writer_cell(struct fdt_writer *writer, const char *name, uint32_t value);
void fdt_writer_number(struct fdt_writer *writer, const char *name, uint64_t value); /* two cells */
void fdt_writer_cells(struct fdt_writer *writer, const char *name, const uint32_t *values, unsigned count);
#define FDT_WRITER_CELLS(writer, name, ...)                                                                \
	fdt_writer_cells(writer, name, (const uint32_t[]){ __VA_ARGS__ },                                  \
			 sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

/* `reg` of one range in bytes, and `interrupts` of one level-triggered SPI. */
void fdt_writer_range(struct fdt_writer *writer, uint64_t base, uint64_t size);
void fdt_writer_interrupt(struct fdt_writer *writer, unsigned spi);

/* Begins the node of an ARM PrimeCell with all that its kind needs. The strings of `compatible` follow each other. */
void fdt_writer_begin_primecell(struct fdt_writer *writer, const char *name, uint64_t base, unsigned spi,
				const char *compatible, size_t compatible_size);

#endif
