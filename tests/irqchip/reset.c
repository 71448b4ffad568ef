/* SPDX-License-Identifier: MIT */
/* After a reset, every register of vCPUs, vGICv3 and ITS has the value of a new VM. */
#include <string.h>

#include "cases.h"
#include "rig.h"

static void map_and_send(struct rig *rig)
{
	rig_program_its(rig, true);
	rig_map_device(rig, 3, 6);
	for (unsigned vcpu = 0; vcpu < rig->vm.vcpu_count; vcpu++) {
		rig_map_collection(rig, vcpu, vcpu);
		rig_set_properties(rig, 8192 + vcpu, 0x80, true);
		rig_map_event(rig, 3, vcpu, 8192 + vcpu, vcpu);
		rig_send_msi(rig, 3, vcpu);
		rig_acknowledge(rig, vcpu);
	}
}

/* Changes every writable register. */
static void disturb(struct rig *rig)
{
	rig_program_gic(rig);
	if (rig->vm.its_fd >= 0)
		map_and_send(rig);
	for (unsigned vcpu = 0; vcpu < rig->vm.vcpu_count; vcpu++) {
		for (uint32_t word = 0; word < 8; word++)
			rig_set_redistributor(rig, vcpu, GICR_IPRIORITYR + 4 * word, 0x10203040);
		rig_set_redistributor(rig, vcpu, 0x10080, 0x5a5a5a5a); /* IGROUPR0 */
		rig_set_redistributor(rig, vcpu, GICR_ISENABLER0 + 0x80, 0xff);
		rig_set_redistributor(rig, vcpu, GICR_ISENABLER0, 0xffff0000);
		rig_set_redistributor(rig, vcpu, GICR_ISPENDR0, 0x00ff00ff);
		rig_set_redistributor(rig, vcpu, GICR_ISACTIVER0, 0x0000ff00);
		rig_set_cpu_interface(rig, vcpu, ICC_BPR1, 5);
	}
	for (uint32_t interrupt = 32; interrupt < RIG_INTERRUPTS; interrupt++) {
		rig_set_line(rig, 0, interrupt, interrupt % 2);
		rig_set_distributor(rig, GICD_IROUTER + 8 * interrupt, interrupt % rig->vm.vcpu_count);
	}
	for (uint32_t word = 1; word < 2; word++) {
		rig_set_distributor(rig, 0x80 + 4 * word, 0x12345678); /* IGROUPR */
		rig_set_distributor(rig, GICD_ISENABLER + 4 * word, 0x0ff00ff0);
		rig_set_distributor(rig, GICD_ISPENDR + 4 * word, 0x33333333);
		rig_set_distributor(rig, 0x300 + 4 * word, 0x11111111); /* ISACTIVER */
	}
	for (uint32_t word = 2; word < 4; word++)
		rig_set_distributor(rig, GICD_ICFGR + 4 * word, 0x88888888);
	for (uint32_t word = 8; word < 16; word++)
		rig_set_distributor(rig, GICD_IPRIORITYR + 4 * word, 0x80808080);
	for (uint32_t interrupt = 32; interrupt < RIG_INTERRUPTS; interrupt++)
		rig_set_line(rig, 0, interrupt, false); /* as a reset of the devices does */
}

static void resets(struct rig *rig)
{
	struct saved fresh, after;
	struct error error;

	if (rig_save(rig, &fresh, &error) < 0)
		fail("saving: %s", error.text);
	for (unsigned round = 0; round < 3; round++) {
		disturb(rig);
		if (round == 1)
			rig_move(rig);
		if (migrate_reset(&rig->migrate, &error) < 0)
			fail("reset: %s", error.text);
		rig_start(rig);
		if (rig_save(rig, &after, &error) < 0)
			fail("saving: %s", error.text);
		expect_same_sections("the reset", &fresh, &after);
		saved_free(&after);
	}
	saved_free(&fresh);
	rig_close(rig);
}

static void reset_restores_power_on_state(void)
{
	struct rig rig;

	rig_open(&rig, 3);
	resets(&rig);
}

static void reset_restores_power_on_state_without_its(void)
{
	struct rig rig;

	rig_open_without_its(&rig, 2);
	resets(&rig);
}

const struct irqchip_case reset_cases[] = {
	{ "reset_restores_power_on_state", reset_restores_power_on_state },
	{ "reset_restores_power_on_state_without_its", reset_restores_power_on_state_without_its },
	{ 0 },
};
