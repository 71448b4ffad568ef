/* SPDX-License-Identifier: MIT */
/* One trial: the walk, KVM's restore, and the comparison of their results. */
#include "predict.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/kvm.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The parts of RAM that trials use. Only these are copied and compared. */
static const struct {
	uint64_t start, size;
} spans[] = { { 0, 0x10000 }, { RIG_QUEUE - RIG_RAM, 0x380000 }, { RIG_RAM_SIZE - 0x10000, 0x10000 } };

__attribute__((noreturn)) static void differ(const struct predict *predict, const char *what)
{
	printf("%s, %s tables; BASER0 0x%llx BASER1 0x%llx PROPBASER 0x%llx PENDBASER", predict->name,
	       predict->indirect ? "indirect" : "flat", (unsigned long long)predict->device_baser,
	       (unsigned long long)predict->collection_baser, (unsigned long long)predict->propbaser);
	for (unsigned i = 0; i < PREDICT_VCPUS; i++)
		printf(" 0x%llx", (unsigned long long)predict->pendbasers[i]);
	printf("\n");
	for (unsigned i = 0; i < predict->patch_count && predict->patches[i].place; i++)
		printf("place %d, id %u, event %u: 0x%llx\n", predict->patches[i].place, predict->patches[i].id,
		       predict->patches[i].event, (unsigned long long)predict->patches[i].value);
	printf("problems 0x%x, stops 0x%x\n", predict->visited.problems, predict->visited.stops);
	fail("%s: %s", predict->name, what);
}

/* The walk. */

static int read_ram(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	struct predict *predict = owner;

	(void)error;
	memcpy(to, ram_at(&predict->rig.vm.ram, address, size), size);
	return 0;
}

static void visit_collection(void *owner, const struct its_collection *collection)
{
	struct visited *visited = owner;

	if (visited->collection_count < PREDICT_RECORDS)
		visited->collections[visited->collection_count++] = *collection;
	visited->problems |= collection->problems;
}

static void visit_device(void *owner, const struct its_device *device)
{
	struct visited *visited = owner;

	if (visited->device_count < PREDICT_RECORDS)
		visited->devices[visited->device_count++] = *device;
	visited->problems |= device->problems;
}

static void visit_event(void *owner, const struct its_event *event)
{
	struct visited *visited = owner;

	visited->problems |= event->problems;
	if (visited->event_count == PREDICT_RECORDS)
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

static void walk_into(struct predict *predict, struct its_walk *walk, struct visited *visited)
{
	const struct its_visitor visitor = {
		.collection = visit_collection, .device = visit_device, .event = visit_event, .stop = visit_stop,
		.owner = visited,
	};
	const struct its_tables tables = {
		.memory = &predict->memory, .device_baser = predict->device_baser,
		.collection_baser = predict->collection_baser, .propbaser = predict->propbaser,
		.vcpu_count = PREDICT_VCPUS, .pendbasers = predict->pendbasers,
	};
	struct error error;

	visited->collection_count = visited->device_count = visited->event_count = 0;
	visited->problems = visited->stops = 0;
	if (its_tables_walk(&tables, &visitor, walk, &error) < 0)
		differ(predict, error.text);
}

void predict_walk(struct predict *predict)
{
	walk_into(predict, &predict->walk, &predict->visited);
	if (predict->visited.collection_count == PREDICT_RECORDS ||
	    predict->visited.device_count == PREDICT_RECORDS || predict->visited.event_count == PREDICT_RECORDS)
		differ(predict, "there is no room for so many entries");
}

/* KVM's part. */

static int its_control(struct predict *predict, uint64_t attribute)
{
	return -kvm_attribute_set(predict->rig.vm.its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, attribute, NULL);
}

static void set_redistributor64(struct rig *rig, unsigned vcpu, uint32_t offset, uint64_t value)
{
	rig_set_redistributor(rig, vcpu, offset, (uint32_t)value);
	rig_set_redistributor(rig, vcpu, offset + 4, (uint32_t)(value >> 32));
}

/* Restores as lkvm does, after removing all mappings and LPIs. Returns the errno of RESTORE_TABLES. */
static int restore(struct predict *predict)
{
	struct rig *rig = &predict->rig;

	rig_set_its(rig, GITS_CTLR, 0);
	if (its_control(predict, KVM_DEV_ARM_ITS_CTRL_RESET))
		differ(predict, "KVM does not reset the ITS");
	for (unsigned i = 0; i < PREDICT_VCPUS; i++)
		rig_set_redistributor(rig, i, GICR_CTLR, 0);
	for (unsigned i = 0; i < PREDICT_VCPUS; i++) {
		set_redistributor64(rig, i, GICR_PROPBASER, predict->propbaser);
		set_redistributor64(rig, i, GICR_PENDBASER, predict->pendbasers[i]);
	}
	for (unsigned i = 0; i < PREDICT_VCPUS; i++)
		rig_set_redistributor(rig, i, GICR_CTLR, 1);
	rig_set_its(rig, GITS_CBASER, BASER_VALID | RIG_QUEUE);
	rig_set_its(rig, GITS_CREADR, 0);
	rig_set_its(rig, GITS_CWRITER, 0);
	rig_set_its(rig, GITS_BASER0, predict->device_baser);
	rig_set_its(rig, GITS_BASER1, predict->collection_baser);
	return its_control(predict, KVM_DEV_ARM_ITS_RESTORE_TABLES);
}

static void copy_ram(struct predict *predict)
{
	for (size_t i = 0; i < COUNT(spans); i++)
		memcpy(predict->before + spans[i].start, predict->rig.vm.ram.host + spans[i].start, spans[i].size);
}

/* Expects that RAM equals `before`. */
static void expect_ram(const struct predict *predict, const char *when)
{
	const uint8_t *ram = predict->rig.vm.ram.host;
	char text[128];

	for (size_t i = 0; i < COUNT(spans); i++) {
		if (!memcmp(ram + spans[i].start, predict->before + spans[i].start, spans[i].size))
			continue;
		for (uint64_t at = spans[i].start;; at++) {
			if (ram[at] == predict->before[at])
				continue;
			snprintf(text, sizeof(text), "%s, RAM at 0x%llx is 0x%02x instead of 0x%02x", when,
				 (unsigned long long)(RIG_RAM + at), ram[at], predict->before[at]);
			differ(predict, text);
		}
	}
}

static void set_expected(struct predict *predict, const struct its_event *event, bool pending)
{
	uint64_t address = its_pending_address(predict->pendbasers[event->vcpu]) + event->lpi / 8;
	uint8_t bit = (uint8_t)(1u << event->lpi % 8);

	if (pending)
		predict->before[address - RIG_RAM] |= bit;
	else
		predict->before[address - RIG_RAM] &= (uint8_t)~bit;
}

/* Expects that KVM cleared only the pending bits that it restored, and that it saves them again. */
static void compare_pending(struct predict *predict)
{
	const struct visited *visited = &predict->visited;
	struct error error;

	for (unsigned pending = 0; pending < 2; pending++) {
		for (unsigned i = 0; i < visited->event_count; i++)
			if (visited->events[i].pending)
				set_expected(predict, &visited->events[i], pending);
		if (pending && gic_save_pending_tables(&predict->rig.vm, &error) < 0)
			differ(predict, error.text);
		expect_ram(predict, pending ? "after SAVE_PENDING_TABLES" : "after RESTORE_TABLES");
	}
}

/* Returns a device's event, or NULL. As in KVM, the first device with an id is used. */
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

static void send(struct predict *predict, uint32_t device, uint32_t id)
{
	const struct its_event *event = find_event(&predict->visited, device, id);
	bool expected = event && predict->walk.vcpus[event->collection] &&
			predict->walk.vcpus[event->collection] != UINT16_MAX;
	char text[96];

	if (rig_send_msi(&predict->rig, device, id) != expected) {
		snprintf(text, sizeof(text), "the MSI of device %u, event %u is %s", device, id,
			 expected ? "dropped" : "delivered");
		differ(predict, text);
	}
	if (expected && event->vcpu != ITS_NO_VCPU)
		set_expected(predict, event, true);
}

/* Expects that each event's message makes the right LPI pending on the right vCPU, and that other messages are dropped. */
static void compare_messages(struct predict *predict)
{
	static const struct {
		uint32_t device, event;
	} others[] = {
		{ 0, 0 }, { 3, 5 }, { 3, 32 }, { 8, 2 }, { 100, 0 }, { 100, 5 }, { 200, 65536 }, { 65535, 0 }, { 65536, 0 },
	};
	const struct visited *visited = &predict->visited;
	unsigned step = visited->event_count / 256 + 1;
	struct error error;

	copy_ram(predict);
	rig_set_its(&predict->rig, GITS_CTLR, 1);
	if (!(rig_its(&predict->rig, GITS_CTLR) & 1))
		return; /* a table is invalid */
	for (unsigned i = 0; i < visited->event_count; i += step) {
		const struct its_event *event = &visited->events[i];

		send(predict, event->device, event->id);
		send(predict, event->device, event->id + 1);
		send(predict, event->device + 1, event->id);
	}
	for (size_t i = 0; i < COUNT(others); i++)
		send(predict, others[i].device, others[i].event);
	if (gic_save_pending_tables(&predict->rig.vm, &error) < 0)
		differ(predict, error.text);
	expect_ram(predict, "after messages and SAVE_PENDING_TABLES");
}

/* SAVE_TABLES. */

static bool claim(struct predict *predict, uint64_t address)
{
	uint64_t index = (address - RIG_RAM) / 8;
	uint8_t bit = (uint8_t)(1u << index % 8);

	if (predict->claimed[index / 8] & bit)
		return false;
	predict->claimed[index / 8] |= bit;
	return true;
}

/* Returns whether no two entries overlap. Only then can a save of these tables be read again. */
static bool have_places(struct predict *predict)
{
	const struct visited *visited = &predict->visited;
	const struct its_baser devices = its_baser_decode(predict->device_baser, true);
	const struct its_baser collections = its_baser_decode(predict->collection_baser, false);
	uint64_t end = collections.address + 8 * visited->collection_count;

	memset(predict->claimed, 0, sizeof(predict->claimed));
	if (devices.valid && devices.indirect)
		for (uint64_t at = devices.address; at < devices.address + devices.size; at += 8)
			if (guest_memory_has(&predict->memory, at, 8))
				claim(predict, at);
	for (unsigned i = 0; i < visited->collection_count; i++)
		if (!claim(predict, visited->collections[i].address))
			return false;
	if (collections.valid && end < collections.address + collections.size && !claim(predict, end))
		return false;
	for (unsigned i = 0; i < visited->device_count; i++)
		if (!claim(predict, visited->devices[i].address) ||
		    (i && visited->devices[i].id <= visited->devices[i - 1].id))
			return false;
	for (unsigned i = 0; i < visited->event_count; i++)
		if (!claim(predict, visited->events[i].address))
			return false;
	return true;
}

static void clear_entries(struct predict *predict)
{
	const struct visited *visited = &predict->visited;

	for (unsigned i = 0; i < visited->collection_count; i++)
		*predict_ram(predict, visited->collections[i].address) = 0;
	for (unsigned i = 0; i < visited->device_count; i++)
		*predict_ram(predict, visited->devices[i].address) = 0;
	for (unsigned i = 0; i < visited->event_count; i++)
		*predict_ram(predict, visited->events[i].address) = 0;
}

static void expect_same_entries(struct predict *predict, const struct visited *first, const struct visited *second)
{
	if (first->collection_count != second->collection_count || first->device_count != second->device_count ||
	    first->event_count != second->event_count)
		differ(predict, "SAVE_TABLES writes another number of entries");
	for (unsigned i = 0; i < first->collection_count; i++)
		if (first->collections[i].id != second->collections[i].id ||
		    first->collections[i].vcpu != second->collections[i].vcpu)
			differ(predict, "SAVE_TABLES writes another collection");
	for (unsigned i = 0; i < first->device_count; i++)
		if (first->devices[i].id != second->devices[i].id || first->devices[i].itt != second->devices[i].itt ||
		    first->devices[i].event_bits != second->devices[i].event_bits)
			differ(predict, "SAVE_TABLES writes another device");
	for (unsigned i = 0; i < first->event_count; i++)
		if (first->events[i].device != second->events[i].device || first->events[i].id != second->events[i].id ||
		    first->events[i].lpi != second->events[i].lpi ||
		    first->events[i].collection != second->events[i].collection)
			differ(predict, "SAVE_TABLES writes another event");
}

/* Clears the entries, and expects that KVM saves those that the walk found. */
static void compare_saved(struct predict *predict)
{
	if (!have_places(predict))
		return;
	clear_entries(predict);
	if (its_control(predict, KVM_DEV_ARM_ITS_SAVE_TABLES))
		differ(predict, "KVM does not save what it restored");
	walk_into(predict, &predict->second_walk, &predict->second);
	expect_same_entries(predict, &predict->visited, &predict->second);
	predict->saved++;
}

void predict_compare(struct predict *predict)
{
	int refusal;
	char text[96];

	copy_ram(predict);
	refusal = restore(predict);
	if (refusal != predict->walk.refusal) {
		snprintf(text, sizeof(text), "RESTORE_TABLES says %s, predicted was %s",
			 refusal ? strerrorname_np(refusal) : "yes",
			 predict->walk.refusal ? strerrorname_np(predict->walk.refusal) : "yes");
		differ(predict, text);
	}
	if (refusal) {
		predict->refused++;
		return;
	}
	predict->taken++;
	compare_pending(predict);
	compare_saved(predict);
	compare_messages(predict);
}

struct predict *predict_open(void)
{
	struct predict *predict = calloc(1, sizeof(*predict));

	if (!predict)
		fail("out of memory");
	rig_open(&predict->rig, PREDICT_VCPUS);
	predict->memory = (struct guest_memory){
		.base = RIG_RAM, .size = RIG_RAM_SIZE, .read = read_ram, .owner = predict,
	};
	return predict;
}

void predict_close(struct predict *predict)
{
	rig_close(&predict->rig);
	free(predict);
}
