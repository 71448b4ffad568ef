/* SPDX-License-Identifier: MIT */
/*
 * What the bits of a register mean: the GIC's (ARM IHI 0069) and those of a vCPU that people look at (ARM DDI 0487). A
 * register goes by its full name, "GITS_CTLR", "ICC_PMR_EL1", "pstate". Pure.
 */
#ifndef LKVM_ARM_REGISTER_FIELDS_H
#define LKVM_ARM_REGISTER_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct register_value {
	uint64_t value;
	const char *name;
};

struct register_field {
	const char *name;
	uint8_t high, low; /* bits, both of them part of it */
	bool in_place;     /* an address or mask: shown in hexadecimal, with zeroes for the bits below it */
	const struct register_value *values; /* those that have a name, up to one without; or NULL */
};

/* The fields by ascending bits, up to one without a name; NULL for a register that is not known here. */
const struct register_field *register_fields(const char *name);

/* The field's own number; of one in place, what is shown. */
uint64_t register_field_value(const struct register_field *field, uint64_t value);

/* One field's value: "1", "0x80000000", "EL1h". */
#define REGISTER_FIELD_LENGTH 32
void register_field_text(const struct register_field *field, uint64_t value, char text[REGISTER_FIELD_LENGTH]);

/*
 * "Enabled=1 Quiescent=1". A field that is zero is left out, unless its zero has a name: what is not named is zero. Empty
 * where the register is not known. This is the longest text of both functions.
 */
#define REGISTER_FIELDS_LENGTH 2048
void register_fields_text(const char *name, uint64_t value, char text[REGISTER_FIELDS_LENGTH]);

/*
 * What differs: "Enabled 0 -> 1, Quiescent 1 -> 0"; "others 0x0 -> 0x80000000" for bits that are in no field; the whole
 * values, "0x1 -> 0x2", of a register that is not known. Empty where nothing does.
 */
void register_fields_difference(const char *name, uint64_t before, uint64_t after, char text[REGISTER_FIELDS_LENGTH]);

#endif
