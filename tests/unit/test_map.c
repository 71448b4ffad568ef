/* SPDX-License-Identifier: MIT */
/* Maps RAM from chains of snapshots in each form, and compares it with a model, also with large host pages. */
#include "unit/crafted.h"

#include <dlfcn.h>
#include <stdio.h>

#define LAYERS 4
#define RAM_SIZE (64 * FORMAT_RAM_CHUNK)
#define LARGE_SIZE (64ull << 20)

static char folder[] = "/tmp/lkvm-map-XXXXXX";
static char paths[LAYERS][sizeof(folder) + 4];
static long pretended; /* replaces the host's page size; 0: the real one */

/* Returns the pretended page size. ThreadSanitizer calls it before its own initialization, so it is not instrumented. */
__attribute__((no_sanitize_thread)) long sysconf(int name)
{
	long (*real)(int);

	if (name == _SC_PAGESIZE && pretended)
		return pretended;
	*(void **)&real = dlsym(RTLD_NEXT, "sysconf");
	return real(name);
}

static int setup(void **state)
{
	(void)state;
	strcpy(folder + strlen(folder) - 6, "XXXXXX");
	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < LAYERS; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/s%u", folder, i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pretended = 0;
	for (unsigned i = 0; i < LAYERS; i++)
		unlink(paths[i]);
	rmdir(folder);
	return 0;
}

static uint32_t next(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Adds a layer of random stretches of pages, zero or not, and updates the model. */
static void change(uint8_t *model, uint8_t *pages, bool all, uint32_t *seed)
{
	for (uint64_t page = 0, count; page < RAM_SIZE / FORMAT_RAM_PAGE; page += count) {
		bool here = all || next(seed) % 2, zero = next(seed) % 3 == 0;

		count = 1 + next(seed) % (next(seed) % 4 ? 12 : 120);
		for (uint64_t i = page; here && i < page + count && i < RAM_SIZE / FORMAT_RAM_PAGE; i++) {
			pages[i / 8] |= (uint8_t)(1u << i % 8);
			memset(model + i * FORMAT_RAM_PAGE, zero ? 0 : (int)(1 + next(seed) % 255), FORMAT_RAM_PAGE);
		}
	}
}

static void check_map(const char *path, const uint8_t *model, uint64_t size)
{
	struct snapshot snapshot;
	struct error error;
	struct ram ram;

	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	for (unsigned turn = 0; turn < 2; turn++) {
		assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), 0);
		assert_ptr_equal(ram.from, &snapshot);
		assert_int_equal(ram.base, CRAFTED_BASE);
		assert_int_equal(ram.size, size);
		assert_memory_equal(ram.host, model, size);
		/* Writes are private: the second mapping has the old contents. */
		for (uint64_t at = 0; at < size; at += FORMAT_RAM_PAGE)
			ram.host[at]++;
		ram_close(&ram);
	}
	snapshot_close(&snapshot);
}

static void check_chains(uint32_t seed)
{
	uint8_t *model = malloc(RAM_SIZE), pages[RAM_SIZE / FORMAT_RAM_PAGE / 8];

	for (unsigned round = 0; round < ROUNDS(24, 6); round++) {
		memset(model, 0, RAM_SIZE);
		for (unsigned layer = 0; layer < 1 + round % LAYERS; layer++) {
			struct crafted file = {
				.path = paths[layer], .ram = model, .size = RAM_SIZE,
				.frame = next(&seed) % 2 ? FORMAT_RAM_FRAME : 0,
				.base_path = layer ? paths[layer - 1] : NULL, .pages = layer ? pages : NULL,
			};

			memset(pages, 0, sizeof(pages));
			change(model, pages, layer == 0, &seed);
			crafted_write(&file, (uint8_t)(1 + layer));
			check_map(paths[layer], model, RAM_SIZE);
		}
	}
	free(model);
}

static void chain_is_mapped_with_contents_of_the_model(void **state)
{
	(void)state;
	check_chains(1);
}

static void chain_is_mapped_on_hosts_with_large_pages(void **state)
{
	(void)state;
	pretended = 16384;
	check_chains(2);
	pretended = 65536;
	check_chains(3);
}

static unsigned count_mappings(const char *path)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, path) != NULL;
	fclose(maps);
	return count;
}

/* The newer file has every other page of one half, and longer stretches. Single pages are read, stretches are mapped. */
static void map_reads_single_pages_and_maps_stretches(void **state)
{
	uint64_t count = LARGE_SIZE / FORMAT_RAM_PAGE, stretches = 100, behind = count / 2;
	uint8_t *model = calloc(1, LARGE_SIZE), *pages = calloc(1, count / 8);
	struct crafted old = { .path = paths[0], .ram = model, .size = LARGE_SIZE };
	struct crafted newer = { .path = paths[1], .ram = model, .size = LARGE_SIZE, .base_path = paths[0], .pages = pages };
	struct snapshot snapshot;
	struct error error;
	struct ram ram;

	(void)state;
	memset(model, 0x11, LARGE_SIZE);
	crafted_write(&old, 1);
	for (uint64_t page = 0; page < behind; page += 2)
		pages[page / 8] |= (uint8_t)(1u << page % 8);
	for (uint64_t i = 0; i < stretches; i++)
		memset(pages + behind / 8 + i * 4, 0xff, 2);
	for (uint64_t page = 0; page < count; page++)
		if (pages[page / 8] >> page % 8 & 1)
			memset(model + page * FORMAT_RAM_PAGE, 0x22, FORMAT_RAM_PAGE);
	crafted_write(&newer, 2);
	check_map(paths[1], model, LARGE_SIZE);
	assert_int_equal(snapshot_open(&snapshot, paths[1], &error), 0);
	assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), 0);
	assert_int_equal(count_mappings(paths[1]), stretches);
	assert_true(count_mappings(paths[0]) <= stretches + 1);
	ram_close(&ram);
	/* With fewer scattered pages, all are mapped. */
	snapshot_close(&snapshot);
	memset(pages + behind / 16, 0, behind / 16);
	memset(model + LARGE_SIZE / 4, 0x11, LARGE_SIZE / 4);
	memset(pages + behind / 8, 0, count / 16);
	memset(model + LARGE_SIZE / 2, 0x11, LARGE_SIZE / 2);
	crafted_write(&newer, 3);
	check_map(paths[1], model, LARGE_SIZE);
	assert_int_equal(snapshot_open(&snapshot, paths[1], &error), 0);
	assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), 0);
	assert_int_equal(count_mappings(paths[1]), behind / 4);
	ram_close(&ram);
	snapshot_close(&snapshot);
	free(model);
	free(pages);
}

static void map_fails_when_a_frame_is_damaged(void **state)
{
	uint8_t *model = malloc(RAM_SIZE);
	struct crafted file = { .path = paths[0], .ram = model, .size = RAM_SIZE, .frame = FORMAT_RAM_FRAME };
	struct snapshot snapshot;
	struct error error;
	struct ram ram;
	int fd;

	(void)state;
	for (uint64_t i = 0; i < RAM_SIZE; i++)
		model[i] = (uint8_t)(i * i >> 8);
	crafted_write(&file, 1);
	fd = open(paths[0], O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite_full(fd, "damage", 6, FORMAT_RAM_ALIGNMENT + 8), 0);
	close(fd);
	assert_int_equal(snapshot_open(&snapshot, paths[0], &error), 0);
	assert_int_equal(snapshot_map_ram(&snapshot, &ram, NULL, &error), -1);
	assert_non_null(strstr(error.text, "RAM is damaged: the 65536 bytes at 0x80000000 cannot be decompressed"));
	assert_null(ram.host);
	snapshot_close(&snapshot);
	free(model);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(chain_is_mapped_with_contents_of_the_model, setup, teardown),
		cmocka_unit_test_setup_teardown(chain_is_mapped_on_hosts_with_large_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(map_reads_single_pages_and_maps_stretches, setup, teardown),
		cmocka_unit_test_setup_teardown(map_fails_when_a_frame_is_damaged, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
