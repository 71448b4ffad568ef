/* SPDX-License-Identifier: MIT */
/* The writer of the device tree: libfdt's calls, with the first error kept. */
#include "arm/fdt_writer.h"

#include <libfdt.h>
#include <stdio.h>

#define TRY(writer, call)                                                                                  \
	do {                                                                                               \
		if ((writer)->result == 0)                                                                 \
			(writer)->result = (call);                                                         \
	} while (0)

void fdt_writer_begin(struct fdt_writer *writer, const char *name)
{
	TRY(writer, fdt_begin_node(writer->fdt, name));
}

void fdt_writer_begin_at(struct fdt_writer *writer, const char *name, uint64_t address)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%llx", name, (unsigned long long)address);
	fdt_writer_begin(writer, full);
}

void fdt_writer_end(struct fdt_writer *writer)
{
	TRY(writer, fdt_end_node(writer->fdt));
}

void fdt_writer_string(struct fdt_writer *writer, const char *name, const char *value)
{
	TRY(writer, fdt_property_string(writer->fdt, name, value));
}

void fdt_writer_bytes(struct fdt_writer *writer, const char *name, const void *value, size_t size)
{
	TRY(writer, fdt_property(writer->fdt, name, value, (int)size));
}

void fdt_writer_flag(struct fdt_writer *writer, const char *name)
{
	fdt_writer_bytes(writer, name, NULL, 0);
}

void fdt_writer_cell(struct fdt_writer *writer, const char *name, uint32_t value)
{
	TRY(writer, fdt_property_u32(writer->fdt, name, value));
}

void fdt_writer_number(struct fdt_writer *writer, const char *name, uint64_t value)
{
	TRY(writer, fdt_property_u64(writer->fdt, name, value));
}

void fdt_writer_cells(struct fdt_writer *writer, const char *name, const uint32_t *values, unsigned count)
{
	void *to = NULL;

	TRY(writer, fdt_property_placeholder(writer->fdt, name, (int)(count * sizeof(fdt32_t)), &to));
	if (writer->result == 0)
		for (unsigned i = 0; i < count; i++)
			fdt32_st((char *)to + i * sizeof(fdt32_t), values[i]);
}

void fdt_writer_range(struct fdt_writer *writer, uint64_t base, uint64_t size)
{
	FDT_WRITER_CELLS(writer, "reg", (uint32_t)(base >> 32), (uint32_t)base, (uint32_t)(size >> 32), (uint32_t)size);
}

void fdt_writer_interrupt(struct fdt_writer *writer, unsigned spi)
{
	FDT_WRITER_CELLS(writer, "interrupts", FDT_GIC_SPI, spi, FDT_IRQ_LEVEL_HIGH);
}

void fdt_writer_begin_primecell(struct fdt_writer *writer, const char *name, uint64_t base, unsigned spi,
				const char *compatible, size_t compatible_size)
{
	fdt_writer_begin_at(writer, name, base);
	fdt_writer_bytes(writer, "compatible", compatible, compatible_size);
	fdt_writer_range(writer, base, 0x1000);
	fdt_writer_interrupt(writer, spi);
	fdt_writer_cell(writer, "clocks", FDT_PHANDLE_CLOCK);
	fdt_writer_string(writer, "clock-names", "apb_pclk");
}
