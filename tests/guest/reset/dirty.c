/* SPDX-License-Identifier: MIT */
/* Changes the state of devices, GIC, vCPUs and console before a reset. */
#include "reset/reset.h"

#define LPI (FIRST_LPI + 64)
#define QUEUES 4u

static struct virtio *busy; /* the device of keep_busy() */
static struct queue queues[VIRTIO_MAX_DEVICES][QUEUES];

void keep_busy(void)
{
	struct queue *queue = busy ? queues[busy->number] : NULL;

	while (!second_must_stop()) {
		if (queue)
			queue_submit(queue, 0);
		read32(BOARD_RTC);
	}
}

static void dirty_device(struct virtio *device)
{
	const struct pci_function *function = &device->function;
	struct queue *first = queues[device->number];
	unsigned count = device->queues < QUEUES ? device->queues : QUEUES;

	for (unsigned vector = 0; vector < function->vectors; vector++)
		msix_set(function, vector, GITS_TRANSLATER, vector, vector % 2 == 0);
	if (function->vectors)
		msix_enable(function, true);
	if (!virtio_run(device, device->offered, first, count))
		fail("%s does not start", virtio_name(device));
	write16(device->common + COMMON_CONFIG_VECTOR, 0);
	for (uint16_t queue = 0; queue < count; queue++) {
		queue_select(device, queue);
		write16(device->common + COMMON_QUEUE_VECTOR, queue % 2);
	}
	write32(device->common + COMMON_DEVICE_FEATURE_SELECT, 1);
	for (uint32_t i = 0; device->config && i < device->config_size; i += 4)
		write32(device->config + i, 0x5a5a5a5a);

	/* A request that completes, and another one that is not waited for. */
	if (device->type == VIRTIO_ENTROPY) {
		queue_describe(first, 0, (uint64_t)scratch(64, 8), 64, DESCRIPTOR_WRITE, 0);
		queue_submit(first, 0);
		CHECK(queue_wait(first, 3000), "no randomness came");
		busy = device;
	}
	/* The remaining status bits: one device is broken, one has FAILED, the others run. */
	if (device->type == VIRTIO_BLOCK) {
		queue_submit(first, first->size);
		CHECK(virtio_wait_broken(device), "the disk takes a head out of range");
	}
	if (device->type == VIRTIO_INPUT)
		write8(device->common + COMMON_STATUS, 0x8f);

	write8(function->config + 0x0c, 0x40);
	write8(function->config + 0x3c, 0x77);
	write8(function->config + device->access + 4, 4);
	write32(function->config + device->access + 8, 0x14);
	write32(function->config + device->access + 12, 1);
	write16(function->config + PCI_COMMAND, 0xffff);
}

/* Moves each BAR to a new address of its own. Call it after the devices were used. */
static void move_bars(struct virtio *device)
{
	uint64_t address = BOARD_PCI32 + BOARD_PCI32_SIZE / 2 + device->number * 0x100000ull;

	for (unsigned bar = 0; bar < PCI_BARS; bar++) {
		struct pci_bar *place = &device->function.bars[bar];

		if (!place->size)
			continue;
		address = (address + place->size - 1) & ~(place->size - 1);
		pci_move_bar(&device->function, bar, address);
		address += place->size;
	}
}

/* Changes the state of the calling vCPU. Runs on each vCPU. */
static void dirty_processor(void)
{
	icc_write(ICC_BPR0, 5);
	icc_write(ICC_BPR1, 6);
	icc_write(ICC_PMR, 0xf8);
	/* Not the other way round: with group 0 alone QEMU's GIC stops the vCPU (docs/host-kernels.md). */
	icc_write(ICC_IGRPEN1, 1);
	icc_write(ICC_IGRPEN0, 1);
	icc_write(ICC_CTLR, 2); /* EOImode */
	icc_read(ICC_IAR1);     /* never completed, so its priority stays active */
	__asm__ volatile(
		"msr cntv_cval_el0, xzr; msr cntv_ctl_el0, %0; msr cntp_cval_el0, xzr; msr cntp_ctl_el0, %0;"
		"msr cntkctl_el1, %1; msr tpidr_el0, %1; msr tpidrro_el0, %1; msr contextidr_el1, %1;"
		"msr ttbr1_el1, %1; msr sp_el0, %1; msr elr_el1, %1; msr far_el1, %1; isb"
		:
		: "r"(1ul), "r"(0x3ul));
}

static void dirty_interrupts(const struct virtio *devices, unsigned count)
{
	uint64_t end;

	gic_open();
	if (its_present()) {
		CHECK(lpi_open() && its_open(), "LPIs and the ITS do not go on");
		for (unsigned i = 0; i < count; i++)
			CHECK(its_map(devices[i].function.slot << 3, LPI + 32 * i),
			      "the ITS takes no mappings");
		/* An LPI that is pending in the redistributor. */
		CHECK(its_command((uint64_t)devices[0].function.slot << 35 | ITS_INT, 5, 0, 0),
		      "the ITS takes no INT");
		for (end = milliseconds() + 1000; icc_read(ICC_HPPIR1) < FIRST_LPI;)
			CHECK(milliseconds() < end, "an LPI is not pending");
		write32(BOARD_GICR + BOARD_GICR_STRIDE, 1);
	}
	for (uint64_t word = 0; word < BOARD_INTERRUPTS / 32 + 1; word++) {
		/* Word 0 in both redistributors, the others in the distributor. */
		uint64_t base = word == 0                    ? GICR_SGI :
				word < BOARD_INTERRUPTS / 32 ? BOARD_GICD :
							       GICR_SGI + BOARD_GICR_STRIDE;
		uint64_t index = base == BOARD_GICD ? word : 0;

		for (uint64_t i = 0; i < 8; i++)
			probe(PROBE_WRITE32, base + 0x400 + 4 * (8 * index + i), 0x10305070);
		probe(PROBE_WRITE32, base + 0xc00 + 8 * index, 0x55555555);
		probe(PROBE_WRITE32, base + 0xc04 + 8 * index, 0xffffffff);
		probe(PROBE_WRITE32, base + 0x200 + 4 * index, 0xf0f0ff0f);
		probe(PROBE_WRITE32, base + 0x300 + 4 * index, 0x0f0f00f0);
		probe(PROBE_WRITE32, base + 0x100 + 4 * index, 0xffff00ff);
		probe(PROBE_WRITE32, base + 0x180 + 4 * index, 0x0000000f);
		probe(PROBE_WRITE32, base + 0x80 + 4 * index, 0xffffff0f);
	}
	for (uint64_t i = 32; i < BOARD_INTERRUPTS; i++)
		write64(BOARD_GICD + 0x6000 + 8 * i, i % 2);
}

static void dirty_board(void)
{
	write32(BOARD_RTC + 0x8, read32(BOARD_RTC) + 1000000);
	write32(BOARD_RTC + 0x4, read32(BOARD_RTC) + 100);
	write32(BOARD_RTC + 0x10, 1);
	for (uint64_t offset = 0x400; offset <= 0x420; offset += 4)
		write32(BOARD_GPIO + offset, 0xff);
	write32(BOARD_GPIO + 0x3fc, 0xff);
}

void dirty(struct virtio *devices, unsigned count)
{
	scratch_reset();
	dirty_board();
	dirty_interrupts(devices, count);
	for (unsigned i = 0; i < count; i++)
		dirty_device(&devices[i]);
	for (unsigned i = 0; i < count; i++)
		if (&devices[i] != busy)
			move_bars(&devices[i]);
	dirty_processor();
	if (second_start(dirty_processor))
		second_wait();
}

void dirty_console(void)
{
	static const uint8_t values[] = {
		0, 0x0f, 0xc1, 0x9b, 0x1b, 0, 0, 0x5a
	}; /* the divisor first, see below */

	write8(BOARD_UART + 3, 0x80);
	write8(BOARD_UART, 7);
	write8(BOARD_UART + 1, 9);
	write8(BOARD_UART + 3, 0x03);
	for (unsigned i = 1; i < COUNT(values); i++)
		if (values[i])
			write8(BOARD_UART + i, values[i]);
	write8(BOARD_UART, 'x'); /* loopback: the FIFO receives it */
}
