/* SPDX-License-Identifier: MIT */
/* The order in which KVM's state is saved, restored and reset, each step with its reason. */
#include "arm/migrate.h"

#include <errno.h>

#include "arm/gic.h"
#include "arm/its.h"
#include "memory/memory_loss.h"
#include "snapshot/snapshot.h"
#include "state/names.h"
#include "util/bits.h"
#include "util/fault.h"

/* The input of a step, and the sections that it writes or reads. */
struct context {
	const struct migrate *migrate;
	struct vm *vm;
	struct section_writer *writer;
	struct sections *sections;
};

struct step {
	const char *name; /* for errors and LKVM_FAULT */
	int (*run)(const struct context *context, struct error *error);
	const char *why_here;
};

static const struct migrate_devices *devices(const struct context *context)
{
	static const struct migrate_devices none;

	return context->migrate->devices ? context->migrate->devices : &none;
}

static bool has_its(const struct context *context)
{
	return context->vm->its_fd >= 0;
}

/*
 * Reset
 */

static int reset_its(const struct context *context, struct error *error)
{
	return has_its(context) ? its_reset(context->vm, error) : 0;
}

static int reset_control(const struct context *context, struct error *error)
{
	return gic_reset_control(context->vm, error);
}

static int reset_redistributors(const struct context *context, struct error *error)
{
	return gic_reset_redistributors(context->vm, error);
}

static int reset_distributor(const struct context *context, struct error *error)
{
	return gic_reset_distributor(context->vm, context->migrate->interrupts, error);
}

static int reset_cpu_interfaces(const struct context *context, struct error *error)
{
	return gic_reset_cpu_interfaces(context->vm, error);
}

static int reset_vcpus(const struct context *context, struct error *error)
{
	return vcpus_initialise(context->vm, context->migrate->features, false, error);
}

static int reset_counter(const struct context *context, struct error *error)
{
	return vcpus_set_counter(context->vm, 0, error);
}

static const struct step reset_steps[] = {
	{ "its", reset_its, "frees the mappings before the LPIs behind them go" },
	{ "gic-control", reset_control, "turns LPIs and the distributor off, so that nothing below is forwarded" },
	{ "redistributors", reset_redistributors, "SGIs and PPIs, with the distributor off" },
	{ "distributor", reset_distributor, "SPIs; their lines are low since the devices were reset" },
	{ "cpu-interfaces", reset_cpu_interfaces, "no interrupt is left that could change the active priorities" },
	{ "vcpus", reset_vcpus, "KVM_ARM_VCPU_INIT resets the timers, whose lines are PPIs: after the GIC" },
	{ "counter", reset_counter, "last, so that the guest's time starts with it" },
};

/*
 * Save
 */

static int ask(const struct context *context, int (*hook)(void *owner, struct error *error), struct error *error)
{
	return hook ? hook(context->migrate->owner, error) : 0;
}

static int migrate_stop_peers(const struct context *context, struct error *error)
{
	return ask(context, devices(context)->stop_peers, error);
}

static int migrate_stop_devices(const struct context *context, struct error *error)
{
	return ask(context, devices(context)->stop, error);
}

static int migrate_quiesce(const struct context *context, struct error *error)
{
	return ask(context, devices(context)->quiesce, error);
}

/*
 * GICv4.0 cannot report which forwarded interrupts are pending, so KVM refuses while there are any. GICv4.1 can: they stay
 * attached, and the pending tables get them. Only KVM has the information which of the two the host has.
 */
static int save_its_tables(const struct context *context, struct error *error)
{
	if (!has_its(context) || its_save_tables(context->vm, error) == 0)
		return 0;
	if (error->code != EACCES || !devices(context)->stop_forwarding)
		return -1;
	return ask(context, devices(context)->stop_forwarding, error) < 0 ? -1 : its_save_tables(context->vm, error);
}

static int save_pending_tables(const struct context *context, struct error *error)
{
	return gic_save_pending_tables(context->vm, error);
}

static int save_distributor(const struct context *context, struct error *error)
{
	return gic_save_distributor(context->vm, context->migrate->interrupts, context->writer, error);
}

static int save_redistributors(const struct context *context, struct error *error)
{
	return gic_save_redistributors(context->vm, context->writer, error);
}

static int save_cpu_interfaces(const struct context *context, struct error *error)
{
	return gic_save_cpu_interfaces(context->vm, context->writer, error);
}

static int save_its(const struct context *context, struct error *error)
{
	return has_its(context) ? its_save(context->vm, context->writer, error) : 0;
}

/* Checks the tables that SAVE_TABLES wrote: a restore has nothing else. */
static int check_its(const struct context *context, struct error *error)
{
	if (!has_its(context) || context->migrate->check == MIGRATE_NO_CHECK || its_check_tables(context->vm, error) == 0)
		return 0;
	if (error->code != ESTALE)
		return -1;
	if (context->migrate->check != MIGRATE_MARK) {
		struct error reason = *error;

		return error_set(error, ESTALE, "%.400s; save again later, or save it anyway with --force", reason.text);
	}
	section_begin(context->writer, SECTION_NOT_RESTORABLE, 1, SECTION_MANDATORY);
	field_add_text(&context->writer->buffer, FIELD_REASON, error->text);
	section_end(context->writer);
	return 0;
}

static int save_vcpus(const struct context *context, struct error *error)
{
	return vcpus_save(context->vm, context->writer, error);
}

static int migrate_save_devices(const struct context *context, struct error *error)
{
	int (*save)(void *owner, struct section_writer *writer, struct error *error) = devices(context)->save;

	return save ? save(context->migrate->owner, context->writer, error) : 0;
}

static const struct step save_steps[] = {
	{ "peers", migrate_stop_peers, "devices that use other devices stop first; the vCPUs are stopped already" },
	{ "devices", migrate_stop_devices, "from here on they write no memory and send no interrupts" },
	{ "quiesce", migrate_quiesce, "the VMM's own workers stop too: from here on nothing changes" },
	{ "its-tables", save_its_tables, "KVM writes them to RAM, so this precedes the capture of RAM; no MSI may follow" },
	{ "pending-tables", save_pending_tables, "the same for the pending LPIs of each redistributor" },
	{ "distributor", save_distributor, "from here on registers are only read, in any order" },
	{ "redistributors", save_redistributors, "with the levels of the PPIs" },
	{ "cpu-interfaces", save_cpu_interfaces, "active priorities belong to the active bits above" },
	{ "its", save_its, "after its tables: its registers then describe the tables in RAM" },
	{ "its-check", check_its, "after its tables and registers, which a restore finds in the same state" },
	{ "vcpus", save_vcpus, "timers last: the redistributors hold the levels of their lines" },
	{ "device-data", migrate_save_devices, "at the end of the file, after RAM: it can be large, and nothing depends on it" },
};

/*
 * Restore
 */

static int restore_vcpus(const struct context *context, struct error *error)
{
	return vcpus_restore(context->vm, context->sections, context->migrate->refused, error);
}

static int restore_control(const struct context *context, struct error *error)
{
	return gic_restore_control(context->vm, context->sections, error);
}

static int restore_lpi_tables(const struct context *context, struct error *error)
{
	return gic_restore_lpi_tables(context->vm, context->sections, error);
}

static int restore_redistributors(const struct context *context, struct error *error)
{
	return gic_restore_redistributors(context->vm, context->sections, error);
}

static int restore_distributor(const struct context *context, struct error *error)
{
	return gic_restore_distributor(context->vm, context->migrate->interrupts, context->sections, error);
}

static int restore_cpu_interfaces(const struct context *context, struct error *error)
{
	return gic_restore_cpu_interfaces(context->vm, context->sections, error);
}

static int restore_its_registers(const struct context *context, struct error *error)
{
	return has_its(context) ? its_restore_registers(context->vm, context->sections, error) : 0;
}

static int restore_its_tables(const struct context *context, struct error *error)
{
	return has_its(context) ? its_restore_tables(context->vm, error) : 0;
}

static int restore_its_control(const struct context *context, struct error *error)
{
	return has_its(context) ? its_restore_control(context->vm, context->sections, error) : 0;
}

static int migrate_restore_devices(const struct context *context, struct error *error)
{
	int (*load)(void *owner, struct sections *sections, struct error *error) = devices(context)->load;

	return load ? load(context->migrate->owner, context->sections, error) : 0;
}

static int migrate_forward(const struct context *context, struct error *error)
{
	return ask(context, devices(context)->forward, error);
}

static const struct step restore_steps[] = {
	{ "vcpus", restore_vcpus, "first: a feature that this host lacks is found before anything changes" },
	{ "gic-control", restore_control, "KVM never queues interrupts that become pending while the distributor is off" },
	{ "lpi-tables", restore_lpi_tables, "their addresses are fixed once GICR_CTLR enables LPIs" },
	{ "redistributors", restore_redistributors, "enables LPIs before the ITS restores any" },
	{ "distributor", restore_distributor, "the routes of SPIs name redistributors" },
	{ "cpu-interfaces", restore_cpu_interfaces, "active priorities follow the active bits that they belong to" },
	{ "its-registers", restore_its_registers, "the places of its tables; KVM ignores them once the ITS is enabled" },
	{ "its-tables", restore_its_tables, "reads mappings from RAM, with each LPI's configuration and pending bit" },
	{ "its-control", restore_its_control, "enables the ITS: from here on it accepts commands and MSIs" },
	{ "device-data", migrate_restore_devices, "the devices stay stopped after it, until the vCPUs run" },
	{ "forward", migrate_forward, "routes, irqfds and one VFIO_DEVICE_SET_IRQS for each device: an MSI finds its mapping now, and the "
	  "hardware receives what is pending in software" },
};

static int run_steps(const char *sequence, const struct step *steps, size_t count, const struct context *context,
		     struct error *error)
{
	for (size_t i = 0; i < count; i++) {
		if (fault_at(context->migrate->fault, sequence, steps[i].name, error) < 0)
			return -1;
		if (steps[i].run(context, error) == 0)
			continue;
		error_context(error, "%s", steps[i].name);
		memory_suspect(error);
		if (error_collect(context->migrate->refused, error) < 0)
			return -1;
	}
	return 0;
}


int migrate_reset(const struct migrate *migrate, struct error *error)
{
	const struct context context = { .migrate = migrate, .vm = migrate->vm };

	return run_steps("reset", reset_steps, COUNT(reset_steps), &context, error);
}

int migrate_save(const struct migrate *migrate, struct section_writer *writer, struct error *error)
{
	const struct context context = { .migrate = migrate, .vm = migrate->vm, .writer = writer };

	return run_steps("save", save_steps, COUNT(save_steps), &context, error);
}

int migrate_restore(const struct migrate *migrate, struct sections *sections, struct error *error)
{
	const struct context context = { .migrate = migrate, .vm = migrate->vm, .sections = sections };

	return run_steps("restore", restore_steps, COUNT(restore_steps), &context, error);
}
