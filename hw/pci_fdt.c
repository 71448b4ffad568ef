/* SPDX-License-Identifier: MIT */
/* The PCI host bridge in the device tree. */
#include "hw/pci.h"
#include "util/bits.h"

/* Adds a line of `ranges`: the space and an address on the bus (3 cells), the processor's address (2), the size (2). */
static void add_range(uint32_t *ranges, unsigned *count, uint32_t space, uint64_t bus, uint64_t base, uint64_t size)
{
	const uint32_t line[] = {
		space, (uint32_t)(bus >> 32), (uint32_t)bus, (uint32_t)(base >> 32), (uint32_t)base,
		(uint32_t)(size >> 32), (uint32_t)size,
	};

	for (unsigned i = 0; size && i < COUNT(line); i++)
		ranges[(*count)++] = line[i];
}

static void write_windows(const struct pci_layout *layout, struct fdt_writer *writer)
{
	/*
	 * First cell of a range (IEEE 1275 PCI binding): ports; 32-bit memory space; 64-bit memory space. That is not
	 * marked prefetchable, because then only prefetchable BARs could go there.
	 */
	const uint32_t ports = 0x01000000, memory32 = 0x02000000, memory64 = 0x03000000;
	uint32_t ranges[3 * 7];
	unsigned count = 0;

	add_range(ranges, &count, ports, 0, layout->io, layout->io_size); /* ports begin at 0 */
	add_range(ranges, &count, memory32, layout->window32, layout->window32, layout->window32_size);
	add_range(ranges, &count, memory64, layout->window64, layout->window64, layout->window64_size);
	fdt_writer_cells(writer, "ranges", ranges, count);
}

/* One line of interrupt-map: child address (3 cells), pin, the GIC, its unit address (2 cells), specifier. */
#define MAP_CELLS 10

static void write_lines(const struct pci_layout *layout, struct fdt_writer *writer)
{
	uint32_t map[PCI_SLOTS * MAP_CELLS];
	unsigned count = 0;

	for (unsigned slot = 0; slot < PCI_SLOTS; slot++) {
		const uint32_t line[MAP_CELLS] = {
			slot << 11, 0, 0, 1, FDT_PHANDLE_GIC, 0, 0, FDT_GIC_SPI, layout->first_line + slot, FDT_IRQ_LEVEL_HIGH,
		};

		for (unsigned i = 0; i < MAP_CELLS; i++)
			map[count++] = line[i];
	}
	fdt_writer_cells(writer, "interrupt-map", map, count);
	FDT_WRITER_CELLS(writer, "interrupt-map-mask", 0xf800, 0, 0, 7);
}

void pci_bus_fdt(const struct pci_bus *pci, struct fdt_writer *writer)
{
	fdt_writer_begin_at(writer, "pcie", pci->layout.ecam);
	fdt_writer_string(writer, "compatible", "pci-host-ecam-generic");
	fdt_writer_string(writer, "device_type", "pci");
	fdt_writer_cell(writer, "#address-cells", 3);
	fdt_writer_cell(writer, "#size-cells", 2);
	fdt_writer_cell(writer, "#interrupt-cells", 1);
	FDT_WRITER_CELLS(writer, "bus-range", 0, 0);
	fdt_writer_cell(writer, "linux,pci-domain", 0);
	fdt_writer_flag(writer, "dma-coherent");
	fdt_writer_range(writer, pci->layout.ecam, PCI_ECAM_SIZE);
	write_windows(&pci->layout, writer);
	write_lines(&pci->layout, writer);
	if (pci->interrupts->has_msi)
		FDT_WRITER_CELLS(writer, "msi-map", 0, FDT_PHANDLE_ITS, 0, 0x10000);
	fdt_writer_end(writer);
}
