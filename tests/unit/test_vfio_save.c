/* SPDX-License-Identifier: MIT */
/* Saving and restoring a machine with passed-through devices: the order of calls, and the failure of each call. */
#include "unit/vfio_rig.h"

#include "arm/its.h"
#include "machine/machine.h"
#include "snapshot/snapshot.h"

#define DATA "what the device says of itself"
#define AHEAD "and what it said ahead; "
#define TABLE_OF(machine) ((machine)->pci_layout.window64 + 0x2000)
#define DOORBELL_OF_ITS (MACHINE_ITS + ITS_DOORBELL_OFFSET)

/* A machine with two functions after the event collector. The guest enabled three vectors of the first, one of the second. */
struct bench {
	struct rig rig;
	struct machine machine;
	struct loop loop;
	struct machine_config config;
	char kernel[96], snapshot_path[96];
	struct section_writer writer;
	struct snapshot snapshot;
	size_t kvm, vfio; /* number of calls before the tested ones */
};

static void make_kernel(struct bench *bench)
{
	uint8_t image[4096] = { 0 };
	FILE *file;

	put32(image + 16, sizeof(image)); /* arm64/booting.rst: its size in memory, the magic number */
	memcpy(image + 56, "ARM\x64", 4);
	snprintf(bench->kernel, sizeof(bench->kernel), "%s/Image", bench->rig.folder);
	file = fopen(bench->kernel, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(image, sizeof(image), 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

static void guest_write(struct bench *bench, uint64_t address, unsigned size, uint64_t value)
{
	assert_true(bus_write(&bench->machine.vm.bus, address, size, value));
}

static void program(struct bench *bench, unsigned slot, uint64_t table, unsigned vectors)
{
	uint64_t config = MACHINE_ECAM + ((uint64_t)slot << 15);

	guest_write(bench, config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	for (unsigned i = 0; i < vectors; i++) {
		guest_write(bench, table + 16 * i, 8, DOORBELL_OF_ITS);
		guest_write(bench, table + 16 * i + 8, 4, i);
		guest_write(bench, table + 16 * i + 12, 4, 0);
	}
	guest_write(bench, config + 0x72, 2, PCI_MSIX_FLAGS_ENABLE);
}

static void open_machine(struct bench *bench)
{
	struct error error;

	loop_open(&bench->loop);
	if (machine_open(&bench->machine, &bench->config, &bench->loop, NULL, &error) < 0)
		fail_msg("%s", error.text);
}

static void begin(struct bench *bench)
{
	bench->kvm = fake_kvm.count;
	bench->vfio = fake_vfio.count;
}

static int set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	make_host(&bench->rig);
	make_link(bench->rig.folder, "sys/bus/pci/devices/" OTHER "/driver", "../../../../bus/pci/drivers/vfio-pci");
	make_link(bench->rig.folder, "sys/bus/pci/devices/" OTHER "/iommu_group", "../../../../kernel/iommu_groups/7");
	make_kernel(bench);
	fake_vfio.migration = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;
	fake_vfio.data = DATA;
	bench->snapshot.fd = -1;
	bench->config = (struct machine_config){
		.name = "g", .kernel = bench->kernel, .cpus = 2, .memory = 64 << 20, .irqchip = IRQCHIP_GICV3_ITS,
		.no_defaults = true,
		.vfio = { .paths = &bench->rig.paths, .count = 2, .devices = { DEVICE, OTHER } },
	};
	open_machine(bench);
	program(bench, 1, TABLE_OF(&bench->machine), 3);
	program(bench, 2, TABLE_OF(&bench->machine) + 0x8000, 1);
	begin(bench);
	*state = bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	machine_close(&bench->machine);
	if (bench->snapshot.fd >= 0)
		snapshot_close(&bench->snapshot);
	byte_buffer_free(&bench->writer.buffer);
	drop_host(&bench->rig);
	fake_kvm_reset();
	free(bench);
	return 0;
}

static int save(struct bench *bench, struct error *error)
{
	byte_buffer_free(&bench->writer.buffer);
	bench->writer = (struct section_writer){ 0 };
	return machine_save(&bench->machine, false, &bench->writer, error);
}

/* Returns the number of KVM calls before a call of VFIO. */
static size_t when(size_t vfio)
{
	assert_int_not_equal(vfio, SIZE_MAX);
	return fake_vfio.calls[vfio].kvm;
}

static size_t find_its(const struct bench *bench, uint64_t attribute)
{
	return fake_find_attribute(bench->kvm, bench->machine.vm.its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL, attribute);
}

static size_t find_pending(const struct bench *bench)
{
	return fake_find_attribute(bench->kvm, bench->machine.vm.gic_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
				   KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES);
}

static unsigned count_irqfds(size_t from, size_t to, uint32_t flags)
{
	unsigned count = 0;

	for (size_t i = from; i < to; i++)
		count += fake_kvm.calls[i].request == KVM_IRQFD && fake_kvm.calls[i].group == flags;
	return count;
}

/* Expects that both devices enter the state before one of them enters the next. */
static void both(size_t from, uint32_t state)
{
	size_t first = fake_vfio_find_state(from, state), second = fake_vfio_find_state(first + 1, state);

	assert_int_not_equal(first, SIZE_MAX);
	assert_int_equal(second, first + 1);
	assert_int_not_equal(fake_vfio.calls[first].fd, fake_vfio.calls[second].fd);
}

/* GICv4.1: interrupts stay forwarded, so that KVM can read pending ones from hardware. */
static void save_calls_kvm_and_vfio_in_order(void **state)
{
	struct bench *bench = *state;
	size_t tables, pending;
	struct error error;

	assert_int_equal(save(bench, &error), 0);
	tables = find_its(bench, KVM_DEV_ARM_ITS_SAVE_TABLES);
	pending = find_pending(bench);
	both(bench->vfio, VFIO_DEVICE_STATE_RUNNING_P2P);
	both(bench->vfio, VFIO_DEVICE_STATE_STOP);
	assert_true(fake_vfio_find_state(bench->vfio, VFIO_DEVICE_STATE_RUNNING_P2P) <
		    fake_vfio_find_state(bench->vfio, VFIO_DEVICE_STATE_STOP));
	assert_true(when(fake_vfio_find_state(bench->vfio, VFIO_DEVICE_STATE_STOP) + 1) <= tables);
	assert_true(tables < pending);
	assert_true(when(fake_vfio_find_state(bench->vfio, VFIO_DEVICE_STATE_STOP_COPY)) > pending);
	assert_int_equal(count_irqfds(bench->kvm, fake_kvm.count, KVM_IRQFD_FLAG_DEASSIGN), 0);
	assert_int_equal(count_irqfds(bench->kvm, fake_kvm.count, 0), 0);
	assert_int_equal(fake_vfio.state, VFIO_DEVICE_STATE_STOP);

	begin(bench);
	machine_resume(&bench->machine);
	both(bench->vfio, VFIO_DEVICE_STATE_RUNNING_P2P);
	both(bench->vfio, VFIO_DEVICE_STATE_RUNNING);
}

static uint64_t waiting(const struct fake_vfio_call *wired, unsigned vector)
{
	eventfd_t count = 0;

	eventfd_read(wired->fds[vector], &count);
	return count;
}

/* GICv4.0: KVM refuses to save forwarded interrupts. Each vector is signalled when it is forwarded again. */
static void save_detaches_irqfds_when_kvm_refuses_forwarded_interrupts(void **state)
{
	struct bench *bench = *state;
	size_t tables, again, pending;
	struct error error;

	assert_int_equal(save(bench, &error), 0);
	machine_resume(&bench->machine);
	machine_pause(&bench->machine);
	tables = find_its(bench, KVM_DEV_ARM_ITS_SAVE_TABLES) - bench->kvm;
	/* The devices are stopped already, so there are fewer calls. */
	begin(bench);
	fake_kvm.fail_at = bench->kvm + tables;
	fake_kvm.fail_with = EACCES;
	assert_int_equal(save(bench, &error), 0);
	fake_kvm.fail_at = SIZE_MAX;
	tables = find_its(bench, KVM_DEV_ARM_ITS_SAVE_TABLES);
	again = fake_find_attribute(tables + 1, bench->machine.vm.its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
				    KVM_DEV_ARM_ITS_SAVE_TABLES);
	pending = find_pending(bench);
	assert_int_not_equal(again, SIZE_MAX);
	assert_int_equal(count_irqfds(bench->kvm, tables, KVM_IRQFD_FLAG_DEASSIGN), 0);
	assert_int_equal(count_irqfds(tables, again, KVM_IRQFD_FLAG_DEASSIGN), 4);
	assert_true(again < pending);
	assert_int_equal(count_irqfds(pending, fake_kvm.count, 0), 4);
	/* No vector was disabled in a device and enabled again. */
	assert_int_equal(fake_vfio_find(bench->vfio, VFIO_DEVICE_SET_IRQS), SIZE_MAX);
	for (size_t i = 0; (i = fake_vfio_find_irqs(i, VFIO_PCI_MSIX_IRQ_INDEX)) != SIZE_MAX; i++)
		for (unsigned vector = 0; vector < fake_vfio.calls[i].count; vector++)
			if (fake_vfio.calls[i].fds[vector] >= 0)
				assert_int_equal(waiting(&fake_vfio.calls[i], vector), 1);

	/* The refusal is remembered: the next save detaches the irqfds before the pause. */
	begin(bench);
	machine_defer_interrupts(&bench->machine);
	assert_int_equal(count_irqfds(bench->kvm, fake_kvm.count, KVM_IRQFD_FLAG_DEASSIGN), 4);
	begin(bench);
	assert_int_equal(save(bench, &error), 0);
	assert_int_equal(count_irqfds(bench->kvm, fake_kvm.count, KVM_IRQFD_FLAG_DEASSIGN), 0);
	assert_int_equal(count_irqfds(find_pending(bench), fake_kvm.count, 0), 4);
}

/* After any failure, the machine continues with its devices, and the next save succeeds. */
static void machine_continues_when_any_call_of_a_save_fails(void **state)
{
	struct bench *bench = *state;
	size_t kvm, vfio;
	struct error error;

	assert_int_equal(save(bench, &error), 0);
	kvm = fake_kvm.count - bench->kvm;
	vfio = fake_vfio.count - bench->vfio;
	assert_true(kvm > 100 && vfio >= 8);
	machine_resume(&bench->machine);
	machine_pause(&bench->machine);
	/* Calls that the pause made are not repeated. */
	begin(bench);
	assert_int_equal(save(bench, &error), 0);
	kvm = fake_kvm.count - bench->kvm;
	for (size_t i = 0; i < kvm; i++) {
		fake_kvm.count = bench->kvm;
		fake_kvm.fail_at = bench->kvm + i;
		fake_kvm.fail_with = EBUSY;
		assert_int_equal(save(bench, &error), -1);
		assert_int_equal(error.code, EBUSY);
		fake_vfio.count = bench->vfio;
	}
	fake_kvm.fail_at = SIZE_MAX;
	for (size_t i = 0; i < vfio; i++) {
		machine_resume(&bench->machine);
		machine_pause(&bench->machine);
		machine_resume(&bench->machine);
		bench->machine.running = false; /* as if it had never run, so that no device is stopped */
		begin(bench);
		fake_vfio.fail_at = bench->vfio + i;
		fake_vfio.fail_with = EIO;
		assert_int_equal(save(bench, &error), -1);
		assert_non_null(strstr(error.text, "VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE"));
		/* The devices are stopped in turn, step by step. Then each one is read. */
		assert_non_null(strstr(error.text, (i < 4 ? i % 2 : i / 2 % 2) ? OTHER : DEVICE));
		fake_vfio.fail_at = SIZE_MAX;
		assert_int_equal(save(bench, &error), 0);
	}
}

/* Only a reset leaves VFIO's error state. The other device continues in any case. */
static void device_is_reset_when_it_enters_the_error_state(void **state)
{
	struct bench *bench = *state;
	size_t reset;
	struct error error;

	fake_vfio.fail_at = bench->vfio + 2; /* the first one's STOP */
	fake_vfio.fail_with = EIO;
	fake_vfio.state = VFIO_DEVICE_STATE_ERROR;
	assert_int_equal(vfio_stop_peers(bench->machine.vfio, &error), 0);
	fake_vfio.state = VFIO_DEVICE_STATE_ERROR;
	assert_int_equal(save(bench, &error), -1);
	assert_non_null(strstr(error.text, DEVICE));
	reset = fake_vfio_find(bench->vfio, VFIO_DEVICE_RESET);
	assert_int_not_equal(reset, SIZE_MAX);
	assert_int_equal(fake_vfio.calls[reset].fd, fake_vfio.calls[bench->vfio].fd);
	fake_vfio.fail_at = fake_vfio.count; /* the other device's first step */
	machine_resume(&bench->machine);
	assert_int_equal(fake_vfio.state, VFIO_DEVICE_STATE_RUNNING);
	fake_vfio.fail_at = SIZE_MAX;
	assert_int_equal(save(bench, &error), 0);
}

/* Saves to a file, and opens a machine from it. */
static void move_to_another(struct bench *bench)
{
	struct snapshot_writer file = { .ram = &bench->machine.vm.ram };
	struct machine_config saved = { 0 };
	struct error error;

	snprintf(bench->snapshot_path, sizeof(bench->snapshot_path), "%s/snapshot", bench->rig.folder);
	file.fd = open(bench->snapshot_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(file.fd >= 0);
	assert_int_equal(snapshot_write(&file, &bench->writer.buffer, &error), 0);
	snapshot_end(&file);
	close(file.fd);
	machine_close(&bench->machine);
	fake_kvm.count = 0;
	fake_vfio.count = 0;
	assert_int_equal(snapshot_open(&bench->snapshot, bench->snapshot_path, &error), 0);
	assert_int_equal(machine_config_load(&saved, &bench->snapshot.sections, &error), 0);
	assert_int_equal(saved.vfio.count, bench->config.vfio.count);
	machine_config_free(&saved);
	bench->config.snapshot = &bench->snapshot;
	bench->config.counter_frequency = vcpus_counter_frequency();
	bench->config.address_bits = 40;
	open_machine(bench);
}

static void restore_calls_kvm_and_vfio_in_order(void **state)
{
	struct bench *bench = *state;
	size_t control, loaded, irqs;
	uint64_t serial;
	struct error error;
	char told[64];

	assert_int_equal(save(bench, &error), 0);
	put32(real_config(0x144), 0x55667788); /* another device of the same kind */
	move_to_another(bench);
	/* No interrupt is set up and torn down again. */
	assert_int_equal(fake_vfio_find_irqs(0, VFIO_PCI_INTX_IRQ_INDEX), SIZE_MAX);
	begin(bench);
	*real_config(PCI_COMMAND) = 0;
	if (machine_load(&bench->machine, &bench->snapshot.sections, &error) < 0)
		fail_msg("%s", error.text);

	assert_true(*real_config(PCI_COMMAND) & PCI_COMMAND_MASTER);
	assert_true(bus_read(&bench->machine.vm.bus, MACHINE_ECAM + (1 << 15) + 0x144, 4, &serial));
	assert_int_equal(serial, 0x55667788);

	/* GITS_CTLR is the last register of the ITS. */
	control = fake_find_attribute(bench->kvm, bench->machine.vm.its_fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, 0);
	assert_true(find_its(bench, KVM_DEV_ARM_ITS_RESTORE_TABLES) < control);
	loaded = fake_vfio_find_state(bench->vfio, VFIO_DEVICE_STATE_RESUMING);
	assert_true(when(loaded) > control);
	assert_int_equal(pread(fake_vfio.sink_fd, told, sizeof(told), 0), strlen(DATA));
	assert_memory_equal(told, DATA, strlen(DATA));

	/* For each device: one table of routes, its irqfds, one call for its vectors. */
	irqs = fake_vfio_find_irqs(bench->vfio, VFIO_PCI_MSIX_IRQ_INDEX);
	assert_true(irqs > fake_vfio_find_state(loaded, VFIO_DEVICE_STATE_STOP) + 1);
	assert_int_equal(fake_vfio.calls[irqs].start, 0);
	assert_int_equal(fake_vfio.calls[irqs].count, 8);
	assert_int_equal(count_irqfds(when(loaded), when(irqs), 0), 3);
	assert_true(fake_find(when(loaded), KVM_SET_GSI_ROUTING) < fake_find(when(loaded), KVM_IRQFD));
	assert_true(fake_find(fake_find(when(loaded), KVM_SET_GSI_ROUTING) + 1, KVM_SET_GSI_ROUTING) > when(irqs));
	for (unsigned vector = 0; vector < 8; vector++) {
		assert_int_equal(fake_vfio.calls[irqs].fds[vector] >= 0, vector < 3);
		if (vector < 3)
			assert_int_equal(waiting(&fake_vfio.calls[irqs], vector), 1);
	}
	assert_int_not_equal(fake_vfio_find_irqs(irqs + 1, VFIO_PCI_MSIX_IRQ_INDEX), SIZE_MAX);
	assert_int_equal(fake_vfio_find_state(bench->vfio, VFIO_DEVICE_STATE_RUNNING), SIZE_MAX);

	machine_resume(&bench->machine);
	both(bench->vfio, VFIO_DEVICE_STATE_RUNNING_P2P);
	both(bench->vfio, VFIO_DEVICE_STATE_RUNNING);
}

static void restore_fails_and_names_the_device_when_any_call_fails(void **state)
{
	struct bench *bench = *state;
	size_t vfio;
	struct error error;

	assert_int_equal(save(bench, &error), 0);
	move_to_another(bench);
	begin(bench);
	assert_int_equal(machine_load(&bench->machine, &bench->snapshot.sections, &error), 0);
	vfio = fake_vfio_find_irqs(bench->vfio, VFIO_PCI_MSIX_IRQ_INDEX) - bench->vfio;
	/* The calls begin and end the restore of two states. The next call sets up interrupts of the first device. */
	assert_int_equal(vfio, 4);
	for (size_t i = 0; i < 5; i++) {
		machine_close(&bench->machine);
		fake_kvm.count = 0;
		fake_vfio.count = 0;
		open_machine(bench);
		fake_vfio.fail_at = fake_vfio.count + i;
		fake_vfio.fail_with = EINVAL;
		assert_int_equal(machine_load(&bench->machine, &bench->snapshot.sections, &error), -1);
		assert_non_null(strstr(error.text, i < 2 || i == 4 ? DEVICE : OTHER));
		fake_vfio.fail_at = SIZE_MAX;
	}
}

/* The data of precopy and the rest form one state. */
static void precopy_data_is_saved_with_the_rest(void **state)
{
	struct bench *bench = *state;
	struct sections sections = { 0 };
	const struct section *section;
	struct field data;
	struct error error;

	fake_vfio.migration |= 4; /* it came with Linux 6.2 */
	fake_vfio.ahead = AHEAD;
	machine_close(&bench->machine);
	bench->config.vfio.count = 1;
	open_machine(bench);
	bench->machine.running = true;
	for (unsigned i = 0; i < 3; i++)
		vfio_precopy(bench->machine.vfio);
	machine_pause(&bench->machine);
	assert_int_equal(fake_vfio.state, VFIO_DEVICE_STATE_STOP_COPY);
	assert_true(fake_vfio_find_state(0, FAKE_VFIO_PRE_COPY_P2P) < fake_vfio_find_state(0, VFIO_DEVICE_STATE_STOP_COPY));
	assert_int_equal(save(bench, &error), 0);
	assert_int_equal(sections_parse(&sections, bench->writer.buffer.bytes, bench->writer.buffer.size, &error), 0);
	section = sections_need(&sections, "vfio0/data", 1, &error);
	assert_non_null(section);
	assert_true(field_find(&section->fields, "data", &data));
	assert_int_equal(data.count, strlen(AHEAD DATA));
	assert_memory_equal(data.values, AHEAD DATA, data.count);
	sections_free(&sections);
	machine_resume(&bench->machine);
	assert_int_equal(fake_vfio.state, VFIO_DEVICE_STATE_RUNNING);

	/* After a cancelled precopy the device runs as before. */
	vfio_precopy(bench->machine.vfio);
	assert_int_equal(fake_vfio.state, FAKE_VFIO_PRE_COPY);
	vfio_cancel_precopy(bench->machine.vfio);
	assert_int_equal(fake_vfio.state, VFIO_DEVICE_STATE_RUNNING);
	/* The same if the guest resets the machine during precopy. */
	vfio_precopy(bench->machine.vfio);
	machine_pause(&bench->machine);
	vfio_reset(bench->machine.vfio);
	begin(bench);
	machine_resume(&bench->machine);
	assert_int_equal(fake_vfio.state, VFIO_DEVICE_STATE_RUNNING);
	assert_int_equal(fake_vfio.count, bench->vfio);
}

static void save_requires_detaching_device_that_cannot_migrate(void **state)
{
	struct bench *bench = *state;
	struct error error;

	fake_vfio.migration = 0;
	machine_close(&bench->machine);
	bench->config.vfio.count = 1;
	open_machine(bench);
	program(bench, 1, TABLE_OF(&bench->machine), 3);
	assert_int_equal(vfio_check_saving(bench->machine.vfio, false, &error), -1);
	assert_non_null(strstr(error.text, DEVICE));
	assert_non_null(strstr(error.text, "--detach-vfio"));
	assert_int_equal(vfio_check_saving(bench->machine.vfio, true, &error), 0);

	/* An inspection does not change the device. */
	assert_int_equal(save(bench, &error), 0);
	assert_true(*real_config(PCI_COMMAND) & PCI_COMMAND_MASTER);

	/* A detached device has no bus mastering until it is reset. */
	vfio_may_detach(bench->machine.vfio, true);
	assert_int_equal(save(bench, &error), 0);
	assert_false(*real_config(PCI_COMMAND) & PCI_COMMAND_MASTER);
	begin(bench);
	machine_resume(&bench->machine);
	assert_int_not_equal(fake_vfio_find(bench->vfio, VFIO_DEVICE_RESET), SIZE_MAX);
	assert_true(*real_config(PCI_COMMAND) & PCI_COMMAND_MASTER);
	begin(bench);
	machine_pause(&bench->machine);
	assert_true(*real_config(PCI_COMMAND) & PCI_COMMAND_MASTER);

	/* The restored device has its interrupts. */
	move_to_another(bench);
	assert_int_equal(machine_load(&bench->machine, &bench->snapshot.sections, &error), 0);
	assert_int_not_equal(fake_vfio_find_irqs(0, VFIO_PCI_MSIX_IRQ_INDEX), SIZE_MAX);
	assert_int_equal(fake_vfio_find_state(0, VFIO_DEVICE_STATE_RESUMING), SIZE_MAX);
}

/* The new host has a driver without migration. */
static void restore_fails_when_the_new_driver_cannot_migrate(void **state)
{
	struct bench *bench = *state;
	struct error error;

	assert_int_equal(save(bench, &error), 0);
	fake_vfio.migration = 0;
	move_to_another(bench);
	assert_int_equal(machine_load(&bench->machine, &bench->snapshot.sections, &error), -1);
	assert_non_null(strstr(error.text, DEVICE));
	assert_non_null(strstr(error.text, "cannot load"));
}

static void dirty_log_includes_writes_of_devices(void **state)
{
	struct bench *bench = *state;
	uint16_t pages[(64 << 20) / RAM_MARK] = { 0 };
	struct error error;

	/* With a device that does not log its DMA writes, the dirty log is not exact. */
	fake_kvm.extensions = 4096;
	assert_int_equal(machine_track(&bench->machine, &error), 0);
	assert_false(bench->machine.dirty_log.is_exact);
	machine_untrack(&bench->machine);

	fake_vfio.logs = true;
	assert_int_equal(machine_track(&bench->machine, &error), 0);
	assert_true(bench->machine.dirty_log.is_exact);
	assert_int_equal(machine_fetch_dirty(&bench->machine, pages, false, &error), 0);
	memset(pages, 0, sizeof(pages));
	memset(bench->machine.dirty_log.bitmap, 0, bench->machine.vm.ram.size / 4096 / 8); /* KVM reports no pages */
	assert_int_equal(machine_fetch_dirty(&bench->machine, pages, false, &error), 0);
	assert_int_equal(pages[0], 0xffff);
	assert_int_equal(pages[1], 0);
	fake_vfio.logs = false; /* the log is lost, so any page may have been written */
	memset(pages, 0, sizeof(pages));
	assert_int_equal(machine_fetch_dirty(&bench->machine, pages, false, &error), 0);
	assert_int_equal(pages[1], 0xffff);
	machine_untrack(&bench->machine);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(save_calls_kvm_and_vfio_in_order),
		CASE(save_detaches_irqfds_when_kvm_refuses_forwarded_interrupts),
		CASE(machine_continues_when_any_call_of_a_save_fails),
		CASE(device_is_reset_when_it_enters_the_error_state),
		CASE(restore_calls_kvm_and_vfio_in_order),
		CASE(restore_fails_and_names_the_device_when_any_call_fails),
		CASE(precopy_data_is_saved_with_the_rest),
		CASE(save_requires_detaching_device_that_cannot_migrate),
		CASE(restore_fails_when_the_new_driver_cannot_migrate),
		CASE(dirty_log_includes_writes_of_devices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
