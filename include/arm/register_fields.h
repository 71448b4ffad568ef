/* SPDX-License-Identifier: MIT */
/*
 * Fields of registers: all of the GIC (ARM IHI 0069), and the commonly read ones of a vCPU (ARM DDI 0487). The key is the full
 * name: "GITS_CTLR", "ICC_PMR_EL1", "pstate". Pure.
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
	uint8_t high, low; /* bit numbers, inclusive */
	bool in_place;     /* an address or mask: shown in hexadecimal, with zeroes for the bits below it */
	const struct register_value *values; /* the named values; an entry without a name ends them; or NULL */
};

/* Returns the fields in ascending order; one without a name ends them. NULL for an unknown register. */
const struct register_field *register_fields(const char *name);

/* Returns the field's number; for a field in place, the shown number. */
uint64_t register_field_value(const struct register_field *field, uint64_t value);

/* One field's value: "1", "0x80000000", "EL1h". */
#define REGISTER_FIELD_LENGTH 32
void register_field_text(const struct register_field *field, uint64_t value, char text[REGISTER_FIELD_LENGTH]);

/*
 * Formats "Enabled=1 Quiescent=1". Omits a field that is zero, unless its zero has a name. Empty for an unknown register.
 * REGISTER_FIELDS_LENGTH holds the longest text of both functions.
 */
#define REGISTER_FIELDS_LENGTH 2048
void register_fields_text(const char *name, uint64_t value, char text[REGISTER_FIELDS_LENGTH]);

/*
 * Formats the differences: "Enabled 0 -> 1, Quiescent 1 -> 0"; "others 0x0 -> 0x80000000" for bits in no field; the whole
 * values, "0x1 -> 0x2", of an unknown register. Empty if nothing differs.
 */
void register_fields_difference(const char *name, uint64_t before, uint64_t after, char text[REGISTER_FIELDS_LENGTH]);

#endif
