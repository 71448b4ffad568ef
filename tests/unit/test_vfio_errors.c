/* SPDX-License-Identifier: MIT */
/* vfio: the emulated error reporting of a passed-through device, and the report to the guest when the device has an error. */
#include "unit/vfio_rig.h"

#include "hw/rcec.h"
#include "unit/run_loop.h"

#define FUNCTION (ECAM + 0x8000) /* the slot after the event collector */
#define CONTROL (FUNCTION + 0xa0 + PCI_EXP_DEVCTL)
#define ERRORS (FUNCTION + 0x100)
#define ROOT_COMMAND (ECAM + 0x100 + PCI_ERR_ROOT_COMMAND)
#define ROOT_STATUS (ECAM + 0x100 + PCI_ERR_ROOT_STATUS)
#define HEADER(id, next) ((id) | 1u << 16 | (uint32_t)(next) << 20)

static struct rcec collector;
static struct loop loop;

static int open_errors(void **state)
{
	struct rig *rig;

	open_rig(state);
	rig = *state;
	loop_open(&loop);
	put32(real_config(0xa0 + PCI_EXP_DEVCAP), PCI_EXP_DEVCAP_FLR);
	fake_vfio.vectors[VFIO_PCI_ERR_IRQ_INDEX] = 1;
	assert_int_equal(rcec_open(&collector, &rig->pci, &rig->error), 0);
	return 0;
}

static void pass(struct rig *rig)
{
	const struct vfio_config config = { .paths = &rig->paths, .count = 1, .devices = { DEVICE } };

	rig->vfio = vfio_open(&config, &rig->vm, &rig->pci, &loop, &rig->error);
	if (!rig->vfio)
		fail_msg("%s", rig->error.text);
}

static void let_go(struct rig *rig)
{
	vfio_close(rig->vfio);
	rig->vfio = NULL;
}

static int close_errors(void **state)
{
	let_go(*state);
	rcec_close(&collector);
	return close_rig(state);
}

static uint32_t function(struct rig *rig, unsigned reg)
{
	return (uint32_t)get(rig, FUNCTION + reg, 4);
}

/* Expects these headers in the list of extended capabilities. */
static void listed(struct rig *rig, const uint32_t *headers, size_t count)
{
	unsigned at = 0x100;

	for (size_t i = 0; i < count; i++) {
		assert_int_equal(function(rig, at), headers[i]);
		at = headers[i] >> 20;
	}
	assert_int_equal(at, 0);
}
#define LISTED(rig, ...) listed(rig, (const uint32_t[]){ __VA_ARGS__ }, sizeof((const uint32_t[]){ __VA_ARGS__ }) / 4)

/* The guest does not see the device's own error registers. */
static void error_capability_is_replaced_by_the_emulated_one(void **state)
{
	struct rig *rig = *state;

	memset(real_config(0x104), 0xff, 0x3c);
	pass(rig);
	LISTED(rig, HEADER(PCI_EXT_CAP_ID_ERR, 0x140), HEADER(PCI_EXT_CAP_ID_DSN, 0));
	assert_int_equal(function(rig, 0x100 + PCI_ERR_UNCOR_STATUS), 0);
	assert_int_equal(function(rig, 0x100 + PCI_ERR_UNCOR_MASK), 0);
	assert_int_equal(function(rig, 0x100 + PCI_ERR_UNCOR_SEVER), PCI_ERR_UNC_INTN);
	assert_int_equal(function(rig, 0x100 + PCI_ERR_COR_STATUS), 0);
	put(rig, ERRORS + PCI_ERR_UNCOR_STATUS, 4, ~0u);
	put(rig, ERRORS + PCI_ERR_UNCOR_MASK, 4, ~0u);
	assert_int_equal(function(rig, 0x100 + PCI_ERR_UNCOR_STATUS), 0);
	assert_int_equal(function(rig, 0x100 + PCI_ERR_UNCOR_MASK), PCI_ERR_UNC_INTN);
	/* The guest's writes do not reach the device. */
	assert_int_equal(*real_config(0x104), 0xff);
	assert_int_equal(*real_config(0x108), 0xff);
}

static void error_capability_takes_free_space(void **state)
{
	struct rig *rig = *state;

	/* The device has no list. */
	put32(real_config(0x100), 0);
	pass(rig);
	LISTED(rig, HEADER(PCI_EXT_CAP_ID_ERR, 0));
	let_go(rig);
	/* The first capability is a hidden one. */
	put32(real_config(0x100), HEADER(PCI_EXT_CAP_ID_ACS, 0x140));
	pass(rig);
	LISTED(rig, HEADER(PCI_EXT_CAP_ID_ERR, 0x140), HEADER(PCI_EXT_CAP_ID_DSN, 0));
	let_go(rig);
	/* Other capabilities take the first place, and leave a gap that is too small. */
	put32(real_config(0x100), HEADER(PCI_EXT_CAP_ID_DSN, 0x130));
	put32(real_config(0x130), HEADER(PCI_EXT_CAP_ID_VNDR, 0));
	put32(real_config(0x134), 0x0a1u << 20);
	pass(rig);
	LISTED(rig, HEADER(PCI_EXT_CAP_ID_DSN, 0x130), HEADER(PCI_EXT_CAP_ID_VNDR, 0x1d4), HEADER(PCI_EXT_CAP_ID_ERR, 0));
	assert_int_equal(function(rig, 0x1d4 + PCI_ERR_UNCOR_SEVER), PCI_ERR_UNC_INTN);
}

static void error_capability_is_omitted_when_it_cannot_work(void **state)
{
	struct rig *rig = *state;

	/* The free space is one byte too small. */
	put32(real_config(0x100), HEADER(PCI_EXT_CAP_ID_VNDR, 0));
	put32(real_config(0x104), (0xf00u - PCI_ERRORS_SIZE + 1) << 20);
	pass(rig);
	LISTED(rig, HEADER(PCI_EXT_CAP_ID_VNDR, 0));
	let_go(rig);
	put32(real_config(0x104), (0xf00u - PCI_ERRORS_SIZE) << 20);
	pass(rig);
	LISTED(rig, HEADER(PCI_EXT_CAP_ID_VNDR, 0x1000 - PCI_ERRORS_SIZE), HEADER(PCI_EXT_CAP_ID_ERR, 0));
	let_go(rig);
	/* Without a reset a driver could not recover from errors. */
	make_device();
	fake_vfio.no_reset = true;
	pass(rig);
	LISTED(rig, 0x14000000, HEADER(PCI_EXT_CAP_ID_DSN, 0));
	let_go(rig);
	fake_vfio.no_reset = false;
	/* A conventional PCI device. */
	put32(real_config(0xa0 + PCI_EXP_DEVCAP), PCI_EXP_DEVCAP_FLR);
	fake_vfio.sizes[VFIO_PCI_CONFIG_REGION_INDEX] = 256;
	pass(rig);
	LISTED(rig, 0);
}

/* The device may lose its enable bits in a reset, so the guest's value of them is kept. */
static void enable_bits_are_kept_for_the_guest(void **state)
{
	struct rig *rig = *state;

	put16(real_config(0xa8), 0x281f);
	pass(rig);
	assert_int_equal(get(rig, CONTROL, 2), 0x2810);
	put(rig, CONTROL, 2, 0x282f);
	assert_memory_equal(real_config(0xa8), "\x2f\x28", 2);
	put16(real_config(0xa8), 0x2820);
	assert_int_equal(get(rig, CONTROL, 2), 0x282f);
	put(rig, CONTROL, 2, 0x2820);
	assert_int_equal(get(rig, CONTROL, 2), 0x2820);
	put(rig, CONTROL, 2, 0x282f);
	vfio_reset(rig->vfio);
	assert_int_equal(get(rig, CONTROL, 2) & 0xf, 0);
}

/* Signals an error of the device, as the kernel does. */
static void have_an_error(void)
{
	size_t call = fake_vfio_find_irqs(0, VFIO_PCI_ERR_IRQ_INDEX);

	assert_int_not_equal(call, SIZE_MAX);
	eventfd_write(fake_vfio.calls[call].fds[0], 1);
	run_loop_for(&loop, 1);
}

static void error_is_reported_to_the_guest(void **state)
{
	struct rig *rig = *state;

	pass(rig);
	put(rig, ROOT_COMMAND, 4, PCI_ERR_ROOT_CMD_FATAL_EN | PCI_ERR_ROOT_CMD_NONFATAL_EN);
	put(rig, CONTROL, 2, PCI_EXP_DEVCTL_FERE);
	have_an_error();
	assert_int_equal(function(rig, 0x100 + PCI_ERR_UNCOR_STATUS), PCI_ERR_UNC_INTN);
	assert_int_equal(get(rig, ROOT_STATUS, 4),
			 PCI_ERR_ROOT_UNCOR_RCV | PCI_ERR_ROOT_FIRST_FATAL | PCI_ERR_ROOT_FATAL_RCV);
	assert_int_equal(get(rig, ROOT_STATUS + 4, 4), 0x00080000); /* slot 1 */
	put(rig, ERRORS + PCI_ERR_UNCOR_STATUS, 4, PCI_ERR_UNC_INTN);
	assert_int_equal(function(rig, 0x100 + PCI_ERR_UNCOR_STATUS), 0);
	put(rig, ROOT_STATUS, 4, ~0u);
	/* The guest may classify it as less severe. */
	put(rig, ERRORS + PCI_ERR_UNCOR_SEVER, 4, 0);
	put(rig, CONTROL, 2, PCI_EXP_DEVCTL_NFERE);
	have_an_error();
	assert_int_equal(get(rig, ROOT_STATUS, 4), PCI_ERR_ROOT_UNCOR_RCV | PCI_ERR_ROOT_NONFATAL_RCV);
	vfio_reset(rig->vfio);
	assert_int_equal(function(rig, 0x100 + PCI_ERR_UNCOR_STATUS), 0);
}

static void not_told(struct rig *rig)
{
	have_an_error();
	assert_int_equal(function(rig, 0x100 + PCI_ERR_UNCOR_STATUS), 0);
	assert_int_equal(get(rig, ROOT_STATUS, 4), 0);
}

static void error_is_not_reported_when_the_guest_does_not_listen(void **state)
{
	struct rig *rig = *state;

	pass(rig);
	put(rig, ROOT_COMMAND, 4, PCI_ERR_ROOT_CMD_FATAL_EN);
	put(rig, CONTROL, 2, 0xffff & ~PCI_EXP_DEVCTL_FERE & ~PCI_EXP_DEVCTL_BCR_FLR);
	not_told(rig);
	put(rig, CONTROL, 2, PCI_EXP_DEVCTL_FERE);
	put(rig, ERRORS + PCI_ERR_UNCOR_MASK, 4, PCI_ERR_UNC_INTN);
	not_told(rig);
	put(rig, ERRORS + PCI_ERR_UNCOR_MASK, 4, 0);
	put(rig, ROOT_COMMAND, 4, PCI_ERR_ROOT_CMD_NONFATAL_EN);
	not_told(rig);
	/* There is no event collector. */
	put(rig, ROOT_COMMAND, 4, PCI_ERR_ROOT_CMD_FATAL_EN);
	rig->pci.rcec = NULL;
	not_told(rig);
	/* The device has no such capability. */
	rig->pci.rcec = &collector;
	let_go(rig);
	make_device();
	fake_vfio.count = 0;
	fake_vfio.no_reset = true;
	pass(rig);
	put(rig, CONTROL, 2, PCI_EXP_DEVCTL_FERE);
	not_told(rig);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_errors, close_errors)
	const struct CMUnitTest tests[] = {
		CASE(error_capability_is_replaced_by_the_emulated_one),
		CASE(error_capability_takes_free_space),
		CASE(error_capability_is_omitted_when_it_cannot_work),
		CASE(enable_bits_are_kept_for_the_guest),
		CASE(error_is_reported_to_the_guest),
		CASE(error_is_not_reported_when_the_guest_does_not_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
