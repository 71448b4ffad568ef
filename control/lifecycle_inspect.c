/* SPDX-License-Identifier: MIT */
/*
 * The request "inspect". Pauses the machine for a moment, collects its state, updates and copies its interrupt tables. The
 * machine resumes. State and tables become a snapshot in the client's file, without the rest of RAM.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inspect/inspect.h"
#include "lifecycle_private.h"
#include "state/names.h"

/* Collects the state of the paused machine. `copy` belongs to the caller, also after a failure. */
static int collect(struct machine *machine, struct section_writer *sections, struct ram *copy, struct error *error)
{
	const struct ram *ram = &machine->vm.ram;

	if (machine_save_without_device_data(machine, sections, error) < 0 || ram_open(copy, ram->base, ram->size, error) < 0)
		return -1;
	madvise(copy->host, copy->size, MADV_NOHUGEPAGE); /* few pages are copied, and each would take 2 MiB */
	return inspect_extract(&sections->buffer, ram, copy, error);
}

static int write_snapshot(int fd, const struct ram *copy, struct section_writer *sections, struct error *error)
{
	struct snapshot_writer writer = { .fd = fd, .ram = copy };
	int result;

	/* Mandatory: a reader that does not support it must not take the absent RAM for zeroes. */
	section_begin(sections, SECTION_PARTIAL, 1, SECTION_MANDATORY);
	section_end(sections);
	result = snapshot_write(&writer, &sections->buffer, error);
	snapshot_end(&writer);
	return result;
}

void lifecycle_serve_inspect(struct lifecycle *lifecycle, struct control_client *client, char **words)
{
	struct section_writer sections = { 0 };
	struct ram copy = { 0 };
	int fd = control_claim_fd(client, 0);
	struct error error;
	int result;

	(void)words;
	if (fd < 0) {
		error_set(&error, EINVAL, "no file came with the request");
		control_refuse(client, &error);
		return;
	}
	machine_defer_interrupts(lifecycle->machine);
	lifecycle_pause(lifecycle);
	result = collect(lifecycle->machine, &sections, &copy, &error);
	lifecycle_resume(lifecycle);
	if (result == 0)
		result = write_snapshot(fd, &copy, &sections, &error);
	if (result == 0)
		control_answer(client, NULL);
	else
		control_refuse(client, &error);
	ram_close(&copy);
	byte_buffer_free(&sections.buffer);
	close(fd);
}
