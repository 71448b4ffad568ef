/* SPDX-License-Identifier: MIT */
/*
 * A fake VFIO that replaces vfio/ioctl.c. It records the calls and has one device: a file in memory whose regions begin at
 * multiples of FAKE_VFIO_REGION. Only the tests on a real kernel prove that VFIO accepts the calls.
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
#define FAKE_VFIO_PRE_COPY 6u /* of Linux 6.2; older headers lack these two */
#define FAKE_VFIO_PRE_COPY_P2P 7u

struct fake_vfio_call {
	int fd;
	unsigned long request;
	uint32_t feature, state; /* of VFIO_DEVICE_FEATURE: flags, the new device state */
	/* Of VFIO_DEVICE_SET_IRQS. */
	uint32_t flags, index, start, count;
	int32_t fds[FAKE_VFIO_FDS];
	/* Of VFIO_IOMMU_MAP_DMA, IOMMU_IOAS_MAP. */
	uint64_t address, size;
	size_t kvm; /* number of KVM calls before this call */
};

struct fake_vfio {
	size_t count;
	struct fake_vfio_call calls[FAKE_VFIO_CALLS];
	unsigned long fail_request; /* every call of this request fails with `fail_with`; 0: none */
	int fail_with;   /* a positive errno value */
	size_t fail_at; /* the call of this index fails with `fail_with`; SIZE_MAX: none */
	bool not_viable; /* the group is not */
	bool no_reset;

	int fd; /* the device */
	uint64_t sizes[FAKE_VFIO_REGIONS]; /* 0: no such region */
	uint32_t vectors[5];               /* by index: line, MSI, MSI-X, error, request */
	uint8_t *regions;                  /* all regions, mapped */

	/* Migration. */
	uint32_t migration;       /* flags that the device offers; 0: no migration */
	bool logs;                /* the device has a log of DMA writes */
	const char *ahead, *data; /* the device's data in precopy, and in stop-copy */
	uint32_t state;           /* the last one that was set; all devices share it */
	int source_fd, sink_fd;   /* write end of the data of a save; data of a restore */
};

extern struct fake_vfio fake_vfio;

/* Creates a device with only an empty config space. Clears the recorded calls and a test's settings. */
void fake_vfio_reset(void);
void fake_vfio_close(void);

static inline uint8_t *fake_vfio_region(unsigned index)
{
	return fake_vfio.regions + FAKE_VFIO_REGION * index;
}

/*
 * Return the index of the first call at or after `from`, or SIZE_MAX: of a request; or of VFIO_DEVICE_SET_IRQS for an
 * interrupt index.
 */
size_t fake_vfio_find(size_t from, unsigned long request);
size_t fake_vfio_find_irqs(size_t from, uint32_t index);

/* The same for a call that sets this device state. */
size_t fake_vfio_find_state(size_t from, uint32_t state);

#endif
