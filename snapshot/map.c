/* SPDX-License-Identifier: MIT */
/*
 * Guest memory out of snapshots. The oldest file of a chain is mapped, and over it what is newer, as far as it lies in the
 * files as it does in RAM: on whole pages of this host, and in so few stretches that the kernel keeps them apart cheaply. What
 * is compressed, or too scattered, is read.
 */
#include <unistd.h>

#include "chain.h"
#include "unloaded.h"

#define MOST_MAPPINGS 4096u /* each may split another; the kernel takes 65530 in all */

#define SHORT (2u << 20) /* zeroes of less count as unloaded like what is around them: the kernel keeps fewer areas apart */

struct plan {
	const struct snapshot *snapshot, *oldest;
	struct ram *ram;
	uint64_t page; /* of the host, bytes */
	uint64_t count[64]; /* n: stretches of 2^n to 2^(n+1) bytes that can be mapped */
	uint64_t least; /* bytes: what is smaller is read rather than mapped */
	bool any_mapped;
	struct snapshot_unloaded unloaded;
	struct snapshot_unloaded scattered; /* the same in mapped memory: it has to be read now */
};

/* A range that is kept in one way. */
enum piece_kind {
	PIECE_THERE,  /* as RAM has it before anything is done */
	PIECE_MAPPED, /* plain, in a newer file */
	PIECE_ZERO,   /* where the oldest file has something else */
	PIECE_READ,
};

struct piece {
	enum piece_kind kind;
	uint64_t from, end;
	const struct snapshot *in;
};

static bool is_plain(const struct snapshot *snapshot)
{
	return snapshot->frames.size == 0;
}

static struct piece find_piece(const struct plan *plan, uint64_t from)
{
	struct piece piece = { .kind = PIECE_MAPPED, .from = from };

	piece.in = snapshot_find_file(plan->snapshot, from, &piece.end);
	if (is_plain(piece.in)) {
		if (piece.in == plan->oldest)
			piece.kind = PIECE_THERE;
		return piece;
	}

	const struct snapshot_run run = snapshot_find_run(plan->snapshot, from);

	piece.end = from + run.size;
	if (run.kind != SNAPSHOT_ZERO)
		piece.kind = PIECE_READ;
	else
		piece.kind = is_plain(plan->oldest) ? PIECE_ZERO : PIECE_THERE;
	return piece;
}

/* The whole pages of it. */
static struct snapshot_range inside(const struct plan *plan, const struct piece *piece)
{
	return (struct snapshot_range){ (piece->from + plan->page - 1) & -plan->page, piece->end & -plan->page };
}

/* Whether something is to be mapped there; over zeroes, nothing that will be read needs to be. */
static bool can_be_mapped(const struct plan *plan, const struct piece *piece)
{
	struct snapshot_range whole = inside(plan, piece);

	return piece->kind != PIECE_THERE && (piece->kind != PIECE_READ || is_plain(plan->oldest)) && whole.from < whole.end;
}

static unsigned size_class(const struct snapshot_range *range)
{
	return 63 - (unsigned)__builtin_clzll(range->end - range->from);
}

/* The largest are mapped. */
static void choose(struct plan *plan)
{
	uint64_t total = 0;
	unsigned class = 64;

	for (uint64_t at = 0; at < plan->snapshot->ram_size;) {
		const struct piece piece = find_piece(plan, at);
		const struct snapshot_range whole = inside(plan, &piece);

		if (can_be_mapped(plan, &piece))
			plan->count[size_class(&whole)]++;
		at = piece.end;
	}
	while (class > 0 && total + plan->count[class - 1] <= MOST_MAPPINGS)
		total += plan->count[--class];
	plan->least = class < 64 ? 1ull << class : UINT64_MAX;
}

/* Where the oldest file is mapped, only what was mapped over is zero. */
static int place(struct plan *plan, const struct piece *piece, struct error *error)
{
	struct snapshot_unloaded *rest = is_plain(plan->oldest) ? &plan->scattered : &plan->unloaded;
	struct snapshot_range whole = inside(plan, piece);
	bool is_mapped = can_be_mapped(plan, piece) && whole.end - whole.from >= plan->least;
	int fd = piece->kind == PIECE_MAPPED ? piece->in->fd : -1;

	if (piece->kind == PIECE_THERE) {
		bool joins = !is_plain(plan->oldest) && piece->end - piece->from < SHORT && rest->count &&
			     rest->items[rest->count - 1].end == piece->from;

		return joins ? unloaded_add(rest, plan->page, piece->from, piece->end, error) : 0;
	}
	if (!is_mapped)
		return unloaded_add(rest, plan->page, piece->from, piece->end, error);
	plan->any_mapped = true;
	if (ram_map(plan->ram, whole.from, whole.end - whole.from, fd, piece->in->ram_offset + whole.from, error) < 0)
		return -1;
	if (piece->from < whole.from && unloaded_add(rest, plan->page, piece->from, whole.from, error) < 0)
		return -1;
	if (piece->kind == PIECE_READ && unloaded_add(&plan->unloaded, plan->page, whole.from, whole.end, error) < 0)
		return -1;
	return piece->end > whole.end ? unloaded_add(rest, plan->page, whole.end, piece->end, error) : 0;
}

static int place_all(struct plan *plan, struct error *error)
{
	if (is_plain(plan->oldest) &&
	    ram_map(plan->ram, 0, plan->ram->size, plan->oldest->fd, plan->oldest->ram_offset, error) < 0)
		return -1;
	if (plan->snapshot == plan->oldest && is_plain(plan->oldest))
		return 0;
	choose(plan);
	for (uint64_t at = 0; at < plan->ram->size;) {
		const struct piece piece = find_piece(plan, at);

		if (place(plan, &piece, error) < 0)
			return -1;
		at = piece.end;
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
