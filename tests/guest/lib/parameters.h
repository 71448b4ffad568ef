/* SPDX-License-Identifier: MIT */
/* The kernel's parameters and the size of RAM, from the device tree. */
#ifndef GUEST_PARAMETERS_H
#define GUEST_PARAMETERS_H

#include <stdbool.h>
#include <stdint.h>

/* Call it first, with the MMU off. */
void parameters_open(const void *fdt);

/* Returns the value of a parameter "name=123" or "name=0x7b", or `fallback`. */
uint64_t parameter_number(const char *name, uint64_t fallback);

/* Returns whether "name=a,b,c" lists `word`. Returns true without the parameter. */
bool parameter_lists(const char *name, const char *word);

extern const void *device_tree;
extern uint64_t ram_size; /* bytes, from BOARD_RAM on */

#endif
