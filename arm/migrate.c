/* SPDX-License-Identifier: MIT */
#include "lkvm/gic.h"
#include "lkvm/its.h"
#include "lkvm/migrate.h"

struct step {
	const char *name;
	int (*run)(const struct migrate *migrate, struct error *error);
	const char *why_here;
};

static int reset_its(const struct migrate *migrate, struct error *error)
{
	return migrate->vm->its_fd < 0 ? 0 : its_reset(migrate->vm, error);
}

static int reset_control(const struct migrate *migrate, struct error *error)
{
	return gic_reset_control(migrate->vm, error);
}

static int reset_redistributors(const struct migrate *migrate, struct error *error)
{
	return gic_reset_redistributors(migrate->vm, error);
}

static int reset_distributor(const struct migrate *migrate, struct error *error)
{
	return gic_reset_distributor(migrate->vm, migrate->interrupts, error);
}

static int reset_cpu_interfaces(const struct migrate *migrate, struct error *error)
{
	return gic_reset_cpu_interfaces(migrate->vm, error);
}

static int reset_vcpus(const struct migrate *migrate, struct error *error)
{
	return vcpus_initialise(migrate->vm, migrate->features, false, error);
}

static int reset_counter(const struct migrate *migrate, struct error *error)
{
	return vcpus_set_counter(migrate->vm, 0, error);
}

static const struct step reset_steps[] = {
	{ "its", reset_its, "frees the mappings before the LPIs behind them go" },
	{ "gic control", reset_control, "turns LPIs and the distributor off, so that nothing below is forwarded" },
	{ "redistributors", reset_redistributors, "SGIs and PPIs, with the distributor off" },
	{ "distributor", reset_distributor, "SPIs; their lines are low since the devices were reset" },
	{ "cpu interfaces", reset_cpu_interfaces, "no interrupt is left that could change the active priorities" },
	{ "vcpus", reset_vcpus, "KVM_ARM_VCPU_INIT resets the timers, whose lines are PPIs: after the GIC" },
	{ "counter", reset_counter, "last, so that the guest's time starts with it" },
};

static int run_steps(const struct step *steps, size_t count, const struct migrate *migrate, struct error *error)
{
	for (size_t i = 0; i < count; i++)
		if (steps[i].run(migrate, error) < 0)
			return error_context(error, "%s", steps[i].name);
	return 0;
}

int migrate_reset(const struct migrate *migrate, struct error *error)
{
	return run_steps(reset_steps, sizeof(reset_steps) / sizeof(reset_steps[0]), migrate, error);
}
