/* SPDX-License-Identifier: MIT */
/*
 * A vCPU makes progress with each combination of enabled interrupt groups. From 6.19 on, KVM enables a maintenance interrupt
 * for a change of a group. If a GIC raises it without a change, the vCPU executes no instruction (docs/host-kernels.md).
 */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cases.h"
#include "rig.h"

#define LIMIT 20u /* seconds; a run takes milliseconds */

/* If KVM_RUN does not return, only a signal handler can report that. */
static void groups_give_up(int number)
{
	static const char message[] = "the vCPU executes no instruction\n";

	(void)number;
	if (write(STDOUT_FILENO, message, sizeof(message) - 1) < 0)
		_exit(2);
	_exit(1);
}

static void run_with(uint64_t group_0, uint64_t group_1)
{
	struct rig rig;

	rig_open(&rig, 1);
	rig_set_cpu_interface(&rig, 0, ICC_PMR, 0xf8);
	rig_set_cpu_interface(&rig, 0, ICC_IGRPEN0, group_0);
	rig_set_cpu_interface(&rig, 0, ICC_IGRPEN1, group_1);
	signal(SIGALRM, groups_give_up);
	alarm(LIMIT);
	for (unsigned round = 0; round < 100; round++) {
		uint32_t interrupt = rig_acknowledge(&rig, 0);

		if (interrupt != RIG_NOTHING)
			fail("interrupt %u came from nowhere", interrupt);
	}
	alarm(0);
	rig_close(&rig);
}

static void vcpu_runs_without_groups(void)
{
	run_with(0, 0);
}

static void vcpu_runs_with_group_0(void)
{
	run_with(1, 0);
}

static void vcpu_runs_with_group_1(void)
{
	run_with(0, 1);
}

static void vcpu_runs_with_both_groups(void)
{
	run_with(1, 1);
}

const struct irqchip_case group_cases[] = {
	{ "vcpu_runs_without_groups", vcpu_runs_without_groups },
	{ "vcpu_runs_with_group_0", vcpu_runs_with_group_0 },
	{ "vcpu_runs_with_group_1", vcpu_runs_with_group_1 },
	{ "vcpu_runs_with_both_groups", vcpu_runs_with_both_groups },
	{ 0 },
};
