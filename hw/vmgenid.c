/* SPDX-License-Identifier: MIT */
/* The VM generation ID: its page and its interrupt. */
#include "hw/vmgenid.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "state/names.h"

static const struct state_field vmgenid_fields[] = {
	STATE_ARRAY(struct vmgenid_state, id, STATE_RUNTIME, 0),
};

const struct state_table vmgenid_state_table = STATE_TABLE(struct vmgenid_state, SECTION_VMGENID, 1, vmgenid_fields);

/*
 * Writes the ID into the page. Call it only while the guest has not accessed the page: Linux reads it uncached,
 * as device memory, and KVM cleans the caches when it maps the page.
 */
static void write_page(struct vmgenid *vmgenid)
{
	memcpy(vmgenid->page.host, vmgenid->state.id, sizeof(vmgenid->state.id));
}

static int make_random(struct vmgenid_state *state, struct error *error)
{
	if (getrandom(state->id, sizeof(state->id), 0) != sizeof(state->id))
		return error_system(error, errno, "random numbers");
	return 0;
}

int vmgenid_open(struct vmgenid *vmgenid, struct vm *vm, unsigned line, uint64_t base, struct error *error)
{
	*vmgenid = (struct vmgenid){ .interrupts = &vm->interrupts, .line = line };
	if (ram_open(&vmgenid->page, base, VMGENID_SIZE, error) == 0 && make_random(&vmgenid->state, error) == 0 &&
	    vm_add_memory(vm, &vmgenid->page, true, error) == 0) {
		write_page(vmgenid);
		return 0;
	}
	vmgenid_close(vmgenid);
	return error_context(error, "generation");
}

void vmgenid_close(struct vmgenid *vmgenid)
{
	ram_close(&vmgenid->page);
}

int vmgenid_restored(struct vmgenid *vmgenid, bool listens, struct error *error)
{
	if (make_random(&vmgenid->next, error) < 0)
		return error_context(error, "generation");
	write_page(vmgenid);
	vmgenid->changes = true;
	vmgenid->listens = listens;
	return 0;
}

void vmgenid_resume(struct vmgenid *vmgenid)
{
	if (!vmgenid->changes)
		return;
	vmgenid->changes = false;
	vmgenid->state = vmgenid->next;
	write_page(vmgenid);
	/*
	 * A driver that starts later reads the new ID anyway. The GIC would keep the edge until then, and
	 * Linux's driver would fail: its handler would run before the driver has set up what it needs.
	 */
	if (!vmgenid->listens)
		return;
	interrupts_set_line(vmgenid->interrupts, vmgenid->line, true);
	interrupts_set_line(vmgenid->interrupts, vmgenid->line, false);
}

void vmgenid_reset(struct vmgenid *vmgenid)
{
	vmgenid->listens = false;
}

void vmgenid_fdt(const struct vmgenid *vmgenid, struct fdt_writer *writer)
{
	fdt_writer_begin_at(writer, "rng", vmgenid->page.base);
	fdt_writer_string(writer, "compatible", "microsoft,vmgenid");
	fdt_writer_range(writer, vmgenid->page.base, VMGENID_SIZE);
	FDT_WRITER_CELLS(writer, "interrupts", FDT_GIC_SPI, vmgenid->line, FDT_IRQ_EDGE_RISING);
	fdt_writer_end(writer);
}
