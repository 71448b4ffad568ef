/* SPDX-License-Identifier: MIT */
/* The watchdog of --watchdog as a component, and what happens when the guest lets it expire. */
#include "components.h"
#include "state/names.h"

static bool has_watchdog(const struct machine *machine)
{
	return machine->config.watchdog != MACHINE_WATCHDOG_ABSENT;
}

static void component_watchdog_expired(void *owner)
{
	struct machine *machine = owner;
	struct vm_event event = { .cause = "the guest let its watchdog expire" };

	switch (machine->config.watchdog) {
	case MACHINE_WATCHDOG_RESET:
		event.kind = VM_EVENT_RESET;
		break;
	case MACHINE_WATCHDOG_POWER_OFF:
		event.kind = VM_EVENT_POWER_OFF;
		break;
	case MACHINE_WATCHDOG_LOG:
	case MACHINE_WATCHDOG_ABSENT:
		if (!machine->watchdog_logged)
			log_message(machine->config.log, LOG_LEVEL_WARNING, "the guest's watchdog expired");
		machine->watchdog_logged = true;
		return;
	}
	vm_event_post(&machine->vm, &event);
}

static int component_watchdog_open(struct machine *machine, struct error *error)
{
	const struct watchdog_config config = {
		.line = MACHINE_LINE_WATCHDOG,
		.base = MACHINE_WATCHDOG,
		.frequency = vcpus_counter_frequency(),
		.counter = vcpus_host_counter,
		.expired = component_watchdog_expired,
		.owner = machine,
	};

	if (!has_watchdog(machine))
		return 0;
	return watchdog_open(&machine->watchdog, &machine->vm.bus, &machine->vm.interrupts, machine->loop, &config, error);
}

static void component_watchdog_close(struct machine *machine)
{
	watchdog_close(&machine->watchdog);
}

static void component_watchdog_pause(struct machine *machine)
{
	if (has_watchdog(machine))
		watchdog_pause(&machine->watchdog);
}

static void component_watchdog_resume(struct machine *machine)
{
	uint64_t counter = machine->clock.counter;
	struct error error;

	if (!has_watchdog(machine))
		return;
	/* KVM's value is exact. Where it cannot be read, the guest's clock is off as well, and there is a warning. */
	if (vcpus_get_counter(&machine->vm, &counter, &error) < 0)
		counter = machine->clock.counter;
	watchdog_resume(&machine->watchdog, counter);
}

static void component_watchdog_reset(struct machine *machine)
{
	machine->watchdog_logged = false;
	if (has_watchdog(machine))
		watchdog_reset(&machine->watchdog);
}

static int component_watchdog_visit(struct machine *machine, struct state_visitor *visitor, struct error *error)
{
	if (!has_watchdog(machine))
		return 0;
	return visitor->visit(visitor, SECTION_WATCHDOG, &watchdog_state_table, &machine->watchdog.state, error);
}

static int component_watchdog_restored(struct machine *machine, struct error *error)
{
	(void)error;
	if (has_watchdog(machine))
		watchdog_restored(&machine->watchdog);
	return 0;
}

static void component_watchdog_stat(struct machine *machine, struct report *report)
{
	if (!has_watchdog(machine))
		return;
	report_begin(report, NULL);
	report_begin(report, "watchdog");
	report_string(report, "state", watchdog_stage(&machine->watchdog));
	report_end(report);
	report_end(report);
}

static void component_watchdog_fdt(struct machine *machine, struct fdt_writer *writer)
{
	if (has_watchdog(machine))
		watchdog_fdt(&machine->watchdog, writer);
}

const struct component component_watchdog = {
	.open = component_watchdog_open,
	.close = component_watchdog_close,
	.pause = component_watchdog_pause,
	.resume = component_watchdog_resume,
	.reset = component_watchdog_reset,
	.visit = component_watchdog_visit,
	.restored = component_watchdog_restored,
	.stat = component_watchdog_stat,
	.fdt = component_watchdog_fdt,
};
