/* SPDX-License-Identifier: MIT */
/* Compares the state after each reset with that of the first boot, and resets again. */
#include "reset/reset.h"

#define MAGIC 0x6c6b766d20726573ull
#define PATIENCE 2000u /* milliseconds of counter at the first reset, more than a boot takes */

static struct {
	uint64_t magic;
	unsigned boots;
	uint32_t time; /* of the RTC */
	struct state first;
} notes KEPT;
static struct state now KEPT; /* KEPT only because it need not be in the file */

static struct virtio devices[VIRTIO_MAX_DEVICES];
static uint64_t as_loaded = 0x10ad; /* in the file, so that loading it again sets it back */

void fail(const char *what, ...)
{
	va_list arguments;

	console_reset();
	print("reset: FAILED at boot %u: ", notes.boots);
	va_start(arguments, what);
	print_list(what, arguments);
	va_end(arguments);
	print("\n");
	power_off();
}

static void check_boot(unsigned device_count)
{
	unsigned differences = state_compare(&notes.first, &now, 40);

	CHECK(!differences, "%u of %u registers are not as at the first boot", differences, now.count);
	CHECK(read32(BOARD_RTC) - notes.time < 10000, "the RTC is not the host's time again");
	CHECK(__atomic_load_n(&as_loaded, __ATOMIC_RELAXED) == 0x10ad, "the program was not loaded again");
	CHECK(device_count > 0, "no devices");
	CHECK(notes.boots != 2 || milliseconds() < PATIENCE, "the counter continues: %lu ms", milliseconds());
}

/*
 * Checks that the state at the first boot is as the specifications demand.
 */
static void check_first(unsigned device_count)
{
	CHECK(!registers_at_entry[0], "x1 to x3 are 0x%lx", registers_at_entry[0]);
	CHECK(!(registers_at_entry[1] & 1), "the MMU is on");
	CHECK((read32(GICD_CTLR) & 3) == 0, "the distributor is on");
	CHECK((read32(GICR_CTLR) & 1) == 0, "LPIs are on");
	for (unsigned i = 0; its_present() && i < 8; i++)
		CHECK(!(read64(GITS_BASER(i)) >> 63), "GITS_BASER%u is valid", i);
	for (unsigned i = 0; i < device_count; i++) {
		CHECK(virtio_status(&devices[i]) == 0, "%s has status 0x%x", virtio_name(&devices[i]),
		      virtio_status(&devices[i]));
		for (unsigned vector = 0; vector < devices[i].function.vectors; vector++)
			CHECK(read32(devices[i].function.table + 16 * vector + 12) == 1,
			      "an MSI-X vector is not masked");
	}
}

static void reset_soon(void)
{
	delay_microseconds(20000);
	machine_reset(false);
}

static void wait_for_ever(void)
{
	for (;;)
		__asm__ volatile("wfi");
}

/* Resets in a different way each time, while the other vCPU runs or not. Afterwards that vCPU is off. */
static void reset_somehow(void)
{
	bool second = now.second;

	switch (notes.boots % 4) {
	case 1:
		machine_reset(false);
	case 2:
		if (second)
			second_start(keep_busy);
		delay_microseconds(20000);
		machine_reset(true);
	case 3:
		if (second && second_start(reset_soon))
			keep_busy();
		machine_reset(false);
	default:
		if (second)
			second_start(wait_for_ever);
		machine_reset(true);
	}
}

void guest_main(void)
{
	unsigned boots = (unsigned)parameter_number("boots", 5), device_count, differences;

	if (notes.magic != MAGIC) {
		notes.magic = MAGIC;
		notes.boots = 0;
	}
	notes.boots++;
	CHECK(second_is_off(), "the second vCPU is on");
	state_read(&now, devices, &device_count);
	if (notes.boots == 1) {
		check_first(device_count);
		memcpy(&notes.first, &now, sizeof(now));
		notes.time = read32(BOARD_RTC);
	}
	check_boot(device_count);
	if (notes.boots == boots) {
		print("reset: %u boots passed\n", boots);
		power_off();
	}

	dirty(devices, device_count);
	state_read(&now, devices, &device_count);
	differences = state_compare(&notes.first, &now, 0);
	print("reset: boot %u: %u of %u registers changed\n", notes.boots, differences, now.count);
	CHECK(differences > 100, "too few to prove anything");

	/*
	 * Overwrites what the reset must load again: data, the device
	 * tree, and the code of the entry, which is not used any more.
	 */
	as_loaded = 0;
	memset((void *)(uint64_t)device_tree, 0xff, 4096);
	memset(image_start, 0xff, 64);
	while (notes.boots == 1 && milliseconds() < PATIENCE)
		;
	dirty_console();
	reset_somehow();
}
