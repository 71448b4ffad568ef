/* SPDX-License-Identifier: MIT */
/* Compares RAM page by page, in the chunks whose checksums differ. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff.h"

#define PAGE 4096u

struct ram_diff {
	struct diff *diff;
	uint64_t start, end; /* of the current range: empty at first */
	uint64_t pages;      /* that differ */
	uint8_t before[FORMAT_RAM_CHUNK], after[FORMAT_RAM_CHUNK];
};

static void end_range(struct ram_diff *ram)
{
	struct report *report = ram->diff->report;

	if (ram->start != ram->end && diff_row(ram->diff)) {
		report_hex(report, "address", ram->start);
		report_bytes(report, "size", ram->end - ram->start);
		report_number(report, "pages", (ram->end - ram->start) / PAGE);
		report_end(report);
	}
	ram->start = ram->end;
}

static void add_page(struct ram_diff *ram, uint64_t address)
{
	if (address != ram->end) {
		end_range(ram);
		ram->start = address;
	}
	ram->end = address + PAGE;
	ram->pages++;
}

static uint64_t checksum_of(const struct snapshot *snapshot, uint64_t address)
{
	return field_element(&snapshot->checksums, (uint32_t)((address - snapshot->ram_base) / FORMAT_RAM_CHUNK));
}

static int compare_chunk(struct ram_diff *ram, uint64_t address, struct error *error)
{
	const struct inspection *before = ram->diff->before, *after = ram->diff->after;
	bool same = true;

	if (guest_memory_read(&before->memory, address, ram->before, FORMAT_RAM_CHUNK, error) < 0 ||
	    guest_memory_read(&after->memory, address, ram->after, FORMAT_RAM_CHUNK, error) < 0)
		return -1;
	for (size_t at = 0; at < FORMAT_RAM_CHUNK; at += PAGE)
		if (memcmp(ram->before + at, ram->after + at, PAGE) != 0) {
			add_page(ram, address + at);
			same = false;
		}
	if (same)
		return error_set(error, EBADMSG, "RAM at 0x%llx is damaged in one of them: the bytes are the same, the checksums "
				 "are not", (unsigned long long)address);
	return 0;
}

static int compare_ram(struct ram_diff *ram, struct error *error)
{
	const struct snapshot *before = ram->diff->before->snapshot, *after = ram->diff->after->snapshot;
	uint64_t start = before->ram_base > after->ram_base ? before->ram_base : after->ram_base;
	uint64_t end = before->ram_base + before->ram_size, other = after->ram_base + after->ram_size;

	if (end > other)
		end = other;
	for (uint64_t at = start; at < end; at += FORMAT_RAM_CHUNK)
		if (checksum_of(before, at) != checksum_of(after, at) && compare_chunk(ram, at, error) < 0)
			return -1;
	end_range(ram);
	return 0;
}

static void add_place(struct diff *diff, const char *what, uint64_t before, uint64_t after)
{
	char was[24], is[24];

	if (before == after || !diff_row(diff))
		return;
	snprintf(was, sizeof(was), "0x%llx", (unsigned long long)before);
	snprintf(is, sizeof(is), "0x%llx", (unsigned long long)after);
	report_string(diff->report, "what", what);
	diff_end_row(diff, was, is);
}

int diff_ram(struct diff *diff, struct error *error)
{
	const struct snapshot *before = diff->before->snapshot, *after = diff->after->snapshot;
	struct ram_diff *ram = malloc(sizeof(*ram));
	int result;

	if (!ram)
		return error_system(error, ENOMEM, "RAM");
	*ram = (struct ram_diff){ .diff = diff };
	diff_list_begin(diff, "ram_place", DIFF_TEXT_ROWS);
	add_place(diff, "base", before->ram_base, after->ram_base);
	add_place(diff, "size", before->ram_size, after->ram_size);
	diff_list_end(diff);
	diff_list_begin(diff, "ram", DIFF_TEXT_RANGES);
	result = compare_ram(ram, error);
	diff_list_end(diff);
	if (ram->pages || diff->report->json) {
		report_number(diff->report, "ram_pages", ram->pages);
		report_bytes(diff->report, "ram_bytes", ram->pages * PAGE);
	}
	free(ram);
	return result;
}
