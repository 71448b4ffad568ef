/* SPDX-License-Identifier: MIT */
/*
 * A VFIO that remembers, in place of vfio/ioctl.c, with one device: a file in memory whose regions begin at multiples of
 * FAKE_VFIO_REGION. What the kernel would make of the calls, only the tests on a real one show.
 */
#ifndef TESTS_FAKE_VFIO_H
#define TESTS_FAKE_VFIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_VFIO_REGION 0x100000ull
#define FAKE_VFIO_REGIONS 9u
#define FAKE_VFIO_CALLS 4096u
#define FAKE_VFIO_FDS 128u
#define FAKE_VFIO_PRE_COPY 6u /* of Linux 6.2: our headers may lack them */
#define FAKE_VFIO_PRE_COPY_P2P 7u

struct fake_vfio_call {
	int fd;
	unsigned long request;
	uint32_t feature, state; /* of VFIO_DEVICE_FEATURE: flags, the state that is set */
	/* Of VFIO_DEVICE_SET_IRQS. */
	uint32_t flags, index, start, count;
	int32_t fds[FAKE_VFIO_FDS];
	/* Of VFIO_IOMMU_MAP_DMA, IOMMU_IOAS_MAP. */
	uint64_t address, size;
	size_t kvm; /* how many calls of KVM were before it */
};

struct fake_vfio {
	size_t count;
	struct fake_vfio_call calls[FAKE_VFIO_CALLS];
	unsigned long fail_request; /* every call of it fails with `fail_with`; 0: none */
	int fail_with;
	size_t fail_at; /* the call of this index fails with it; SIZE_MAX: none */
	bool not_viable; /* the group */
	bool no_reset;

	int fd; /* the device */
	uint64_t sizes[FAKE_VFIO_REGIONS]; /* 0: no such region */
	uint32_t vectors[5];               /* by index: line, MSI, MSI-X, error, request */
	uint8_t *regions;                  /* all of them, mapped */

	/* Migration: what is offered (0: nothing), what a device says of itself, ahead and at the end, and what it was told. */
	uint32_t migration;
	bool logs;
	const char *ahead, *data;
	uint32_t state; /* of the device that was last moved */
	int source_fd, sink_fd;
};

extern struct fake_vfio fake_vfio;

/* A device with nothing but an empty config space; forgets calls and wishes. */
void fake_vfio_reset(void);
void fake_vfio_close(void);

static inline uint8_t *fake_vfio_region(unsigned index)
{
	return fake_vfio.regions + FAKE_VFIO_REGION * index;
}

/* The first call of this request from `from` on, or SIZE_MAX; of VFIO_DEVICE_SET_IRQS for this index. */
size_t fake_vfio_find(size_t from, unsigned long request);
size_t fake_vfio_find_irqs(size_t from, uint32_t index);

/* The same for a state that is set. */
size_t fake_vfio_find_state(size_t from, uint32_t state);

#endif
