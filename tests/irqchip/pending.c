/* SPDX-License-Identifier: MIT */
/*
 * Interrupts that are pending or active at the save are delivered once after the restore. The states of the vCPUs differ, so
 * that a test detects a state restored to the wrong vCPU.
 */
#include <string.h>

#include "cases.h"
#include "rig.h"

#define VCPUS 4u
#define DEVICE 5u
#define LPI(vcpu, n) (8192u + 16 * (vcpu) + (n))
#define EVENT(vcpu, n) (16 * (vcpu) + (n))
#define ROOM 64

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void expect(struct rig *rig, unsigned vcpu, const uint32_t *expected, unsigned count)
{
	uint32_t seen[ROOM];
	unsigned seen_count = rig_drain(rig, vcpu, seen, ROOM);

	expect_interrupts(vcpu, seen, seen_count < ROOM ? seen_count : ROOM, expected, count);
}

static void expect_nothing(struct rig *rig, unsigned vcpu)
{
	expect(rig, vcpu, NULL, 0);
}

/* Enables SPI `interrupt` with a trigger and a priority, and routes it to a vCPU. */
static void set_up_spi(struct rig *rig, uint32_t interrupt, unsigned vcpu, bool edge, uint8_t priority)
{
	const uint32_t config = GICD_ICFGR + interrupt / 16 * 4, shift = interrupt % 16 * 2;
	const uint32_t priorities = GICD_IPRIORITYR + interrupt / 4 * 4, at = interrupt % 4 * 8;

	rig_set_distributor(rig, config, (rig_distributor(rig, config) & ~(3u << shift)) | (edge ? 2u : 0) << shift);
	rig_set_distributor(rig, priorities,
			    (rig_distributor(rig, priorities) & ~(0xffu << at)) | (uint32_t)priority << at);
	rig_set_distributor(rig, GICD_IROUTER + 8 * interrupt, vcpu);
	rig_set_distributor(rig, GICD_ISENABLER + interrupt / 32 * 4, 1u << interrupt % 32);
}

/* Opens a rig with a device that has 16 events for each vCPU. Each event is an LPI in that vCPU's collection. */
static void open_programmed(struct rig *rig)
{
	rig_open(rig, VCPUS);
	rig_program_gic(rig);
	rig_program_its(rig, false);
	rig_map_device(rig, DEVICE, 6);
	for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
		rig_map_collection(rig, vcpu, vcpu);
		for (unsigned n = 0; n < 16; n++) {
			rig_set_properties(rig, LPI(vcpu, n), (uint8_t)(0x80 + 8 * vcpu), true);
			rig_map_event(rig, DEVICE, EVENT(vcpu, n), LPI(vcpu, n), vcpu);
		}
	}
}

static void pending_interrupts_of_all_kinds_are_kept(void)
{
	struct rig rig;

	open_programmed(&rig);
	for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
		/* SGIs pending by the latch; one PPI of each vCPU by its line; SPIs by edge and by level; LPIs. */
		rig_set_redistributor(&rig, vcpu, GICR_ISPENDR0, 1u << vcpu | 1u << (vcpu + 8));
		rig_set_redistributor(&rig, vcpu, GICR_ISENABLER0, 1u << (20 + vcpu));
		rig_set_line(&rig, vcpu, 20 + vcpu, true);
		set_up_spi(&rig, 34 + vcpu, vcpu, true, 0xa0);
		set_up_spi(&rig, 50 + vcpu, vcpu, false, 0x60);
		rig_set_line(&rig, 0, 34 + vcpu, true);
		rig_set_line(&rig, 0, 34 + vcpu, false); /* the edge has made it pending */
		rig_set_line(&rig, 0, 50 + vcpu, true);
		rig_send_msi(&rig, DEVICE, EVENT(vcpu, vcpu));
		rig_send_msi(&rig, DEVICE, EVENT(vcpu, 9));
		rig_send_msi(&rig, DEVICE, EVENT(vcpu, 9)); /* sent twice before the acknowledge, delivered once */
	}
	rig_move(&rig);
	for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
		const uint32_t expected[] = { vcpu, vcpu + 8, 20 + vcpu, 34 + vcpu, 50 + vcpu, LPI(vcpu, vcpu),
					      LPI(vcpu, 9) };

		expect(&rig, vcpu, expected, COUNT(expected));
		expect_nothing(&rig, vcpu);
	}
	rig_close(&rig);
}

/* More pending interrupts than list registers: some are in list registers, others wait for one. */
static void pending_interrupts_are_kept_beyond_list_registers(void)
{
	uint32_t expected[2 * 16], first;
	unsigned count = 0;
	struct rig rig;

	open_programmed(&rig);
	for (unsigned n = 0; n < 16; n++)
		rig_send_msi(&rig, DEVICE, EVENT(1, n));
	rig_set_redistributor(&rig, 1, GICR_ISPENDR0, 0xffff);
	first = rig_acknowledge(&rig, 1); /* then some are in list registers, and one is active */
	rig_move(&rig);
	for (unsigned n = 0; n < 16; n++) {
		if (first != n)
			expected[count++] = n;
		expected[count++] = LPI(1, n);
	}
	expect(&rig, 1, expected, count);
	rig_close(&rig);
}

/* Interrupts that cannot be delivered at the save are delivered once when the guest allows it. */
static void pending_interrupts_are_kept_while_masked(void)
{
	struct rig rig;

	open_programmed(&rig);
	rig_set_properties(&rig, LPI(0, 1), 0x80, false);
	rig_invalidate(&rig, DEVICE, EVENT(0, 1));
	rig_set_cpu_interface(&rig, 1, ICC_PMR, 0x40);
	rig_set_cpu_interface(&rig, 2, ICC_IGRPEN1, 0);
	for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++)
		rig_send_msi(&rig, DEVICE, EVENT(vcpu, 1));
	set_up_spi(&rig, 40, 3, true, 0xa0);
	rig_set_distributor(&rig, GICD_ISENABLER + 0x80 + 4, 1u << (40 - 32));
	rig_set_line(&rig, 0, 40, true);
	rig_move(&rig);
	expect_nothing(&rig, 0);
	expect_nothing(&rig, 1);
	expect_nothing(&rig, 2);
	expect(&rig, 3, (uint32_t[]){ LPI(3, 1) }, 1);

	rig_set_properties(&rig, LPI(0, 1), 0x80, true);
	rig_invalidate(&rig, DEVICE, EVENT(0, 1));
	rig_set_cpu_interface(&rig, 1, ICC_PMR, 0xf8);
	rig_set_cpu_interface(&rig, 2, ICC_IGRPEN1, 1);
	rig_set_distributor(&rig, GICD_ISENABLER + 4, 1u << (40 - 32));
	for (unsigned vcpu = 0; vcpu < 3; vcpu++)
		expect(&rig, vcpu, (uint32_t[]){ LPI(vcpu, 1) }, 1);
	expect(&rig, 3, (uint32_t[]){ 40 }, 1);
	rig_close(&rig);
}

static void expect_acknowledged(struct rig *rig, unsigned vcpu, uint32_t expected)
{
	uint32_t interrupt = rig_acknowledge(rig, vcpu);

	if (interrupt != expected)
		fail("vCPU %u acknowledged %u, not %u", vcpu, interrupt, expected);
}

/* A save while handlers run: one handler interrupts another. The priorities differ on each vCPU. */
static void active_interrupts_are_kept_in_handlers(void)
{
	uint64_t active[VCPUS];
	uint32_t handled;
	struct rig rig;

	open_programmed(&rig);
	for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
		rig_set_cpu_interface(&rig, vcpu, ICC_BPR1, 3 + vcpu % 2);
		set_up_spi(&rig, 34 + vcpu, vcpu, true, (uint8_t)(0xb0 + 0x10 * vcpu));
		set_up_spi(&rig, 44 + vcpu, vcpu, true, (uint8_t)(0x20 + 0x10 * vcpu));
		rig_set_line(&rig, 0, 34 + vcpu, true);
		expect_acknowledged(&rig, vcpu, 34 + vcpu);
		rig_send_msi(&rig, DEVICE, EVENT(vcpu, 4));
		rig_nest(&rig, vcpu);
		expect_acknowledged(&rig, vcpu, LPI(vcpu, 4));
		rig_set_line(&rig, 0, 44 + vcpu, true);
		rig_nest(&rig, vcpu);
		expect_acknowledged(&rig, vcpu, 44 + vcpu);
		/* The first interrupt again, while it is active; and one whose priority is too low to interrupt the handler. */
		rig_set_line(&rig, 0, 34 + vcpu, false);
		rig_set_line(&rig, 0, 34 + vcpu, true);
		rig_send_msi(&rig, DEVICE, EVENT(vcpu, 6));
		active[vcpu] = rig_cpu_interface(&rig, vcpu, ICC_AP1R0);
		for (unsigned other = 0; other < vcpu; other++)
			if (!active[vcpu] || active[vcpu] == active[other])
				fail("the active priorities do not differ: 0x%llx", (unsigned long long)active[vcpu]);
	}
	handled = rig_distributor(&rig, GICD_ISACTIVER + 4);
	rig_move(&rig);
	if (!handled || rig_distributor(&rig, GICD_ISACTIVER + 4) != handled)
		fail("the SPIs being handled were 0x%x, and are 0x%x", handled, rig_distributor(&rig, GICD_ISACTIVER + 4));
	for (unsigned vcpu = 0; vcpu < VCPUS; vcpu++) {
		if (rig_cpu_interface(&rig, vcpu, ICC_AP1R0) != active[vcpu])
			fail("vCPU %u has another vCPU's active priorities", vcpu);
		rig_nest(&rig, vcpu);
		expect_acknowledged(&rig, vcpu, RIG_NOTHING); /* all pending ones have lower priority */
		rig_end(&rig, vcpu, 44 + vcpu);
		expect_acknowledged(&rig, vcpu, RIG_NOTHING); /* LPI 6 has the priority of LPI 4, which is active */
		rig_end(&rig, vcpu, LPI(vcpu, 4));
		expect_acknowledged(&rig, vcpu, LPI(vcpu, 6)); /* it interrupts the first */
		rig_end(&rig, vcpu, LPI(vcpu, 6));
		expect_acknowledged(&rig, vcpu, RIG_NOTHING);
		rig_end(&rig, vcpu, 34 + vcpu);
		expect_acknowledged(&rig, vcpu, 34 + vcpu); /* it became pending again while it was active */
		expect_nothing(&rig, vcpu);
		if (rig_cpu_interface(&rig, vcpu, ICC_AP1R0))
			fail("vCPU %u is left with an active priority", vcpu);
	}
	rig_close(&rig);
}

/* A line that goes low after the restore ends its pending state. A latch keeps it. */
static void lines_follow_their_device_after_restore(void)
{
	struct rig rig;

	open_programmed(&rig);
	set_up_spi(&rig, 41, 1, false, 0xa0);
	set_up_spi(&rig, 42, 2, false, 0xa0);
	set_up_spi(&rig, 43, 3, false, 0xa0);
	rig_set_line(&rig, 0, 41, true);
	rig_set_line(&rig, 0, 42, true);
	rig_set_distributor(&rig, GICD_ISPENDR + 4, 1u << (43 - 32)); /* by a write to the register, while the line is low */
	rig_move(&rig);
	rig_set_line(&rig, 0, 41, false);
	expect_nothing(&rig, 1);
	/* A line that stays high after the end of the interrupt makes it pending again. */
	expect_acknowledged(&rig, 2, 42);
	expect_acknowledged(&rig, 2, 42);
	rig_move(&rig);
	rig_set_line(&rig, 0, 42, false);
	expect_nothing(&rig, 2);
	expect(&rig, 3, (uint32_t[]){ 43 }, 1);
	rig_close(&rig);
}

static void pending_interrupts_are_kept_by_ten_moves(void)
{
	struct rig rig;

	open_programmed(&rig);
	for (unsigned round = 0; round < 10; round++) {
		unsigned vcpu = round % VCPUS;

		rig_send_msi(&rig, DEVICE, EVENT(vcpu, round));
		rig_set_redistributor(&rig, vcpu, GICR_ISPENDR0, 1u << round);
		rig_move(&rig);
		for (unsigned other = 0; other < VCPUS; other++)
			if (other != vcpu)
				expect_nothing(&rig, other);
		expect(&rig, vcpu, (uint32_t[]){ round, LPI(vcpu, round) }, 2);
	}
	rig_close(&rig);
}

const struct irqchip_case pending_cases[] = {
	{ "pending_interrupts_of_all_kinds_are_kept", pending_interrupts_of_all_kinds_are_kept },
	{ "pending_interrupts_are_kept_beyond_list_registers", pending_interrupts_are_kept_beyond_list_registers },
	{ "pending_interrupts_are_kept_while_masked", pending_interrupts_are_kept_while_masked },
	{ "active_interrupts_are_kept_in_handlers", active_interrupts_are_kept_in_handlers },
	{ "lines_follow_their_device_after_restore", lines_follow_their_device_after_restore },
	{ "pending_interrupts_are_kept_by_ten_moves", pending_interrupts_are_kept_by_ten_moves },
	{ 0 },
};
