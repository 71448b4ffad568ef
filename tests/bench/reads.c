/* SPDX-License-Identifier: MIT */
/*
 * reads FILE FIRST COUNT DEPTH: makes COUNT direct reads of 4 KiB, spread over FILE, with DEPTH of them in flight. Prints the
 * nanoseconds of CLOCK_MONOTONIC for each. No block is read twice. A run with a FIRST at least COUNT away reads other blocks,
 * so no cache has them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096u
#define MAX_DEPTH 64u
#define STEP 0x9e3779b1u /* odd: with a power of two of blocks, each is read before one repeats */

static unsigned long long now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (unsigned long long)time.tv_sec * 1000000000 + (unsigned long long)time.tv_nsec;
}

static int fail(const char *what)
{
	perror(what);
	return 1;
}

/* Submits the read of a block, with the memory and the control block of `slot`. */
static long send(aio_context_t context, int fd, char *memory, uint64_t slot, uint64_t block)
{
	static struct iocb requests[MAX_DEPTH];
	struct iocb *request = &requests[slot];

	*request = (struct iocb){
		.aio_data = slot,
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)fd,
		.aio_buf = (uintptr_t)(memory + slot * BLOCK),
		.aio_nbytes = BLOCK,
		.aio_offset = (int64_t)(block * BLOCK),
	};
	return syscall(SYS_io_submit, context, 1, &request);
}

int main(int argc, char **argv)
{
	uint64_t first, count, depth, blocks, sent = 0, done = 0;
	struct io_event events[MAX_DEPTH];
	aio_context_t context = 0;
	unsigned long long start;
	char *memory;
	int fd;

	if (argc != 5)
		return 2;
	first = strtoull(argv[2], NULL, 0);
	count = strtoull(argv[3], NULL, 0);
	depth = strtoull(argv[4], NULL, 0);
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	blocks = fd < 0 ? 0 : (uint64_t)lseek(fd, 0, SEEK_END) / BLOCK;
	memory = mmap(NULL, MAX_DEPTH * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (blocks == 0 || memory == MAP_FAILED || depth < 1 || depth > MAX_DEPTH || count < depth)
		return fail(argv[1]);
	if (syscall(SYS_io_setup, MAX_DEPTH, &context) < 0)
		return fail("io_setup");
	start = now();
	for (; sent < depth; sent++)
		if (send(context, fd, memory, sent, (first + sent) * STEP % blocks) != 1)
			return fail("io_submit");
	while (done < count) {
		long got = syscall(SYS_io_getevents, context, 1, MAX_DEPTH, events, NULL);

		if (got < 1)
			return fail("io_getevents");
		for (long i = 0; i < got; i++, done++) {
			if (events[i].res != BLOCK)
				return fail("a read");
			if (sent == count)
				continue;
			if (send(context, fd, memory, events[i].data, (first + sent) * STEP % blocks) != 1)
				return fail("io_submit");
			sent++;
		}
	}
	printf("%llu\n", (now() - start) / count);
	return 0;
}
