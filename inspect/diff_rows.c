/* SPDX-License-Identifier: MIT */
/* Rows and lists of a comparison, and the pairing of names. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"

static void open_list(struct diff *diff)
{
	if (!diff->open)
		report_begin_list(diff->report, diff->list);
	diff->open = true;
}

void diff_list_begin(struct diff *diff, const char *name, size_t limit)
{
	diff->list = name;
	diff->open = false;
	diff->rows = 0;
	diff->hidden = 0;
	diff->limit = diff->all || diff->report->json ? DIFF_MAX_ROWS : limit;
	if (diff->report->json)
		open_list(diff);
}

void diff_list_end(struct diff *diff)
{
	char name[48];

	if (diff->open)
		report_end_list(diff->report);
	diff->open = false;
	if (!diff->hidden)
		return;
	snprintf(name, sizeof(name), "%s_not_shown", diff->list);
	report_number(diff->report, name, diff->hidden);
}

bool diff_row(struct diff *diff)
{
	diff->changes++;
	if (diff->rows >= diff->limit || diff->shown >= DIFF_MAX_ROWS) {
		diff->hidden++;
		return false;
	}
	diff->rows++;
	diff->shown++;
	open_list(diff);
	report_begin(diff->report, NULL);
	return true;
}

void diff_end_row(struct diff *diff, const char *before, const char *after)
{
	report_string(diff->report, "before", before);
	report_string(diff->report, "after", after);
	report_end(diff->report);
}

/* Pairing: sorts both arrays by name, then by index, and merges them. */

static int compare_names(const void *left, const void *right, void *owner)
{
	const char *const *names = owner;
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	int order = strcmp(names[a], names[b]);

	return order ? order : (a > b) - (a < b);
}

static uint32_t *sort_names(const char *const *names, uint32_t count)
{
	uint32_t *order = calloc(count ? count : 1, sizeof(*order));
	union {
		const char *const *names;
		void *owner;
	} argument = { .names = names };

	if (!order)
		return NULL;
	for (uint32_t i = 0; i < count; i++)
		order[i] = i;
	qsort_r(order, count, sizeof(*order), compare_names, argument.owner);
	return order;
}

static uint32_t *no_partners(uint32_t count)
{
	uint32_t *partners = malloc((count ? count : 1) * sizeof(*partners));

	for (uint32_t i = 0; partners && i < count; i++)
		partners[i] = DIFF_NOTHING;
	return partners;
}

int diff_pair(struct diff_pairs *pairs, const char *const *before, uint32_t before_count, const char *const *after,
	      uint32_t after_count, struct error *error)
{
	uint32_t *left = sort_names(before, before_count), *right = sort_names(after, after_count);
	bool failed;

	*pairs = (struct diff_pairs){ .before = no_partners(before_count), .after = no_partners(after_count) };
	failed = !left || !right || !pairs->before || !pairs->after;
	for (uint32_t i = 0, j = 0; !failed && i < before_count && j < after_count;) {
		int order = strcmp(before[left[i]], after[right[j]]);

		if (order == 0) {
			pairs->before[left[i]] = right[j];
			pairs->after[right[j]] = left[i];
		}
		i += order <= 0;
		j += order >= 0;
	}
	free(left);
	free(right);
	if (!failed)
		return 0;
	diff_pairs_free(pairs);
	return error_system(error, ENOMEM, "comparing names");
}

void diff_pairs_free(struct diff_pairs *pairs)
{
	free(pairs->before);
	free(pairs->after);
	*pairs = (struct diff_pairs){ 0 };
}
