/* SPDX-License-Identifier: MIT */
/* MSI-X: masks and pending bits, then garbage in every field of the table. */
#include "garbage/garbage.h"

#define LPI (FIRST_LPI + 64)

static struct garbage *under_attack;

/* Runs the entropy device with MSI-X and its queue on vector 0. The caller submits one request. */
static void run_entropy(struct garbage *garbage, struct queue *queue, bool masked)
{
	struct virtio *device = garbage->entropy;

	scratch_reset();
	CHECK(virtio_negotiate(device, 0) && queue_prepare(device, queue, 0),
	      "the entropy device does not start");
	write16(device->common + COMMON_QUEUE_VECTOR, 0);
	CHECK(read16(device->common + COMMON_QUEUE_VECTOR) == 0, "vector 0 is refused");
	queue_enable(queue);
	virtio_start(device);
	msix_set(&device->function, 0, GITS_TRANSLATER, 3, masked);
	msix_enable(&device->function, true);
}

static void request(struct queue *queue)
{
	static uint64_t bytes[2];

	CHECK(entropy_request(queue, bytes, sizeof(bytes)), "no randomness came");
}

void check_message(struct garbage *garbage, const char *when)
{
	struct queue queue;

	run_entropy(garbage, &queue, false);
	request(&queue);
	CHECK(interrupt_wait(LPI + 3, 2000), "%s: an MSI did not arrive", when);
	msix_enable(&garbage->entropy->function, false);
	virtio_reset(garbage->entropy);
}

static bool pending_becomes(const struct pci_function *function, bool pending)
{
	uint64_t end = milliseconds() + 2000;

	do {
		if (msix_pending(function, 0) == pending)
			return true;
	} while (milliseconds() < end);
	return false;
}

/* Three ways to hold back a message. Each time the message is pending, and arrives afterwards. */
static void check_pending(struct garbage *garbage)
{
	const struct pci_function *function = &garbage->entropy->function;
	uint64_t control = function->config + function->msix + 2;
	struct queue queue;

	run_entropy(garbage, &queue, true);
	for (unsigned way = 0; way < 3; way++) {
		static const char *const names[] = { "masked", "function mask", "bus master off" };

		write32(function->table + 12, way == 0);
		write16(control, way == 1 ? 0xc000 : 0x8000);
		pci_command(function,
			    way == 2 ? PCI_COMMAND_MEMORY : PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		if (way == 2) /* the device may not serve its queue, so there may be no message */
			queue_submit(&queue, 0);
		else
			request(&queue);
		CHECK(way == 2 || pending_becomes(function, true), "%s: not pending", names[way]);
		CHECK(!interrupt_wait(LPI + 3, 20), "%s: the MSI came all the same", names[way]);
		write32(function->table + 12, 0);
		write16(control, 0x8000);
		pci_command(function, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
		if (way == 2)
			queue_ring(&queue);
		CHECK(interrupt_wait(LPI + 3, 2000), "%s: the MSI did not come afterwards", names[way]);
		CHECK(pending_becomes(function, false), "%s: pending after it was sent", names[way]);
		if (way == 2)
			queue_wait(&queue, 2000);
	}
	msix_enable(function, false);
	virtio_reset(garbage->entropy);
}

static void check_ranges(const struct virtio *device)
{
	uint16_t beyond[] = { (uint16_t)device->function.vectors, 0x7ff, 0xfffe, 0xffff };

	queue_select(device, 0);
	for (unsigned i = 0; i < COUNT(beyond); i++) {
		write16(device->common + COMMON_QUEUE_VECTOR, beyond[i]);
		write16(device->common + COMMON_CONFIG_VECTOR, beyond[i]);
		CHECK(read16(device->common + COMMON_QUEUE_VECTOR) == VIRTIO_NO_VECTOR &&
			      read16(device->common + COMMON_CONFIG_VECTOR) == VIRTIO_NO_VECTOR,
		      "%s takes vector %u of %u", virtio_name(device), beyond[i], device->function.vectors);
	}
}

/* Writes garbage to a table, a pending bit array, or the MSI-X control register. */
static void disturb(struct garbage *garbage, struct random *random, const struct virtio *device)
{
	const struct pci_function *function = &device->function;
	uint64_t entry = function->table + 16 * random_below(random, function->vectors + 2);
	static const uint64_t doorbells[] = { GITS_TRANSLATER, BOARD_ITS, BOARD_GICD + 0x40, BOARD_UART,
					      BOARD_RAM };

	switch (random_below(random, 8)) {
	case 0:
		write64(entry, some_address(random, garbage, sizeof(*garbage)));
		break;
	case 1:
		write64(entry, doorbells[random_below(random, COUNT(doorbells))]);
		break;
	case 2:
		write32(entry + 8, (uint32_t)random_awkward(random));
		break;
	case 3:
	case 4:
		write32(entry + 12, (uint32_t)random_next(random));
		break;
	case 5:
		write16(function->config + function->msix + 2, (uint16_t)random_next(random));
		break;
	case 6:
		pci_command(function, (uint16_t)(random_next(random) | PCI_COMMAND_MEMORY));
		break;
	default:
		probe(random_below(random, PROBE_DESCRIBED),
		      function->table + (random_below(random, 0x1000) & ~7ull), random_awkward(random));
	}
}

static void hammer(void)
{
	struct virtio *device = under_attack->entropy;

	while (!second_must_stop()) {
		disturb(under_attack, &second_random, device);
		if (random_below(&second_random, 4) == 0)
			write16(device->common + COMMON_QUEUE_VECTOR,
				(uint16_t)random_below(&second_random, 3));
	}
}

void case_vectors(struct garbage *garbage)
{
	const uint64_t before = probe_faults();
	struct random *random = &garbage->random;
	static uint64_t bytes[2];
	struct queue queue;

	if (!garbage->entropy || !garbage->entropy->function.vectors)
		return;
	gic_open();
	CHECK(lpi_open(), "LPIs do not go on");
	CHECK(its_open(), "the ITS does not go on");
	CHECK(its_map(garbage->entropy->function.slot << 3, LPI), "the ITS takes no mappings");
	check_message(garbage, "before");
	check_pending(garbage);
	for (unsigned i = 0; i < garbage->count; i++)
		if (garbage->devices[i].function.vectors)
			check_ranges(&garbage->devices[i]);

	run_entropy(garbage, &queue, false);
	under_attack = garbage;
	second_start(hammer);
	for (uint64_t i = 0; i < garbage->rounds * 4; i++) {
		const struct virtio *device = &garbage->devices[random_below(random, garbage->count)];

		if (device->function.vectors)
			disturb(garbage, random, device);
		if (i % 8 == 0) {
			queue_describe(&queue, 0, (uint64_t)bytes, sizeof(bytes), DESCRIPTOR_WRITE, 0);
			queue_submit(&queue, 0);
		}
	}
	second_wait();
	CHECK(probe_faults() == before, "an access to the table faults");
	virtio_reset(garbage->entropy);
	msix_enable(&garbage->entropy->function, false);
	pci_command(&garbage->entropy->function, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	while (interrupt_take() != NO_INTERRUPT)
		;
	check_message(garbage, "after");
}
