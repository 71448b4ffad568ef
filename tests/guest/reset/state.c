/* SPDX-License-Identifier: MIT */
/* Reads the state of vCPU, GIC, PCI, virtio and board devices, and compares two states. */
#include "reset/reset.h"

static struct state *reading; /* the second vCPU uses it, too, while the first one waits */

static void add(const char *owner, uint64_t where, uint64_t value)
{
	CHECK(reading->count < MAX_WORDS, "more registers than there is room for");
	reading->words[reading->count++] = (struct word){ owner, where, value };
}

static void add32(const char *owner, uint64_t base, uint64_t first, uint64_t last)
{
	for (uint64_t offset = first; offset <= last; offset += 4)
		add(owner, offset, read32(base + offset));
}

static void add64(const char *owner, uint64_t base, uint64_t first, uint64_t last)
{
	for (uint64_t offset = first; offset <= last; offset += 8)
		add(owner, offset, read64(base + offset));
}

static void read_board(void)
{
	static const uint16_t rtc[] = {
		0x04, 0x08, 0x0c, 0x10, 0x14, 0x18, 0xfe0, 0xff0
	}; /* without the time itself */
	static const uint16_t gpio[] = { 0x3fc, 0x400, 0x404, 0x408, 0x40c, 0x410,
					 0x414, 0x418, 0x420, 0xfe0, 0xff0 };

	for (unsigned i = 1; i < 8; i++)
		add("UART", i, read8(BOARD_UART + i));
	write8(BOARD_UART + 3, read8(BOARD_UART + 3) | 0x80); /* selects the divisor */
	for (unsigned i = 0; i < 2; i++)
		add("UART divisor", i, read8(BOARD_UART + i));
	write8(BOARD_UART + 3, read8(BOARD_UART + 3) & 0x7f);
	for (unsigned i = 0; i < COUNT(rtc); i++)
		add("RTC", rtc[i], read32(BOARD_RTC + rtc[i]));
	for (unsigned i = 0; i < COUNT(gpio); i++)
		add("GPIO", gpio[i], read32(BOARD_GPIO + gpio[i]));
	add64("generation", BOARD_GENERATION, 0, 8);
}

/*
 * Interrupts
 */

/* Registers with `bits` for each interrupt, in the distributor and in a redistributor's second page. */
static const struct {
	const char *name;
	uint16_t offset;
	uint8_t bits;
} interrupt_registers[] = {
	{ "IGROUPR", 0x80, 1 },    { "ISENABLER", 0x100, 1 },  { "ISPENDR", 0x200, 1 },
	{ "ISACTIVER", 0x300, 1 }, { "IPRIORITYR", 0x400, 8 }, { "ICFGR", 0xc00, 2 },
};

static void read_interrupts(void)
{
	add32("GICD", BOARD_GICD, 0, 8);
	for (unsigned i = 0; i < COUNT(interrupt_registers); i++) {
		unsigned bytes = interrupt_registers[i].bits * 4u; /* for 32 interrupts */
		uint64_t offset = interrupt_registers[i].offset;

		add32(interrupt_registers[i].name, BOARD_GICD, offset + bytes,
		      offset + bytes * (BOARD_INTERRUPTS / 32) - 4);
		for (unsigned cpu = 0; cpu <= reading->second; cpu++)
			add32(interrupt_registers[i].name, GICR_SGI + cpu * BOARD_GICR_STRIDE, offset,
			      offset + bytes - 4);
	}
	add64("IROUTER", BOARD_GICD, 0x6000 + 8 * 32, 0x6000 + 8 * (BOARD_INTERRUPTS - 1));
	for (unsigned cpu = 0; cpu <= reading->second; cpu++) {
		uint64_t frame = BOARD_GICR + cpu * BOARD_GICR_STRIDE;

		add32("GICR_CTLR", frame, 0, 0);
		add64("GICR", frame, 0x8, 0x8);
		/*
		 * Only the addresses: the attributes have no effect while
		 * LPIs are disabled, and differ between kernels.
		 */
		add("GICR_PROPBASER", cpu, read64(frame + 0x70) & 0x000ffffffffff01f);
		add("GICR_PENDBASER", cpu, read64(frame + 0x78) & 0x000fffffffff0000);
	}
	if (!its_present())
		return;
	add32("GITS", BOARD_ITS, 0, 4);
	add64("GITS", BOARD_ITS, 0x8, 0x8);
	add64("GITS_CBASER, CWRITER and CREADR", BOARD_ITS, 0x80, 0x90);
	/* The architecture only guarantees that they are invalid. Type and entry size are read-only. */
	for (unsigned i = 0; i < 8; i++)
		add("GITS_BASER", i, read64(GITS_BASER(i)) & 0x871f000000000000);
}

static void read_processor(void)
{
	uint64_t frequency, virtual_timer, physical_timer;

	add("ICC_PMR_EL1", 0, icc_read(ICC_PMR));
	add("ICC_BPR0_EL1", 0, icc_read(ICC_BPR0));
	add("ICC_BPR1_EL1", 0, icc_read(ICC_BPR1));
	add("ICC_AP0R0_EL1", 0, icc_read(ICC_AP0R0));
	add("ICC_AP1R0_EL1", 0, icc_read(ICC_AP1R0));
	add("ICC_CTLR_EL1", 0, icc_read(ICC_CTLR));
	add("ICC_SRE_EL1", 0, icc_read(ICC_SRE));
	add("ICC_IGRPEN0_EL1", 0, icc_read(ICC_IGRPEN0));
	add("ICC_IGRPEN1_EL1", 0, icc_read(ICC_IGRPEN1));
	add("ICC_RPR_EL1", 0, icc_read(ICC_RPR));
	add("ICC_HPPIR1_EL1", 0, icc_read(ICC_HPPIR1));
	__asm__ volatile("mrs %0, cntfrq_el0; mrs %1, cntv_ctl_el0; mrs %2, cntp_ctl_el0"
			 : "=r"(frequency), "=r"(virtual_timer), "=r"(physical_timer));
	add("CNTFRQ_EL0", 0, frequency);
	add("CNTV_CTL_EL0", 0, virtual_timer);
	add("CNTP_CTL_EL0", 0, physical_timer);
}

/*
 * PCI and virtio
 */

static void read_device(struct virtio *device)
{
	const struct pci_function *function = &device->function;
	const char *name = virtio_name(device);

	if (function->vectors) {
		add32("MSI-X table", function->table, 0, 16 * function->vectors - 4);
		add32("MSI-X pending bits", function->pending, 0, 4);
	}
	/*
	 * The structure before anything is selected; both halves of
	 * the accepted features; and each queue.
	 */
	add(name, COMMON_DEVICE_FEATURE_SELECT, read32(device->common + COMMON_DEVICE_FEATURE_SELECT));
	add(name, COMMON_DRIVER_FEATURE_SELECT, read32(device->common + COMMON_DRIVER_FEATURE_SELECT));
	add(name, COMMON_CONFIG_VECTOR, read16(device->common + COMMON_CONFIG_VECTOR));
	add(name, COMMON_QUEUES, read16(device->common + COMMON_QUEUES));
	add(name, COMMON_STATUS, read8(device->common + COMMON_STATUS));
	add(name, COMMON_GENERATION, read8(device->common + COMMON_GENERATION));
	add(name, COMMON_QUEUE_SELECT, read16(device->common + COMMON_QUEUE_SELECT));
	for (unsigned half = 0; half < 2; half++) {
		write32(device->common + COMMON_DRIVER_FEATURE_SELECT, half);
		add(name, COMMON_DRIVER_FEATURE, read32(device->common + COMMON_DRIVER_FEATURE));
	}
	add("features", device->type, device->offered);
	for (uint16_t queue = 0; queue < device->queues; queue++) {
		queue_select(device, queue);
		add("queue's size", queue, read16(device->common + COMMON_QUEUE_SIZE));
		add("queue's vector", queue, read16(device->common + COMMON_QUEUE_VECTOR));
		add("queue's enable", queue, read16(device->common + COMMON_QUEUE_ENABLE));
		add64("queue's rings", device->common, COMMON_QUEUE_DESCRIPTORS, COMMON_QUEUE_DEVICE);
	}
	add("ISR", device->type, read8(device->isr));
	for (uint32_t i = 0; i < device->config_size; i++)
		add("device configuration", i, read8(device->config + i));
}

void state_read(struct state *state, struct virtio *devices, unsigned *device_count)
{
	reading = state;
	state->count = 0;
	for (unsigned i = 0; i < REGISTERS_AT_ENTRY; i++)
		add("register at entry", i, registers_at_entry[i]);
	read_processor();
	state->second = second_start(read_processor);
	if (state->second)
		second_wait();
	read_board();
	read_interrupts();

	/* Configuration space is read before virtio_find_all(), which writes to it. */
	for (unsigned slot = 0; slot < BOARD_SLOTS; slot++) {
		uint64_t config = pci_config(slot, 0);

		if (read16(config) != 0xffff)
			add32("PCI configuration", config, 0, 0xfc);
	}
	*device_count = virtio_find_all(devices);
	for (unsigned i = 0; i < *device_count; i++)
		read_device(&devices[i]);
}

unsigned state_compare(const struct state *expected, const struct state *found, unsigned limit)
{
	unsigned differences = 0;

	CHECK(expected->count == found->count, "%u registers, at the first boot %u", found->count,
	      expected->count);
	for (unsigned i = 0; i < expected->count; i++) {
		const struct word *before = &expected->words[i], *now = &found->words[i];

		if (before->value == now->value)
			continue;
		if (differences++ < limit)
			print("reset: %s 0x%lx: 0x%lx, at the first boot 0x%lx\n", now->owner, now->where,
			      now->value, before->value);
	}
	return differences;
}
