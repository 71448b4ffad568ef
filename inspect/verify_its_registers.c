/* SPDX-License-Identifier: MIT */
/*
 * Verifies the GITS registers. A restore writes the values that KVM returned at the save, in the order of arm/its.c. A value
 * that KVM would refuse or change cannot come from KVM. Kernel: arch/arm64/kvm/vgic/vgic-its.c.
 */
#include <stdio.h>

#include "state/names.h"
#include "util/bits.h"
#include "verify_common.h"
#include "verify_its.h"

#define VALID (1ull << 63)
#define INDIRECT (1ull << 62)
#define CTLR_ENABLE 1u
#define CTLR_QUIESCENT (1u << 31) /* read-only */
#define OFFSET_BITS 0xfffe0ull    /* of CREADR and CWRITER */
#define IIDR_REVISION(value) ((value) >> 12 & 0xf)

/* Fixed fields of a BASER: type, size of an entry less one, and pages of 64 KiB. */
#define BASER_FIXED (7ull << 56 | 0x1full << 48 | 3ull << 8)
#define BASER_DEVICES (1ull << 56 | 7ull << 48 | 2ull << 8)
#define BASER_COLLECTIONS (4ull << 56 | 7ull << 48 | 2ull << 8)

bool verify_its_find(const struct inspection *inspection, struct verdict *verdict, struct its_registers *registers)
{
	bool found = true;

	found &= verify_number(inspection, verdict, SECTION_ITS, "CTLR", &registers->control);
	found &= verify_number(inspection, verdict, SECTION_ITS, "IIDR", &registers->identity);
	found &= verify_number(inspection, verdict, SECTION_ITS, "CBASER", &registers->queue);
	found &= verify_number(inspection, verdict, SECTION_ITS, "CREADR", &registers->read);
	found &= verify_number(inspection, verdict, SECTION_ITS, "CWRITER", &registers->write);
	for (unsigned i = 0; i < COUNT(registers->tables); i++) {
		char name[16];

		snprintf(name, sizeof(name), "BASER%u", i);
		found &= verify_number(inspection, verdict, SECTION_ITS, name, &registers->tables[i]);
	}
	return found;
}

uint64_t its_queue_address(uint64_t cbaser)
{
	return cbaser & 0xfffffffff0000;
}

uint64_t its_queue_size(uint64_t cbaser)
{
	return ((cbaser & 0xff) + 1) << 12;
}

static void verify_queue(const struct its_registers *registers, struct verdict *verdict)
{
	uint64_t size = its_queue_size(registers->queue);

	if (registers->queue & 0xf000)
		verdict_fault(verdict, SECTION_ITS, "GITS_CBASER 0x%llx: its queue is not at a multiple of 64 KiB; KVM would use "
			      "the address 0x%llx", (unsigned long long)registers->queue,
			      (unsigned long long)its_queue_address(registers->queue));
	if ((registers->read & OFFSET_BITS) >= size)
		verdict_fault(verdict, SECTION_ITS, "GITS_CREADR 0x%llx is beyond the queue of %llu bytes; KVM refuses it "
			      "(EINVAL)", (unsigned long long)registers->read, (unsigned long long)size);
	else if (registers->read & ~OFFSET_BITS)
		verdict_fault(verdict, SECTION_ITS, "GITS_CREADR 0x%llx is not the offset of a command; KVM would change it to "
						    "0x%llx",
			      (unsigned long long)registers->read, (unsigned long long)(registers->read & OFFSET_BITS));
	if ((registers->write & OFFSET_BITS) >= size)
		verdict_fault(verdict, SECTION_ITS, "GITS_CWRITER 0x%llx is beyond the queue of %llu bytes; KVM ignores "
			      "it, and the guest's commands would be lost", (unsigned long long)registers->write,
			      (unsigned long long)size);
	else if (registers->write & ~OFFSET_BITS)
		verdict_fault(verdict, SECTION_ITS, "GITS_CWRITER 0x%llx is not the offset of a command; KVM would change it to "
						    "0x%llx",
			      (unsigned long long)registers->write, (unsigned long long)(registers->write & OFFSET_BITS));
}

static void verify_table(unsigned number, uint64_t value, uint64_t fixed, uint64_t clear, struct verdict *verdict)
{
	uint64_t taken = (value & ~BASER_FIXED & ~clear) | fixed;

	if (value & VALID && value != taken)
		verdict_fault(verdict, SECTION_ITS, "GITS_BASER%u 0x%llx: KVM would change it to 0x%llx, and read its table in "
			      "another layout", number, (unsigned long long)value,
			      (unsigned long long)taken);
}

static void verify_control(const struct its_registers *registers, struct verdict *verdict)
{
	const char *missing = !(registers->queue & VALID) ? "GITS_CBASER" :
			      !(registers->tables[0] & VALID) ? "GITS_BASER0" :
			      !(registers->tables[1] & VALID) ? "GITS_BASER1" : NULL;

	if (registers->control & ~(uint64_t)(CTLR_ENABLE | CTLR_QUIESCENT))
		verdict_fault(verdict, SECTION_ITS, "GITS_CTLR 0x%llx has bits that KVM would drop",
			      (unsigned long long)registers->control);
	if (registers->control & CTLR_ENABLE && missing)
		verdict_fault(verdict, SECTION_ITS, "GITS_CTLR 0x%llx turns the ITS on, but %s is not valid; KVM would "
			      "leave it off, and all messages would be lost",
			      (unsigned long long)registers->control, missing);
}

void verify_its_registers(const struct its_registers *registers, struct verdict *verdict)
{
	if (IIDR_REVISION(registers->identity))
		verdict_fault(verdict, SECTION_ITS, "GITS_IIDR 0x%llx: its tables are of revision %llu; KVM knows 0 and "
			      "refuses it (EINVAL)", (unsigned long long)registers->identity,
			      (unsigned long long)IIDR_REVISION(registers->identity));
	verify_queue(registers, verdict);
	verify_table(0, registers->tables[0], BASER_DEVICES, 0, verdict);
	verify_table(1, registers->tables[1], BASER_COLLECTIONS, INDIRECT, verdict);
	for (unsigned i = 2; i < COUNT(registers->tables); i++)
		if (registers->tables[i])
			verdict_fault(verdict, SECTION_ITS, "GITS_BASER%u 0x%llx: KVM's ITS has no such table", i,
				      (unsigned long long)registers->tables[i]);
	verify_control(registers, verdict);
}
