/* SPDX-License-Identifier: MIT */
/* The dirty log of RAM: KVM's bitmap and the marks of devices. */
#include "kvm/dirty_log.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm/kvm.h"
#include "kvm/vm.h"
#include "util/bits.h"

/*
 * Pages that are cleared at a time; a multiple of 64. KVM holds the lock of its page tables while it protects them, and vCPUs
 * wait for this lock.
 */
#define AT_ONCE 16384u

#define OUR_PAGE 4096u
#define OUR_PAGES (RAM_MARK / OUR_PAGE)
#define ALL_OURS 0xffffu

_Static_assert(OUR_PAGES == 16, "an element's bits are its pages");

static int set_flags(const struct vm *vm, uint32_t flags)
{
	return vm_set_memory(vm, 0, &vm->ram, flags);
}

/* Linux 6.5 has these; older headers do not. */
#ifndef KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE
#define KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE 228
#define KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES 229
#endif

void dirty_log_prepare(int vm_fd)
{
	uint64_t page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t blocks = (uint64_t)kvm_extension(vm_fd, KVM_CAP_ARM_SUPPORTED_BLOCK_SIZES) & ~(page_size * 2 - 1);
	/* Choose the smallest block: KVM keeps the pages ready that it needs to split one. */
	struct kvm_enable_cap split = { .cap = KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE, .args = { blocks & -blocks } };

	if (blocks)
		kvm_call(vm_fd, KVM_ENABLE_CAP, (uintptr_t)&split);
}

static bool clears_by_hand(const struct vm *vm)
{
	struct kvm_enable_cap manual = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET },
	};

	return kvm_call(vm->fd, KVM_ENABLE_CAP, (uintptr_t)&manual) == 0;
}

static int clear(const struct dirty_log *log, struct error *error)
{
	uint64_t pages = log->vm->ram.size / log->page_size;

	for (uint64_t first = 0; first < pages; first += AT_ONCE) {
		struct kvm_clear_dirty_log part = {
			.slot = 0,
			.first_page = first,
			.num_pages = (uint32_t)MIN(pages - first, AT_ONCE),
			.dirty_bitmap = log->bitmap + first / 64,
		};
		int result = kvm_call(log->vm->fd, KVM_CLEAR_DIRTY_LOG, (uintptr_t)&part);

		if (result < 0)
			return error_system(error, -result, "KVM_CLEAR_DIRTY_LOG");
	}
	return 0;
}

static int start(const struct dirty_log *log, struct error *error)
{
	int result = set_flags(log->vm, KVM_MEM_LOG_DIRTY_PAGES);

	return result < 0 ? error_system(error, -result, "KVM_SET_USER_MEMORY_REGION with KVM_MEM_LOG_DIRTY_PAGES") : 0;
}

/* Clearing one page splits its block. The log starts anew after this, so the cleared bits do not matter. */
static int split(const struct dirty_log *log, uint64_t block, struct error *error)
{
	if (start(log, error) < 0)
		return -1;
	for (uint64_t page = 0; page < log->vm->ram.size / log->page_size; page += block / log->page_size)
		log->bitmap[page / 64] |= 1ull << page % 64;
	return clear(log, error);
}

int dirty_log_open(struct dirty_log *log, struct vm *vm, struct error *error)
{
	uint64_t block = (uint64_t)kvm_extension(vm->fd, KVM_CAP_ARM_EAGER_SPLIT_CHUNK_SIZE);
	int result = 0;

	*log = (struct dirty_log){
		.vm = vm,
		.page_size = (uint64_t)sysconf(_SC_PAGESIZE),
		.chunks = (vm->ram.size + RAM_MARK - 1) / RAM_MARK,
	};
	log->is_exact = block >= log->page_size;
	log->bitmap = calloc((vm->ram.size / log->page_size + 63) / 64, sizeof(*log->bitmap));
	if (!vm->ram.marks)
		__atomic_store_n(&vm->ram.marks, calloc(1, log->chunks), __ATOMIC_RELEASE);
	if (!log->bitmap || !vm->ram.marks)
		result = error_system(error, ENOMEM, "the dirty log");
	else if (!clears_by_hand(vm))
		result = error_set(error, ENOTSUP, "this host's KVM has no dirty log with a separate clear (Linux 5.2)");
	else if (log->is_exact)
		result = split(log, block, error);
	if (result < 0)
		dirty_log_close(log);
	return result;
}

int dirty_log_start(struct dirty_log *log, struct error *error)
{
	set_flags(log->vm, 0);
	if (start(log, error) < 0)
		return -1;
	/* The marks are never freed: a device may be about to set one. */
	memset(log->vm->ram.marks, 1, log->chunks);
	return 0;
}

void dirty_log_close(struct dirty_log *log)
{
	if (!log->vm)
		return;
	set_flags(log->vm, 0);
	free(log->bitmap);
	*log = (struct dirty_log){ .vm = NULL };
}

/* A chunk has 16 pages of 4 KiB, which are 16, 4 or 1 pages of the host. So its bits are in one word. */
static void add_pages(const struct dirty_log *log, uint16_t *pages)
{
	unsigned ours = (unsigned)(log->page_size / OUR_PAGE), chunk_bits = OUR_PAGES / ours;
	uint64_t count = log->vm->ram.size / log->page_size;

	for (uint64_t word = 0; word * 64 < count; word++) {
		for (uint64_t bits = log->bitmap[word]; bits; bits &= bits - 1) {
			unsigned bit = (unsigned)__builtin_ctzll(bits);
			uint64_t chunk = (word * 64 + bit) / chunk_bits;

			pages[chunk] |= (uint16_t)(((1u << ours) - 1) << bit % chunk_bits * ours);
		}
	}
}

int dirty_log_fetch(struct dirty_log *log, uint16_t *pages, bool last, struct error *error)
{
	struct kvm_dirty_log request = { .slot = 0, .dirty_bitmap = log->bitmap };
	int result = kvm_call(log->vm->fd, KVM_GET_DIRTY_LOG, (uintptr_t)&request);

	if (result < 0)
		return error_system(error, -result, "KVM_GET_DIRTY_LOG");
	if (!last && clear(log, error) < 0)
		return -1;
	add_pages(log, pages);
	for (uint64_t i = 0; i < log->chunks; i++) {
		/* Few marks are set: skip 64 at a time. */
		if (i % 64 == 0 && log->chunks - i >= 64 && !memchr(log->vm->ram.marks + i, 1, 64)) {
			i += 63;
			continue;
		}
		if (__atomic_load_n(&log->vm->ram.marks[i], __ATOMIC_RELAXED) &&
		    __atomic_exchange_n(&log->vm->ram.marks[i], 0, __ATOMIC_ACQ_REL))
			pages[i] = ALL_OURS;
	}
	return 0;
}
