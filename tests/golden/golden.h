/* SPDX-License-Identifier: MIT */
/* Shared by the program that makes golden snapshots and the test that reads them: a snapshot's text, and the KVM part. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <stdio.h>
#include <string.h>

#include "fake/driver.h"
#include "fake/kvm.h"
#include "arm/its.h"
#include "machine/machine.h"
#include "arm/migrate.h"
#include "util/checksum.h"

#define GOLDEN_RAM_SIZE (4ull * FORMAT_RAM_CHUNK)
#define GOLDEN_SHOWN 16 /* elements of a field; longer fields are shown by a checksum */

static inline void golden_print_field(FILE *to, const char *section, const struct field *field)
{
	size_t size = (size_t)field->size * field->count;

	fprintf(to, "%s %s %ux%u", section, field->name, field->count, field->size);
	if (field->count > GOLDEN_SHOWN)
		fprintf(to, " crc32 %08x", checksum(0, field->values, size));
	for (uint32_t i = 0; i < field->count && field->count <= GOLDEN_SHOWN; i++)
		fprintf(to, " %llx", (unsigned long long)field_element(field, i));
	fprintf(to, "\n");
}

/* Prints a line for the file, for each section and for each field. Sizes are decimal, values are hexadecimal. */
static inline void golden_print(FILE *to, const struct snapshot *snapshot)
{
	fprintf(to, "snapshot version %u architecture %u created %llu identity ", snapshot->header.version,
		snapshot->header.architecture, (unsigned long long)snapshot->header.created);
	for (unsigned i = 0; i < sizeof(snapshot->header.identity); i++)
		fprintf(to, "%02x", snapshot->header.identity[i]);
	fprintf(to, "\n");
	for (size_t i = 0; i < snapshot->sections.count; i++) {
		const struct section *section = &snapshot->sections.items[i];
		struct field field;
		struct error error;
		size_t offset = 0;

		fprintf(to, "section %s version %u flags %x\n", section->name, section->version, section->flags);
		while (field_next(&section->fields, &offset, &field, &error) > 0)
			golden_print_field(to, section->name, &field);
	}
}

/* The KVM part of a made machine: one vCPU, vGICv3 and ITS, at the addresses of machine/machine.c. */
struct golden_machine {
	struct vm vm;
	struct cpu_features features;
};

static inline int golden_open(struct golden_machine *machine, struct error *error)
{
	const struct vm_config config = { .ram_base = MACHINE_RAM, .ram_size = GOLDEN_RAM_SIZE, .vcpu_count = 1 };
	const struct gic_layout gic = {
		.distributor = MACHINE_GICD, .redistributors = MACHINE_GICR, .interrupts = MACHINE_INTERRUPTS,
	};

	fake_kvm_reset();
	*machine = (struct golden_machine){ 0 };
	return vm_open(&machine->vm, &config, error) < 0 || gic_open(&machine->vm, &gic, error) < 0 ||
			       its_open(&machine->vm, MACHINE_ITS, error) < 0 ||
			       vcpus_initialise(&machine->vm, &machine->features, true, error) < 0 ||
			       gic_initialise(&machine->vm, error) < 0 ?
		       -1 : 0;
}

static inline struct migrate golden_migration(struct golden_machine *machine)
{
	return (struct migrate){
		.vm = &machine->vm, .features = &machine->features, .interrupts = MACHINE_INTERRUPTS,
	};
}

#endif
