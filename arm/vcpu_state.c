/* SPDX-License-Identifier: MIT */
/*
 * Saves and restores the state of vCPUs: all registers that KVM lists, pending exceptions, and whether the vCPU runs.
 * Kernel: Documentation/virt/kvm/api.rst, KVM_GET_REG_LIST, KVM_GET_VCPU_EVENTS, KVM_GET_MP_STATE.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/register_names.h"
#include "arm/vcpu_init.h"
#include "kvm/kvm.h"
#include "state/names.h"
#include "util/bits.h"

#define MAX_REGISTERS 65536u
#define MAX_REGISTER_SIZE 256u

/* Returns KVM's list, which the caller frees. */
static struct kvm_reg_list *list_registers(const struct vcpu *vcpu, struct error *error)
{
	struct kvm_reg_list count = { .n = 0 }, *list;
	int result = kvm_call(vcpu->fd, KVM_GET_REG_LIST, (uintptr_t)&count);

	if ((result < 0 && result != -E2BIG) || count.n > MAX_REGISTERS) {
		error_system(error, result < 0 ? -result : E2BIG, "KVM_GET_REG_LIST of vCPU %u", vcpu->index);
		return NULL;
	}
	list = malloc(sizeof(*list) + count.n * sizeof(list->reg[0]));
	if (!list) {
		error_system(error, ENOMEM, "the list of registers");
		return NULL;
	}
	list->n = count.n;
	result = kvm_call(vcpu->fd, KVM_GET_REG_LIST, (uintptr_t)list);
	if (result < 0) {
		error_system(error, -result, "KVM_GET_REG_LIST of vCPU %u", vcpu->index);
		free(list);
		return NULL;
	}
	return list;
}

static bool is_listed(const struct kvm_reg_list *list, uint64_t id)
{
	for (uint64_t i = 0; i < list->n; i++)
		if (list->reg[i] == id)
			return true;
	return false;
}

/* The name of a register's field is its id. Elements have 64 bits if the register has at least as many. */

static unsigned element_size(uint64_t id)
{
	return register_size(id) < 8 ? (unsigned)register_size(id) : 8;
}

static int save_register(const struct vcpu *vcpu, uint64_t id, struct byte_buffer *buffer, struct error *error)
{
	uint64_t value[MAX_REGISTER_SIZE / 8] = { 0 };
	char name[REGISTER_NAME_LENGTH];
	int result;

	if (register_use(id) == REGISTER_CLOCK)
		return 0;
	register_name(id, name);
	if (register_size(id) > sizeof(value))
		return error_set(error, ENOTSUP, "register %s has %zu bytes", name, register_size(id));
	result = kvm_register_get(vcpu->fd, id, value);
	if (result < 0)
		return error_system(error, -result, "reading %s", name);
	snprintf(name, sizeof(name), "0x%016" PRIx64, id);
	field_add(buffer, name, element_size(id), (uint32_t)(register_size(id) / element_size(id)), value);
	return 0;
}

static int save_events(const struct vcpu *vcpu, struct byte_buffer *buffer, struct error *error)
{
	struct kvm_vcpu_events events = { 0 };
	struct kvm_mp_state state = { 0 };
	int result = kvm_call(vcpu->fd, KVM_GET_VCPU_EVENTS, (uintptr_t)&events);

	if (result < 0)
		return error_system(error, -result, "KVM_GET_VCPU_EVENTS");
	result = kvm_call(vcpu->fd, KVM_GET_MP_STATE, (uintptr_t)&state);
	if (result < 0)
		return error_system(error, -result, "KVM_GET_MP_STATE");
	field_add_number(buffer, FIELD_VCPU_MP_STATE, state.mp_state);
	field_add_number(buffer, FIELD_VCPU_SERROR_PENDING, events.exception.serror_pending);
	field_add_number(buffer, FIELD_VCPU_SERROR_HAS_ESR, events.exception.serror_has_esr);
	field_add_number(buffer, FIELD_VCPU_SERROR_ESR, events.exception.serror_esr);
	field_add_number(buffer, FIELD_VCPU_EXTERNAL_ABORT_PENDING, events.exception.ext_dabt_pending);
	return 0;
}

static int save_one(const struct vcpu *vcpu, struct section_writer *writer, struct error *error)
{
	struct kvm_reg_list *list = list_registers(vcpu, error);
	char name[SECTION_NAME_LENGTH + 1];
	int result = 0;

	if (!list)
		return -1;
	snprintf(name, sizeof(name), SECTION_VCPU "%u", vcpu->index);
	section_begin(writer, name, 1, SECTION_MANDATORY);
	field_add_number(&writer->buffer, FIELD_VCPU_MPIDR, vcpu->mpidr);
	result = save_events(vcpu, &writer->buffer, error);
	for (uint64_t i = 0; result == 0 && i < list->n; i++)
		result = save_register(vcpu, list->reg[i], &writer->buffer, error);
	section_end(writer);
	free(list);
	return result < 0 ? error_context(error, "vCPU %u", vcpu->index) : 0;
}

int vcpus_save(struct vm *vm, struct section_writer *writer, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++)
		if (save_one(&vm->vcpus[i], writer, error) < 0)
			return -1;
	return 0;
}

/* Restoring. */

/* Parses the id in a field's name. Returns false if the field is no register. */
static bool register_of(const struct field *field, uint64_t *id)
{
	char *end;

	if (strncmp(field->name, "0x", 2) != 0 || strlen(field->name) != 18)
		return false;
	*id = strtoull(field->name, &end, 16);
	return *end == '\0';
}

/* Fails with both values: the saved one differs from this host's and cannot be written. */
static int set_difference(const char *name, const uint64_t *saved, const uint64_t *here, int code, struct error *error)
{
	if (code == EINVAL || code == EBUSY || code == EPERM)
		return error_set(error, code, "%s is 0x%" PRIx64 " in the snapshot, but 0x%" PRIx64
				 " on this host, whose kernel does not allow a change", name, *saved, *here);
	return error_system(error, code, "writing 0x%" PRIx64 " to %s", *saved, name);
}

static int write_register(const struct vcpu *vcpu, uint64_t id, const struct field *field, struct error *error)
{
	uint64_t value[MAX_REGISTER_SIZE / 8] = { 0 }, here[MAX_REGISTER_SIZE / 8] = { 0 };
	enum register_use use = register_use(id);
	char name[REGISTER_NAME_LENGTH];
	int result;

	register_name(id, name);
	memcpy(value, field->values, register_size(id));
	if (use != REGISTER_STATE) {
		result = kvm_register_get(vcpu->fd, id, here);
		if (result < 0)
			return error_system(error, -result, "reading %s", name);
		if (!memcmp(value, here, register_size(id)))
			return 0;
		if (use == REGISTER_LAYOUT)
			return set_difference(name, value, here, EINVAL, error);
	}
	result = kvm_register_set(vcpu->fd, id, value);
	if (result == 0)
		return 0;
	kvm_register_get(vcpu->fd, id, here); /* for the message */
	return set_difference(name, value, here, -result, error);
}

static int restore_register(const struct vcpu *vcpu, const struct kvm_reg_list *list, uint64_t id,
			    const struct field *field, struct error *error)
{
	size_t size = (size_t)field->size * field->count;
	char name[REGISTER_NAME_LENGTH];

	register_name(id, name);
	if (size != register_size(id) || size > MAX_REGISTER_SIZE)
		return error_set(error, EBADMSG, "%s has %zu bytes in the snapshot, not %zu", name, size, register_size(id));
	if (is_listed(list, id))
		return write_register(vcpu, id, field, error);
	if (size <= 8 && register_may_be_dropped(id, field_element(field, 0)))
		return 0;
	return error_set(error, ENOENT, "%s (0x%" PRIx64 ") is in the snapshot, but this host's kernel does not know it",
			 name, id);
}

static int restore_events(const struct vcpu *vcpu, const struct fields *fields, struct error *error)
{
	uint64_t pending, has_esr, esr, abort, state;
	struct kvm_vcpu_events events = { 0 };
	struct kvm_mp_state mp_state;
	int result;

	if (field_get_number(fields, FIELD_VCPU_MP_STATE, &state, error) < 0 ||
	    field_get_number(fields, FIELD_VCPU_SERROR_PENDING, &pending, error) < 0 ||
	    field_get_number(fields, FIELD_VCPU_SERROR_HAS_ESR, &has_esr, error) < 0 ||
	    field_get_number(fields, FIELD_VCPU_SERROR_ESR, &esr, error) < 0 ||
	    field_get_number(fields, FIELD_VCPU_EXTERNAL_ABORT_PENDING, &abort, error) < 0)
		return -1;
	events.exception.serror_pending = pending != 0;
	events.exception.serror_has_esr = has_esr != 0;
	events.exception.serror_esr = esr;
	events.exception.ext_dabt_pending = abort != 0;
	result = kvm_call(vcpu->fd, KVM_SET_VCPU_EVENTS, (uintptr_t)&events);
	if (result < 0)
		return error_system(error, -result, "KVM_SET_VCPU_EVENTS");
	mp_state.mp_state = (uint32_t)state;
	result = kvm_call(vcpu->fd, KVM_SET_MP_STATE, (uintptr_t)&mp_state);
	return result < 0 ? error_system(error, -result, "KVM_SET_MP_STATE to %u", mp_state.mp_state) : 0;
}

/* Returns whether the field is one that is no register: restore_one() and restore_events() read those. */
static bool is_known(const char *name)
{
	static const char *const names[] = {
		"mpidr", "mp_state", "serror_pending", "serror_has_esr", "serror_esr", "external_abort_pending",
	};

	for (size_t i = 0; i < COUNT(names); i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* Reports something that this host or this lkvm does not accept. */
static int refuse(const struct vcpu *vcpu, const struct error_collector *refused, struct error *error)
{
	error_context(error, "vCPU %u", vcpu->index);
	return error_collect(refused, error);
}

/* Restores the registers that describe features, or all others. */
static int restore_registers(const struct vcpu *vcpu, const struct kvm_reg_list *list, const struct fields *fields,
			     bool features, const struct error_collector *refused, struct error *error)
{
	struct field field;
	size_t offset = 0;
	uint64_t id;

	while (field_next(fields, &offset, &field, error) > 0) {
		int result = 0;

		if (register_of(&field, &id)) {
			if ((register_use(id) == REGISTER_FEATURE) == features)
				result = restore_register(vcpu, list, id, &field, error);
		} else if (features && !is_known(field.name)) {
			result = error_set(error, ENOTSUP, "this lkvm does not know its field %s", field.name);
		}
		if (result < 0 && refuse(vcpu, refused, error) < 0)
			return -1;
	}
	return 0;
}

static int compare_affinity(const struct vcpu *vcpu, const struct fields *fields, struct error *error)
{
	uint64_t mpidr;

	if (field_get_number(fields, FIELD_VCPU_MPIDR, &mpidr, error) < 0)
		return -1;
	if (mpidr != vcpu->mpidr)
		return error_set(error, EINVAL, "its affinity is 0x%" PRIx64 " in the snapshot, but 0x%" PRIx64 " here",
				 mpidr, vcpu->mpidr);
	return 0;
}

static int restore_one(const struct vcpu *vcpu, const struct fields *fields, const struct error_collector *refused,
		       struct error *error)
{
	struct kvm_reg_list *list;
	int result;

	if (compare_affinity(vcpu, fields, error) < 0 && refuse(vcpu, refused, error) < 0)
		return -1;
	list = list_registers(vcpu, error);
	if (!list)
		return refuse(vcpu, refused, error);
	result = restore_registers(vcpu, list, fields, true, refused, error);
	if (result == 0)
		result = restore_registers(vcpu, list, fields, false, refused, error);
	free(list);
	if (result == 0 && restore_events(vcpu, fields, error) < 0)
		result = refuse(vcpu, refused, error);
	return result;
}

int vcpus_restore(struct vm *vm, struct sections *sections, const struct error_collector *refused, struct error *error)
{
	for (unsigned i = 0; i < vm->vcpu_count; i++) {
		char name[SECTION_NAME_LENGTH + 1];
		const struct section *section;

		snprintf(name, sizeof(name), SECTION_VCPU "%u", i);
		section = sections_need(sections, name, 1, error);
		if (!section || restore_one(&vm->vcpus[i], &section->fields, refused, error) < 0)
			return -1;
	}
	return 0;
}
