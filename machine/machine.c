/* SPDX-License-Identifier: MIT */
/* Opens and closes a machine: walks its components. */
#include "machine/machine.h"

#include "components.h"
#include "check_host.h"
#include "ram_private.h"
#include "software_private.h"

static int open_components(struct machine *machine, size_t count, struct error *error)
{
	for (; machine->opened < count; machine->opened++) {
		if (machine_components[machine->opened]->open(machine, error) == 0)
			continue;
		machine_close(machine);
		return -1;
	}
	return 0;
}

int machine_open(struct machine *machine, const struct machine_config *config, struct loop *loop,
		 struct terminal *terminal, struct error *error)
{
	*machine = (struct machine){ .config = *config, .loop = loop, .terminal = terminal, .pager.done_fd = -1,
				     .snapshot_watch.fd = -1 };
	if (open_components(machine, machine_component_count, error) < 0)
		return -1;
	if (machine_software_open(machine, error) == 0)
		return 0;
	machine_close(machine);
	return -1;
}

int machine_open_processors(struct machine *machine, const struct machine_config *config,
			    const struct error_collector *refused, struct error *error)
{
	*machine = (struct machine){ .config = *config, .refused = refused, .pager.done_fd = -1, .snapshot_watch.fd = -1 };
	return open_components(machine, MACHINE_COMPONENTS_BEFORE_DEVICES, error);
}

void machine_stop(struct machine *machine)
{
	/* vCPUs first: they call into all other components. */
	if (machine->opened > 1)
		vcpus_close(&machine->vm);
	machine->running = false;
	component_virtio.pause(machine);
	machine_ram_close(machine); /* no vCPU or device waits for it any more */
}

void machine_close(struct machine *machine)
{
	machine_untrack(machine);
	machine_stop(machine);
	while (machine->opened > 0)
		if (machine_components[--machine->opened]->close)
			machine_components[machine->opened]->close(machine);
}
