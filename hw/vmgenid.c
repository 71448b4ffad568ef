/* SPDX-License-Identifier: MIT */
#include "hw/vmgenid.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static const struct state_field generation_fields[] = {
	STATE_ARRAY(struct generation_state, id, STATE_RUNTIME, 0),
};

const struct state_table generation_state_table = STATE_TABLE(struct generation_state, "generation", 1, generation_fields);

/*
 * Only while the guest has not touched the page yet. Linux reads it past the caches, as a device's memory, and KVM cleans
 * them when it maps the page.
 */
static void show(struct generation *generation)
{
	memcpy(generation->page.host, generation->state.id, sizeof(generation->state.id));
}

static int draw(struct generation_state *state, struct error *error)
{
	if (getrandom(state->id, sizeof(state->id), 0) != sizeof(state->id))
		return error_system(error, errno, "random numbers");
	return 0;
}

int generation_open(struct generation *generation, struct vm *vm, unsigned line, uint64_t base, struct error *error)
{
	*generation = (struct generation){ .interrupts = &vm->interrupts, .line = line };
	if (ram_open(&generation->page, base, GENERATION_SIZE, error) == 0 && draw(&generation->state, error) == 0 &&
	    vm_add_memory(vm, &generation->page, true, error) == 0) {
		show(generation);
		return 0;
	}
	generation_close(generation);
	return error_context(error, "generation");
}

void generation_close(struct generation *generation)
{
	ram_close(&generation->page);
}

int generation_restored(struct generation *generation, bool listens, struct error *error)
{
	if (draw(&generation->next, error) < 0)
		return error_context(error, "generation");
	show(generation);
	generation->changes = true;
	generation->listens = listens;
	return 0;
}

void generation_go_on(struct generation *generation)
{
	if (!generation->changes)
		return;
	generation->changes = false;
	generation->state = generation->next;
	show(generation);
	/*
	 * A driver that starts later reads the new one anyway; and the GIC would keep the edge until then, which Linux's
	 * driver does not bear: its handler is called before it has set up what that needs.
	 */
	if (!generation->listens)
		return;
	interrupts_set_line(generation->interrupts, generation->line, true);
	interrupts_set_line(generation->interrupts, generation->line, false);
}

void generation_reset(struct generation *generation)
{
	generation->listens = false;
}
