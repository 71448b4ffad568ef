/* SPDX-License-Identifier: MIT */
/*
 * A small snapshot of a running guest, without faults. It has an ITS, two virtio devices, two vCPUs, a collection for each
 * vCPU, and three events for each device. A test changes one value, runs a check, and compares the faults.
 */
#ifndef TESTS_UNIT_VERIFY_RIG_H
#define TESTS_UNIT_VERIFY_RIG_H

#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/its.h"
#include "inspect/verify.h"
#include "state/names.h"

#define RIG_RAM 0x80000000ull
#define RIG_RAM_SIZE 0x100000u
#define RIG_QUEUE (RIG_RAM + 0x00000)
#define RIG_DEVICES (RIG_RAM + 0x10000)
#define RIG_COLLECTIONS (RIG_RAM + 0x20000)
#define RIG_PROPERTIES (RIG_RAM + 0x30000)
#define RIG_PENDING(vcpu) (RIG_RAM + 0x40000 + (vcpu) * 0x10000u)
#define RIG_ITT(device) (RIG_RAM + 0x60000 + (device) * 0x100u)
#define RIG_SECOND (RIG_RAM + 0x70000)
#define RIG_RINGS(device) (RIG_RAM + 0x80000 + (device) * 0x10000u)
#define RIG_DRIVER 0x1000u /* bytes after RIG_RINGS; the same for RIG_DEVICE */
#define RIG_DEVICE 0x2000u
#define RIG_END (RIG_RAM + RIG_RAM_SIZE)

#define RIG_VALID (1ull << 63)
#define RIG_VCPUS 2u
#define RIG_PCI_DEVICES 2u
#define RIG_VECTORS 3u
#define RIG_MSIX 0x40u /* the capability's offset */
#define RIG_LPI(device, event) (8192u + (device) * 8u + (event))
#define RIG_DOORBELL (MACHINE_ITS + ITS_DOORBELL_OFFSET)

struct inspection_rig {
	uint8_t ram[RIG_RAM_SIZE];
	uint64_t control, identity, cbaser, cwriter, creadr, baser[8];
	struct {
		uint64_t control, properties, pending;
	} redistributors[RIG_VCPUS];
	struct pci_state pci[RIG_PCI_DEVICES];
	struct virtio_state virtio[RIG_PCI_DEVICES];
	struct virtqueue_state queues[RIG_PCI_DEVICES];
	struct {
		bool present;
		struct pci_state pci; /* only its config space is used */
		uint32_t entries[RIG_VECTORS][4], words; /* of the MSI-X table; no words: no section */
		uint32_t data;        /* bytes of device data; 0: no section */
		const char *data_name;
	} passed;
	bool no_its;       /* the machine has a GIC without an ITS */
	bool partial;      /* has the section of a partial snapshot, as an inspection of a running machine writes it */
	const char *leave; /* a section or a register of the ITS that is left out, or NULL */

	unsigned faults;
	char place[64], what[512]; /* of the first fault */
};

static inline uint64_t rig_get(const struct inspection_rig *rig, uint64_t address)
{
	uint64_t value;

	memcpy(&value, rig->ram + (address - RIG_RAM), sizeof(value));
	return value;
}

static inline void rig_put(struct inspection_rig *rig, uint64_t address, uint64_t value)
{
	memcpy(rig->ram + (address - RIG_RAM), &value, sizeof(value));
}

static inline void rig_put16(struct inspection_rig *rig, uint64_t address, uint16_t value)
{
	memcpy(rig->ram + (address - RIG_RAM), &value, sizeof(value));
}

/* Entries of the tables, ABI revision 0. */
static inline uint64_t rig_device(uint64_t itt, unsigned event_bits, unsigned next)
{
	return RIG_VALID | (uint64_t)next << 49 | itt >> 8 << 5 | (event_bits - 1);
}

static inline uint64_t rig_event(uint32_t lpi, unsigned collection, unsigned next)
{
	return (uint64_t)next << 48 | (uint64_t)lpi << 16 | collection;
}

static inline uint64_t rig_collection(unsigned id, uint32_t vcpu)
{
	return RIG_VALID | (uint64_t)vcpu << 16 | id;
}

static inline void rig_set_pending(struct inspection_rig *rig, unsigned vcpu, uint32_t lpi)
{
	rig->ram[RIG_PENDING(vcpu) - RIG_RAM + lpi / 8] |= (uint8_t)(1u << lpi % 8);
}

static inline void rig_make_pci(struct pci_state *pci)
{
	pci->config[PCI_COMMAND] = PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY;
	pci->config[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	pci->config[PCI_CAPABILITY_LIST] = RIG_MSIX;
	pci->config[RIG_MSIX] = PCI_CAP_ID_MSIX;
	pci->config[RIG_MSIX + PCI_MSIX_FLAGS] = RIG_VECTORS - 1;
	pci->config[RIG_MSIX + PCI_MSIX_FLAGS + 1] = PCI_MSIX_FLAGS_ENABLE >> 8;
	for (unsigned i = 0; i < PCI_MAX_VECTORS; i++) {
		pci->msix_address[i] = i < RIG_VECTORS ? RIG_DOORBELL : 0;
		pci->msix_data[i] = i;
		pci->msix_control[i] = i < RIG_VECTORS ? 0 : PCI_MSIX_ENTRY_CTRL_MASKBIT;
	}
}

static inline void rig_make_device(struct inspection_rig *rig, unsigned device)
{
	uint64_t rings = RIG_RINGS(device);

	rig_make_pci(&rig->pci[device]);
	rig->virtio[device] = (struct virtio_state){
		.offered = VIRTIO_FEATURE_VERSION_1 | VIRTIO_FEATURE_INDIRECT,
		.accepted = VIRTIO_FEATURE_VERSION_1,
		.status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
			  VIRTIO_STATUS_DRIVER_OK,
	};
	/* The indices wrapped around: 4 requests wait, 2 are in progress. */
	rig->queues[device] = (struct virtqueue_state){
		.descriptors = rings, .driver = rings + RIG_DRIVER, .device = rings + RIG_DEVICE,
		.maximum = 256, .size = 128, .enabled = 1, .vector = 1, .next_available = 0xfffe, .next_used = 0xfffc,
	};
	rig_put16(rig, rings + RIG_DRIVER + 2, 2);
	rig_put16(rig, rings + RIG_DEVICE + 2, 0xfffc);
	for (unsigned event = 0; event < RIG_VECTORS; event++) {
		rig->ram[RIG_PROPERTIES - RIG_RAM + RIG_LPI(device, event) - 8192] = 0xa1;
		rig_put(rig, RIG_ITT(device) + 8 * event,
			rig_event(RIG_LPI(device, event), device, event + 1 < RIG_VECTORS));
	}
	rig_put(rig, RIG_DEVICES + 64 * device, rig_device(RIG_ITT(device), 5, device ? 0 : 8));
}

/* Adds a passed-through device in the next slot, whose driver set up MSI-X. */
static inline void rig_pass(struct inspection_rig *rig)
{
	const unsigned device = RIG_PCI_DEVICES;

	rig->passed.present = true;
	rig->passed.words = 4 * RIG_VECTORS;
	rig->passed.data_name = "data";
	rig_make_pci(&rig->passed.pci);
	memset(rig->passed.pci.msix_address, 0, sizeof(rig->passed.pci.msix_address));
	memset(rig->passed.pci.msix_control, 0xff, sizeof(rig->passed.pci.msix_control));
	for (unsigned event = 0; event < RIG_VECTORS; event++) {
		rig->passed.entries[event][0] = (uint32_t)RIG_DOORBELL;
		rig->passed.entries[event][2] = event;
		rig->ram[RIG_PROPERTIES - RIG_RAM + RIG_LPI(device, event) - 8192] = 0xa1;
		rig_put(rig, RIG_ITT(device) + 8 * event, rig_event(RIG_LPI(device, event), 0, event + 1 < RIG_VECTORS));
	}
	rig_put(rig, RIG_DEVICES + 64, rig_device(RIG_ITT(1), 5, 8));
	rig_put(rig, RIG_DEVICES + 128, rig_device(RIG_ITT(device), 5, 0));
}

/* The same with MSI: two of four possible messages are enabled. The capability has a 64-bit address and mask bits. */
static inline void rig_pass_msi(struct inspection_rig *rig)
{
	uint8_t *capability = rig->passed.pci.config + RIG_MSIX;
	const uint32_t doorbell = (uint32_t)RIG_DOORBELL;

	rig_pass(rig);
	rig->passed.words = 0;
	memset(capability, 0, 16);
	capability[0] = PCI_CAP_ID_MSI;
	capability[PCI_MSI_FLAGS] = PCI_MSI_FLAGS_ENABLE | 2 << 1 | 1 << 4 | PCI_MSI_FLAGS_64BIT;
	capability[PCI_MSI_FLAGS + 1] = PCI_MSI_FLAGS_MASKBIT >> 8;
	memcpy(capability + PCI_MSI_ADDRESS_LO, &doorbell, sizeof(doorbell));
	capability[PCI_MSI_DATA_64] = 1; /* the device replaces the lowest bit */
}

static inline struct inspection_rig *rig_new(void)
{
	struct inspection_rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->control = 0x80000001;
	rig->identity = 0x4b00043b;
	rig->cbaser = RIG_VALID | 0x3800000000000400 | RIG_QUEUE | 0xf;
	rig->cwriter = rig->creadr = 0x640;
	rig->baser[0] = 0xb907000000000600 | RIG_DEVICES;
	rig->baser[1] = 0xbc07000000000600 | RIG_COLLECTIONS;
	for (unsigned i = 0; i < RIG_VCPUS; i++) {
		rig->redistributors[i].control = 7;
		rig->redistributors[i].properties = RIG_PROPERTIES | 0x780 | 15;
		rig->redistributors[i].pending = RIG_PENDING(i) | 0x780;
		rig_put(rig, RIG_COLLECTIONS + 8 * i, rig_collection(i, i));
	}
	for (unsigned i = 0; i < RIG_PCI_DEVICES; i++)
		rig_make_device(rig, i);
	rig_set_pending(rig, 1, RIG_LPI(1, 2));
	return rig;
}

/* The sections, as a save writes them. */

static inline bool rig_begin(const struct inspection_rig *rig, struct section_writer *writer, const char *name)
{
	if (rig->leave && !strcmp(rig->leave, name))
		return false;
	section_begin(writer, name, 1, SECTION_MANDATORY);
	return true;
}

static inline void rig_write_register(const struct inspection_rig *rig, struct section_writer *writer, const char *name,
				      uint64_t value)
{
	if (!rig->leave || strcmp(rig->leave, name) != 0)
		field_add_number(&writer->buffer, name, value);
}

static inline void rig_write_its(const struct inspection_rig *rig, struct section_writer *writer)
{
	if (!rig_begin(rig, writer, "its"))
		return;
	rig_write_register(rig, writer, "CTLR", rig->control);
	rig_write_register(rig, writer, "IIDR", rig->identity);
	rig_write_register(rig, writer, "TYPER", 0x1ef71);
	rig_write_register(rig, writer, "CBASER", rig->cbaser);
	rig_write_register(rig, writer, "CREADR", rig->creadr);
	rig_write_register(rig, writer, "CWRITER", rig->cwriter);
	for (unsigned i = 0; i < 8; i++) {
		char name[16];

		snprintf(name, sizeof(name), "BASER%u", i);
		rig_write_register(rig, writer, name, rig->baser[i]);
	}
	section_end(writer);
}

static inline void rig_write_state(const struct inspection_rig *rig, struct section_writer *writer, const char *name,
				   const struct state_table *table, const void *object)
{
	if (!rig_begin(rig, writer, name))
		return;
	state_save(table, object, &writer->buffer);
	section_end(writer);
}

static inline void rig_write_passed(const struct inspection_rig *rig, struct section_writer *writer)
{
	uint8_t *data = calloc(1, rig->passed.data + 1);

	rig_write_state(rig, writer, "vfio0/pci", &pci_state_table, &rig->passed.pci);
	if (rig->passed.words && rig_begin(rig, writer, "vfio0/msix")) {
		field_add(&writer->buffer, "entries", 4, rig->passed.words, rig->passed.entries);
		section_end(writer);
	}
	if (rig->passed.data && rig_begin(rig, writer, "vfio0/data")) {
		field_add(&writer->buffer, rig->passed.data_name, 1, rig->passed.data, data);
		section_end(writer);
	}
	free(data);
}

static inline void rig_write(const struct inspection_rig *rig, struct section_writer *writer)
{
	const struct machine_config config = {
		.name = "rig", .kernel = "/kernel", .cpus = RIG_VCPUS, .memory = RIG_RAM_SIZE,
		.irqchip = rig->no_its ? IRQCHIP_GICV3 : IRQCHIP_GICV3_ITS,
		.vfio = { .count = rig->passed.present, .devices = { "0000:01:00.0" } },
	};
	char name[32];

	machine_config_save(&config, writer);
	for (unsigned i = 0; i < RIG_VCPUS; i++) {
		snprintf(name, sizeof(name), "gic/redistributor%u", i);
		section_begin(writer, name, 1, SECTION_MANDATORY);
		field_add_number(&writer->buffer, "CTLR", rig->redistributors[i].control);
		field_add_number(&writer->buffer, "PROPBASER", rig->redistributors[i].properties);
		field_add_number(&writer->buffer, "PENDBASER", rig->redistributors[i].pending);
		section_end(writer);
	}
	rig_write_its(rig, writer);
	for (unsigned i = 0; i < RIG_PCI_DEVICES; i++) {
		snprintf(name, sizeof(name), "virtio-blk%u/pci", i);
		rig_write_state(rig, writer, name, &pci_state_table, &rig->pci[i]);
		snprintf(name, sizeof(name), "virtio-blk%u", i);
		rig_write_state(rig, writer, name, &virtio_state_table, &rig->virtio[i]);
		snprintf(name, sizeof(name), "virtio-blk%u/queue0", i);
		rig_write_state(rig, writer, name, &virtqueue_state_table, &rig->queues[i]);
	}
	if (rig->passed.present)
		rig_write_passed(rig, writer);
	if (rig->partial && rig_begin(rig, writer, SECTION_PARTIAL))
		section_end(writer);
}

static inline int rig_read(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	const struct inspection_rig *rig = owner;

	(void)error;
	memcpy(to, rig->ram + (address - RIG_RAM), size);
	return 0;
}

static inline void rig_tell(void *owner, const char *place, const char *what)
{
	struct inspection_rig *rig = owner;

	if (rig->faults++)
		return;
	snprintf(rig->place, sizeof(rig->place), "%s", place);
	snprintf(rig->what, sizeof(rig->what), "%s", what);
}

typedef int (*rig_check)(const struct inspection *inspection, struct verdict *verdict, struct error *error);

/* Runs a check on the current state of the rig. Returns the number of faults. */
static inline unsigned rig_verify(struct inspection_rig *rig, rig_check check)
{
	struct verdict verdict = { .report = rig_tell, .owner = rig };
	struct section_writer writer = { .start = 0 };
	struct snapshot snapshot = { .fd = -1, .ram_base = RIG_RAM, .ram_size = RIG_RAM_SIZE };
	struct inspection inspection;
	struct error error = { .text = "" };

	rig->faults = 0;
	rig->place[0] = rig->what[0] = '\0';
	rig_write(rig, &writer);
	assert_false(writer.buffer.failed);
	assert_int_equal(sections_parse(&snapshot.sections, writer.buffer.bytes, writer.buffer.size, &error), 0);
	assert_int_equal(inspection_open(&inspection, &snapshot, &error), 0);
	inspection.memory.read = rig_read;
	inspection.memory.owner = rig;
	assert_int_equal(check(&inspection, &verdict, &error), 0);
	assert_int_equal(verdict.faults, rig->faults);
	inspection_close(&inspection);
	sections_free(&snapshot.sections);
	byte_buffer_free(&writer.buffer);
	return rig->faults;
}

/* Expects one fault at this place, whose text contains `part`. Frees the rig. */
static inline void rig_expect(struct inspection_rig *rig, rig_check check, const char *place, const char *part)
{
	if (rig_verify(rig, check) != 1 || strcmp(rig->place, place) != 0 || !strstr(rig->what, part))
		fail_msg("%u faults, the first: %s: %s", rig->faults, rig->place, rig->what);
	free(rig);
}

static inline void rig_expect_good(struct inspection_rig *rig, rig_check check)
{
	if (rig_verify(rig, check))
		fail_msg("%u faults, the first: %s: %s", rig->faults, rig->place, rig->what);
	free(rig);
}

#endif
