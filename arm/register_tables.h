/* SPDX-License-Identifier: MIT */
/* Macros for the tables of register fields. */
#ifndef ARM_REGISTER_TABLES_H
#define ARM_REGISTER_TABLES_H

#include "arm/register_fields.h"

struct register_table {
	const char *name; /* '#' stands for a digit */
	const struct register_field *fields;
};

/* An entry without a name ends each. */
extern const struct register_table gic_register_tables[];
extern const struct register_table cpu_register_tables[];

#define VALUES(...) ((const struct register_value[]){ __VA_ARGS__, { 0, NULL } })
#define FIELD(high, low, name) { name, high, low, false, NULL }
#define FLAG(bit, name) FIELD(bit, bit, name)
#define SWITCH(bit, name) { name, bit, bit, false, VALUES({ 0, "0" }) } /* shown also if it is off */
#define NAMED(high, low, name, values) { name, high, low, false, values }
#define IN_PLACE(high, low, name) { name, high, low, true, NULL }
#define END { NULL, 0, 0, false, NULL }

#endif
