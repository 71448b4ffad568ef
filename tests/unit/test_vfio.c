/* SPDX-License-Identifier: MIT */
/* vfio_open(): finds a device on the host, uses VFIO containers or iommufd, and reports devices that cannot be used. */
#include "unit/vfio_rig.h"
#include "util/bits.h"

#include <sys/resource.h>

#define IOAS_ALLOC _IO(VFIO_TYPE, 0x81)
#define IOAS_MAP _IO(VFIO_TYPE, 0x85)
#define BIND _IO(VFIO_TYPE, VFIO_BASE + 18)
#define ATTACH _IO(VFIO_TYPE, VFIO_BASE + 19)

/* Expects these calls in this order, with any calls between them. */
static void in_order(const unsigned long *requests, size_t count)
{
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		at = fake_vfio_find(at, requests[i]);
		if (at == SIZE_MAX)
			fail_msg("call %zu is missing or early", i);
	}
}

static void vfio_open_uses_group_and_container(void **state)
{
	static const unsigned long requests[] = {
		VFIO_GROUP_GET_STATUS, VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU, VFIO_IOMMU_MAP_DMA,
		VFIO_GROUP_GET_DEVICE_FD,
	};
	struct rig *rig = *state;
	const struct fake_vfio_call *map;
	size_t told;

	fake_vfio.fail_request = VFIO_GET_API_VERSION;
	fake_vfio.fail_with = 1;
	assert_int_equal(pass_through(rig), -1);
	assert_non_null(strstr(rig->error.text, "version unknown"));
	fake_vfio.fail_request = 0;
	fake_vfio.count = 0;
	assert_int_equal(pass_through(rig), 0);
	in_order(requests, 5);
	map = &fake_vfio.calls[fake_vfio_find(0, VFIO_IOMMU_MAP_DMA)];
	assert_int_equal(map->address, RAM);
	assert_int_equal(map->size, RAM_SIZE);
	told = fake_find(0, KVM_SET_DEVICE_ATTR);
	assert_int_not_equal(told, SIZE_MAX);
	assert_int_equal(fake_kvm.calls[told].group, KVM_DEV_VFIO_GROUP);
	assert_int_equal(fake_kvm.calls[told].attribute, KVM_DEV_VFIO_GROUP_ADD);
}

static void vfio_open_uses_iommufd_when_the_host_has_it(void **state)
{
	static const unsigned long requests[] = { IOAS_ALLOC, IOAS_MAP, BIND, ATTACH };
	struct rig *rig = *state;
	const struct fake_vfio_call *map;

	make_folders(rig->folder, "sys/bus/pci/devices/" DEVICE "/vfio-dev/vfio3");
	make_folders(rig->folder, "dev/vfio/devices");
	make_file(rig->folder, "dev/vfio/devices/vfio3");
	make_file(rig->folder, "dev/iommu");
	assert_int_equal(pass_through(rig), 0);
	in_order(requests, 4);
	map = &fake_vfio.calls[fake_vfio_find(0, IOAS_MAP)];
	assert_int_equal(map->address, RAM);
	assert_int_equal(map->size, RAM_SIZE);
	assert_int_equal(fake_vfio_find(0, VFIO_GROUP_GET_STATUS), SIZE_MAX);
	assert_int_equal(get(rig, ECAM, 4), 0x56781234);
	vfio_close(rig->vfio);
	rig->vfio = NULL;

	fake_vfio.fail_request = BIND;
	fake_vfio.fail_with = EBUSY;
	refused(rig, "in use by another program");
	fake_vfio.fail_with = EPERM;
	make_link(rig->folder, "sys/bus/pci/devices/" OTHER "/driver", "../drivers/nvme");
	refused(rig, "shared with " OTHER ", which the host's driver nvme uses");
	drop(rig->folder, "dev/vfio/devices/vfio3");
	refused(rig, "vfio3");
}

static void vfio_open_names_the_reason_when_a_device_is_unusable(void **state)
{
	struct rig *rig = *state;

	fake_vfio.not_viable = true;
	refused(rig, "shared with a device that the host uses");
	make_link(rig->folder, "sys/bus/pci/devices/" OTHER "/driver", "../drivers/e1000e");
	refused(rig, "IOMMU group 7 is shared with " OTHER ", which the host's driver e1000e uses");
	fake_vfio.not_viable = false;

	drop(rig->folder, "dev/vfio/7");
	refused(rig, "/dev/vfio/7: No such file");
	drop(rig->folder, "dev/vfio/vfio");
	assert_int_equal(pass_through(rig), -1);
	assert_non_null(strstr(rig->error.text, "/dev/vfio/vfio: No such file"));

	drop(rig->folder, "sys/bus/pci/devices/" DEVICE "/iommu_group");
	refused(rig, "not behind an IOMMU");
	make_link(rig->folder, "sys/bus/pci/devices/" DEVICE "/driver", "../drivers/nvme");
	refused(rig, "driver nvme is bound to it");
	assert_non_null(strstr(rig->error.text, "echo " DEVICE " >"));
	assert_non_null(strstr(rig->error.text, "/driver/unbind"));
	assert_non_null(strstr(rig->error.text, "/drivers_probe"));
	drop(rig->folder, "sys/bus/pci/devices/" DEVICE "/driver");
	refused(rig, "no driver of the host is bound to it");
	assert_null(strstr(rig->error.text, "/unbind"));
	drop(rig->folder, "sys/class/iommu/smmu");
	refused(rig, "no IOMMU");
	drop(rig->folder, "sys/bus/pci/devices/" DEVICE);
	refused(rig, "no such PCI device");
}

/* On a host without an IOMMU. A driver emulates a mediated device, which has its own group and a driver of any name. */
static void vfio_open_accepts_mediated_device_without_iommu(void **state)
{
	static const unsigned long requests[] = { VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU, VFIO_IOMMU_MAP_DMA };
	struct rig *rig = *state;
	const struct vfio_config config = { .paths = &rig->paths, .count = 1, .devices = { MEDIATED } };

	drop(rig->folder, "sys/class/iommu/smmu");
	rig->vfio = vfio_open(&config, &rig->vm, &rig->pci, NULL, &rig->error);
	assert_null(rig->vfio);
	assert_non_null(strstr(rig->error.text, "no such mediated device"));
	assert_non_null(strstr(rig->error.text, "/mdev_supported_types/TYPE/create"));

	make_folders(rig->folder, "sys/bus/mdev/devices/" MEDIATED);
	rig->vfio = vfio_open(&config, &rig->vm, &rig->pci, NULL, &rig->error);
	assert_null(rig->vfio);
	assert_non_null(strstr(rig->error.text, "its driver released it"));

	make_link(rig->folder, "sys/bus/mdev/devices/" MEDIATED "/iommu_group", "../../../../kernel/iommu_groups/7");
	fake_vfio.count = 0;
	rig->vfio = vfio_open(&config, &rig->vm, &rig->pci, NULL, &rig->error);
	assert_non_null(rig->vfio);
	in_order(requests, 3);
	assert_int_equal(get(rig, ECAM, 4), 0x56781234);
}

static void vfio_open_fails_when_memory_cannot_be_mapped(void **state)
{
	struct rig *rig = *state;
	struct rlimit before, little;

	fake_vfio.fail_request = VFIO_IOMMU_MAP_DMA;
	fake_vfio.fail_with = EINVAL;
	refused(rig, "does not map the guest's 1 MiB of memory: Invalid argument");
	getrlimit(RLIMIT_MEMLOCK, &before);
	little = (struct rlimit){ 4096, before.rlim_max };
	setrlimit(RLIMIT_MEMLOCK, &little);
	fake_vfio.fail_with = ENOMEM;
	refused(rig, "this user may lock 0 MiB");
	setrlimit(RLIMIT_MEMLOCK, &before);
}

/* Each call fails once. There is an error, and nothing leaks: close_rig() checks the routes, the sanitizer memory. */
static void vfio_open_fails_cleanly_when_any_call_fails(void **state)
{
	static const unsigned long requests[] = {
		VFIO_CHECK_EXTENSION, VFIO_GROUP_GET_STATUS, VFIO_GROUP_SET_CONTAINER, VFIO_SET_IOMMU, VFIO_IOMMU_MAP_DMA,
		VFIO_GROUP_GET_DEVICE_FD, VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO, VFIO_DEVICE_GET_IRQ_INFO,
	};
	struct rig *rig = *state;

	for (size_t i = 0; i < COUNT(requests); i++) {
		fake_vfio.fail_request = requests[i];
		fake_vfio.fail_with = EIO;
		assert_int_equal(pass_through(rig), -1);
		assert_true(strlen(rig->error.text) > 10);
	}
	fake_vfio.fail_request = 0;
	assert_int_equal(pass_through(rig), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_rig, close_rig)
	const struct CMUnitTest tests[] = {
		CASE(vfio_open_uses_group_and_container),
		CASE(vfio_open_uses_iommufd_when_the_host_has_it),
		CASE(vfio_open_names_the_reason_when_a_device_is_unusable),
		CASE(vfio_open_accepts_mediated_device_without_iommu),
		CASE(vfio_open_fails_when_memory_cannot_be_mapped),
		CASE(vfio_open_fails_cleanly_when_any_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
