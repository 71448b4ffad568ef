/* SPDX-License-Identifier: MIT */
/* Runs the cases, and checks after each that the devices still work. */
#include "garbage/garbage.h"

static struct garbage machine;
static const char *now_running = "start";
struct random second_random;

static const struct {
	const char *name;
	void (*run)(struct garbage *garbage);
} cases[] = {
	{ "registers", case_registers },
	{ "bars", case_bars },
	{ "vectors", case_vectors },
	{ "transport", case_transport },
	{ "rings", case_rings },
	{ "chains", case_chains },
	{ "races", case_races },
	{ "requests", case_requests },
	{ "gic", case_gic },
	{ "its", case_its },
};

/*
 * With a virtio console the UART has no output, so the output goes to that console, too. Each line has its own driver,
 * which resets the device first.
 */
static void send_line(char c)
{
	static struct queue queues[2];
	static char line[256];
	static unsigned length;
	struct virtio *console = virtio_find(machine.devices, machine.count, VIRTIO_CONSOLE);

	line[length++] = c;
	if (c != '\n' && length < sizeof(line))
		return;
	if (console && virtio_run(console, 0, queues, 2)) {
		queue_describe(&queues[1], 0, (uint64_t)line, length, 0, 0);
		queue_submit(&queues[1], 0);
		queue_wait(&queues[1], 1000);
		virtio_reset(console);
	}
	length = 0;
}

void fail(const char *what, ...)
{
	va_list arguments;

	console_reset();
	print("\ngarbage: FAILED %s: ", now_running);
	va_start(arguments, what);
	print_list(what, arguments);
	va_end(arguments);
	print("\n");
	power_off();
}

uint16_t served_queue(const struct virtio *device)
{
	switch (device->type) {
	case VIRTIO_NET:
	case VIRTIO_CONSOLE:
	case VIRTIO_INPUT:
		return 1; /* transmit, transmit, status */
	case VIRTIO_BLOCK:
	case VIRTIO_ENTROPY:
	case VIRTIO_BALLOON:
		return 0;
	}
	return 0;
}

bool notices(const struct garbage *garbage, const struct virtio *device)
{
	return device->type != VIRTIO_NET || !garbage->vhost;
}

bool picked(struct garbage *garbage, const struct virtio *device)
{
	return garbage->rounds >= 1000 || device == garbage->entropy ||
	       random_below(&garbage->random, 8) == 0;
}

uint64_t some_address(struct random *random, const void *buffer, uint64_t size)
{
	uint64_t address = random_awkward(random);

	if (random_below(random, 2) || address - BOARD_RAM < ram_size)
		return (uint64_t)buffer + random_below(random, size);
	return address;
}

/* Continues `hash` (FNV-1a) with sectors. Returns 0 if they cannot be read. */
static uint64_t disk_hash(struct queue *queue, uint64_t sector, uint64_t count, uint64_t hash)
{
	static uint8_t data[64 * SECTOR];

	for (uint64_t end = sector + count; sector < end; sector += sizeof(data) / SECTOR) {
		uint64_t left = (end - sector) * SECTOR;
		uint32_t size = left < sizeof(data) ? (uint32_t)left : sizeof(data);

		if (block_request(queue, BLOCK_IN, sector, data, size) != BLOCK_OK)
			return 0;
		for (uint32_t i = 0; i < size; i++)
			hash = (hash ^ data[i]) * 0x100000001b3ull;
	}
	return hash;
}

/* Checks the disk: its first sectors can be written and read back, and the others have not changed. */
static void check_block(struct garbage *garbage, const char *when)
{
	static uint64_t written[2 * SECTOR / 8], back[2 * SECTOR / 8], before;
	struct queue queue;
	uint64_t hash;

	scratch_reset();
	CHECK(virtio_run(garbage->block, 0, &queue, 1), "%s: the disk does not start", when);
	garbage->capacity = block_capacity(garbage->block);
	CHECK(garbage->capacity >= 2 * DISK_OURS, "the disk is too small: %lu sectors", garbage->capacity);

	for (unsigned i = 0; i < COUNT(written); i++)
		written[i] = random_next(&garbage->random);
	CHECK(block_request(&queue, BLOCK_OUT, 7, written, sizeof(written)) == BLOCK_OK, "%s: write", when);
	CHECK(block_request(&queue, BLOCK_FLUSH, 0, NULL, 0) <= BLOCK_UNSUPPORTED, "%s: flush", when);
	CHECK(block_request(&queue, BLOCK_IN, 7, back, sizeof(back)) == BLOCK_OK, "%s: read", when);
	CHECK(!memcmp(written, back, sizeof(back)), "%s: the disk gives back other bytes than it got", when);

	hash = disk_hash(&queue, DISK_OURS, 64, 0xcbf29ce484222325ull);
	hash = disk_hash(&queue, garbage->capacity - 64, 64, hash);
	if (!before)
		before = hash;
	CHECK(hash && hash == before, "%s: the disk changed where nobody wrote", when);
	virtio_reset(garbage->block);
}

static void check_entropy(struct garbage *garbage, const char *when)
{
	static uint64_t bytes[8];
	struct queue queue;

	memset(bytes, 0, sizeof(bytes));
	CHECK(virtio_run(garbage->entropy, 0, &queue, 1), "%s: the entropy device does not start", when);
	CHECK(entropy_request(&queue, bytes, sizeof(bytes)), "%s: no randomness came", when);
	CHECK(bytes[0] && bytes[7] && bytes[0] != bytes[7], "%s: no randomness in it", when);
	virtio_reset(garbage->entropy);
}

/* Enables MSI-X, as lkvm gives only queues with a vector to the host's kernel. */
static void enable_messages(struct virtio *device)
{
	const struct pci_function *function = &device->function;

	for (unsigned vector = 0; vector < function->vectors; vector++)
		msix_set(function, vector, GITS_TRANSLATER, vector, false);
	if (function->vectors)
		msix_enable(function, true);
	device->messages = function->vectors;
}

/*
 * Moves all functions back to their initial addresses, resets all devices, and checks those for which there is a driver.
 */
static void recover(struct garbage *garbage, const char *when)
{
	console_reset();
	for (unsigned i = 0; i < garbage->count; i++)
		pci_command(&garbage->devices[i].function, 0);
	for (unsigned i = 0; i < garbage->count; i++) {
		struct pci_function *function = &garbage->devices[i].function;

		for (unsigned bar = 0; bar < PCI_BARS; bar++)
			if (function->bars[bar].size)
				pci_move_bar(function, bar, function->bars[bar].address);
		if (function->vectors)
			msix_enable(function, false);
	}
	for (unsigned i = 0; i < garbage->count; i++) {
		struct virtio *device = &garbage->devices[i];

		pci_command(&device->function, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		CHECK(read16(device->common + COMMON_QUEUES) == device->queues,
		      "%s: %s has %u queues, not %u", when, virtio_name(device),
		      read16(device->common + COMMON_QUEUES), device->queues);
		virtio_reset(device);
		if (device->type == VIRTIO_NET && garbage->vhost)
			enable_messages(device);
	}
	if (garbage->block)
		check_block(garbage, when);
	if (garbage->entropy)
		check_entropy(garbage, when);
	scratch_reset();
}

void guest_main(void)
{
	uint64_t seed = parameter_number("seed", 1);
	unsigned passed = 0;

	/* The Image header requests this offset from a multiple of 2 MiB. */
	CHECK(((uint64_t)image_start & 0x1fffff) == 0x10000, "loaded at 0x%lx", (uint64_t)image_start);
	random_seed(&machine.random, seed);
	random_seed(&second_random, ~seed);
	machine.rounds = parameter_number("rounds", 100);
	machine.vhost = parameter_number("vhost", 0);
	machine.count = virtio_find_all(machine.devices);
	machine.block = virtio_find(machine.devices, machine.count, VIRTIO_BLOCK);
	machine.entropy = virtio_find(machine.devices, machine.count, VIRTIO_ENTROPY);
	print_tee = send_line;
	print("garbage: seed %lu, %lu rounds, %u devices\n", seed, machine.rounds, machine.count);
	recover(&machine, "at the start");

	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint64_t start = milliseconds();

		if (!parameter_lists("case", cases[i].name))
			continue;
		now_running = cases[i].name;
		cases[i].run(&machine);
		recover(&machine, "afterwards");
		passed++;
		print("\ngarbage: %s, %lu ms\n", now_running, milliseconds() - start);
	}
	now_running = "end";
	CHECK(passed, "no such case");
	print("garbage: %u cases passed\n", passed);
	power_off();
}
