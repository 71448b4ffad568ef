/* SPDX-License-Identifier: MIT */
/*
 * The memory balloon, VIRTIO 1.2 section 5.5. Pages that the guest does not need go back to the host, and are
 * zero when the guest uses them again. There are three functions: a balloon whose size the host requests,
 * reports of free pages by the guest, and statistics of the guest's memory for `lkvm stat`.
 */
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/clock.h"
#include "virtio/virtio.h"

/* A queue whose feature the driver did not accept does not exist, and those after it move up. */
enum { INFLATE_QUEUE, DEFLATE_QUEUE, FIRST_OPTIONAL_QUEUE, QUEUE_COUNT = 4 };

#define FEATURE_STATS (1ull << VIRTIO_BALLOON_F_STATS_VQ)
#define FEATURE_DEFLATE_ON_OOM (1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM)
#define FEATURE_REPORTING (1ull << VIRTIO_BALLOON_F_REPORTING)

#define PAGE_SHIFT VIRTIO_BALLOON_PFN_SHIFT
#define CONFIG_SIZE 8u /* num_pages and actual */
#define CHAINS_AT_ONCE 64 /* of one queue, before the others */
#define MAX_PAGES 16384u /* of one chain; Linux sends 256. More are not discarded */

/* Statistics of the guest, by VIRTIO_BALLOON_S_*. */
static const struct {
	const char *name;
	bool is_size;
} figures[] = {
	[VIRTIO_BALLOON_S_SWAP_IN] = { "swapped_in", true },
	[VIRTIO_BALLOON_S_SWAP_OUT] = { "swapped_out", true },
	[VIRTIO_BALLOON_S_MAJFLT] = { "major_faults", false },
	[VIRTIO_BALLOON_S_MINFLT] = { "minor_faults", false },
	[VIRTIO_BALLOON_S_MEMFREE] = { "free", true },
	[VIRTIO_BALLOON_S_MEMTOT] = { "total", true },
	[VIRTIO_BALLOON_S_AVAIL] = { "available", true },
	[VIRTIO_BALLOON_S_CACHES] = { "disk_caches", true },
	[VIRTIO_BALLOON_S_HTLB_PGALLOC] = { "huge_page_allocations", false },
	[VIRTIO_BALLOON_S_HTLB_PGFAIL] = { "huge_page_failures", false },
};

#define FIGURES COUNT(figures)

struct balloon_state {
	uint32_t target; /* requested size of the balloon in 4 KiB pages */
	uint32_t actual; /* size that the guest reported */
};

static const struct state_field balloon_fields[] = {
	STATE_FIELD(struct balloon_state, target, STATE_RUNTIME, 0),
	STATE_FIELD(struct balloon_state, actual, STATE_RUNTIME, 0),
};

static const struct state_table balloon_state_table =
	STATE_TABLE(struct balloon_state, "balloon", 1, balloon_fields);

struct balloon {
	struct virtio_device device; /* first: free() of the device frees this */
	uint64_t host_page;          /* bytes */
	struct virtqueue_chain chain;

	pthread_mutex_t lock; /* for all below */
	struct balloon_state state;
	bool wanted;         /* request new statistics */
	bool awaited;        /* requested: the driver's next buffer has new statistics */
	uint32_t known;      /* bit n: figures[n] was reported */
	uint64_t values[FIGURES];
	uint64_t reported;   /* monotonic_ms() at the last report */
};

static struct balloon *balloon_of(struct virtio_device *device)
{
	return (struct balloon *)device;
}

/* Discards the whole host pages within [address, address + length), if all of it is RAM. */
static void discard(struct balloon *balloon, uint64_t address, uint64_t length)
{
	const struct ram *ram = &balloon->device.vm->ram;
	uint64_t mask = balloon->host_page - 1;
	uint8_t *host = ram_at(ram, address, length);
	uint64_t skip, whole;

	if (!host)
		return;
	skip = -(uint64_t)(uintptr_t)host & mask;
	if (length < skip)
		return;
	whole = (length - skip) & ~mask;
	if (whole > 0)
		ram_discard(ram, host + skip, whole);
	ram_mark(ram, host, length);
}

/*
 * The chain has page numbers. Adjacent pages are discarded by one call: drivers send the parts of a large page
 * in order.
 */
static void balloon_inflate(struct balloon *balloon)
{
	const struct virtqueue_chain *chain = &balloon->chain;
	uint64_t first = 0, count = 0;
	uint32_t pages[256];
	size_t bytes;

	for (size_t offset = 0; offset < MAX_PAGES * sizeof(pages[0]); offset += bytes) {
		bytes = virtqueue_read(chain, offset, pages, sizeof(pages));
		for (size_t i = 0; i < bytes / sizeof(pages[0]); i++) {
			if (count > 0 && pages[i] == first + count) {
				count++;
				continue;
			}
			discard(balloon, first << PAGE_SHIFT, count << PAGE_SHIFT);
			first = pages[i];
			count = 1;
		}
		if (bytes < sizeof(pages))
			break;
	}
	discard(balloon, first << PAGE_SHIFT, count << PAGE_SHIFT);
}

static void balloon_deflate(struct balloon *balloon)
{
	(void)balloon; /* the guest gets a page back when it accesses it */
}

/* The buffers are the free memory (5.5.6.7). virtqueue_pop() has checked that they are RAM. */
static void balloon_report_free(struct balloon *balloon)
{
	const struct virtqueue_chain *chain = &balloon->chain;
	const struct ram *ram = &balloon->device.vm->ram;

	for (unsigned i = chain->readable; i < chain->readable + chain->writable; i++) {
		uint64_t offset = (uint64_t)((uint8_t *)chain->iov[i].iov_base - ram->host);

		discard(balloon, ram->base + offset, chain->iov[i].iov_len);
	}
}

/* Returns true if it stopped only for fairness, as does refresh_stats(). */
static bool serve(struct balloon *balloon, struct virtqueue *queue, void (*handle)(struct balloon *balloon))
{
	unsigned turn;

	virtqueue_quiet(queue);
	for (turn = 0; turn < CHAINS_AT_ONCE && !worker_is_wanted(&balloon->device.worker); turn++) {
		int taken = virtqueue_pop(queue, &balloon->chain);

		if (taken < 0)
			virtio_needs_reset(&balloon->device, queue->reason);
		if (taken < 0 || (taken == 0 && !virtqueue_listen(queue)))
			break;
		if (taken > 0) {
			handle(balloon);
			virtqueue_push(queue, balloon->chain.head, 0);
		}
	}
	virtio_interrupt(&balloon->device, queue);
	return turn == CHAINS_AT_ONCE;
}

static void read_stats(struct balloon *balloon)
{
	struct virtio_balloon_stat reported[2 * FIGURES];
	size_t count = virtqueue_read(&balloon->chain, 0, reported, sizeof(reported)) / sizeof(reported[0]);

	for (size_t i = 0; i < count; i++) {
		if (reported[i].tag < FIGURES) {
			balloon->values[reported[i].tag] = reported[i].val;
			balloon->known |= 1u << reported[i].tag;
		}
	}
	balloon->reported = monotonic_ms();
}

/* The driver's one buffer, with statistics, stays in the queue (5.5.6.3). To return it is to request new ones. */
static bool refresh_stats(struct balloon *balloon, struct virtqueue *queue)
{
	int taken = virtqueue_pop(queue, &balloon->chain);
	bool ask = false;

	if (taken < 0)
		virtio_needs_reset(&balloon->device, queue->reason);
	if (taken <= 0)
		return virtqueue_listen(queue);

	pthread_mutex_lock(&balloon->lock);
	if (balloon->awaited)
		read_stats(balloon);
	ask = balloon->wanted;
	balloon->awaited = ask;
	balloon->wanted = false;
	pthread_mutex_unlock(&balloon->lock);
	if (!ask) {
		virtqueue_unpop(queue);
		return false;
	}
	virtqueue_push(queue, balloon->chain.head, 0);
	virtio_interrupt(&balloon->device, queue);
	return virtqueue_listen(queue);
}

static void balloon_process(struct virtio_device *device)
{
	struct balloon *balloon = balloon_of(device);
	struct virtqueue *queue = &device->queues[FIRST_OPTIONAL_QUEUE];
	bool more = serve(balloon, &device->queues[INFLATE_QUEUE], balloon_inflate);

	more |= serve(balloon, &device->queues[DEFLATE_QUEUE], balloon_deflate);
	/* As in Linux, a queue whose feature was not negotiated has no index. */
	if (device->features & FEATURE_STATS)
		more |= refresh_stats(balloon, queue++);
	if (device->features & FEATURE_REPORTING)
		more |= serve(balloon, queue, balloon_report_free);
	if (more)
		worker_kick(&device->worker);
}

static void balloon_config_read(struct virtio_device *device, unsigned offset, unsigned size, void *to)
{
	struct balloon *balloon = balloon_of(device);
	struct virtio_balloon_config config;

	pthread_mutex_lock(&balloon->lock);
	config = (struct virtio_balloon_config){
		.num_pages = balloon->state.target,
		.actual = balloon->state.actual,
	};
	pthread_mutex_unlock(&balloon->lock);
	memcpy(to, (const uint8_t *)&config + offset, size);
}

static void balloon_config_write(struct virtio_device *device, unsigned offset, unsigned size,
				 const void *from)
{
	struct balloon *balloon = balloon_of(device);

	/* A driver may write only `actual`, by 32 bits. */
	if (offset != offsetof(struct virtio_balloon_config, actual) || size != sizeof(balloon->state.actual))
		return;
	pthread_mutex_lock(&balloon->lock);
	memcpy(&balloon->state.actual, from, size);
	pthread_mutex_unlock(&balloon->lock);
}

void virtio_balloon_set(struct virtio_device *device, uint64_t bytes)
{
	struct balloon *balloon = balloon_of(device);
	uint64_t size = device->vm->ram.size;

	if (bytes > size)
		bytes = size;
	pthread_mutex_lock(&balloon->lock);
	balloon->state.target = (uint32_t)(bytes >> PAGE_SHIFT);
	pthread_mutex_unlock(&balloon->lock);
	virtio_config_changed(device);
}

static void balloon_start(struct virtio_device *device)
{
	struct balloon *balloon = balloon_of(device);

	pthread_mutex_lock(&balloon->lock);
	balloon->awaited = true; /* the driver sends its first statistics without a request */
	pthread_mutex_unlock(&balloon->lock);
}

static void balloon_stop(struct virtio_device *device)
{
	struct balloon *balloon = balloon_of(device);

	uint32_t target;

	pthread_mutex_lock(&balloon->lock);
	target = balloon->state.target;
	state_reset(&balloon_state_table, &balloon->state);
	/* The target belongs to the user, and is valid for the next driver as well. */
	balloon->state.target = target;
	balloon->known = 0;
	pthread_mutex_unlock(&balloon->lock);
}

/* Reports the driver's last statistics, and requests new ones. */
static void balloon_stat(struct virtio_device *device, struct report *report)
{
	struct balloon *balloon = balloon_of(device);

	pthread_mutex_lock(&balloon->lock);
	report_bytes(report, "target", (uint64_t)balloon->state.target << PAGE_SHIFT);
	report_bytes(report, "actual", (uint64_t)balloon->state.actual << PAGE_SHIFT);
	if (balloon->known) {
		report_begin(report, "guest_memory");
		report_number(report, "age_ms", monotonic_ms() - balloon->reported);
		for (unsigned i = 0; i < FIGURES; i++) {
			if (!(balloon->known & 1u << i))
				continue;
			if (figures[i].is_size)
				report_bytes(report, figures[i].name, balloon->values[i]);
			else
				report_number(report, figures[i].name, balloon->values[i]);
		}
		report_end(report);
	}
	balloon->wanted = true;
	pthread_mutex_unlock(&balloon->lock);
	worker_kick(&device->worker);
}

static void balloon_close(struct virtio_device *device)
{
	pthread_mutex_destroy(&balloon_of(device)->lock);
}

static const struct virtio_ops balloon_ops = {
	.name = "balloon",
	.id = VIRTIO_BALLOON,
	.class_code = 0x050000, /* memory controller, RAM */
	.config_read = balloon_config_read,
	.config_write = balloon_config_write,
	.start = balloon_start,
	.stop = balloon_stop,
	.process = balloon_process,
	.stat = balloon_stat,
	.state_table = &balloon_state_table,
	.state_offset = offsetof(struct balloon, state),
	.close = balloon_close,
};

struct virtio_device *virtio_balloon_open(struct vm *vm, struct pci_bus *pci, struct error *error)
{
	const struct virtio_setup setup = {
		.ops = &balloon_ops,
		.features = FEATURE_STATS | FEATURE_DEFLATE_ON_OOM | FEATURE_REPORTING,
		.queue_count = QUEUE_COUNT,
		.config_size = CONFIG_SIZE,
		.watch_fd = -1,
	};
	struct balloon *balloon = calloc(1, sizeof(*balloon));

	if (!balloon) {
		error_system(error, ENOMEM, "virtio-balloon");
		return NULL;
	}
	balloon->host_page = (uint64_t)sysconf(_SC_PAGESIZE);
	pthread_mutex_init(&balloon->lock, NULL);
	if (virtio_open(&balloon->device, &setup, vm, pci, error) < 0) {
		balloon_close(&balloon->device);
		free(balloon);
		return NULL;
	}
	return &balloon->device;
}
