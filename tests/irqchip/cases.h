/* SPDX-License-Identifier: MIT */
/* The cases. A case returns if it passes, and ends the program if it fails. */
#ifndef LKVM_TESTS_IRQCHIP_CASES_H
#define LKVM_TESTS_IRQCHIP_CASES_H

#include <stdbool.h>

struct irqchip_case {
	const char *name;
	void (*run)(void);
};

/* The last entry of each array has the name NULL. */
extern const struct irqchip_case table_cases[];
extern const struct irqchip_case pending_cases[];
extern const struct irqchip_case reset_cases[];
extern const struct irqchip_case predict_cases[];
extern const struct irqchip_case group_cases[];

#endif
