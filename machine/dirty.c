/* SPDX-License-Identifier: MIT */
/* Tracks which pages of RAM are written, by vCPUs and by devices. */
#include <string.h>

#include "machine/machine.h"

static int log_networks(struct machine *machine, bool on, struct error *error)
{
	for (unsigned i = 0; i < machine->config.network_count; i++)
		if (virtio_net_dirty_set(machine->virtio[machine->config.disk_count + i], on, error) < 0)
			return -1;
	return 0;
}

int machine_track(struct machine *machine, struct error *error)
{
	bool runs = machine->running;
	int result;

	if (machine->dirty_log.vm)
		return 0;
	if (dirty_log_open(&machine->dirty_log, &machine->vm, error) < 0)
		return -1;
	/* vhost reads its log's setting only when it starts. */
	machine_pause(machine);
	machine->dirty_log.is_exact &= vfio_dirty_start(machine->vfio);
	result = log_networks(machine, true, error);
	if (result == 0)
		result = dirty_log_start(&machine->dirty_log, error);
	if (result < 0)
		machine_untrack(machine);
	if (runs)
		machine_resume(machine);
	memset(machine->tracked_since, 0, sizeof(machine->tracked_since));
	return result;
}

void machine_untrack(struct machine *machine)
{
	if (!machine->dirty_log.vm)
		return;
	dirty_log_close(&machine->dirty_log);
	vfio_dirty_stop(machine->vfio);
	log_networks(machine, false, &(struct error){ 0 });
}

int machine_fetch_dirty(struct machine *machine, uint16_t *pages, bool last, struct error *error)
{
	for (unsigned i = 0; i < machine->config.network_count; i++)
		virtio_net_dirty_mark(machine->virtio[machine->config.disk_count + i]);
	vfio_dirty_mark(machine->vfio);
	return dirty_log_fetch(&machine->dirty_log, pages, last, error);
}
