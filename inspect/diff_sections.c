/* SPDX-License-Identifier: MIT */
/* Pairs the sections of two snapshots, and lists those that only one of them has. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"

bool diff_is_numbered(const char *name, const char *stem, unsigned *number)
{
	size_t length = strlen(stem), digits = strspn(name + strnlen(name, length), "0123456789");

	if (strncmp(name, stem, length) != 0 || !digits || name[length + digits] || digits > 6)
		return false;
	if (number)
		*number = (unsigned)strtoul(name + length, NULL, 10);
	return true;
}

static int pair_sections(struct diff_pairs *pairs, const struct sections *before, const struct sections *after,
			 struct error *error)
{
	const char **left = calloc(before->count + 1, sizeof(*left)), **right = calloc(after->count + 1, sizeof(*right));
	int result = -1;

	for (size_t i = 0; left && i < before->count; i++)
		left[i] = before->items[i].name;
	for (size_t i = 0; right && i < after->count; i++)
		right[i] = after->items[i].name;
	if (left && right)
		result = diff_pair(pairs, left, (uint32_t)before->count, right, (uint32_t)after->count, error);
	else
		error_system(error, ENOMEM, "sections");
	free(left);
	free(right);
	return result;
}

static bool is_same(const struct section *before, const struct section *after)
{
	return before->fields.size == after->fields.size &&
	       !memcmp(before->fields.bytes, after->fields.bytes, before->fields.size);
}

int diff_each_section(struct diff *diff, bool (*wanted)(const char *name), diff_compare compare, struct error *error)
{
	const struct sections *before = &diff->before->snapshot->sections, *after = &diff->after->snapshot->sections;
	struct diff_pairs pairs;
	int result = 0;

	if (pair_sections(&pairs, before, after, error) < 0)
		return -1;
	for (size_t i = 0; result == 0 && i < before->count; i++)
		if (wanted(before->items[i].name) && pairs.before[i] != DIFF_NOTHING &&
		    !is_same(&before->items[i], &after->items[pairs.before[i]]))
			result = compare(diff, &before->items[i], &after->items[pairs.before[i]], error);
	diff_pairs_free(&pairs);
	return result;
}

/* The list of sections that only one snapshot has, or that have another version or other flags. */

static void add_section(struct diff *diff, const char *name, const char *what, const char *before, const char *after)
{
	if (!diff_row(diff))
		return;
	report_string(diff->report, "section", name);
	report_string(diff->report, "what", what);
	diff_end_row(diff, before, after);
}

static void compare_number(struct diff *diff, const char *section, const char *what, uint32_t before, uint32_t after)
{
	char was[16], is[16];

	if (before == after)
		return;
	snprintf(was, sizeof(was), "%u", before);
	snprintf(is, sizeof(is), "%u", after);
	add_section(diff, section, what, was, is);
}

int diff_sections(struct diff *diff, struct error *error)
{
	const struct sections *before = &diff->before->snapshot->sections, *after = &diff->after->snapshot->sections;
	struct diff_pairs pairs;

	if (pair_sections(&pairs, before, after, error) < 0)
		return -1;
	diff_list_begin(diff, "sections", DIFF_TEXT_ROWS);
	for (size_t i = 0; i < before->count; i++) {
		const struct section *section = &before->items[i], *other;

		if (format_is_about_place(section->name))
			continue;
		if (pairs.before[i] == DIFF_NOTHING) {
			add_section(diff, section->name, "presence", "there", NULL);
			continue;
		}
		other = &after->items[pairs.before[i]];
		compare_number(diff, section->name, "version", section->version, other->version);
		compare_number(diff, section->name, "flags", section->flags, other->flags);
	}
	for (size_t i = 0; i < after->count; i++)
		if (pairs.after[i] == DIFF_NOTHING && !format_is_about_place(after->items[i].name))
			add_section(diff, after->items[i].name, "presence", NULL, "there");
	diff_list_end(diff);
	diff_pairs_free(&pairs);
	return 0;
}
