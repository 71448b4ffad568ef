/* SPDX-License-Identifier: MIT */
/*
 * How a device's interrupts reach the guest. KVM may not show which interrupts are vLPIs. Then the host's count in
 * /proc/interrupts shows it: the host takes no interrupt that is a vLPI, so its count does not change.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"

/* The sum of all processors' counts in a line " 30:   1   0  CHIP ...". */
static uint64_t sum_of(const char *line)
{
	const char *at = strchr(line, ':');
	uint64_t sum = 0;

	for (char *end; at; at = end) {
		uint64_t value = strtoull(++at, &end, 10);

		if (end == at || *end != ' ')
			break;
		sum += value;
	}
	return sum;
}

/* Interrupts that the host took for each vector; 0 for vectors that are not in the file. */
static void read_counts(const struct vfio_device *device, uint64_t *counts, unsigned count)
{
	FILE *file = fopen("/proc/interrupts", "re");
	char *line = NULL, wanted[64];
	size_t size = 0;

	if (!file)
		return;
	while (getline(&line, &size, file) > 0) {
		const char *name = strstr(line, "vfio-msi"); /* "vfio-msix[3](0000:01:00.0)" */
		const char *number = name ? strchr(name, '[') : NULL;
		unsigned long vector = number ? strtoul(number + 1, NULL, 10) : count;

		snprintf(wanted, sizeof(wanted), "[%lu](%s)", vector, device->address);
		if (vector < count && !strncmp(number, wanted, strlen(wanted)))
			counts[vector] = sum_of(line);
	}
	free(line);
	fclose(file);
}

static const char *path_of(const struct vfio_vector *vector, const bool *is_vlpi)
{
	if (!vector->msi.attached)
		return "masked";
	return is_vlpi && vector->msi.message.data < VFIO_EVENTS && is_vlpi[vector->msi.message.data] ? "vLPI" : "irqfd";
}

static void stat_vector(const struct vfio_vector *vector, unsigned number, const bool *is_vlpi, uint64_t count,
			struct report *report)
{
	report_begin(report, NULL);
	report_number(report, "vector", number);
	report_string(report, "path", path_of(vector, is_vlpi));
	report_number(report, "host_interrupts", count);
	report_end(report);
}

void vfio_device_stat(struct vfio_device *device, struct report *report)
{
	static const char *const modes[] = { "none", "line", "MSI", "MSI-X" };
	const struct vfio_interrupts *interrupts = &device->interrupts;
	bool *is_vlpi = vfio_vlpi_read(device->vm, pci_device_id(&device->pci));
	uint64_t *counts;

	pthread_mutex_lock(&device->pci.lock);
	counts = calloc(interrupts->active + 1, sizeof(*counts));
	if (counts)
		read_counts(device, counts, interrupts->active);
	report_begin(report, device->address);
	report_number(report, "slot", device->pci.slot);
	report_bool(report, "can_be_reset", device->can_reset);
	report_bool(report, "can_be_saved", device->migration.offers);
	report_string(report, "interrupts", modes[interrupts->mode]);
	report_begin_list(report, "vectors");
	for (unsigned i = 0; i < interrupts->active; i++)
		if (interrupts->vectors[i].has_trigger)
			stat_vector(&interrupts->vectors[i], i, is_vlpi, counts ? counts[i] : 0, report);
	report_end_list(report);
	report_end(report);
	pthread_mutex_unlock(&device->pci.lock);
	free(counts);
	free(is_vlpi);
}
