/* SPDX-License-Identifier: MIT */
/* The cases, each with what it must see. A case returns when all is right, and ends the program when it is not. */
#ifndef LKVM_TESTS_IRQCHIP_CASES_H
#define LKVM_TESTS_IRQCHIP_CASES_H

#include <stdbool.h>

struct irqchip_case {
	const char *name;
	void (*run)(void);
};

/* Each ends with a NULL name. */
extern const struct irqchip_case table_cases[];
extern const struct irqchip_case pending_cases[];
extern const struct irqchip_case reset_cases[];
extern const struct irqchip_case predict_cases[];
extern const struct irqchip_case group_cases[];

#endif
