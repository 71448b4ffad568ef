/* SPDX-License-Identifier: MIT */
/* Saves a virtio device's state into sections, and loads it into another device of the same kind. */
#ifndef TESTS_UNIT_RESTORE_RIG_H
#define TESTS_UNIT_RESTORE_RIG_H

#include "state/sections.h"
#include "virtio_rig.h"

struct saved {
	struct state_visitor visitor; /* first */
	struct section_writer writer;
	struct sections sections;
};

static inline int saved_add(struct state_visitor *visitor, const char *name, const struct state_table *table,
			    void *object, struct error *error)
{
	struct section_writer *writer = &((struct saved *)visitor)->writer;

	(void)error;
	section_begin(writer, name, table->version, SECTION_MANDATORY);
	state_save(table, object, &writer->buffer);
	section_end(writer);
	return 0;
}

static inline int saved_load(struct state_visitor *visitor, const char *name, const struct state_table *table,
			     void *object, struct error *error)
{
	const struct section *section = sections_need(&((struct saved *)visitor)->sections, name, table->version, error);

	return section ? state_load(table, object, &section->fields, section->version, error) : -1;
}

/* Saves the complete state of a paused device, as the machine does. */
static inline void save_device(struct saved *saved, struct virtio_device *device)
{
	struct error error;

	*saved = (struct saved){ .visitor.visit = saved_add };
	pci_device_quiesce(&device->pci);
	assert_int_equal(virtio_visit(device, &saved->visitor, &error), 0);
	assert_int_equal(sections_parse(&saved->sections, saved->writer.buffer.bytes, saved->writer.buffer.size, &error), 0);
}

/* Loads the state into a device that was just opened. */
static inline void load_device(struct saved *saved, struct virtio_device *device)
{
	struct error error;

	saved->visitor.visit = saved_load;
	if (virtio_visit(device, &saved->visitor, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(sections_check_used(&saved->sections, &error), 0);
}

static inline void saved_free(struct saved *saved)
{
	sections_free(&saved->sections);
	byte_buffer_free(&saved->writer.buffer);
}

#endif
