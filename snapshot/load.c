/* SPDX-License-Identifier: MIT */
/* Loads guest memory ahead of the first access, on every processor at once. */
#include "unloaded.h"
#include "parallel.h"
#include "util/bits.h"

struct load {
	const struct snapshot *snapshot;
	uint8_t *host;
	const struct snapshot_unloaded *unloaded;
	uint64_t block;
	bool check;
};

static int load_unloaded(void *owner, uint64_t from, uint64_t end, uint8_t *bytes, struct error *error)
{
	const struct load *load = owner;
	const struct snapshot_unloaded *unloaded = load->unloaded;

	(void)bytes;
	for (size_t i = unloaded_find(unloaded, from); i < unloaded->count && unloaded->items[i].from < end; i++) {
		uint64_t first = unloaded->items[i].from > from ? unloaded->items[i].from : from;
		uint64_t last = MIN(unloaded->items[i].end, end);

		if (snapshot_read_ram(load->snapshot, first, load->host + first, (size_t)(last - first), error) < 0)
			return -1;
	}
	return 0;
}

int snapshot_load_unloaded(const struct snapshot *snapshot, struct ram *ram, const struct snapshot_unloaded *unloaded,
			  struct error *error)
{
	struct load load = { .snapshot = snapshot, .host = ram->host, .unloaded = unloaded };
	const struct parallel_job job = { .total = snapshot->ram_size, .work = load_unloaded, .owner = &load };

	return unloaded->count ? parallel_run(&job, error) : 0;
}

uint64_t snapshot_block(const struct snapshot *snapshot)
{
	uint64_t block = FORMAT_RAM_CHUNK;

	for (; snapshot; snapshot = snapshot->base)
		block = snapshot->frames.size > block ? snapshot->frames.size : block;
	return block;
}

/* Chunks of zeroes are not written: the memory is zero already. */
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
	const struct parallel_job job = { .total = snapshot->ram_size, .work = load_all, .owner = &load };

	ram->from = snapshot;
	return parallel_run(&job, error);
}
