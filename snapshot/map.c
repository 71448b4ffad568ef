/* SPDX-License-Identifier: MIT */
/*
 * Maps guest memory from the files of a chain. The oldest file is mapped first, and ranges of newer files over it. Such a
 * range must be plain, and is mapped on whole pages of this host. The number of mappings is limited, so that the kernel
 * handles them cheaply. Ranges that are compressed or too scattered are read.
 */
#include <unistd.h>

#include "chain.h"
#include "unloaded.h"

#define MOST_MAPPINGS 4096u /* each may split another; the kernel permits 65530 in all */

#define SHORT (2u << 20) /* bytes: a shorter run of zeroes joins the unloaded range before it, for fewer areas in the kernel */

struct plan {
	const struct snapshot *snapshot, *oldest;
	struct ram *ram;
	uint64_t page; /* of the host, bytes */
	uint64_t count[64]; /* at n: the number of ranges of 2^n to 2^(n+1) bytes that can be mapped */
	uint64_t least; /* bytes: smaller ranges are read instead of mapped */
	bool any_mapped;
	struct snapshot_unloaded unloaded;
	struct snapshot_unloaded scattered; /* ranges over the mapped oldest file, which must be read now */
};

/* A range that is stored in one way. */
enum extent_kind {
	EXTENT_THERE,  /* RAM has it already: from the oldest file's mapping, or zeroes */
	EXTENT_MAPPED, /* plain, in a newer file */
	EXTENT_ZERO,   /* zeroes, over the mapping of the oldest file */
	EXTENT_READ,   /* compressed */
};

struct extent {
	enum extent_kind kind;
	uint64_t from, end;
	const struct snapshot *in;
};

static bool is_plain(const struct snapshot *snapshot)
{
	return snapshot->frames.size == 0;
}

static struct extent find_extent(const struct plan *plan, uint64_t from)
{
	struct extent extent = { .kind = EXTENT_MAPPED, .from = from };

	extent.in = snapshot_find_file(plan->snapshot, from, &extent.end);
	if (is_plain(extent.in)) {
		if (extent.in == plan->oldest)
			extent.kind = EXTENT_THERE;
		return extent;
	}

	const struct snapshot_run run = snapshot_find_run(plan->snapshot, from);

	extent.end = from + run.size;
	if (run.kind != SNAPSHOT_ZERO)
		extent.kind = EXTENT_READ;
	else
		extent.kind = is_plain(plan->oldest) ? EXTENT_ZERO : EXTENT_THERE;
	return extent;
}

/* Returns the whole pages of the host in the extent. */
static struct snapshot_range whole_pages(const struct plan *plan, const struct extent *extent)
{
	return (struct snapshot_range){ (extent->from + plan->page - 1) & -plan->page, extent->end & -plan->page };
}

/*
 * Whether the extent needs a mapping and has a whole page. A compressed extent needs one only over the oldest file's mapping.
 */
static bool can_be_mapped(const struct plan *plan, const struct extent *extent)
{
	struct snapshot_range whole = whole_pages(plan, extent);

	return extent->kind != EXTENT_THERE && (extent->kind != EXTENT_READ || is_plain(plan->oldest)) && whole.from < whole.end;
}

static unsigned size_class(const struct snapshot_range *range)
{
	return 63 - (unsigned)__builtin_clzll(range->end - range->from);
}

/* Chooses the largest extents for mapping, at most MOST_MAPPINGS. */
static void choose_least(struct plan *plan)
{
	uint64_t total = 0;
	unsigned class = 64;

	for (uint64_t at = 0; at < plan->snapshot->ram_size;) {
		const struct extent extent = find_extent(plan, at);
		const struct snapshot_range whole = whole_pages(plan, &extent);

		if (can_be_mapped(plan, &extent))
			plan->count[size_class(&whole)]++;
		at = extent.end;
	}
	while (class > 0 && total + plan->count[class - 1] <= MOST_MAPPINGS)
		total += plan->count[--class];
	plan->least = class < 64 ? 1ull << class : UINT64_MAX;
}

/*
 * Maps an extent, or adds it to a list of ranges to load. If the oldest file is mapped, only memory that was mapped over it is
 * zero and can be loaded later. The rest is read now.
 */
static int place_extent(struct plan *plan, const struct extent *extent, struct error *error)
{
	struct snapshot_unloaded *rest = is_plain(plan->oldest) ? &plan->scattered : &plan->unloaded;
	struct snapshot_range whole = whole_pages(plan, extent);
	bool is_mapped = can_be_mapped(plan, extent) && whole.end - whole.from >= plan->least;
	int fd = extent->kind == EXTENT_MAPPED ? extent->in->fd : -1;

	if (extent->kind == EXTENT_THERE) {
		bool joins = !is_plain(plan->oldest) && extent->end - extent->from < SHORT && rest->count &&
			     rest->items[rest->count - 1].end == extent->from;

		return joins ? unloaded_add(rest, plan->page, extent->from, extent->end, error) : 0;
	}
	if (!is_mapped)
		return unloaded_add(rest, plan->page, extent->from, extent->end, error);
	plan->any_mapped = true;
	if (ram_map(plan->ram, whole.from, whole.end - whole.from, fd, extent->in->ram_offset + whole.from, error) < 0)
		return -1;
	if (extent->from < whole.from && unloaded_add(rest, plan->page, extent->from, whole.from, error) < 0)
		return -1;
	if (extent->kind == EXTENT_READ && unloaded_add(&plan->unloaded, plan->page, whole.from, whole.end, error) < 0)
		return -1;
	return extent->end > whole.end ? unloaded_add(rest, plan->page, whole.end, extent->end, error) : 0;
}

static int place_all(struct plan *plan, struct error *error)
{
	if (is_plain(plan->oldest) &&
	    ram_map(plan->ram, 0, plan->ram->size, plan->oldest->fd, plan->oldest->ram_offset, error) < 0)
		return -1;
	if (plan->snapshot == plan->oldest && is_plain(plan->oldest))
		return 0;
	choose_least(plan);
	for (uint64_t at = 0; at < plan->ram->size;) {
		const struct extent extent = find_extent(plan, at);

		if (place_extent(plan, &extent, error) < 0)
			return -1;
		at = extent.end;
	}
	return 0;
}

int snapshot_map_ram(const struct snapshot *snapshot, struct ram *ram, struct snapshot_unloaded *unloaded, struct error *error)
{
	struct plan plan = { .snapshot = snapshot, .oldest = snapshot, .ram = ram, .page = (uint64_t)sysconf(_SC_PAGESIZE) };
	int result;

	while (plan.oldest->base)
		plan.oldest = plan.oldest->base;
	if (ram_open(ram, snapshot->ram_base, snapshot->ram_size, error) < 0)
		return -1;
	ram->from = snapshot;
	result = place_all(&plan, error);
	plan.unloaded.is_all = !is_plain(plan.oldest) && !plan.any_mapped;
	if (result == 0)
		result = snapshot_load_unloaded(snapshot, ram, &plan.scattered, error);
	if (result == 0 && !unloaded)
		result = snapshot_load_unloaded(snapshot, ram, &plan.unloaded, error);
	snapshot_unloaded_free(&plan.scattered);
	if (result == 0 && unloaded)
		*unloaded = plan.unloaded;
	else
		snapshot_unloaded_free(&plan.unloaded);
	if (result < 0)
		ram_close(ram);
	return result;
}
