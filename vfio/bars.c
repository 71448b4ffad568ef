/* SPDX-License-Identifier: MIT */
/*
 * BARs of a passed-through device. Whole pages are memory slots of KVM, wherever the guest maps the BAR. The
 * rest is trapped: the MSI-X table, its pending bits and what shares a page with them, BARs smaller than a
 * page, ports, and the ROM.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "device.h"
#include "util/bits.h"

struct range {
	uint64_t start, end;
};

struct ranges {
	unsigned count;
	struct range list[VFIO_MAX_AREAS];
};

/* A region's description by the kernel, with space for a list of the parts that can be mapped. */
union region {
	struct vfio_region_info info;
	uint8_t bytes[512];
};

static uint64_t bar_read(void *owner, uint64_t offset, unsigned size)
{
	struct vfio_bar *bar = owner;
	uint64_t value = 0;

	if (!vfio_table_read(bar->device, bar->index, offset, size, &value))
		vfio_device_read(bar->device, bar->offset + offset, &value, size);
	return value;
}

static void bar_write(void *owner, uint64_t offset, unsigned size, uint64_t value)
{
	struct vfio_bar *bar = owner;

	if (!vfio_table_write(bar->device, bar->index, offset, size, value))
		vfio_device_write(bar->device, bar->offset + offset, &value, size);
}

static const struct bus_ops bar_ops = { .read = bar_read, .write = bar_write };

/* If KVM refuses an area, accesses to it are trapped: slower, but correct. */
static void bar_moved(void *owner, uint64_t address, bool mapped)
{
	struct vfio_bar *bar = owner;
	struct error error;

	for (unsigned i = 0; i < bar->area_count; i++) {
		struct vfio_area *area = &bar->areas[i];

		area->memory.base = address + area->offset;
		if (!mapped)
			vm_unmap_memory(bar->device->vm, area->slot);
		else if (vm_map_memory(bar->device->vm, area->slot, &area->memory, &error) < 0)
			log_message(bar->device->log, LOG_LEVEL_WARNING, "%s: BAR %u is slow: %s", bar->device->address,
				    bar->index, error.text);
	}
}

/* Removes [start, end) from a sorted list of ranges. */
static void remove_range(struct ranges *ranges, uint64_t start, uint64_t end)
{
	struct ranges rest = { 0 };

	for (unsigned i = 0; i < ranges->count; i++) {
		const struct range *old = &ranges->list[i];
		const struct range parts[] = {
			{ old->start, MIN(old->end, start) },
			{ old->start > end ? old->start : end, old->end },
		};

		for (unsigned j = 0; j < 2; j++)
			if (parts[j].start < parts[j].end && rest.count < VFIO_MAX_AREAS)
				rest.list[rest.count++] = parts[j];
	}
	*ranges = rest;
}

/* The parts of a region that can be mapped: the kernel's list, or the whole region. */
static struct ranges mappable(const union region *region)
{
	const struct vfio_region_info *info = &region->info;
	struct ranges ranges = { .count = 1, .list = { { 0, info->size } } };
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_info_cap_header header;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return (struct ranges){ 0 };
	for (uint32_t at = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;
	     at && at <= sizeof(region->bytes) - sizeof(sparse); at = header.next > at ? header.next : 0) {
		memcpy(&header, region->bytes + at, sizeof(header));
		if (header.id != VFIO_REGION_INFO_CAP_SPARSE_MMAP)
			continue;
		memcpy(&sparse, region->bytes + at, sizeof(sparse));
		ranges.count = 0;
		for (uint32_t i = 0; i < sparse.nr_areas && ranges.count < VFIO_MAX_AREAS; i++) {
			struct vfio_region_sparse_mmap_area area;
			uint64_t from = at + sizeof(sparse) + (uint64_t)i * sizeof(area);

			if (from > sizeof(region->bytes) - sizeof(area))
				break;
			memcpy(&area, region->bytes + from, sizeof(area));
			if (area.offset < info->size && area.size <= info->size - area.offset)
				ranges.list[ranges.count++] = (struct range){ area.offset, area.offset + area.size };
		}
	}
	return ranges;
}

static void trap(struct ranges *ranges, uint64_t offset, uint64_t size, uint64_t page)
{
	remove_range(ranges, offset & ~(page - 1), (offset + size + page - 1) & ~(page - 1));
}

/* Maps what can be mapped. The rest is trapped. */
static void map_areas(struct vfio_bar *bar, const union region *region)
{
	const struct vfio_interrupts *interrupts = &bar->device->interrupts;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct ranges ranges = mappable(region);

	if (interrupts->msix_count && interrupts->table_bar == bar->index)
		trap(&ranges, interrupts->table_offset, interrupts->msix_count * (uint64_t)PCI_MSIX_ENTRY_SIZE, page);
	if (interrupts->msix_count && interrupts->pending_bar == bar->index)
		trap(&ranges, interrupts->pending_offset, (interrupts->msix_count + 63) / 64 * 8, page);
	for (unsigned i = 0; i < ranges.count; i++) {
		uint64_t start = (ranges.list[i].start + page - 1) & ~(page - 1), end = ranges.list[i].end & ~(page - 1);
		struct vfio_area *area = &bar->areas[bar->area_count];

		if (start >= end)
			continue;
		void *host = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED, bar->device->fd,
				  (off_t)(bar->offset + start));

		if (host == MAP_FAILED)
			continue;
		*area = (struct vfio_area){
			.offset = start,
			.memory = { .host = host, .size = end - start },
			.slot = vm_alloc_slot(bar->device->vm),
		};
		bar->area_count++;
	}
}

static int open_bar(struct vfio_device *device, unsigned index, const union region *region, uint32_t kind,
		    struct error *error)
{
	struct vfio_bar *bar = &device->bars[index];
	bool io = kind & PCI_BASE_ADDRESS_SPACE_IO;
	const struct pci_bar pci = {
		.size = region->info.size,
		.io = io,
		.wide = !io && (kind & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64,
		.prefetchable = !io && kind & PCI_BASE_ADDRESS_MEM_PREFETCH,
		.ops = &bar_ops,
		.owner = bar,
		.moved = bar_moved,
	};

	*bar = (struct vfio_bar){
		.device = device, .index = index, .size = region->info.size, .offset = region->info.offset,
	};
	if (!io)
		map_areas(bar, region);
	return pci_device_add_bar(&device->pci, index, &pci, error);
}

_Static_assert(PCI_ROM == VFIO_PCI_ROM_REGION_INDEX, "BARs and regions have the same numbers");

int vfio_bars_open(struct vfio_device *device, struct error *error)
{
	for (unsigned i = 0; i <= PCI_ROM; i++) {
		union region region = { 0 };
		uint8_t kind[4] = { 0 };

		if (vfio_device_region(device, i, &region, sizeof(region), error) < 0)
			return -1;
		if (region.info.size == 0)
			continue;
		if (i < PCI_ROM &&
		    !vfio_device_read(device, device->config_offset + PCI_BASE_ADDRESS_0 + 4 * i, kind, sizeof(kind)))
			return error_set(error, EIO, "BAR %u cannot be read", i);
		if (open_bar(device, i, &region, kind[0], error) < 0)
			return -1;
	}
	return 0;
}

void vfio_bars_close(struct vfio_device *device)
{
	for (unsigned i = 0; i <= PCI_ROM; i++) {
		struct vfio_bar *bar = &device->bars[i];

		while (bar->area_count) {
			const struct ram *memory = &bar->areas[--bar->area_count].memory;

			munmap(memory->host, memory->size);
		}
	}
}
