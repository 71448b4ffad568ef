/* SPDX-License-Identifier: MIT */
/* Creates, saves and restores the virtual ITS. */
#include <errno.h>
#include <libfdt.h>
#include <linux/kvm.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/gic.h"
#include "arm/its.h"
#include "arm/its_table.h"
#include "kvm/kvm.h"
#include "memory/guest_memory.h"
#include "state/names.h"
#include "util/bits.h"

int its_open(struct vm *vm, uint64_t base, struct error *error)
{
	int result;

	vm->its_fd = kvm_device_create(vm->fd, KVM_DEV_TYPE_ARM_VGIC_ITS, "ITS", error);
	if (vm->its_fd < 0)
		return -1;
	result = kvm_attribute_set(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE, &base);
	if (result < 0)
		return error_system(error, -result, "placing the ITS at 0x%llx", (unsigned long long)base);
	result = kvm_attribute_set(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	if (result < 0)
		return error_system(error, -result, "initialising the ITS");
	return 0;
}

/* A table's register at power-on: not valid, inner shareable, write-back. KVM adds the type and the sizes. */
#define BASER_POWER_ON 0x1800000000000400ull

/*
 * In the order of restoring, GITS_CTLR apart. CBASER before the indices, which writing it zeroes. IIDR has the revision of
 * the tables' layout (arm-vgic-its.rst).
 */
static const struct its_register {
	const char *name;
	uint32_t offset;
	enum {
		PLAIN,
		COMPARED, /* describes the ITS: must be the same here, and is not written */
		QUEUE,    /* zero at power-on; KVM makes something else of a zero that is written */
		TABLE,    /* of a reset, KVM_DEV_ARM_ITS_CTRL_RESET does nothing but clear its valid bit */
	} kind;
} its_registers[] = {
	{ "TYPER", 0x0008, COMPARED },
	{ "IIDR", 0x0004, PLAIN },
	{ "CBASER", 0x0080, QUEUE },
	{ "CREADR", 0x0090, PLAIN },
	{ "CWRITER", 0x0088, PLAIN },
	{ "BASER0", 0x0100, TABLE },
	{ "BASER1", 0x0108, TABLE },
	{ "BASER2", 0x0110, TABLE },
	{ "BASER3", 0x0118, TABLE },
	{ "BASER4", 0x0120, TABLE },
	{ "BASER5", 0x0128, TABLE },
	{ "BASER6", 0x0130, TABLE },
	{ "BASER7", 0x0138, TABLE },
};

static const struct its_register its_control = { "CTLR", 0x0000, PLAIN };

#define REGISTERS (COUNT(its_registers))

static int control(struct vm *vm, uint64_t attribute, const char *name, struct error *error)
{
	int result = kvm_attribute_set(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, attribute, NULL);

	return result < 0 ? error_system(error, -result, "%s", name) : 0;
}

static int read_register(struct vm *vm, const struct its_register *reg, uint64_t *value, struct error *error)
{
	int result = kvm_attribute_get(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, reg->offset, value);

	return result < 0 ? error_system(error, -result, "reading GITS_%s", reg->name) : 0;
}

static int write_register(struct vm *vm, const struct its_register *reg, uint64_t value, struct error *error)
{
	int result = kvm_attribute_set(vm->its_fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, reg->offset, &value);

	return result < 0 ? error_system(error, -result, "writing 0x%llx to GITS_%s", (unsigned long long)value,
					 reg->name) : 0;
}

int its_reset(struct vm *vm, struct error *error)
{
	if (control(vm, KVM_DEV_ARM_ITS_CTRL_RESET, "KVM_DEV_ARM_ITS_CTRL_RESET", error) < 0)
		return -1;
	for (size_t i = 0; i < REGISTERS; i++)
		if (its_registers[i].kind == TABLE && write_register(vm, &its_registers[i], BASER_POWER_ON, error) < 0)
			return -1;
	return 0;
}

int its_save_tables(struct vm *vm, struct error *error)
{
	return control(vm, KVM_DEV_ARM_ITS_SAVE_TABLES, "KVM_DEV_ARM_ITS_SAVE_TABLES", error);
}

static int read_named(struct vm *vm, const char *name, uint64_t *value, struct error *error)
{
	for (size_t i = 0; i < REGISTERS; i++)
		if (!strcmp(its_registers[i].name, name))
			return read_register(vm, &its_registers[i], value, error);
	return error_set(error, EINVAL, "there is no register GITS_%s", name);
}

static int read_ram(void *owner, uint64_t address, void *to, size_t size, struct error *error)
{
	(void)error;
	memcpy(to, ram_at(owner, address, size), size);
	return 0;
}

int its_check_tables(struct vm *vm, struct error *error)
{
	const struct guest_memory memory = { .base = vm->ram.base, .size = vm->ram.size, .read = read_ram, .owner = &vm->ram };
	struct its_tables tables = { .memory = &memory, .vcpu_count = vm->vcpu_count };
	uint64_t *pendbasers;
	int result;

	if (read_named(vm, "BASER0", &tables.device_baser, error) < 0 ||
	    read_named(vm, "BASER1", &tables.collection_baser, error) < 0)
		return -1;
	pendbasers = calloc(vm->vcpu_count, sizeof(*pendbasers));
	if (!pendbasers)
		return error_system(error, ENOMEM, "memory");
	tables.pendbasers = pendbasers;
	result = gic_read_lpi_tables(vm, &tables.propbaser, pendbasers, error);
	if (result == 0)
		result = its_tables_check(&tables, error);
	free(pendbasers);
	return result;
}

static int save_register(struct vm *vm, const struct its_register *reg, struct byte_buffer *buffer, struct error *error)
{
	uint64_t value;

	if (read_register(vm, reg, &value, error) < 0)
		return -1;
	field_add_number(buffer, reg->name, value);
	return 0;
}

int its_save(struct vm *vm, struct section_writer *writer, struct error *error)
{
	section_begin(writer, SECTION_ITS, 1, SECTION_MANDATORY);
	for (size_t i = 0; i < REGISTERS; i++)
		if (save_register(vm, &its_registers[i], &writer->buffer, error) < 0)
			return -1;
	if (save_register(vm, &its_control, &writer->buffer, error) < 0)
		return -1;
	section_end(writer);
	return 0;
}

static int restore_register(struct vm *vm, const struct its_register *reg, const struct fields *fields,
			    struct error *error)
{
	uint64_t saved, here;

	if (field_get_number(fields, reg->name, &saved, error) < 0)
		return -1;
	if (reg->kind == QUEUE && !saved)
		return 0;
	if (reg->kind != COMPARED)
		return write_register(vm, reg, saved, error);
	if (read_register(vm, reg, &here, error) < 0)
		return -1;
	if (saved != here)
		return error_set(error, EINVAL, "GITS_%s is 0x%llx in the snapshot, but 0x%llx on this host", reg->name,
				 (unsigned long long)saved, (unsigned long long)here);
	return 0;
}

int its_restore_registers(struct vm *vm, struct sections *sections, struct error *error)
{
	const struct section *section = sections_need(sections, SECTION_ITS, 1, error);

	for (size_t i = 0; section && i < REGISTERS; i++)
		if (restore_register(vm, &its_registers[i], &section->fields, error) < 0)
			return -1;
	return section ? 0 : -1;
}

int its_restore_tables(struct vm *vm, struct error *error)
{
	return control(vm, KVM_DEV_ARM_ITS_RESTORE_TABLES, "KVM_DEV_ARM_ITS_RESTORE_TABLES", error);
}

int its_restore_control(struct vm *vm, struct sections *sections, struct error *error)
{
	const struct section *section = sections_need(sections, SECTION_ITS, 1, error);

	return section ? restore_register(vm, &its_control, &section->fields, error) : -1;
}

int its_fdt(void *fdt, uint64_t base, uint32_t phandle)
{
	const fdt64_t reg[] = { cpu_to_fdt64(base), cpu_to_fdt64(ITS_SIZE) };
	char name[32];
	int result;

	snprintf(name, sizeof(name), "msi-controller@%llx", (unsigned long long)base);
	result = fdt_begin_node(fdt, name);
	result = result ? result : fdt_property_string(fdt, "compatible", "arm,gic-v3-its");
	result = result ? result : fdt_property(fdt, "msi-controller", NULL, 0);
	result = result ? result : fdt_property_u32(fdt, "#msi-cells", 1);
	result = result ? result : fdt_property(fdt, "reg", reg, sizeof(reg));
	result = result ? result : fdt_property_u32(fdt, "phandle", phandle);
	return result ? result : fdt_end_node(fdt);
}
