/* SPDX-License-Identifier: MIT */
/*
 * The configuration of a machine as sections of a snapshot: enough to make the same machine again. Each field is declared
 * once, in tables that save and load walk.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config_private.h"
#include "state/names.h"

enum config_kind { CONFIG_BOOL, CONFIG_UNSIGNED, CONFIG_U64, CONFIG_ENUM, CONFIG_TEXT, CONFIG_MAC, CONFIG_LENGTHS };

struct config_field {
	const char *name;
	enum config_kind kind;
	size_t offset;
	uint64_t limit; /* largest number */
	bool optional;  /* 0 has no field: older snapshots have none */
};

#define FIELD(type, member, how, most) { #member, how, offsetof(type, member), most, false }
#define OPTIONAL(type, member, how, most) { #member, how, offsetof(type, member), most, true }
#define LOWER(index) { "lower" #index, CONFIG_TEXT, offsetof(struct virtio_block_config, lower[index]), 0, true }

static const struct config_field machine_fields[] = {
	FIELD(struct machine_config, name, CONFIG_TEXT, 0),
	FIELD(struct machine_config, kernel, CONFIG_TEXT, 0),
	FIELD(struct machine_config, initrd, CONFIG_TEXT, 0),
	FIELD(struct machine_config, parameters, CONFIG_TEXT, 0),
	FIELD(struct machine_config, cpus, CONFIG_UNSIGNED, MACHINE_MAX_VCPUS),
	FIELD(struct machine_config, memory, CONFIG_U64, 1ull << 52),
	FIELD(struct machine_config, address_bits, CONFIG_UNSIGNED, 52),
	FIELD(struct machine_config, irqchip, CONFIG_ENUM, IRQCHIP_GICV3_ITS),
	FIELD(struct machine_config, console, CONFIG_ENUM, CONSOLE_VIRTIO),
	OPTIONAL(struct machine_config, watchdog, CONFIG_ENUM, MACHINE_WATCHDOG_LOG),
	FIELD(struct machine_config, pmu, CONFIG_BOOL, 1),
	FIELD(struct machine_config, sve, CONFIG_BOOL, 1),
	FIELD(struct machine_config, sve_lengths, CONFIG_LENGTHS, 0),
	FIELD(struct machine_config, pauth, CONFIG_BOOL, 1),
	FIELD(struct machine_config, no_defaults, CONFIG_BOOL, 1),
	FIELD(struct machine_config, entropy, CONFIG_BOOL, 1),
	FIELD(struct machine_config, balloon, CONFIG_BOOL, 1),
	FIELD(struct machine_config, power_buttons, CONFIG_BOOL, 1),
	OPTIONAL(struct machine_config, pvpanic, CONFIG_BOOL, 1),
	FIELD(struct machine_config, kaslr_seed_given, CONFIG_BOOL, 1),
	FIELD(struct machine_config, kaslr_seed, CONFIG_U64, UINT64_MAX),
	FIELD(struct machine_config, counter_frequency, CONFIG_U64, UINT64_MAX),
	FIELD(struct machine_config, disk_count, CONFIG_UNSIGNED, MACHINE_MAX_DISKS),
	FIELD(struct machine_config, network_count, CONFIG_UNSIGNED, MACHINE_MAX_NETWORKS),
};

static const struct config_field disk_fields[] = {
	FIELD(struct virtio_block_config, path, CONFIG_TEXT, 0),
	FIELD(struct virtio_block_config, read_only, CONFIG_BOOL, 1),
	FIELD(struct virtio_block_config, queues, CONFIG_UNSIGNED, 8),
	FIELD(struct virtio_block_config, serial, CONFIG_TEXT, 0),
	FIELD(struct virtio_block_config, size, CONFIG_U64, UINT64_MAX),
	FIELD(struct virtio_block_config, overlay, CONFIG_TEXT, 0),
	LOWER(0), LOWER(1), LOWER(2), LOWER(3), LOWER(4), LOWER(5), LOWER(6),
};
_Static_assert(VIRTIO_BLOCK_LOWER == 7, "each has a field");

static const struct config_field network_fields[] = {
	FIELD(struct virtio_net_config, mode, CONFIG_ENUM, NET_USER),
	FIELD(struct virtio_net_config, tap, CONFIG_TEXT, 0),
	FIELD(struct virtio_net_config, script, CONFIG_TEXT, 0),
	FIELD(struct virtio_net_config, mac, CONFIG_MAC, 0),
	FIELD(struct virtio_net_config, vhost, CONFIG_BOOL, 1),
	FIELD(struct virtio_net_config, vhost_required, CONFIG_BOOL, 1),
	FIELD(struct virtio_net_config, queues, CONFIG_UNSIGNED, 8),
	FIELD(struct virtio_net_config, passt, CONFIG_TEXT, 0),
	FIELD(struct virtio_net_config, passt_options, CONFIG_TEXT, 0),
};


/* Saving. */

static void save_field(const struct config_field *field, const char *object, struct byte_buffer *buffer)
{
	const void *at = object + field->offset;

	switch (field->kind) {
	case CONFIG_BOOL:
		if (!field->optional || *(const bool *)at)
			field_add_number(buffer, field->name, *(const bool *)at);
		break;
	case CONFIG_UNSIGNED:
	case CONFIG_ENUM: /* an unsigned int in the ABI */
		if (!field->optional || *(const unsigned *)at)
			field_add_number(buffer, field->name, *(const unsigned *)at);
		break;
	case CONFIG_U64:
		field_add_number(buffer, field->name, *(const uint64_t *)at);
		break;
	case CONFIG_TEXT: /* NULL has no field */
		if (*(const char *const *)at)
			field_add_text(buffer, field->name, *(const char *const *)at);
		break;
	case CONFIG_MAC:
		field_add(buffer, field->name, 1, 6, at);
		break;
	case CONFIG_LENGTHS:
		field_add(buffer, field->name, 8, 8, at);
		break;
	}
}

static void save_section(struct section_writer *writer, const char *name, const struct config_field *fields, size_t count,
			 const void *object)
{
	section_begin(writer, name, 1, SECTION_MANDATORY);
	for (size_t i = 0; i < count; i++)
		save_field(&fields[i], object, &writer->buffer);
	section_end(writer);
}

/* Identities have sections of their own, which older readers skip. */
static void save_identity(struct section_writer *writer, const char *disk, const char *which,
			  const struct disk_identity *identity)
{
	char name[SECTION_NAME_LENGTH + 1];

	if (!identity->known)
		return;
	snprintf(name, sizeof(name), "%s/%s", disk, which);
	section_begin(writer, name, 1, 0);
	field_add_number(&writer->buffer, "size", identity->size);
	field_add_number(&writer->buffer, "modified", (uint64_t)identity->modified);
	field_add(&writer->buffer, "digest", sizeof(identity->digest[0]), 2, identity->digest);
	section_end(writer);
}

#define LOWER_IDENTITY "lower%u-identity"

void machine_config_save(const struct machine_config *config, struct section_writer *writer)
{
	char name[SECTION_NAME_LENGTH + 1], which[24];

	save_section(writer, SECTION_MACHINE, machine_fields, COUNT(machine_fields), config);
	for (unsigned i = 0; i < config->disk_count; i++) {
		snprintf(name, sizeof(name), SECTION_DISK "%u", i);
		save_section(writer, name, disk_fields, COUNT(disk_fields), &config->disks[i]);
		save_identity(writer, name, "identity", &config->disks[i].identity);
		save_identity(writer, name, "overlay-identity", &config->disks[i].overlay_identity);
		for (unsigned j = 0; j < VIRTIO_BLOCK_LOWER; j++) {
			snprintf(which, sizeof(which), LOWER_IDENTITY, j);
			save_identity(writer, name, which, &config->disks[i].lower_identities[j]);
		}
	}
	for (unsigned i = 0; i < config->network_count; i++) {
		snprintf(name, sizeof(name), SECTION_NETWORK "%u", i);
		save_section(writer, name, network_fields, COUNT(network_fields), &config->networks[i]);
	}
	for (unsigned i = 0; i < config->vfio.count; i++) {
		snprintf(name, sizeof(name), SECTION_VFIO "%u", i);
		section_begin(writer, name, 1, SECTION_MANDATORY);
		field_add_text(&writer->buffer, "address", config->vfio.devices[i]);
		section_end(writer);
	}
}

/* Loading. */

static int load_number(const struct config_field *field, const struct field *saved, uint64_t *value,
		       struct error *error)
{
	if (saved->count != 1)
		return error_set(error, EBADMSG, "%s has %u values, not one", field->name, saved->count);
	*value = field_element(saved, 0);
	if (*value > field->limit)
		return error_set(error, EBADMSG, "%s is %llu, at most %llu is possible", field->name,
				 (unsigned long long)*value, (unsigned long long)field->limit);
	return 0;
}

static int load_text(struct machine_config *config, const struct config_field *field, const struct field *saved,
		     const char **text, struct error *error)
{
	if (saved->size != 1 || (saved->count && memchr(saved->values, 0, saved->count)))
		return error_set(error, EBADMSG, "%s is not text", field->name);
	return machine_config_own(config, field->name, strndup((const char *)saved->values, saved->count), text, error);
}

static int load_bytes(const struct config_field *field, const struct field *saved, unsigned size, unsigned count, void *to,
		      struct error *error)
{
	if (saved->size != size || saved->count != count)
		return error_set(error, EBADMSG, "%s has %u values of %u bytes", field->name, saved->count, saved->size);
	memcpy(to, saved->values, (size_t)size * count);
	return 0;
}

static int load_field(struct machine_config *config, const struct config_field *field, const struct field *saved,
		      char *object, struct error *error)
{
	void *at = object + field->offset;
	uint64_t value = 0;

	if (field->kind == CONFIG_TEXT)
		return load_text(config, field, saved, at, error);
	if (field->kind == CONFIG_MAC)
		return load_bytes(field, saved, 1, 6, at, error);
	if (field->kind == CONFIG_LENGTHS)
		return load_bytes(field, saved, 8, 8, at, error);
	if (load_number(field, saved, &value, error) < 0)
		return -1;
	if (field->kind == CONFIG_BOOL)
		*(bool *)at = value;
	else if (field->kind == CONFIG_U64)
		*(uint64_t *)at = value;
	else
		*(unsigned *)at = (unsigned)value;
	return 0;
}

static const struct config_field *find(const struct config_field *fields, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(fields[i].name, name))
			return &fields[i];
	return NULL;
}

static int load_section(struct machine_config *config, struct sections *sections, const char *name,
			const struct config_field *fields, size_t count, void *object, struct error *error)
{
	const struct section *section = sections_need(sections, name, 1, error);
	struct field saved;
	size_t offset = 0;

	if (!section)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (fields[i].kind != CONFIG_TEXT && !fields[i].optional && !field_find(&section->fields, fields[i].name, &saved))
			return error_set(error, ENOENT, "section %s: %s is missing", name, fields[i].name);
	while (field_next(&section->fields, &offset, &saved, error) > 0) {
		const struct config_field *field = find(fields, count, saved.name);

		if (!field)
			return error_set(error, ENOTSUP, "section %s: %s is unknown to this lkvm", name, saved.name);
		if (load_field(config, field, &saved, object, error) < 0)
			return error_context(error, "section %s", name);
	}
	return 0;
}

/* Older snapshots have none. */
static int load_identity(struct sections *sections, const char *disk, const char *which, struct disk_identity *identity,
			 struct error *error)
{
	char name[SECTION_NAME_LENGTH + 1];
	const struct section *section;
	uint64_t modified;
	struct field digest;

	snprintf(name, sizeof(name), "%s/%s", disk, which);
	if (!sections_find(sections, name))
		return 0;
	section = sections_need(sections, name, 1, error);
	if (!section)
		return -1;
	if (field_get_number(&section->fields, "size", &identity->size, error) < 0 ||
	    field_get_number(&section->fields, "modified", &modified, error) < 0)
		return error_context(error, "section %s", name);
	if (!field_find(&section->fields, "digest", &digest) || digest.size != sizeof(identity->digest[0]) || digest.count != 2)
		return error_set(error, EBADMSG, "section %s: digest is not two numbers of 8 bytes", name);
	memcpy(identity->digest, digest.values, sizeof(identity->digest));
	identity->modified = (int64_t)modified;
	identity->known = true;
	return 0;
}

static int load_disk(struct machine_config *config, struct sections *sections, unsigned index, struct error *error)
{
	struct virtio_block_config *disk = &config->disks[index];
	char name[SECTION_NAME_LENGTH + 1], which[24];

	snprintf(name, sizeof(name), SECTION_DISK "%u", index);
	if (load_section(config, sections, name, disk_fields, COUNT(disk_fields), disk, error) < 0)
		return -1;
	if (!disk->path)
		return error_set(error, ENOENT, "section %s: path is missing", name);
	for (unsigned i = 0; i < VIRTIO_BLOCK_LOWER; i++)
		if (disk->lower[i] && (!disk->overlay || (i && !disk->lower[i - 1])))
			return error_set(error, EBADMSG, "section %s: lower%u is incomplete", name, i);
	for (unsigned i = 0; i < VIRTIO_BLOCK_LOWER; i++) {
		snprintf(which, sizeof(which), LOWER_IDENTITY, i);
		if (load_identity(sections, name, which, &disk->lower_identities[i], error) < 0)
			return -1;
	}
	if (load_identity(sections, name, "identity", &disk->identity, error) < 0)
		return -1;
	return load_identity(sections, name, "overlay-identity", &disk->overlay_identity, error);
}

/* Older snapshots have none. */
static int load_passed_through(struct vfio_config *config, struct sections *sections, struct error *error)
{
	char name[SECTION_NAME_LENGTH + 1], text[VFIO_ADDRESS_SIZE];

	for (config->count = 0; config->count < VFIO_MAX_DEVICES; config->count++) {
		const struct section *section;

		snprintf(name, sizeof(name), SECTION_VFIO "%u", config->count);
		if (!sections_find(sections, name))
			return 0;
		section = sections_need(sections, name, 1, error);
		if (!section || field_get_text(&section->fields, "address", text, sizeof(text), error) < 0 ||
		    vfio_address(text, config->devices[config->count], error) < 0)
			return error_context(error, "section %s", name);
	}
	return 0;
}

int machine_config_load(struct machine_config *config, struct sections *sections, struct error *error)
{
	char name[SECTION_NAME_LENGTH + 1];

	if (load_section(config, sections, SECTION_MACHINE, machine_fields, COUNT(machine_fields), config, error) < 0)
		return -1;
	for (unsigned i = 0; i < config->disk_count; i++)
		if (load_disk(config, sections, i, error) < 0)
			return -1;
	for (unsigned i = 0; i < config->network_count; i++) {
		struct virtio_net_config *network = &config->networks[i];

		snprintf(name, sizeof(name), SECTION_NETWORK "%u", i);
		network->tap_fd = -1;
		if (load_section(config, sections, name, network_fields, COUNT(network_fields), network, error) < 0)
			return -1;
	}
	if (load_passed_through(&config->vfio, sections, error) < 0)
		return -1;
	if (!config->cpus || !config->memory || !config->name)
		return error_set(error, EBADMSG, "section machine: a name, a vCPU and some memory are needed");
	return 0;
}
