/* SPDX-License-Identifier: MIT */
/*
 * Walks the ITS's tables in a guest's RAM as KVM would restore them. Input: struct plan, then pieces of RAM with their
 * addresses; the rest of RAM is zero.
 */
#include <errno.h>

#include "fuzz.h"
#include "arm/its_table.h"
#include "mutate.h"

#define VCPUS 4u
#define BASE 0x80000000ull
#define MOST_RAM 0x200000u
#define PIECES 64u
#define WORDS 15u

struct plan {
	uint64_t device_baser, collection_baser, propbaser, pendbasers[VCPUS];
	uint32_t ram_size; /* bytes, up to MOST_RAM */
	uint8_t vcpu_count, zero[3];
	uint64_t broken; /* an address that cannot be read */
};

struct piece {
	uint64_t address, words[WORDS];
};

struct machine {
	struct guest_memory memory;
	struct plan plan;
	struct piece pieces[PIECES];
	unsigned count;
	struct its_walk walk;
	/* Results of the walk. */
	unsigned collections, devices, events, pending, stops, limits;
	struct its_device device;
	int refusal;
};

static int read_ram(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	const struct machine *machine = owner;

	fuzz_must(guest_memory_has(&machine->memory, address, size));
	if (machine->plan.broken - address < size)
		return error_set(error, EIO, "broken");
	memset(to, 0, size);
	for (unsigned i = 0; i < machine->count; i++) {
		const struct piece *piece = &machine->pieces[i];
		uint64_t start = piece->address > address ? piece->address : address;
		uint64_t piece_end = piece->address + sizeof(piece->words), end = address + size;

		if (piece_end < piece->address)
			continue;
		end = end < piece_end ? end : piece_end;
		if (start < end)
			memcpy((uint8_t *)to + (start - address), (const uint8_t *)piece->words + (start - piece->address),
			       end - start);
	}
	return 0;
}

/* KVM's result is that of the first entry that it refuses. */
static void meet(struct machine *machine, uint32_t problems)
{
	fuzz_must(problems >> ITS_PROBLEMS == 0);
	for (unsigned i = 0; i < ITS_PROBLEMS_REFUSED && !machine->refusal; i++)
		if (problems >> i & 1)
			machine->refusal = its_problem_refusal((enum its_problem)i);
}

static void see_collection(void *owner, const struct its_collection *collection)
{
	struct machine *machine = owner;

	fuzz_must(!machine->devices);
	fuzz_must(guest_memory_has(&machine->memory, collection->address, 8));
	fuzz_must(collection->id < 65536);
	if (!(collection->problems & 1u << ITS_PROBLEM_VCPU))
		fuzz_must(collection->vcpu < machine->plan.vcpu_count || collection->vcpu == ITS_NO_VCPU);
	machine->collections++;
	meet(machine, collection->problems);
}

static void see_device(void *owner, const struct its_device *device)
{
	struct machine *machine = owner;

	fuzz_must(guest_memory_has(&machine->memory, device->address, 8));
	fuzz_must(device->event_bits >= 1 && device->event_bits <= 32);
	fuzz_must(device->itt_size == 8ull << device->event_bits);
	fuzz_must(device->itt < 1ull << 52 && device->next < 1u << 14);
	fuzz_must(device->id < 65536 || device->problems & 1u << ITS_PROBLEM_DEVICE_ID);
	machine->device = *device;
	machine->devices++;
	meet(machine, device->problems);
}

static void see_event(void *owner, const struct its_event *event)
{
	struct machine *machine = owner;
	bool shared = event->problems >> ITS_PROBLEM_LPI_SHARED & 1;
	bool mapped = !(event->problems & (1u << ITS_PROBLEM_LPI | 1u << ITS_PROBLEM_COLLECTION));

	fuzz_must(event->device == machine->device.id && event->id < 1ull << machine->device.event_bits);
	fuzz_must(machine->device.event_bits <= 16);
	fuzz_must(event->address == machine->device.itt + 8ull * event->id);
	fuzz_must(guest_memory_has(&machine->memory, event->address, 8));
	fuzz_must(event->vcpu < machine->plan.vcpu_count || event->vcpu == ITS_NO_VCPU);
	fuzz_must(event->vcpu != ITS_NO_VCPU || !event->pending);
	fuzz_must(event->lpi >= ITS_FIRST_LPI || event->problems & 1u << ITS_PROBLEM_LPI);
	fuzz_must(mapped || !event->pending);
	if (mapped && event->lpi < ITS_LPI_LIMIT) {
		const struct its_owner *first = &machine->walk.lpis[event->lpi];

		fuzz_must(first->used && first->vcpu == event->vcpu);
		fuzz_must(shared || (first->device == event->device && first->event == event->id));
	}
	machine->events++;
	machine->pending += event->pending && !shared;
	meet(machine, event->problems);
}

static void see_stop(void *owner, enum its_stop stop, uint64_t address, uint32_t device)
{
	struct machine *machine = owner;

	(void)device;
	fuzz_must(!machine->limits); /* the limit ends the walk */
	machine->stops++;
	machine->limits += stop == ITS_STOP_LIMIT;
	if (stop != ITS_STOP_LIMIT) {
		fuzz_must(!guest_memory_has(&machine->memory, address, 8));
		if (!machine->refusal)
			machine->refusal = EFAULT;
	}
}

static void walk(struct machine *machine)
{
	const struct its_visitor visitor = {
		.collection = see_collection, .device = see_device, .event = see_event, .stop = see_stop, .owner = machine,
	};
	const struct its_tables tables = {
		.memory = &machine->memory, .device_baser = machine->plan.device_baser,
		.collection_baser = machine->plan.collection_baser, .propbaser = machine->plan.propbaser,
		.vcpu_count = machine->plan.vcpu_count, .pendbasers = machine->plan.pendbasers,
	};
	const struct its_walk *said = &machine->walk;
	struct error error;

	machine->collections = machine->devices = machine->events = machine->pending = 0;
	machine->stops = machine->limits = 0;
	machine->refusal = 0;
	if (its_tables_walk(&tables, &visitor, &machine->walk, &error) < 0) {
		fuzz_must(error.code == EIO);
		return;
	}
	fuzz_must(said->refusal == machine->refusal);
	fuzz_must(said->collections == machine->collections && said->devices == machine->devices);
	fuzz_must(said->events == machine->events && said->pending == machine->pending);
	fuzz_must(said->over == (machine->limits == 1));
	fuzz_must(said->entries <= (1u << 24) + 1);
	fuzz_must(said->collections + said->devices + said->events <= said->entries);
}

/* A window must return the same bytes as a plain read, or fail in the same way, for any size at any address. */
static void look_through_window(struct machine *machine)
{
	struct guest_window window = { .memory = &machine->memory };
	struct error error, plain_error;

	for (unsigned i = 0; i < machine->count; i++) {
		for (unsigned word = 0; word < WORDS; word++) {
			uint64_t address = machine->pieces[i].words[word], value = 0, plain = 0;
			unsigned size = (unsigned)(address >> 60 & 7) + 1;
			int result, plain_result;

			address &= ~0ull >> 4;
			result = guest_window_read(&window, address, size, &value, &error);
			plain_result = guest_memory_read(&machine->memory, address, &plain, size, &plain_error);
			if (result == 0)
				fuzz_must(plain_result == 0 && value == plain);
			else /* the window reads a page, which may be broken outside of the piece */
				fuzz_must(error.code == EIO || (plain_result < 0 && plain_error.code == EFAULT));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine machine; /* a megabyte: allocating it takes longer than most walks */

	if (size < sizeof(machine.plan))
		return 0;
	memcpy(&machine.plan, data, sizeof(machine.plan));
	data += sizeof(machine.plan);
	size -= sizeof(machine.plan);
	machine.plan.vcpu_count %= VCPUS + 1;
	machine.plan.ram_size %= MOST_RAM + 1;
	machine.count = size / sizeof(struct piece) < PIECES ? (unsigned)(size / sizeof(struct piece)) : PIECES;
	memcpy(machine.pieces, data, machine.count * sizeof(struct piece));
	machine.memory = (struct guest_memory){
		.base = BASE, .size = machine.plan.ram_size, .read = read_ram, .owner = &machine,
	};
	walk(&machine);
	look_through_window(&machine);
	return 0;
}
