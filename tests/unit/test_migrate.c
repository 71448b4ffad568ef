/* SPDX-License-Identifier: MIT */
/* Saving and restoring KVM's state: the documented order of calls, and the failure of each call. */
#include "state/names.h"
#include "unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "fake/kvm.h"
#include "arm/gic.h"
#include "arm/its.h"
#include "arm/migrate.h"
#include "snapshot/snapshot.h"

#define VCPUS 3

struct fixture {
	struct vm vm;
	struct cpu_features features;
	struct gic_layout gic;
};

static int setup(void **state)
{
	static struct fixture fixture;
	struct vm_config config = { .ram_base = 0x80000000, .ram_size = 1 << 20, .vcpu_count = VCPUS };
	struct error error;

	fake_kvm_reset();
	fixture = (struct fixture){
		.gic = { .distributor = 0x3fff0000, .redistributors = 0x30000000, .interrupts = 96 },
	};
	if (vm_open(&fixture.vm, &config, &error) < 0 || gic_open(&fixture.vm, &fixture.gic, &error) < 0 ||
	    its_open(&fixture.vm, 0x3ffd0000, &error) < 0 ||
	    vcpus_initialise(&fixture.vm, &fixture.features, true, &error) < 0 ||
	    gic_initialise(&fixture.vm, &error) < 0)
		return -1;
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	vm_close(&fixture->vm);
	fake_kvm_reset();
	return 0;
}

static size_t find_redistributor(size_t from, const struct fixture *fixture, unsigned vcpu, uint32_t offset)
{
	return fake_find_attribute(from, fixture->vm.gic_fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS,
				   (uint64_t)vcpu << 32 | offset);
}

static void creation_calls_kvm_in_documented_order(void **state)
{
	struct fixture *fixture = *state;
	int gic = fixture->vm.gic_fd, its = fixture->vm.its_fd;
	size_t distributor = fake_find_attribute(0, gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST);
	size_t its_address = fake_find_attribute(0, its, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE);
	size_t last_vcpu = fake_find(0, KVM_CREATE_VCPU) + VCPUS - 1;
	size_t vcpu_init = fake_find(0, KVM_ARM_VCPU_INIT);
	size_t gic_init = fake_find_attribute(0, gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT);

	assert_int_equal(fake_kvm.calls[last_vcpu].request, KVM_CREATE_VCPU);
	assert_true(last_vcpu < distributor);
	assert_true(distributor < its_address);
	assert_true(its_address < vcpu_init);
	assert_true(vcpu_init < gic_init);
	assert_int_not_equal(gic_init, SIZE_MAX);
}

static void reset_calls_kvm_in_documented_order(void **state)
{
	struct fixture *fixture = *state;
	struct migrate migrate = {
		.vm = &fixture->vm, .features = &fixture->features, .interrupts = fixture->gic.interrupts,
	};
	int gic = fixture->vm.gic_fd;
	size_t from = fake_kvm.count;
	struct error error;

	assert_int_equal(migrate_reset(&migrate, &error), 0);

	size_t its = fake_find_attribute(from, fixture->vm.its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_ITS_CTRL_RESET);
	size_t distributor_off = fake_find_attribute(from, gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0);
	size_t clear_enable = fake_find_attribute(from, gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x184);
	size_t icc = fake_find_attribute(from, gic, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, 2ull << 32 | 0xc667);
	size_t vcpu = fake_find(from, KVM_ARM_VCPU_INIT);
	size_t counter = fake_kvm.count - 1; /* the last of the registers that are set */

	for (unsigned i = 0; i < VCPUS; i++) {
		size_t lpis_off = find_redistributor(from, fixture, i, 0x00);
		size_t properties = find_redistributor(from, fixture, i, 0x70);
		size_t pending_high = find_redistributor(from, fixture, i, 0x7c);
		size_t private = find_redistributor(from, fixture, i, 0x10180);

		assert_true(its < lpis_off && lpis_off < properties && properties < pending_high);
		assert_true(pending_high < distributor_off && distributor_off < private);
		assert_true(private < clear_enable);
		assert_int_equal(fake_kvm.calls[private].value, 0xffffffff);
	}
	assert_int_equal(fake_kvm.calls[clear_enable].value, 0xffffffff);
	assert_true(clear_enable < icc && icc < vcpu && vcpu < counter);
	assert_int_equal(fake_kvm.calls[counter].request, KVM_SET_ONE_REG);
}

static void reset_clears_before_it_sets(void **state)
{
	struct fixture *fixture = *state;
	struct migrate migrate = {
		.vm = &fixture->vm, .features = &fixture->features, .interrupts = fixture->gic.interrupts,
	};
	size_t from = fake_kvm.count, clear, set;
	struct error error;

	assert_int_equal(migrate_reset(&migrate, &error), 0);
	clear = find_redistributor(from, fixture, 1, 0x10180);
	set = find_redistributor(from, fixture, 1, 0x10100);
	assert_true(clear < set);
	assert_int_equal(fake_kvm.calls[set].value, 0xffff);
}

static void reset_stops_at_the_first_call_that_fails(void **state)
{
	struct fixture *fixture = *state;
	struct migrate migrate = {
		.vm = &fixture->vm, .features = &fixture->features, .interrupts = fixture->gic.interrupts,
	};
	size_t from = fake_kvm.count, calls;
	struct error error;

	assert_int_equal(migrate_reset(&migrate, &error), 0);
	calls = fake_kvm.count - from;
	assert_true(calls > 100);
	for (size_t i = 0; i < calls; i++) {
		fake_kvm.count = from;
		fake_kvm.fail_at = from + i;
		fake_kvm.fail_with = EBUSY;
		memset(&error, 0, sizeof(error));
		assert_int_equal(migrate_reset(&migrate, &error), -1);
		assert_int_equal(error.code, EBUSY);
		assert_non_null(strstr(error.text, ": "));
		assert_int_equal(fake_kvm.count, from + i + 1); /* nothing was tried after the failure */
	}
	fake_kvm.fail_at = SIZE_MAX;
}

/* Number of KVM calls before each of the devices' hooks. */
static size_t quiesced_at, forwarded_at;

static int quiesce(void *owner, struct error *error)
{
	(void)owner;
	(void)error;
	quiesced_at = fake_kvm.count;
	return 0;
}

static int forward(void *owner, struct error *error)
{
	(void)owner;
	(void)error;
	forwarded_at = fake_kvm.count;
	return 0;
}

static const struct migrate_devices devices = { .quiesce = quiesce, .forward = forward };

static struct migrate migration(struct fixture *fixture)
{
	return (struct migrate){
		.vm = &fixture->vm, .features = &fixture->features, .interrupts = fixture->gic.interrupts,
		.devices = &devices,
	};
}

static size_t find_read(size_t from, int fd, uint32_t group, uint64_t attribute)
{
	for (size_t i = from; i < fake_kvm.count; i++) {
		const struct fake_call *call = &fake_kvm.calls[i];

		if (call->request == KVM_GET_DEVICE_ATTR && call->fd == fd && call->group == group &&
		    call->attribute == attribute)
			return i;
	}
	return SIZE_MAX;
}

/* arm-vgic-v3.rst and arm-vgic-its.rst: both tables are saved to RAM while no device raises interrupts, then registers. */
static void save_calls_kvm_in_documented_order(void **state)
{
	struct fixture *fixture = *state;
	struct migrate migrate = migration(fixture);
	int gic = fixture->vm.gic_fd, its = fixture->vm.its_fd;
	struct section_writer writer = { 0 };
	size_t from = fake_kvm.count;
	struct error error;

	assert_int_equal(migrate_save(&migrate, &writer, &error), 0);
	byte_buffer_free(&writer.buffer);

	size_t its_tables = fake_find_attribute(from, its, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_ITS_SAVE_TABLES);
	size_t pending = fake_find_attribute(from, gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES);
	size_t distributor = find_read(from, gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0);
	size_t its_control = find_read(from, its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0);

	assert_int_equal(quiesced_at, from);
	assert_int_equal(its_tables, from);
	assert_int_equal(pending, from + 1);
	assert_true(pending < distributor && distributor < its_control);
	assert_int_not_equal(its_control, SIZE_MAX);
	/* Apart from the two commands, the save only reads. */
	for (size_t i = from + 2; i < fake_kvm.count; i++) {
		assert_int_not_equal(fake_kvm.calls[i].request, KVM_SET_DEVICE_ATTR);
		assert_int_not_equal(fake_kvm.calls[i].request, KVM_SET_ONE_REG);
	}
}

static void save_into(struct fixture *fixture, struct section_writer *writer, struct sections *sections)
{
	struct migrate migrate = migration(fixture);
	struct error error;

	assert_int_equal(migrate_save(&migrate, writer, &error), 0);
	assert_int_equal(sections_parse(sections, writer->buffer.bytes, writer->buffer.size, &error), 0);
}

static void restore_calls_kvm_in_documented_order(void **state)
{
	struct fixture *fixture = *state;
	struct migrate migrate = migration(fixture);
	int gic = fixture->vm.gic_fd, its = fixture->vm.its_fd;
	struct section_writer writer = { 0 };
	struct sections sections = { 0 };
	struct error error;
	size_t from;

	fake_kvm.attribute_value = 0x10; /* CBASER of 0 would not be written */
	save_into(fixture, &writer, &sections);
	from = fake_kvm.count;
	assert_int_equal(migrate_restore(&migrate, &sections, &error), 0);

	size_t vcpus = fake_find(from, KVM_SET_MP_STATE);
	size_t identity = fake_find_attribute(from, gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x8);
	size_t control = fake_find_attribute(from, gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0);
	size_t pending = fake_find_attribute(from, gic, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, 0x204);
	size_t icc = fake_find_attribute(from, gic, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, 2ull << 32 | 0xc667);
	size_t queue = fake_find_attribute(from, its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x80);
	size_t read_index = fake_find_attribute(from, its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x90);
	size_t write_index = fake_find_attribute(from, its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x88);
	size_t base = fake_find_attribute(from, its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0x100);
	size_t tables = fake_find_attribute(from, its, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_ITS_RESTORE_TABLES);
	size_t its_control = fake_find_attribute(from, its, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0);

	assert_true(vcpus < identity && identity < control);
	for (unsigned i = 0; i < VCPUS; i++) {
		size_t properties = find_redistributor(from, fixture, i, 0x70);
		size_t table = find_redistributor(from, fixture, i, 0x7c);
		size_t lpis_on = find_redistributor(from, fixture, VCPUS - 1 - i, 0x00);

		assert_true(control < properties && properties < table && table < lpis_on);
		assert_true(lpis_on < pending);
	}
	assert_true(pending < icc && icc < queue && queue < read_index && read_index < write_index);
	assert_true(write_index < base && base < tables && tables < its_control);
	assert_int_equal(its_control, fake_kvm.count - 1);
	assert_int_equal(forwarded_at, fake_kvm.count);
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);
}

static void save_and_restore_stop_at_the_first_call_that_fails(void **state)
{
	struct fixture *fixture = *state;
	struct migrate migrate = migration(fixture);
	struct section_writer writer = { 0 };
	struct sections sections = { 0 };
	struct error error;

	save_into(fixture, &writer, &sections);
	for (unsigned restoring = 0; restoring < 2; restoring++) {
		size_t from = fake_kvm.count, calls;
		struct section_writer scratch = { 0 };

		assert_int_equal(restoring ? migrate_restore(&migrate, &sections, &error) :
					     migrate_save(&migrate, &scratch, &error), 0);
		byte_buffer_free(&scratch.buffer);
		calls = fake_kvm.count - from;
		assert_true(calls > 100);
		for (size_t i = 0; i < calls; i++) {
			fake_kvm.count = from;
			fake_kvm.fail_at = from + i;
			fake_kvm.fail_with = EBUSY;
			memset(&error, 0, sizeof(error));
			assert_int_equal(restoring ? migrate_restore(&migrate, &sections, &error) :
						     migrate_save(&migrate, &scratch, &error), -1);
			byte_buffer_free(&scratch.buffer);
			assert_int_equal(error.code, EBUSY);
			assert_non_null(strstr(error.text, ": "));
			assert_int_equal(fake_kvm.count, from + i + 1);
		}
		fake_kvm.fail_at = SIZE_MAX;
	}
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);
}

static void fault_fails_the_named_step(void **state)
{
	struct fixture *fixture = *state;
	struct migrate migrate = migration(fixture);
	struct section_writer writer = { 0 };
	struct error error;

	migrate.fault = "save/pending-tables";
	assert_int_equal(migrate_save(&migrate, &writer, &error), -1);
	assert_non_null(strstr(error.text, "pending-tables"));
	byte_buffer_free(&writer.buffer);
	migrate.fault = "restore/pending-tables";
	assert_int_equal(migrate_save(&migrate, &writer, &error), 0);
	byte_buffer_free(&writer.buffer);
}

/* The fake KVM returns one value for all registers. So both tables are at the beginning of RAM, which has all bits set. */
static void save_fails_when_restore_would_fail(void **state)
{
	struct fixture *fixture = *state;
	struct migrate migrate = migration(fixture);
	struct section_writer writer = { 0 };
	struct sections sections = { 0 };
	const struct section *section;
	char reason[512];
	struct error error;

	memset(fixture->vm.ram.host, 0xff, 0x10000);
	fake_kvm.attribute_value = 1ull << 63 | 0x80000000;
	assert_int_equal(migrate_save(&migrate, &writer, &error), 0); /* an inspection does not check the tables */
	byte_buffer_free(&writer.buffer);

	migrate.check = MIGRATE_CHECK;
	writer = (struct section_writer){ 0 };
	assert_int_equal(migrate_save(&migrate, &writer, &error), -1);
	assert_non_null(strstr(error.text, "its-check: the guest's ITS tables are overwritten (collection 65535 at 0x80000000: "));
	byte_buffer_free(&writer.buffer);

	migrate.check = MIGRATE_MARK;
	writer = (struct section_writer){ 0 };
	assert_int_equal(migrate_save(&migrate, &writer, &error), 0);
	assert_int_equal(sections_parse(&sections, writer.buffer.bytes, writer.buffer.size, &error), 0);
	section = sections_find(&sections, SECTION_NOT_RESTORABLE);
	assert_non_null(section);
	assert_int_equal(section->flags, SECTION_MANDATORY);
	assert_int_equal(field_get_text(&section->fields, "reason", reason, sizeof(reason), &error), 0);
	assert_non_null(strstr(reason, "its vCPU does not exist") ? reason : strstr(reason, "has no place in the table"));
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);

	/* Without a fault the snapshot is not marked. */
	fake_kvm.attribute_value = 0;
	writer = (struct section_writer){ 0 };
	assert_int_equal(migrate_save(&migrate, &writer, &error), 0);
	assert_int_equal(sections_parse(&sections, writer.buffer.bytes, writer.buffer.size, &error), 0);
	assert_null(sections_find(&sections, SECTION_NOT_RESTORABLE));
	sections_free(&sections);
	byte_buffer_free(&writer.buffer);
}

static void gic_spi_enabled_reads_the_bit_of_the_spi(void **state)
{
	struct fixture *fixture = *state;
	struct error error;
	bool enabled;

	fake_kvm.attribute_value = 1 << 3;
	assert_int_equal(gic_spi_enabled(&fixture->vm, 3, &enabled, &error), 0);
	assert_true(enabled);
	assert_int_equal(fake_kvm.calls[fake_kvm.count - 1].group, KVM_DEV_ARM_VGIC_GRP_DIST_REGS);
	assert_int_equal(fake_kvm.calls[fake_kvm.count - 1].attribute, 0x104);
	assert_int_equal(gic_spi_enabled(&fixture->vm, 4, &enabled, &error), 0);
	assert_false(enabled);
	assert_int_equal(gic_spi_enabled(&fixture->vm, 35, &enabled, &error), 0);
	assert_true(enabled);
	assert_int_equal(fake_kvm.calls[fake_kvm.count - 1].attribute, 0x108);
	fake_kvm.fail_request = KVM_GET_DEVICE_ATTR;
	fake_kvm.fail_with = EIO;
	assert_int_equal(gic_spi_enabled(&fixture->vm, 3, &enabled, &error), -1);
	assert_non_null(strstr(error.text, "GICD_ISENABLER at 0x104"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(creation_calls_kvm_in_documented_order, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_calls_kvm_in_documented_order, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_clears_before_it_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_stops_at_the_first_call_that_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(save_calls_kvm_in_documented_order, setup, teardown),
		cmocka_unit_test_setup_teardown(restore_calls_kvm_in_documented_order, setup, teardown),
		cmocka_unit_test_setup_teardown(save_and_restore_stop_at_the_first_call_that_fails, setup, teardown),
		cmocka_unit_test_setup_teardown(fault_fails_the_named_step, setup, teardown),
		cmocka_unit_test_setup_teardown(save_fails_when_restore_would_fail, setup, teardown),
		cmocka_unit_test_setup_teardown(gic_spi_enabled_reads_the_bit_of_the_spi, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
