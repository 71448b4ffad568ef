/* SPDX-License-Identifier: MIT */
/*
 * Compares `lkvm snapshot verify` with reading the same file and computing zlib's crc32 of it on every processor.
 *
 *     checksum make FROM TO MIB      writes TO: the snapshot FROM with MIB of RAM, with random numbers after its own RAM
 *     checksum measure FILE LKVM     prints "verify MS MS RATIO": lkvm and the threads, medians, with a warm page cache
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "machine/machine.h"

#define TURNS 9
#define PIECE (1u << 20)
#define MAX_THREADS 64

extern char **environ;

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "checksum: %s\n", what);
	exit(1);
}

/* Making the file. */

static void fill(struct ram *ram, const struct guest_memory *memory)
{
	uint64_t *words = (uint64_t *)ram->host, random = 88172645463325252ull;
	struct error error;

	for (uint64_t i = memory->size / 8; i < ram->size / 8; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		words[i] = random;
	}
	must(guest_memory_read(memory, memory->base, ram->host, memory->size, &error) == 0, error.text);
}

/* The sections of the machine and of RAM are not copied, but written again. */
static bool is_copied(const char *name)
{
	return strcmp(name, "machine") != 0 && strncmp(name, "disk", 4) != 0 && strncmp(name, "network", 7) != 0 &&
	       strncmp(name, "ram", 3) != 0;
}

static void make(const char *from, const char *to, uint64_t size)
{
	struct snapshot_writer file = { .fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600) };
	struct machine_config config = { 0 };
	struct section_writer writer = { 0 };
	struct guest_memory memory;
	struct snapshot snapshot;
	struct error error;
	struct ram ram;

	must(file.fd >= 0, "the file cannot be made");
	must(snapshot_open(&snapshot, from, &error) == 0, error.text);
	must(machine_config_load(&config, &snapshot.sections, &error) == 0, error.text);
	must(size >= config.memory, "it has more RAM than that");
	config.memory = size;
	machine_config_save(&config, &writer);
	for (size_t i = 0; i < snapshot.sections.count; i++) {
		const struct section *section = &snapshot.sections.items[i];

		if (!is_copied(section->name))
			continue;
		section_begin(&writer, section->name, section->version, section->flags);
		byte_buffer_add(&writer.buffer, section->fields.bytes, section->fields.size);
		section_end(&writer);
	}
	must(ram_open(&ram, snapshot.ram_base, size, &error) == 0, error.text);
	memory = snapshot_memory(&snapshot);
	fill(&ram, &memory);
	file.ram = &ram;
	must(snapshot_write(&file, &writer.buffer, &error) == 0, error.text);
	must(fsync(file.fd) == 0, "the file cannot be written");
	/* The process ends next. */
}

/* Measuring. */

static struct {
	int fd;
	uint64_t size;
	_Atomic uint64_t next;
	_Atomic uint32_t sum; /* uses the results, so that the compiler keeps the computation */
} work;

static void *run(void *argument)
{
	uint8_t *bytes = malloc(PIECE);
	uint64_t at;

	(void)argument;
	must(bytes != NULL, "no memory");
	while ((at = atomic_fetch_add(&work.next, PIECE)) < work.size) {
		size_t size = work.size - at < PIECE ? (size_t)(work.size - at) : PIECE;

		must(pread(work.fd, bytes, size, (off_t)at) == (ssize_t)size, "the file cannot be read");
		atomic_fetch_xor(&work.sum, (uint32_t)crc32_z(0, bytes, size));
	}
	free(bytes);
	return NULL;
}

static void read_it(void)
{
	long count = sysconf(_SC_NPROCESSORS_ONLN);
	pthread_t threads[MAX_THREADS];

	count = count > MAX_THREADS ? MAX_THREADS : count;
	atomic_store(&work.next, 0);
	for (long i = 0; i < count; i++)
		must(pthread_create(&threads[i], NULL, run, NULL) == 0, "no thread");
	for (long i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
}

static void verify_it(char *lkvm, char *path)
{
	char snapshot[] = "snapshot", verify[] = "verify", *words[] = { lkvm, snapshot, verify, path, NULL };
	posix_spawn_file_actions_t actions;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	must(posix_spawn(&pid, lkvm, &actions, NULL, words, environ) == 0, "lkvm cannot be run");
	must(waitpid(pid, &status, 0) == pid && status == 0, "lkvm says that it is not good");
	posix_spawn_file_actions_destroy(&actions);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static int compare(const void *one, const void *two)
{
	double a = *(const double *)one, b = *(const double *)two;

	return a < b ? -1 : a > b;
}

static void measure(char *path, char *lkvm)
{
	double ours[TURNS], theirs[TURNS];
	struct stat status;

	work.fd = open(path, O_RDONLY | O_CLOEXEC);
	must(work.fd >= 0 && fstat(work.fd, &status) == 0, "the file cannot be opened");
	work.size = (uint64_t)status.st_size;
	read_it();
	for (unsigned i = 0; i < TURNS; i++) {
		double start = now(), middle;

		verify_it(lkvm, path);
		middle = now();
		read_it();
		ours[i] = middle - start;
		theirs[i] = now() - middle;
	}
	qsort(ours, TURNS, sizeof(ours[0]), compare);
	qsort(theirs, TURNS, sizeof(theirs[0]), compare);
	printf("verify %.0f %.0f %.2f\n", ours[TURNS / 2], theirs[TURNS / 2], ours[TURNS / 2] / theirs[TURNS / 2]);
}

int main(int count, char **words)
{
	if (count == 5 && !strcmp(words[1], "make")) {
		make(words[2], words[3], strtoull(words[4], NULL, 10) << 20);
	} else if (count == 4 && !strcmp(words[1], "measure")) {
		measure(words[2], words[3]);
	} else {
		fprintf(stderr, "usage: checksum make FROM TO MIB | checksum measure FILE LKVM\n");
		return 2;
	}
	return 0;
}
