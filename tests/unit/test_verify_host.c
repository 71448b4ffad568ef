/* SPDX-License-Identifier: MIT */
/* machine_check_host() with the fake KVM. The sections that verify_sections() expects are those of the devices. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "golden/golden.h"
#include "inspect/verify.h"

#define UNKNOWN_ID_REGISTER 0x603000000013c03full /* S3_0_C0_C7_7 */
#define UNKNOWN_REGISTER 0x603000000013dfffull

#define VCPUS 3

static char path[] = "/tmp/lkvm-host-XXXXXX";

static struct {
	unsigned count;
	struct error errors[64];
} told;

static void tell(void *owner, const struct error *error)
{
	(void)owner;
	assert_true(told.count < 64);
	told.errors[told.count++] = *error;
}

static const struct error_collector listener = { .report = tell };

static void tell_fault(void *owner, const char *place, const char *what)
{
	(void)owner;
	fail_msg("%s: %s", place, what);
}

static void assert_told(const char *text)
{
	for (unsigned i = 0; i < told.count; i++)
		if (strstr(told.errors[i].text, text))
			return;
	fail_msg("not told: %s", text);
}

static void add_vcpu(struct section_writer *writer, unsigned index)
{
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", index);
	section_begin(writer, name, 1, SECTION_MANDATORY);
	field_add_number(&writer->buffer, "mpidr", index);
	field_add_number(&writer->buffer, "mp_state", 0);
	field_add_number(&writer->buffer, "serror_pending", 0);
	field_add_number(&writer->buffer, "serror_has_esr", 0);
	field_add_number(&writer->buffer, "serror_esr", 0);
	field_add_number(&writer->buffer, "external_abort_pending", 0);
	section_end(writer);
}

static void add_devices(struct state_writer *saver, const char *disk)
{
	const struct virtio_block_config block = { .path = disk, .read_only = true, .queues = 3 };
	struct terminal terminal = { 0 };
	struct virtio_device *devices[5];
	struct fake_machine machine;
	struct loop loop;
	struct error error;
	int fds[2];

	fake_machine_open(&machine, true);
	loop_open(&loop);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(terminal_open(&terminal, &loop, fds[0], fds[1], &error), 0);
	devices[0] = virtio_block_open(&machine.vm, &machine.pci, 0, &block, &error);
	devices[1] = virtio_console_open(&machine.vm, &machine.pci, &terminal, &error);
	devices[2] = virtio_entropy_open(&machine.vm, &machine.pci, &error);
	devices[3] = virtio_balloon_open(&machine.vm, &machine.pci, &error);
	devices[4] = virtio_input_open(&machine.vm, &machine.pci, &error);
	for (unsigned i = 0; i < 5; i++) {
		assert_non_null(devices[i]);
		assert_int_equal(virtio_visit(devices[i], &saver->visitor, &error), 0);
		virtio_close(devices[i]);
		free(devices[i]);
	}
	terminal_close(&terminal);
	close(fds[0]);
	close(fds[1]);
	fake_machine_close(&machine);
}

static void add_board(struct state_writer *saver)
{
	struct machine_clock clock = { 0 };
	struct serial_state serial = { 0 };
	struct rtc_state rtc = { 0 };
	struct gpio_state gpio = { 0 };
	struct vmgenid_state generation = { 0 };
	struct error error;

	state_write(&saver->visitor, "clock", &machine_clock_table, &clock, &error);
	state_write(&saver->visitor, "serial", &serial_state_table, &serial, &error);
	state_write(&saver->visitor, "rtc", &rtc_state_table, &rtc, &error);
	state_write(&saver->visitor, "gpio", &gpio_state_table, &gpio, &error);
	state_write(&saver->visitor, "generation", &vmgenid_state_table, &generation, &error);
}

static void open_vm(struct vm *vm)
{
	const struct vm_config config = { .ram_base = MACHINE_RAM, .ram_size = GOLDEN_RAM_SIZE, .vcpu_count = VCPUS };
	const struct gic_layout gic = {
		.distributor = MACHINE_GICD, .redistributors = MACHINE_GICR, .interrupts = MACHINE_INTERRUPTS,
	};
	const struct cpu_features features = { .sve = false };
	struct error error;

	fake_kvm_reset();
	assert_int_equal(vm_open(vm, &config, &error), 0);
	assert_int_equal(gic_open(vm, &gic, &error), 0);
	assert_int_equal(its_open(vm, MACHINE_ITS, &error), 0);
	assert_int_equal(vcpus_initialise(vm, &features, true, &error), 0);
	assert_int_equal(gic_initialise(vm, &error), 0);
}

/* Adds KVM's sections without those of the vCPUs, from a machine that is created and saved. */
static void add_gic(struct section_writer *writer, struct vm *vm)
{
	struct error error;

	assert_int_equal(gic_save_distributor(vm, MACHINE_INTERRUPTS, writer, &error), 0);
	assert_int_equal(gic_save_redistributors(vm, writer, &error), 0);
	assert_int_equal(gic_save_cpu_interfaces(vm, writer, &error), 0);
	assert_int_equal(its_save(vm, writer, &error), 0);
}

/* Sets up a machine with a device of each kind except networks. */
static int set_up(void **state)
{
	struct machine_config config = {
		.name = "vm", .cpus = VCPUS, .memory = GOLDEN_RAM_SIZE, .irqchip = IRQCHIP_GICV3_ITS, .address_bits = 40,
		.console = CONSOLE_VIRTIO, .entropy = true, .balloon = true, .power_buttons = true, .sve = true, .pauth = true,
		.counter_frequency = vcpus_counter_frequency(), .disk_count = 1, .disks = { { .path = path, .queues = 3 } },
	};
	struct section_writer writer = { 0 };
	struct state_writer saver = { .visitor.visit = state_write, .sections = &writer };
	struct snapshot_writer file = { .fd = -1 };
	struct error error;
	struct vm vm;

	(void)state;
	memset(&told, 0, sizeof(told));
	strcpy(path + strlen(path) - 6, "XXXXXX");
	file.fd = mkstemp(path);
	assert_int_equal(ftruncate(file.fd, 4096), 0); /* a disk */
	open_vm(&vm);
	machine_config_save(&config, &writer);
	add_gic(&writer, &vm);
	for (unsigned i = 0; i < VCPUS; i++)
		add_vcpu(&writer, i);
	add_board(&saver);
	add_devices(&saver, path);
	file.ram = &vm.ram;
	assert_int_equal(ftruncate(file.fd, 0), 0);
	assert_int_equal(snapshot_write(&file, &writer.buffer, &error), 0);
	snapshot_end(&file);
	byte_buffer_free(&writer.buffer);
	vm_close(&vm);
	close(file.fd);
	fake_kvm_reset();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	fake_kvm_reset();
	return unlink(path);
}

static void check(void)
{
	struct snapshot snapshot;
	struct error error;

	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(machine_check_host(&snapshot, &listener, NULL, &error), 0);
	snapshot_close(&snapshot);
}

static void verify_expects_sections_of_all_devices(void **state)
{
	struct verdict verdict = { .report = tell_fault };
	struct snapshot snapshot;
	struct error error;

	(void)state;
	assert_int_equal(snapshot_open(&snapshot, path, &error), 0);
	assert_int_equal(verify_sections(&snapshot, &verdict, &error), 0);
	assert_int_equal(verdict.faults, 0);
	snapshot_close(&snapshot);
}

static void host_check_passes_and_runs_no_vcpu(void **state)
{
	(void)state;
	check();
	if (told.count)
		fail_msg("%s", told.errors[0].text);
	/* The check restored everything, and did not run a vCPU. */
	assert_int_not_equal(fake_find(0, KVM_SET_MP_STATE), SIZE_MAX);
	assert_int_equal(fake_kvm.calls[fake_kvm.count - 1].group, KVM_DEV_ARM_VGIC_GRP_ITS_REGS);
	assert_int_equal(fake_find(0, KVM_RUN), SIZE_MAX);
}

/* Both missing features are reported, and the check continues. */
static void host_check_reports_each_missing_feature(void **state)
{
	(void)state;
	fake_kvm.extensions = 0;
	check();
	assert_told("SVE");
	assert_told("pointer authentication");
	assert_int_equal(told.count, 2);
	assert_int_not_equal(fake_find(0, KVM_SET_MP_STATE), SIZE_MAX);
}

static void host_check_reports_machine_that_cannot_be_created(void **state)
{
	(void)state;
	fake_kvm.fail_request = KVM_ARM_VCPU_INIT;
	fake_kvm.fail_with = EINVAL;
	check();
	assert_told("KVM_ARM_VCPU_INIT of vCPU 0: Invalid argument");
	assert_int_equal(told.count, 1);
}

static void host_check_reports_each_refusal_once(void **state)
{
	(void)state;
	fake_kvm.fail_request = KVM_SET_MP_STATE;
	fake_kvm.fail_with = EINVAL;
	fake_kvm.attribute_value = 0x40; /* TYPER: another than was saved */
	check();
	assert_told("vCPU 0: KVM_SET_MP_STATE to 0: Invalid argument");
	assert_told("gic-control: TYPER is 0x0 in the snapshot, but 0x40 on this host");
	assert_told("its-registers: GITS_TYPER is 0x0 in the snapshot, but 0x40 on this host");
	/* A fault that all vCPUs have is reported for the first one. */
	for (unsigned i = 0; i < told.count; i++)
		assert_null(strstr(told.errors[i].text, "vCPU 1: KVM_SET_MP_STATE"));
}

static size_t find_restore_tables(void)
{
	for (size_t i = 0; i < fake_kvm.count; i++)
		if (fake_kvm.calls[i].group == KVM_DEV_ARM_VGIC_GRP_CTRL &&
		    fake_kvm.calls[i].attribute == KVM_DEV_ARM_ITS_RESTORE_TABLES)
			return i;
	fail_msg("its tables were not restored");
	return SIZE_MAX;
}

static void end_if_named(void *owner, const struct error *error)
{
	const char *named = strstr(error->text, path);

	(void)owner;
	_exit(named && strstr(named, "became shorter while it was in use") ? 7 : 8);
}

/* KVM then fails with EFAULT, which is not a refusal of this host. */
static void host_check_names_the_file_when_it_is_cut_meanwhile(void **state)
{
	const struct error_collector lost = { .report = end_if_named };
	struct snapshot snapshot;
	struct error error;
	size_t fail_at;
	pid_t child;
	int status;

	(void)state;
	check();
	fail_at = find_restore_tables();
	fake_kvm_reset();
	fake_kvm.fail_at = fail_at;
	fake_kvm.fail_with = EFAULT;
	child = fork();
	if (child == 0) {
		if (snapshot_open(&snapshot, path, &error) < 0 || truncate(path, GOLDEN_RAM_SIZE / 2) < 0)
			_exit(9);
		machine_check_host(&snapshot, &listener, &lost, &error);
		_exit(10);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* Checks vCPUs alone: each refused register is reported, and the others are still written. */
static void host_check_reports_each_refused_register(void **state)
{
	struct section_writer writer = { 0 };
	struct golden_machine machine;
	struct sections sections = { 0 };
	struct error error;
	char name[24];

	(void)state;
	section_begin(&writer, "vcpu0", 1, SECTION_MANDATORY);
	field_add_number(&writer.buffer, "mpidr", 3);
	snprintf(name, sizeof(name), "0x%016llx", UNKNOWN_REGISTER);
	field_add_number(&writer.buffer, name, 1);
	snprintf(name, sizeof(name), "0x%016llx", UNKNOWN_ID_REGISTER);
	field_add_number(&writer.buffer, name, 1);
	field_add_number(&writer.buffer, "novelty", 1);
	section_end(&writer);
	assert_int_equal(sections_parse(&sections, writer.buffer.bytes, writer.buffer.size, &error), 0);
	assert_int_equal(golden_open(&machine, &error), 0);
	assert_int_equal(vcpus_restore(&machine.vm, &sections, &listener, &error), 0);
	assert_told("vCPU 0: its affinity is 0x3 in the snapshot, but 0x0 here");
	assert_told("vCPU 0: this lkvm does not know its field novelty");
	assert_told("vCPU 0: S3_0_C0_C7_7 (0x603000000013c03f) is in the snapshot");
	assert_told("0x603000000013dfff) is in the snapshot");
	assert_told("vCPU 0: mp_state is missing");
	assert_int_equal(told.count, 5);
	/* The error of a restore is the first of these. */
	assert_int_equal(vcpus_restore(&machine.vm, &sections, NULL, &error), -1);
	assert_string_equal(error.text, told.errors[0].text);
	vm_close(&machine.vm);
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(verify_expects_sections_of_all_devices),
		TEST(host_check_passes_and_runs_no_vcpu),
		TEST(host_check_reports_each_missing_feature),
		TEST(host_check_reports_machine_that_cannot_be_created),
		TEST(host_check_reports_each_refusal_once),
		TEST(host_check_names_the_file_when_it_is_cut_meanwhile),
		TEST(host_check_reports_each_refused_register),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
