/* SPDX-License-Identifier: MIT */
/* What the device tree tells: the kernel's parameters and the size of RAM. */
#ifndef GUEST_PARAMETERS_H
#define GUEST_PARAMETERS_H

#include <stdbool.h>
#include <stdint.h>

/* First of all, with the MMU off. */
void parameters_open(const void *fdt);

/* "name=123" or "name=0x7b" among the kernel's parameters, or `fallback`. */
uint64_t parameter_number(const char *name, uint64_t fallback);

/* Whether "name=a,b,c" lists `word`; true as well where the parameter is missing. */
bool parameter_lists(const char *name, const char *word);

extern const void *device_tree;
extern uint64_t ram_size; /* bytes, from BOARD_RAM on */

#endif
