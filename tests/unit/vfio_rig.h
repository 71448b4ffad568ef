/* SPDX-License-Identifier: MIT */
/*
 * A host with one device that can be passed through. A scratch folder replaces /sys and /dev, and the fake replaces VFIO.
 * A machine's PCI bus plays the guest, which accesses the device.
 */
#ifndef TESTS_UNIT_VFIO_RIG_H
#define TESTS_UNIT_VFIO_RIG_H

#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake/kvm.h"
#include "fake/vfio.h"
#include "util/bits.h"
#include "vfio/vfio.h"

#define DEVICE "0000:01:00.0"
#define MEDIATED "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define OTHER "0000:01:00.1"
#define RAM 0x80000000ull
#define RAM_SIZE 0x100000ull
#define ECAM 0x40000000ull
#define PORTS 0x3eff0000ull
#define WINDOW32 0x50000000ull
#define WINDOW64 0x8000000000ull
#define DOORBELL 0x3ffe0040ull

struct rig {
	char folder[64], sys[96], dev[96];
	struct vfio_paths paths;
	struct vm vm;
	struct pci_bus pci;
	struct vfio *vfio;
	struct error error;
};

static inline void make_folders(const char *root, const char *path)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	for (char *slash = whole + strlen(root) + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		mkdir(whole, 0700);
	}
	mkdir(whole, 0700);
}

static inline void make_file(const char *root, const char *path)
{
	char whole[256];
	int fd;

	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	fd = open(whole, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static inline void make_link(const char *root, const char *path, const char *target)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	unlink(whole);
	assert_int_equal(symlink(target, whole), 0);
}

static inline void drop(const char *root, const char *path)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	assert_int_equal(remove(whole), 0);
}

static inline int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
	(void)status;
	(void)kind;
	(void)walk;
	return remove(path);
}

/*
 * Makes a device of the network class. A 64-bit BAR has 32 KiB, with the MSI-X table at 0x2000 and its pending bits at 0x4000.
 * Another BAR has 4 KiB. The device has an interrupt line and MSI, too.
 */
static inline void make_device(void)
{
	uint8_t *config = fake_vfio_region(VFIO_PCI_CONFIG_REGION_INDEX);

	memset(config, 0, 4096);
	put16(config + PCI_VENDOR_ID, 0x1234);
	put16(config + PCI_DEVICE_ID, 0x5678);
	put32(config + PCI_CLASS_REVISION, 0x02000003);
	put32(config + PCI_BASE_ADDRESS_0, PCI_BASE_ADDRESS_MEM_TYPE_64);
	put32(config + PCI_BASE_ADDRESS_2, PCI_BASE_ADDRESS_MEM_PREFETCH);
	config[PCI_INTERRUPT_PIN] = 2;
	put16(config + PCI_STATUS, PCI_STATUS_CAP_LIST);
	config[PCI_CAPABILITY_LIST] = 0x40;
	config[0x40] = PCI_CAP_ID_PM;
	config[0x41] = 0x50;
	put16(config + 0x42, 0xf803);
	put16(config + 0x44, 3); /* D3hot */
	config[0x50] = PCI_CAP_ID_MSI;
	config[0x51] = 0x70;
	put16(config + 0x52, PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT | 2 << 1 | PCI_MSI_FLAGS_ENABLE);
	config[0x70] = PCI_CAP_ID_MSIX;
	config[0x71] = 0x80;
	put16(config + 0x72, 7);
	put32(config + 0x74, 0x2000);
	put32(config + 0x78, 0x4000);
	config[0x80] = PCI_CAP_ID_HT;
	config[0x81] = 0x90;
	config[0x90] = PCI_CAP_ID_VNDR;
	config[0x91] = 0xa0;
	config[0x92] = 8;
	put32(config + 0x94, 0xabcdef01);
	config[0xa0] = PCI_CAP_ID_EXP;
	put16(config + 0xa2, 2); /* version 2, an endpoint */
	put32(config + 0xac, 0x12345678);
	/* Advanced error reporting, then a serial number. */
	put32(config + 0x100, PCI_EXT_CAP_ID_ERR | 1 << 16 | 0x140u << 20);
	put32(config + 0x140, PCI_EXT_CAP_ID_DSN | 1 << 16);
	put32(config + 0x144, 0x11223344);

	fake_vfio.sizes[0] = 0x8000;
	fake_vfio.sizes[2] = 0x1000;
	fake_vfio.sizes[VFIO_PCI_ROM_REGION_INDEX] = 0x800;
	fake_vfio.vectors[VFIO_PCI_INTX_IRQ_INDEX] = 1;
	fake_vfio.vectors[VFIO_PCI_MSI_IRQ_INDEX] = 4;
	fake_vfio.vectors[VFIO_PCI_MSIX_IRQ_INDEX] = 8;
}

static inline void make_host(struct rig *rig)
{
	fake_kvm_reset();
	fake_vfio_reset();
	make_device();
	strcpy(rig->folder, "/tmp/lkvm-vfio-XXXXXX");
	assert_non_null(mkdtemp(rig->folder));
	snprintf(rig->sys, sizeof(rig->sys), "%s/sys", rig->folder);
	snprintf(rig->dev, sizeof(rig->dev), "%s/dev", rig->folder);
	rig->paths = (struct vfio_paths){ rig->sys, rig->dev };
	make_folders(rig->folder, "sys/class/iommu/smmu");
	make_folders(rig->folder, "sys/bus/pci/devices/" DEVICE);
	make_folders(rig->folder, "sys/bus/pci/devices/" OTHER);
	make_link(rig->folder, "sys/bus/pci/devices/" DEVICE "/driver", "../../../../bus/pci/drivers/vfio-pci");
	make_link(rig->folder, "sys/bus/pci/devices/" DEVICE "/iommu_group", "../../../../kernel/iommu_groups/7");
	make_folders(rig->folder, "sys/kernel/iommu_groups/7/devices/" DEVICE);
	make_folders(rig->folder, "sys/kernel/iommu_groups/7/devices/" OTHER);
	make_folders(rig->folder, "dev/vfio");
	make_file(rig->folder, "dev/vfio/vfio");
	make_file(rig->folder, "dev/vfio/7");
}

static inline void drop_host(struct rig *rig)
{
	nftw(rig->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	fake_vfio_close();
}

static inline int open_rig(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	const struct pci_layout layout = {
		.ecam = ECAM, .io = PORTS, .io_size = 0x10000, .window32 = WINDOW32, .window32_size = 0x30000000,
		.window64 = WINDOW64, .window64_size = 0x8000000000ull, .first_line = 32,
	};

	assert_non_null(rig);
	make_host(rig);
	rig->vm = (struct vm){ .fd = -1, .slots = 2 };
	assert_int_equal(ram_open(&rig->vm.ram, RAM, RAM_SIZE, &rig->error), 0);
	assert_int_equal(bus_open(&rig->vm.bus, &rig->error), 0);
	assert_int_equal(interrupts_open(&rig->vm.interrupts, -1, &rig->error), 0);
	rig->vm.interrupts.has_msi = true;
	assert_int_equal(pci_bus_open(&rig->pci, &rig->vm.bus, &rig->vm.interrupts, &layout, &rig->error), 0);
	*state = rig;
	return 0;
}

static inline int close_rig(void **state)
{
	struct rig *rig = *state;

	vfio_close(rig->vfio);
	assert_int_equal(interrupts_route_count(&rig->vm.interrupts), 0);
	pci_bus_close(&rig->pci);
	interrupts_close(&rig->vm.interrupts);
	bus_close(&rig->vm.bus);
	ram_close(&rig->vm.ram);
	drop_host(rig);
	free(rig);
	return 0;
}

/* Returns 0, or -1 with rig->error. */
static inline int pass_through(struct rig *rig)
{
	const struct vfio_config config = { .paths = &rig->paths, .count = 1, .devices = { DEVICE } };

	rig->vfio = vfio_open(&config, &rig->vm, &rig->pci, NULL, &rig->error);
	return rig->vfio ? 0 : -1;
}

/* Expects that the device is refused, with an error that contains `words`. */
static inline void refused(struct rig *rig, const char *words)
{
	assert_int_equal(pass_through(rig), -1);
	if (!strstr(rig->error.text, words))
		fail_msg("no \"%s\" in: %s", words, rig->error.text);
	assert_non_null(strstr(rig->error.text, DEVICE));
}

static inline uint64_t get(struct rig *rig, uint64_t address, unsigned size)
{
	uint64_t value;

	assert_true(bus_read(&rig->vm.bus, address, size, &value));
	return value;
}

static inline void put(struct rig *rig, uint64_t address, unsigned size, uint64_t value)
{
	assert_true(bus_write(&rig->vm.bus, address, size, value));
}

static inline uint8_t *real_config(unsigned offset)
{
	return fake_vfio_region(VFIO_PCI_CONFIG_REGION_INDEX) + offset;
}

#endif
