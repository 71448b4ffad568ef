/* SPDX-License-Identifier: MIT */
/*
 * irqchip CASE: runs a case of saving, restoring or resetting vGICv3 and ITS on real KVM. Without CASE: prints their names.
 * irqchip compare FILE FILE: compares GIC and ITS in two snapshots of machines.
 */
#include <stdio.h>
#include <string.h>

#include "cases.h"
#include "rig.h"

int main(int argc, char **argv)
{
	static const struct irqchip_case *const groups[] = {
		table_cases, pending_cases, reset_cases, group_cases, predict_cases,
	};

	if (argc == 4 && !strcmp(argv[1], "compare")) {
		expect_same_irqchip(argv[2], argv[3]);
		return 0;
	}
	for (size_t group = 0; group < sizeof(groups) / sizeof(groups[0]); group++) {
		for (const struct irqchip_case *each = groups[group]; each->name; each++) {
			if (argc < 2) {
				puts(each->name);
			} else if (!strcmp(argv[1], each->name)) {
				each->run();
				printf("%s: passed\n", each->name);
				return 0;
			}
		}
	}
	if (argc > 1)
		printf("no case is called %s\n", argv[1]);
	return argc > 1;
}
