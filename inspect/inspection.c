/* SPDX-License-Identifier: MIT */
/* Opens an inspection, finds its devices, and reads values of its sections by name. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/inspect.h"
#include "state/names.h"

/* The sections have the order of the slots, see machine/virtio.c. */
static void find_devices(struct inspection *inspection)
{
	const struct sections *sections = &inspection->snapshot->sections;

	for (size_t i = 0; i < sections->count && inspection->device_count < PCI_SLOTS; i++) {
		const struct section *section = &sections->items[i];
		size_t length = strlen(section->name), suffix = strlen(SECTION_SUFFIX_PCI);
		struct inspect_device *device = &inspection->devices[inspection->device_count];

		if (length <= suffix || strcmp(section->name + length - suffix, SECTION_SUFFIX_PCI) != 0)
			continue;
		*device = (struct inspect_device){ .slot = inspection->device_count++, .pci = section };
		memcpy(device->name, section->name, length - suffix);
		device->is_virtio = !strncmp(device->name, "virtio-", strlen("virtio-"));
		device->is_passed_through = !strncmp(device->name, SECTION_VFIO, strlen(SECTION_VFIO));
	}
}

static int read_lpi_tables(struct inspection *inspection, struct error *error)
{
	unsigned count = inspection->config.cpus;

	inspection->pendbasers = calloc(count ? count : 1, sizeof(*inspection->pendbasers));
	if (!inspection->pendbasers)
		return error_system(error, ENOMEM, "redistributors");
	for (unsigned i = 0; i < count; i++) {
		char section[SECTION_NAME_LENGTH + 1];

		snprintf(section, sizeof(section), SECTION_GIC_REDISTRIBUTOR "%u", i);
		if (inspection_number(inspection, section, "PROPBASER", &inspection->propbaser, error) < 0 ||
		    inspection_number(inspection, section, "PENDBASER", &inspection->pendbasers[i], error) < 0)
			return -1;
	}
	return 0;
}

int inspection_open(struct inspection *inspection, struct snapshot *snapshot, struct error *error)
{
	*inspection = (struct inspection){ .snapshot = snapshot, .memory = snapshot_memory(snapshot),
					  .vcpu = INSPECT_ALL_VCPUS };
	find_devices(inspection);
	if (machine_config_load(&inspection->config, &snapshot->sections, error) == 0 &&
	    read_lpi_tables(inspection, error) == 0)
		return 0;
	inspection_close(inspection);
	return -1;
}

void inspection_close(struct inspection *inspection)
{
	machine_config_free(&inspection->config);
	free(inspection->pendbasers);
	inspection->pendbasers = NULL;
}

int inspection_number(const struct inspection *inspection, const char *section, const char *field, uint64_t *value,
		      struct error *error)
{
	const struct section *found = sections_need(&inspection->snapshot->sections, section, UINT32_MAX, error);

	if (!found)
		return -1;
	return field_get_number(&found->fields, field, value, error) < 0 ? error_context(error, "section %s", section) : 0;
}

int inspection_register(const struct inspection *inspection, unsigned vcpu, uint64_t id, uint64_t *value,
			struct error *error)
{
	char section[SECTION_NAME_LENGTH + 1], field[24];

	snprintf(section, sizeof(section), SECTION_VCPU "%u", vcpu);
	snprintf(field, sizeof(field), "0x%016" PRIx64, id);
	return inspection_number(inspection, section, field, value, error);
}

int inspection_array(const struct inspection *inspection, const char *section, const char *field, uint32_t count,
		     struct field *array, struct error *error)
{
	const struct section *found = sections_need(&inspection->snapshot->sections, section, UINT32_MAX, error);

	if (!found)
		return -1;
	if (!field_find(&found->fields, field, array) || array->count < count)
		return error_set(error, EBADMSG, "section %s: %s has less than %u values", section, field, count);
	return 0;
}

const struct inspect_device *inspection_device(const struct inspection *inspection, uint32_t requester)
{
	return requester % 8 == 0 && requester / 8 < inspection->device_count ? &inspection->devices[requester / 8] : NULL;
}

void inspect_pci_address(uint32_t requester, char text[INSPECT_ADDRESS_LENGTH])
{
	snprintf(text, INSPECT_ADDRESS_LENGTH, "%02x:%02x.%x", requester >> 8, requester >> 3 & 0x1f, requester & 7);
}

bool inspection_has_its(const struct inspection *inspection)
{
	return inspection->config.irqchip == IRQCHIP_GICV3_ITS;
}

int inspection_its_tables(const struct inspection *inspection, struct its_tables *tables, struct error *error)
{
	*tables = (struct its_tables){
		.memory = &inspection->memory,
		.propbaser = inspection->propbaser,
		.vcpu_count = inspection->config.cpus,
		.pendbasers = inspection->pendbasers,
	};
	if (inspection_number(inspection, SECTION_ITS, "BASER0", &tables->device_baser, error) < 0)
		return -1;
	return inspection_number(inspection, SECTION_ITS, "BASER1", &tables->collection_baser, error);
}

int inspection_walk(const struct inspection *inspection, const struct its_visitor *visitor, struct its_walk **walk,
		    struct error *error)
{
	struct its_tables tables;
	struct its_walk *found;
	int result;

	if (inspection_its_tables(inspection, &tables, error) < 0)
		return -1;
	found = malloc(sizeof(*found));
	if (!found)
		return error_system(error, ENOMEM, "the ITS's tables");
	result = its_tables_walk(&tables, visitor, found, error);
	if (walk && result == 0)
		*walk = found;
	else
		free(found);
	return result;
}
