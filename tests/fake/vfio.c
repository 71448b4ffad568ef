/* SPDX-License-Identifier: MIT */
/* Replaces vfio/ioctl.c: records calls, makes them fail, and emulates one device. */
#include "fake/vfio.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake/kvm.h"
#include "vfio/vfio.h"

#define FILE_SIZE (FAKE_VFIO_REGION * FAKE_VFIO_REGIONS)
#define MAP_OF_IOMMUFD _IO(VFIO_TYPE, 0x85)
#define BIND _IO(VFIO_TYPE, VFIO_BASE + 18)

struct fake_vfio fake_vfio;

void fake_vfio_reset(void)
{
	fake_vfio = (struct fake_vfio){
		.fd = memfd_create("fake-vfio", MFD_CLOEXEC), .fail_at = SIZE_MAX, .source_fd = -1, .sink_fd = -1,
		.state = VFIO_DEVICE_STATE_RUNNING,
	};
	if (fake_vfio.fd < 0 || ftruncate(fake_vfio.fd, FILE_SIZE) < 0)
		abort();
	fake_vfio.regions = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fake_vfio.fd, 0);
	if (fake_vfio.regions == MAP_FAILED)
		abort();
	fake_vfio.sizes[VFIO_PCI_CONFIG_REGION_INDEX] = 4096;
}

void fake_vfio_close(void)
{
	close(fake_vfio.source_fd);
	close(fake_vfio.sink_fd);
	munmap(fake_vfio.regions, FILE_SIZE);
	close(fake_vfio.fd);
}

size_t fake_vfio_find(size_t from, unsigned long request)
{
	for (size_t i = from; i < fake_vfio.count; i++)
		if (fake_vfio.calls[i].request == request)
			return i;
	return SIZE_MAX;
}

size_t fake_vfio_find_irqs(size_t from, uint32_t index)
{
	while ((from = fake_vfio_find(from, VFIO_DEVICE_SET_IRQS)) != SIZE_MAX && fake_vfio.calls[from].index != index)
		from++;
	return from;
}

size_t fake_vfio_find_state(size_t from, uint32_t state)
{
	while ((from = fake_vfio_find(from, VFIO_DEVICE_FEATURE)) != SIZE_MAX &&
	       (fake_vfio.calls[from].feature != (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE) ||
		fake_vfio.calls[from].state != state))
		from++;
	return from;
}

static void say(const char *data)
{
	if (data && write(fake_vfio.source_fd, data, strlen(data)) < 0)
		abort();
}

/* Returns the read end of a pipe, from which lkvm reads the device's data. The fake keeps the write end. */
static int open_source(void)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		abort();
	fake_vfio.source_fd = ends[1];
	return ends[0];
}

static int move(struct vfio_device_feature_mig_state *request)
{
	uint32_t before = fake_vfio.state;

	fake_vfio.state = request->device_state;
	request->data_fd = -1;
	if (fake_vfio.state == VFIO_DEVICE_STATE_RESUMING) {
		close(fake_vfio.sink_fd);
		fake_vfio.sink_fd = memfd_create("fake-state", MFD_CLOEXEC);
		request->data_fd = fcntl(fake_vfio.sink_fd, F_DUPFD_CLOEXEC, 0);
	} else if (fake_vfio.state == FAKE_VFIO_PRE_COPY && before != FAKE_VFIO_PRE_COPY_P2P) {
		request->data_fd = open_source();
		say(fake_vfio.ahead);
	} else if (fake_vfio.state == VFIO_DEVICE_STATE_STOP_COPY) {
		if (before != FAKE_VFIO_PRE_COPY_P2P && before != FAKE_VFIO_PRE_COPY)
			request->data_fd = open_source();
		say(fake_vfio.data);
		close(fake_vfio.source_fd);
		fake_vfio.source_fd = -1;
	}
	return 0;
}

static int feature(struct vfio_device_feature *request)
{
	void *payload = request->data;

	switch (request->flags & VFIO_DEVICE_FEATURE_MASK) {
	case VFIO_DEVICE_FEATURE_MIGRATION:
		((struct vfio_device_feature_migration *)payload)->flags = fake_vfio.migration;
		return fake_vfio.migration ? 0 : -ENOTTY;
	case VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		if (request->flags & VFIO_DEVICE_FEATURE_SET)
			return move(payload);
		((struct vfio_device_feature_mig_state *)payload)->device_state = fake_vfio.state;
		return 0;
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: {
		const struct vfio_device_feature_dma_logging_report *report = payload;

		*(uint64_t *)(uintptr_t)report->bitmap |= 1; /* the first page, each time */
		return fake_vfio.logs ? 0 : -ENOTTY;
	}
	default:
		return fake_vfio.logs ? 0 : -ENOTTY;
	}
}

static void record(int fd, unsigned long request, uintptr_t argument)
{
	struct fake_vfio_call *call = &fake_vfio.calls[fake_vfio.count];

	if (fake_vfio.count++ == FAKE_VFIO_CALLS)
		abort();
	*call = (struct fake_vfio_call){ .fd = fd, .request = request, .kvm = fake_kvm.count };
	if (request == VFIO_DEVICE_FEATURE) {
		const struct vfio_device_feature *request_of = (const void *)argument;

		call->feature = request_of->flags;
		call->state = ((const struct vfio_device_feature_mig_state *)request_of->data)->device_state;
	} else if (request == VFIO_DEVICE_SET_IRQS) {
		const struct vfio_irq_set *set = (const void *)argument;

		call->flags = set->flags;
		call->index = set->index;
		call->start = set->start;
		call->count = set->count;
		if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD)
			memcpy(call->fds, set->data,
			       (set->count < FAKE_VFIO_FDS ? set->count : FAKE_VFIO_FDS) * sizeof(int32_t));
	} else if (request == VFIO_IOMMU_MAP_DMA) {
		const struct vfio_iommu_type1_dma_map *map = (const void *)argument;

		call->address = map->iova;
		call->size = map->size;
	} else if (request == MAP_OF_IOMMUFD) {
		const uint64_t *map = (const void *)argument; /* four 32-bit words, then host address, length, guest address */

		call->size = map[3];
		call->address = map[4];
	}
}

int vfio_call(int fd, unsigned long request, uintptr_t argument)
{
	record(fd, request, argument);
	if (request == fake_vfio.fail_request || fake_vfio.count - 1 == fake_vfio.fail_at)
		return -fake_vfio.fail_with;
	switch (request) {
	case VFIO_DEVICE_RESET:
		fake_vfio.state = VFIO_DEVICE_STATE_RUNNING;
		return 0;
	case VFIO_DEVICE_FEATURE:
		return feature((struct vfio_device_feature *)argument);
	case VFIO_CHECK_EXTENSION:
		return 1;
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)argument)->flags = fake_vfio.not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		return fcntl(fake_vfio.fd, F_DUPFD_CLOEXEC, 0);
	case BIND: /* this descriptor becomes the device's */
		return dup2(fake_vfio.fd, fd) < 0 ? -errno : 0;
	case VFIO_DEVICE_GET_INFO:
		((struct vfio_device_info *)argument)->flags =
			VFIO_DEVICE_FLAGS_PCI | (fake_vfio.no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO: {
		struct vfio_region_info *region = (void *)argument;

		region->size = fake_vfio.sizes[region->index];
		region->offset = FAKE_VFIO_REGION * region->index;
		region->flags = VFIO_REGION_INFO_FLAG_MMAP;
		return 0;
	}
	case VFIO_DEVICE_GET_IRQ_INFO: {
		struct vfio_irq_info *info = (void *)argument;

		info->count = fake_vfio.vectors[info->index];
		return 0;
	}
	default:
		return 0;
	}
}
