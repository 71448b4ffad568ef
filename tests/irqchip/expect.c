/* SPDX-License-Identifier: MIT */
/* Comparisons that the cases share: sections, snapshot files and lists of interrupts. */
#include <stdio.h>
#include <string.h>

#include "snapshot/snapshot.h"
#include "rig.h"

static unsigned differences(const char *after, const struct section *before, struct sections *sections)
{
	const struct section *now = sections_find(sections, before->name);
	struct field one, two;
	struct error error;
	unsigned count = 0;
	size_t offset = 0;

	if (!now)
		fail("the section %s is gone", before->name);
	while (field_next(&before->fields, &offset, &one, &error) > 0) {
		if (!field_find(&now->fields, one.name, &two) || two.count != one.count)
			fail("%s lost %s", before->name, one.name);
		for (uint32_t i = 0; i < one.count; i++)
			if (field_element(&one, i) != field_element(&two, i) && ++count)
				printf("%s: %s[%u] was 0x%llx, and is 0x%llx after %s\n", before->name, one.name, i,
				       (unsigned long long)field_element(&one, i),
				       (unsigned long long)field_element(&two, i), after);
	}
	return count;
}

void expect_same_sections(const char *after, const struct saved *first, const struct saved *second)
{
	struct sections before = { 0 }, now = { 0 };
	struct error error;
	unsigned count = 0;

	if (sections_parse(&before, first->sections.buffer.bytes, first->sections.buffer.size, &error) < 0 ||
	    sections_parse(&now, second->sections.buffer.bytes, second->sections.buffer.size, &error) < 0)
		fail("%s", error.text);
	for (size_t i = 0; i < before.count; i++)
		count += differences(after, &before.items[i], &now);
	if (count || before.count != now.count)
		fail("%u registers changed by %s", count, after);
	sections_free(&before);
	sections_free(&now);
}

void expect_same_irqchip(const char *first, const char *second)
{
	struct snapshot before, now;
	struct error error;
	unsigned count = 0, sections = 0;

	if (snapshot_open(&before, first, &error) < 0 || snapshot_open(&now, second, &error) < 0)
		fail("%s", error.text);
	for (size_t i = 0; i < before.sections.count; i++) {
		const struct section *section = &before.sections.items[i];

		if (strcmp(section->name, "its") != 0 && strncmp(section->name, "gic/", 4) != 0)
			continue;
		count += differences(second, section, &now.sections);
		sections++;
	}
	if (count || !sections)
		fail("%s and %s differ in %u registers of %u sections", first, second, count, sections);
	snapshot_close(&before);
	snapshot_close(&now);
}

void expect_interrupts(unsigned vcpu, const uint32_t *seen, unsigned seen_count, const uint32_t *expected,
		       unsigned expected_count)
{
	for (unsigned i = 0; i < expected_count; i++) {
		unsigned wanted = 0, count = 0;

		for (unsigned j = 0; j < expected_count; j++)
			wanted += expected[j] == expected[i];
		for (unsigned j = 0; j < seen_count; j++)
			count += seen[j] == expected[i];
		if (count != wanted)
			fail("vCPU %u got interrupt %u %u times, not %u", vcpu, expected[i], count, wanted);
	}
	for (unsigned j = 0; j < seen_count; j++) {
		bool known = false;

		for (unsigned i = 0; i < expected_count; i++)
			known = known || expected[i] == seen[j];
		if (!known)
			fail("vCPU %u got interrupt %u, which was not pending", vcpu, seen[j]);
	}
}
