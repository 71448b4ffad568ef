/* SPDX-License-Identifier: MIT */
/* Guest memory that is read before anybody needs it, on every processor at once. */
#include "missing.h"
#include "parallel.h"
#include "util/bits.h"

struct load {
	const struct snapshot *snapshot;
	uint8_t *host;
	const struct snapshot_missing *missing;
	uint64_t block;
	bool check;
};

static int load_missing(void *owner, uint64_t from, uint64_t end, uint8_t *bytes, struct error *error)
{
	const struct load *load = owner;
	const struct snapshot_missing *missing = load->missing;

	(void)bytes;
	for (size_t i = missing_find(missing, from); i < missing->count && missing->items[i].from < end; i++) {
		uint64_t first = missing->items[i].from > from ? missing->items[i].from : from;
		uint64_t last = MIN(missing->items[i].end, end);

		if (snapshot_read_ram(load->snapshot, first, load->host + first, (size_t)(last - first), error) < 0)
			return -1;
	}
	return 0;
}

int snapshot_load_missing(const struct snapshot *snapshot, struct ram *ram, const struct snapshot_missing *missing,
			  struct error *error)
{
	struct load load = { .snapshot = snapshot, .host = ram->host, .missing = missing };
	const struct pieces pieces = { .total = snapshot->ram_size, .work = load_missing, .owner = &load };

	return missing->count ? pieces_work(&pieces, error) : 0;
}

uint64_t snapshot_block(const struct snapshot *snapshot)
{
	uint64_t block = FORMAT_RAM_CHUNK;

	for (; snapshot; snapshot = snapshot->base)
		block = snapshot->frames.size > block ? snapshot->frames.size : block;
	return block;
}

/* What is zero already is not even touched. */
static int load_all(void *owner, uint64_t from, uint64_t end, uint8_t *bytes, struct error *error)
{
	const struct load *load = owner;

	(void)bytes;
	for (uint64_t at = from, next; at < end; at = next) {
		next = end - at < load->block ? end : at + load->block;
		if (snapshot_load(load->snapshot, at, load->host + at, (size_t)(next - at), load->check, error) < 0)
			return -1;
	}
	return 0;
}

int snapshot_load_ram(const struct snapshot *snapshot, struct ram *ram, bool check, struct error *error)
{
	struct load load = { .snapshot = snapshot, .host = ram->host, .block = snapshot_block(snapshot), .check = check };
	const struct pieces pieces = { .total = snapshot->ram_size, .work = load_all, .owner = &load };

	ram->from = snapshot;
	return pieces_work(&pieces, error);
}
