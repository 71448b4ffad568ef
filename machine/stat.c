/* SPDX-License-Identifier: MIT */
/* The report of lkvm stat. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "components.h"

static void stat_vcpus(struct machine *machine, struct report *report)
{
	report_begin_list(report, "vcpus");
	for (unsigned i = 0; i < machine->vm.vcpu_count; i++) {
		const struct vcpu_counters *counters = &machine->vm.vcpus[i].counters;

		report_begin(report, NULL);
		report_number(report, "vcpu", i);
		report_number(report, "exits", counters->runs);
		report_number(report, "mmio", counters->mmio);
		report_number(report, "unmapped", counters->unmapped);
		report_number(report, "signals", counters->signals);
		report_end(report);
	}
	report_end_list(report);
}

/* The resident size of this process: guest memory and lkvm's own. */
static uint64_t resident_bytes(void)
{
	char text[128] = "";
	unsigned long long pages = 0;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) > 0 && strchr(text, ' '))
		pages = strtoull(strchr(text, ' '), NULL, 10);
	close(fd);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

void machine_stat(struct machine *machine, struct report *report)
{
	report_string(report, "name", machine->config.name);
	report_string(report, "state", machine->running ? "running" : "paused");
	report_number(report, "resets", machine->clock.resets);
	report_begin(report, "memory");
	report_bytes(report, "size", machine->vm.ram.size);
	report_bytes(report, "resident", resident_bytes());
	report_end(report);
	stat_vcpus(machine, report);
	report_begin(report, "interrupts");
	report_string(report, "controller", machine->vm.its_fd >= 0 ? "gicv3-its" : "gicv3");
	report_number(report, "msi_routes", interrupts_route_count(&machine->vm.interrupts));
	report_end(report);
	report_begin_list(report, "devices");
	for (size_t i = 0; i < machine_component_count; i++)
		if (machine_components[i]->stat)
			machine_components[i]->stat(machine, report);
	report_end_list(report);
}
