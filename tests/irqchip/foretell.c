/* SPDX-License-Identifier: MIT */
/* A try: the walk, KVM's restore, and what can be seen of it afterwards. */
#include "foretell.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/kvm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The parts of RAM that tries use: the rest is not copied and compared each time. */
static const struct {
	uint64_t start, size;
} spans[] = { { 0, 0x10000 }, { RIG_QUEUE - RIG_RAM, 0x380000 }, { RIG_RAM_SIZE - 0x10000, 0x10000 } };

__attribute__((noreturn)) static void differ(const struct foretell *foretell, const char *what)
{
	printf("%s, %s tables; BASER0 0x%llx BASER1 0x%llx PROPBASER 0x%llx PENDBASER", foretell->name,
	       foretell->indirect ? "indirect" : "flat", (unsigned long long)foretell->device_baser,
	       (unsigned long long)foretell->collection_baser, (unsigned long long)foretell->propbaser);
	for (unsigned i = 0; i < FORETELL_VCPUS; i++)
		printf(" 0x%llx", (unsigned long long)foretell->pendbasers[i]);
	printf("\n");
	for (unsigned i = 0; i < foretell->patch_count && foretell->patches[i].place; i++)
		printf("place %d, id %u, event %u: 0x%llx\n", foretell->patches[i].place, foretell->patches[i].id,
		       foretell->patches[i].event, (unsigned long long)foretell->patches[i].value);
	printf("problems 0x%x, stops 0x%x\n", foretell->visited.problems, foretell->visited.stops);
	fail("%s: %s", foretell->name, what);
}

/* The walk. */

static int read_ram(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	struct foretell *foretell = owner;

	(void)error;
	memcpy(to, ram_at(&foretell->rig.vm.ram, address, size), size);
	return 0;
}

static void visit_collection(void *owner, const struct its_collection *collection)
{
	struct visited *visited = owner;

	if (visited->collection_count < FORETELL_RECORDS)
		visited->collections[visited->collection_count++] = *collection;
	visited->problems |= collection->problems;
}

static void visit_device(void *owner, const struct its_device *device)
{
	struct visited *visited = owner;

	if (visited->device_count < FORETELL_RECORDS)
		visited->devices[visited->device_count++] = *device;
	visited->problems |= device->problems;
}

static void visit_event(void *owner, const struct its_event *event)
{
	struct visited *visited = owner;

	visited->problems |= event->problems;
	if (visited->event_count == FORETELL_RECORDS)
		return;
	visited->owners[visited->event_count] = visited->device_count - 1;
	visited->events[visited->event_count++] = *event;
}

static void visit_stop(void *owner, enum its_stop stop, uint64_t address, uint32_t device)
{
	(void)address;
	(void)device;
	((struct visited *)owner)->stops |= 1u << stop;
}

static void walk_into(struct foretell *foretell, struct its_walk *walk, struct visited *visited)
{
	const struct its_visitor visitor = {
		.collection = visit_collection, .device = visit_device, .event = visit_event, .stop = visit_stop,
		.owner = visited,
	};
	const struct its_tables tables = {
		.memory = &foretell->memory, .device_baser = foretell->device_baser,
		.collection_baser = foretell->collection_baser, .propbaser = foretell->propbaser,
		.vcpu_count = FORETELL_VCPUS, .pendbasers = foretell->pendbasers,
	};
	struct error error;

	visited->collection_count = visited->device_count = visited->event_count = 0;
	visited->problems = visited->stops = 0;
	if (its_tables_walk(&tables, &visitor, walk, &error) < 0)
		differ(foretell, error.text);
}

void foretell_walk(struct foretell *foretell)
{
	walk_into(foretell, &foretell->walk, &foretell->visited);
	if (foretell->visited.collection_count == FORETELL_RECORDS ||
	    foretell->visited.device_count == FORETELL_RECORDS || foretell->visited.event_count == FORETELL_RECORDS)
		differ(foretell, "there is no room for so many entries");
}

/* KVM's part. */

static int its_control(struct foretell *foretell, uint64_t attribute)
{
	return -kvm_attribute_set(foretell->rig.vm.its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, attribute, NULL);
}

static void set_redistributor64(struct rig *rig, unsigned vcpu, uint32_t offset, uint64_t value)
{
	rig_set_redistributor(rig, vcpu, offset, (uint32_t)value);
	rig_set_redistributor(rig, vcpu, offset + 4, (uint32_t)(value >> 32));
}

/* As a restore does, after no mapping and no LPI is left. RESTORE_TABLES' errno. */
static int restore(struct foretell *foretell)
{
	struct rig *rig = &foretell->rig;

	rig_set_its(rig, GITS_CTLR, 0);
	if (its_control(foretell, KVM_DEV_ARM_ITS_CTRL_RESET))
		differ(foretell, "KVM does not reset the ITS");
	for (unsigned i = 0; i < FORETELL_VCPUS; i++)
		rig_set_redistributor(rig, i, GICR_CTLR, 0);
	for (unsigned i = 0; i < FORETELL_VCPUS; i++) {
		set_redistributor64(rig, i, GICR_PROPBASER, foretell->propbaser);
		set_redistributor64(rig, i, GICR_PENDBASER, foretell->pendbasers[i]);
	}
	for (unsigned i = 0; i < FORETELL_VCPUS; i++)
		rig_set_redistributor(rig, i, GICR_CTLR, 1);
	rig_set_its(rig, GITS_CBASER, BASER_VALID | RIG_QUEUE);
	rig_set_its(rig, GITS_CREADR, 0);
	rig_set_its(rig, GITS_CWRITER, 0);
	rig_set_its(rig, GITS_BASER0, foretell->device_baser);
	rig_set_its(rig, GITS_BASER1, foretell->collection_baser);
	return its_control(foretell, KVM_DEV_ARM_ITS_RESTORE_TABLES);
}

static void copy_ram(struct foretell *foretell)
{
	for (size_t i = 0; i < COUNT(spans); i++)
		memcpy(foretell->before + spans[i].start, foretell->rig.vm.ram.host + spans[i].start, spans[i].size);
}

/* Whether RAM is what `before` says. */
static void expect_ram(const struct foretell *foretell, const char *when)
{
	const uint8_t *ram = foretell->rig.vm.ram.host;
	char text[128];

	for (size_t i = 0; i < COUNT(spans); i++) {
		if (!memcmp(ram + spans[i].start, foretell->before + spans[i].start, spans[i].size))
			continue;
		for (uint64_t at = spans[i].start;; at++) {
			if (ram[at] == foretell->before[at])
				continue;
			snprintf(text, sizeof(text), "%s, RAM at 0x%llx is 0x%02x instead of 0x%02x", when,
				 (unsigned long long)(RIG_RAM + at), ram[at], foretell->before[at]);
			differ(foretell, text);
		}
	}
}

static void set_expected(struct foretell *foretell, const struct its_event *event, bool pending)
{
	uint64_t address = its_pending_address(foretell->pendbasers[event->vcpu]) + event->lpi / 8;
	uint8_t bit = (uint8_t)(1u << event->lpi % 8);

	if (pending)
		foretell->before[address - RIG_RAM] |= bit;
	else
		foretell->before[address - RIG_RAM] &= (uint8_t)~bit;
}

/* KVM has cleared the pending bits that it took, and no others; and gives them back. */
static void compare_pending(struct foretell *foretell)
{
	const struct visited *visited = &foretell->visited;
	struct error error;

	for (unsigned pending = 0; pending < 2; pending++) {
		for (unsigned i = 0; i < visited->event_count; i++)
			if (visited->events[i].pending)
				set_expected(foretell, &visited->events[i], pending);
		if (pending && gic_save_pending_tables(&foretell->rig.vm, &error) < 0)
			differ(foretell, error.text);
		expect_ram(foretell, pending ? "after SAVE_PENDING_TABLES" : "after RESTORE_TABLES");
	}
}

/* What a device's event is, or NULL. KVM finds the first device of an id. */
static const struct its_event *find_event(const struct visited *visited, uint32_t device, uint32_t event)
{
	unsigned owner = 0;

	while (owner < visited->device_count && visited->devices[owner].id != device)
		owner++;
	for (unsigned i = 0; i < visited->event_count; i++)
		if (visited->owners[i] == owner && visited->events[i].id == event)
			return &visited->events[i];
	return NULL;
}

static void send(struct foretell *foretell, uint32_t device, uint32_t id)
{
	const struct its_event *event = find_event(&foretell->visited, device, id);
	bool expected = event && foretell->walk.vcpus[event->collection] &&
			foretell->walk.vcpus[event->collection] != UINT16_MAX;
	char text[96];

	if (rig_send_msi(&foretell->rig, device, id) != expected) {
		snprintf(text, sizeof(text), "the MSI of device %u, event %u is %s", device, id,
			 expected ? "dropped" : "delivered");
		differ(foretell, text);
	}
	if (expected && event->vcpu != ITS_NO_VCPU)
		set_expected(foretell, event, true);
}

/* Each event's message is delivered, to the right LPI of the right vCPU, and no other is. */
static void compare_messages(struct foretell *foretell)
{
	static const struct {
		uint32_t device, event;
	} others[] = {
		{ 0, 0 }, { 3, 5 }, { 3, 32 }, { 8, 2 }, { 100, 0 }, { 100, 5 }, { 200, 65536 }, { 65535, 0 }, { 65536, 0 },
	};
	const struct visited *visited = &foretell->visited;
	unsigned step = visited->event_count / 256 + 1;
	struct error error;

	copy_ram(foretell);
	rig_set_its(&foretell->rig, GITS_CTLR, 1);
	if (!(rig_its(&foretell->rig, GITS_CTLR) & 1))
		return; /* a table is not valid */
	for (unsigned i = 0; i < visited->event_count; i += step) {
		const struct its_event *event = &visited->events[i];

		send(foretell, event->device, event->id);
		send(foretell, event->device, event->id + 1);
		send(foretell, event->device + 1, event->id);
	}
	for (size_t i = 0; i < COUNT(others); i++)
		send(foretell, others[i].device, others[i].event);
	if (gic_save_pending_tables(&foretell->rig.vm, &error) < 0)
		differ(foretell, error.text);
	expect_ram(foretell, "after messages and SAVE_PENDING_TABLES");
}

/* SAVE_TABLES. */

static bool claim(struct foretell *foretell, uint64_t address)
{
	uint64_t index = (address - RIG_RAM) / 8;
	uint8_t bit = (uint8_t)(1u << index % 8);

	if (foretell->claimed[index / 8] & bit)
		return false;
	foretell->claimed[index / 8] |= bit;
	return true;
}

/* Whether each entry has a place of its own, so that a save of these tables can be read again. */
static bool have_places(struct foretell *foretell)
{
	const struct visited *visited = &foretell->visited;
	const struct its_baser devices = its_baser_decode(foretell->device_baser, true);
	const struct its_baser collections = its_baser_decode(foretell->collection_baser, false);
	uint64_t end = collections.address + 8 * visited->collection_count;

	memset(foretell->claimed, 0, sizeof(foretell->claimed));
	if (devices.valid && devices.indirect)
		for (uint64_t at = devices.address; at < devices.address + devices.size; at += 8)
			if (guest_memory_has(&foretell->memory, at, 8))
				claim(foretell, at);
	for (unsigned i = 0; i < visited->collection_count; i++)
		if (!claim(foretell, visited->collections[i].address))
			return false;
	if (collections.valid && end < collections.address + collections.size && !claim(foretell, end))
		return false;
	for (unsigned i = 0; i < visited->device_count; i++)
		if (!claim(foretell, visited->devices[i].address) ||
		    (i && visited->devices[i].id <= visited->devices[i - 1].id))
			return false;
	for (unsigned i = 0; i < visited->event_count; i++)
		if (!claim(foretell, visited->events[i].address))
			return false;
	return true;
}

static void clear_entries(struct foretell *foretell)
{
	const struct visited *visited = &foretell->visited;

	for (unsigned i = 0; i < visited->collection_count; i++)
		*foretell_ram(foretell, visited->collections[i].address) = 0;
	for (unsigned i = 0; i < visited->device_count; i++)
		*foretell_ram(foretell, visited->devices[i].address) = 0;
	for (unsigned i = 0; i < visited->event_count; i++)
		*foretell_ram(foretell, visited->events[i].address) = 0;
}

static void expect_same_entries(struct foretell *foretell, const struct visited *first, const struct visited *second)
{
	if (first->collection_count != second->collection_count || first->device_count != second->device_count ||
	    first->event_count != second->event_count)
		differ(foretell, "SAVE_TABLES writes another number of entries");
	for (unsigned i = 0; i < first->collection_count; i++)
		if (first->collections[i].id != second->collections[i].id ||
		    first->collections[i].vcpu != second->collections[i].vcpu)
			differ(foretell, "SAVE_TABLES writes another collection");
	for (unsigned i = 0; i < first->device_count; i++)
		if (first->devices[i].id != second->devices[i].id || first->devices[i].itt != second->devices[i].itt ||
		    first->devices[i].event_bits != second->devices[i].event_bits)
			differ(foretell, "SAVE_TABLES writes another device");
	for (unsigned i = 0; i < first->event_count; i++)
		if (first->events[i].device != second->events[i].device || first->events[i].id != second->events[i].id ||
		    first->events[i].lpi != second->events[i].lpi ||
		    first->events[i].collection != second->events[i].collection)
			differ(foretell, "SAVE_TABLES writes another event");
}

/* What KVM writes where there was nothing any more is what the walk found. */
static void compare_saved(struct foretell *foretell)
{
	if (!have_places(foretell))
		return;
	clear_entries(foretell);
	if (its_control(foretell, KVM_DEV_ARM_ITS_SAVE_TABLES))
		differ(foretell, "KVM does not save what it restored");
	walk_into(foretell, &foretell->second_walk, &foretell->second);
	expect_same_entries(foretell, &foretell->visited, &foretell->second);
	foretell->saved++;
}

void foretell_compare(struct foretell *foretell)
{
	int refusal;
	char text[96];

	copy_ram(foretell);
	refusal = restore(foretell);
	if (refusal != foretell->walk.refusal) {
		snprintf(text, sizeof(text), "RESTORE_TABLES says %s, foretold was %s",
			 refusal ? strerrorname_np(refusal) : "yes",
			 foretell->walk.refusal ? strerrorname_np(foretell->walk.refusal) : "yes");
		differ(foretell, text);
	}
	if (refusal) {
		foretell->refused++;
		return;
	}
	foretell->taken++;
	compare_pending(foretell);
	compare_saved(foretell);
	compare_messages(foretell);
}

struct foretell *foretell_open(void)
{
	struct foretell *foretell = calloc(1, sizeof(*foretell));

	if (!foretell)
		fail("out of memory");
	rig_open(&foretell->rig, FORETELL_VCPUS);
	foretell->memory = (struct guest_memory){
		.base = RIG_RAM, .size = RIG_RAM_SIZE, .read = read_ram, .owner = foretell,
	};
	return foretell;
}

void foretell_close(struct foretell *foretell)
{
	rig_close(&foretell->rig);
	free(foretell);
}
