/* SPDX-License-Identifier: MIT */
/* The device tree: matches the address map, has no overlapping areas, and has each of up to 512 vCPUs. */
#include "unit/test.h"

#include <libfdt.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake/kvm.h"
#include "arm/its.h"
#include "machine/machine.h"
#include "arm/fdt.h"
#include "util/bits.h"

#define WINDOW64 (1ull << 39)

static struct interrupts interrupts;

static const struct serial serial = { .base = MACHINE_UART, .line = MACHINE_LINE_UART };
static const struct rtc rtc = { .base = MACHINE_RTC, .line = MACHINE_LINE_RTC };
static const struct gpio gpio = { .base = MACHINE_GPIO, .line = MACHINE_LINE_GPIO };
static const struct vmgenid vmgenid = { .page.base = MACHINE_VMGENID, .line = MACHINE_LINE_VMGENID };
static const struct watchdog watchdog = { .config = { .base = MACHINE_WATCHDOG, .line = MACHINE_LINE_WATCHDOG } };
static const struct pci_bus bus = {
	.interrupts = &interrupts,
	.layout = {
		.ecam = MACHINE_ECAM, .io = MACHINE_IO, .io_size = MACHINE_IO_SIZE,
		.window32 = MACHINE_PCI32, .window32_size = MACHINE_PCI32_SIZE,
		.window64 = WINDOW64, .window64_size = WINDOW64, .first_line = MACHINE_LINE_PCI,
	},
};

static void write_devices(void *owner, struct fdt_writer *writer)
{
	(void)owner;
	serial_fdt(&serial, writer);
	rtc_fdt(&rtc, writer);
	gpio_fdt(&gpio, writer);
	vmgenid_fdt(&vmgenid, writer);
	watchdog_fdt(&watchdog, writer);
	pci_bus_fdt(&bus, writer);
}

static const struct fdt_machine machine = {
	.bootargs = "quiet", .initrd = 0x88000000, .initrd_size = 0x1234, .kaslr_seed = 42,
	.gic = { MACHINE_GICD, MACHINE_GICR, MACHINE_INTERRUPTS }, .its = MACHINE_ITS,
	.uart = MACHINE_UART, .pmu = true, .pmu_ppi = 7, .devices = write_devices,
};

/* Builds a tree for a VM whose vCPUs have KVM's affinities. */
static void *build(struct vm *vm, unsigned vcpus, bool its)
{
	void *fdt = calloc(1, FDT_MAX_SIZE);
	struct error error;

	*vm = (struct vm){ .vcpu_count = vcpus, .its_fd = its ? 100 : -1, .ram = { NULL, MACHINE_RAM, 256ull << 20 } };
	interrupts.has_msi = its;
	vm->vcpus = calloc(vcpus, sizeof(*vm->vcpus));
	for (unsigned i = 0; i < vcpus; i++)
		vm->vcpus[i].mpidr = (i & 0xf) | (i >> 4 & 0xff) << 8 | (uint64_t)(i >> 12) << 16;
	assert_int_equal(fdt_build(fdt, FDT_MAX_SIZE, vm, &machine, &error), 0);
	assert_int_equal(fdt_check_full(fdt, FDT_MAX_SIZE), 0);
	assert_int_equal(fdt_size(fdt), fdt_totalsize(fdt));
	return fdt;
}

static void drop(struct vm *vm, void *fdt)
{
	free(vm->vcpus);
	free(fdt);
}

static uint32_t cell(const void *fdt, int node, const char *name, unsigned index)
{
	int length;
	const void *cells = fdt_getprop(fdt, node, name, &length);

	assert_non_null(cells);
	assert_true((int)(4 * index) < length);
	return fdt32_ld((const fdt32_t *)cells + index);
}

static uint64_t wide(const void *fdt, int node, const char *name, unsigned index)
{
	return (uint64_t)cell(fdt, node, name, 2 * index) << 32 | cell(fdt, node, name, 2 * index + 1);
}

static void address_map_has_room_for_512_vcpus(void **state)
{
	struct vm vm;
	void *fdt = build(&vm, MACHINE_MAX_VCPUS, true);
	int cpus = fdt_path_offset(fdt, "/cpus"), gic, node;
	unsigned count = 0;

	(void)state;
	fdt_for_each_subnode(node, fdt, cpus) {
		assert_int_equal(cell(fdt, node, "reg", 0), vm.vcpus[count].mpidr);
		count++;
	}
	assert_int_equal(count, MACHINE_MAX_VCPUS);

	gic = fdt_node_offset_by_compatible(fdt, -1, "arm,gic-v3");
	assert_true(gic > 0);
	assert_int_equal(wide(fdt, gic, "reg", 2), MACHINE_GICR);
	assert_int_equal(wide(fdt, gic, "reg", 3), MACHINE_MAX_VCPUS * GIC_REDISTRIBUTOR_SIZE);
	drop(&vm, fdt);
}

struct area {
	uint64_t base, size;
	char name[64];
};

/* Collects every `reg` and PCI window of the tree. */
static unsigned areas(const void *fdt, struct area *list)
{
	unsigned count = 0;

	for (int node = 0; node >= 0; node = fdt_next_node(fdt, node, NULL)) {
		int length;
		const void *reg = fdt_getprop(fdt, node, "reg", &length);
		const char *name = fdt_get_name(fdt, node, NULL);

		if (reg && strncmp(name, "cpu@", 4))
			for (unsigned i = 0; i < (unsigned)length / 16; i++) {
				list[count] = (struct area){ wide(fdt, node, "reg", 2 * i), wide(fdt, node, "reg", 2 * i + 1), "" };
				snprintf(list[count++].name, sizeof(list[0].name), "%s/%u", name, i);
			}
	}
	list[count++] = (struct area){ MACHINE_IO, MACHINE_IO_SIZE, "io" };
	list[count++] = (struct area){ MACHINE_PCI32, MACHINE_PCI32_SIZE, "pci32" };
	list[count++] = (struct area){ WINDOW64, WINDOW64, "pci64" };
	return count;
}

static void areas_do_not_overlap(void **state)
{
	static const unsigned counts[] = { 1, 2, 8, 123, MACHINE_MAX_VCPUS };
	struct area list[32];
	struct vm vm;

	(void)state;
	for (size_t i = 0; i < COUNT(counts); i++) {
		void *fdt = build(&vm, counts[i], true);
		unsigned count = areas(fdt, list);

		assert_true(count >= 9);
		for (unsigned a = 0; a < count; a++)
			for (unsigned b = a + 1; b < count; b++)
				if (list[a].base < list[b].base + list[b].size && list[b].base < list[a].base + list[a].size)
					fail_msg("%s lies on %s", list[a].name, list[b].name);
		drop(&vm, fdt);
	}
}

static void addresses_are_the_same_for_any_number_of_vcpus(void **state)
{
	struct area few[32], many[32];
	struct vm vm;
	void *fdt = build(&vm, 1, true);
	unsigned count = areas(fdt, few);

	(void)state;
	drop(&vm, fdt);
	fdt = build(&vm, MACHINE_MAX_VCPUS, true);
	assert_int_equal(areas(fdt, many), count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(few[i].base, many[i].base);
	drop(&vm, fdt);
}

static void its_node_is_inside_the_gic_node(void **state)
{
	struct vm vm;
	void *fdt = build(&vm, 2, true);
	int its = fdt_node_offset_by_compatible(fdt, -1, "arm,gic-v3-its");
	int pci = fdt_node_offset_by_compatible(fdt, -1, "pci-host-ecam-generic");

	(void)state;
	assert_int_equal(fdt_parent_offset(fdt, its), fdt_node_offset_by_compatible(fdt, -1, "arm,gic-v3"));
	assert_int_equal(wide(fdt, its, "reg", 0), MACHINE_ITS);
	assert_int_equal(cell(fdt, pci, "msi-map", 1), fdt_get_phandle(fdt, its));
	assert_int_equal(cell(fdt, pci, "interrupt-map", 4), cell(fdt, 0, "interrupt-parent", 0));
	/* Slot 1, pin A: SPI 33. */
	assert_int_equal(cell(fdt, pci, "interrupt-map", 10), 1 << 11);
	assert_int_equal(cell(fdt, pci, "interrupt-map", 18), MACHINE_LINE_PCI + 1);
	/* Its windows: ports begin at 0, memory has the same addresses as for the processor. */
	assert_int_equal(cell(fdt, pci, "ranges", 0), 0x01000000);
	assert_int_equal(cell(fdt, pci, "ranges", 2), 0);
	assert_int_equal(cell(fdt, pci, "ranges", 4), MACHINE_IO);
	assert_int_equal(cell(fdt, pci, "ranges", 6), MACHINE_IO_SIZE);
	assert_int_equal(cell(fdt, pci, "ranges", 7), 0x02000000);
	assert_int_equal(cell(fdt, pci, "ranges", 9), MACHINE_PCI32);
	assert_int_equal(cell(fdt, pci, "ranges", 11), MACHINE_PCI32);
	assert_int_equal(cell(fdt, pci, "ranges", 14), 0x03000000);
	assert_int_equal(cell(fdt, pci, "ranges", 15), 1 << 7);
	drop(&vm, fdt);

	fdt = build(&vm, 2, false);
	assert_int_equal(fdt_node_offset_by_compatible(fdt, -1, "arm,gic-v3-its"), -FDT_ERR_NOTFOUND);
	pci = fdt_node_offset_by_compatible(fdt, -1, "pci-host-ecam-generic");
	assert_null(fdt_getprop(fdt, pci, "msi-map", NULL));
	drop(&vm, fdt);
}

static void chosen_node_has_what_was_loaded(void **state)
{
	struct vm vm;
	void *fdt = build(&vm, 1, true);
	int chosen = fdt_path_offset(fdt, "/chosen");

	(void)state;
	assert_string_equal(fdt_getprop(fdt, chosen, "bootargs", NULL), "quiet");
	assert_int_equal(wide(fdt, chosen, "linux,initrd-start", 0), 0x88000000);
	assert_int_equal(wide(fdt, chosen, "linux,initrd-end", 0), 0x88001234);
	assert_int_equal(wide(fdt, chosen, "kaslr-seed", 0), 42);
	assert_true(fdt_path_offset(fdt, fdt_getprop(fdt, chosen, "stdout-path", NULL)) > 0);
	drop(&vm, fdt);
}

static void vmgenid_node_has_a_rising_edge_interrupt(void **state)
{
	struct vm vm;
	void *fdt = build(&vm, 1, true);
	int node = fdt_node_offset_by_compatible(fdt, -1, "microsoft,vmgenid");

	(void)state;
	assert_true(node > 0);
	assert_int_equal(wide(fdt, node, "reg", 0), MACHINE_VMGENID);
	assert_true(wide(fdt, node, "reg", 1) >= 16);
	assert_int_equal(cell(fdt, node, "interrupts", 1), MACHINE_LINE_VMGENID);
	assert_int_equal(cell(fdt, node, "interrupts", 2), 1); /* rising */
	drop(&vm, fdt);
}

/* Linux's driver takes the first area as the control frame, and the second as the refresh frame. */
static void watchdog_node_has_two_frames_and_a_level_interrupt(void **state)
{
	struct vm vm;
	void *fdt = build(&vm, 1, true);
	int node = fdt_node_offset_by_compatible(fdt, -1, "arm,sbsa-gwdt");

	(void)state;
	assert_true(node > 0);
	assert_int_equal(wide(fdt, node, "reg", 0), MACHINE_WATCHDOG);
	assert_int_equal(wide(fdt, node, "reg", 1), WATCHDOG_FRAME_SIZE);
	assert_int_equal(wide(fdt, node, "reg", 2), MACHINE_WATCHDOG + WATCHDOG_REFRESH);
	assert_int_equal(wide(fdt, node, "reg", 3), WATCHDOG_FRAME_SIZE);
	assert_int_equal(cell(fdt, node, "interrupts", 1), MACHINE_LINE_WATCHDOG);
	assert_int_equal(cell(fdt, node, "interrupts", 2), 4); /* high */
	drop(&vm, fdt);
}

static void keys_are_wakeup_sources(void **state)
{
	struct vm vm;
	void *fdt = build(&vm, 1, true);
	int keys = fdt_node_offset_by_compatible(fdt, -1, "gpio-keys"), key;
	unsigned count = 0;

	(void)state;
	fdt_for_each_subnode(key, fdt, keys) {
		assert_non_null(fdt_getprop(fdt, key, "wakeup-source", NULL));
		count++;
	}
	assert_int_equal(count, 2);
	drop(&vm, fdt);
}

static void hypervisor_node_names_kvm(void **state)
{
	struct vm vm;
	void *fdt = build(&vm, 1, true);
	int node = fdt_path_offset(fdt, "/hypervisor");

	(void)state;
	assert_true(node > 0);
	assert_string_equal(fdt_getprop(fdt, node, "compatible", NULL), "linux,kvm");
	drop(&vm, fdt);
}

static void fdt_build_fails_when_its_buffer_is_small(void **state)
{
	struct vm vm = { .vcpu_count = 0, .its_fd = -1 };
	struct error error;
	uint64_t buffer[64];

	(void)state;
	assert_int_equal(fdt_build(buffer, sizeof(buffer), &vm, &machine, &error), -1);
	assert_non_null(strstr(error.text, "device tree"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(watchdog_node_has_two_frames_and_a_level_interrupt),
		cmocka_unit_test(address_map_has_room_for_512_vcpus),
		cmocka_unit_test(areas_do_not_overlap),
		cmocka_unit_test(addresses_are_the_same_for_any_number_of_vcpus),
		cmocka_unit_test(its_node_is_inside_the_gic_node),
		cmocka_unit_test(chosen_node_has_what_was_loaded),
		cmocka_unit_test(vmgenid_node_has_a_rising_edge_interrupt),
		cmocka_unit_test(keys_are_wakeup_sources),
		cmocka_unit_test(hypervisor_node_names_kvm),
		cmocka_unit_test(fdt_build_fails_when_its_buffer_is_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
