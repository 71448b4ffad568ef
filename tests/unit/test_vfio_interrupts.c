/* SPDX-License-Identifier: MIT */
/* Interrupts of a passed-through device: kind, number and order of the VFIO and KVM calls. */
#include "unit/vfio_rig.h"

#include <poll.h>

#define MSIX_FLAGS (ECAM + 0x72)
#define MSI_FLAGS (ECAM + 0x52)
#define TABLE (WINDOW64 + 0x2000)
#define LINE_INDEX VFIO_PCI_INTX_IRQ_INDEX
#define MSI_INDEX VFIO_PCI_MSI_IRQ_INDEX
#define MSIX_INDEX VFIO_PCI_MSIX_IRQ_INDEX

static int open_passed(void **state)
{
	struct rig *rig;

	open_rig(state);
	rig = *state;
	assert_int_equal(pass_through(rig), 0);
	put(rig, ECAM + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return 0;
}

static void program(struct rig *rig, unsigned vector, uint32_t data, uint32_t control)
{
	put(rig, TABLE + 16 * vector, 8, DOORBELL);
	put(rig, TABLE + 16 * vector + 8, 4, data);
	put(rig, TABLE + 16 * vector + 12, 4, control);
}

static size_t count_calls(size_t from, unsigned long request)
{
	size_t count = 0;

	while ((from = fake_vfio_find(from, request)) != SIZE_MAX) {
		from++;
		count++;
	}
	return count;
}

static const struct fake_vfio_call *last_call(void)
{
	assert_true(fake_vfio.count > 0);
	return &fake_vfio.calls[fake_vfio.count - 1];
}

/* Returns the count of an eventfd, and clears it. The fake KVM does not read it. */
static uint64_t waiting(int fd)
{
	eventfd_t value = 0;

	eventfd_read(fd, &value);
	return value;
}

static void vectors_are_enabled_by_one_call(void **state)
{
	struct rig *rig = *state;
	const struct fake_vfio_call *call;
	size_t from = fake_vfio.count;

	for (unsigned i = 0; i < 8; i++)
		program(rig, i, i, i < 3 ? 0 : 1);
	assert_int_equal(fake_vfio.count, from);
	put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	/* The line is torn down, and the vectors are set up. */
	assert_int_equal(count_calls(from, VFIO_DEVICE_SET_IRQS), 2);
	assert_int_equal(fake_vfio.calls[from].index, LINE_INDEX);
	assert_int_equal(fake_vfio.calls[from].count, 0);
	call = last_call();
	assert_int_equal(call->index, MSIX_INDEX);
	assert_int_equal(call->flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
	assert_int_equal(call->start, 0);
	assert_int_equal(call->count, 8);
	for (unsigned i = 0; i < 8; i++)
		assert_true(i < 3 ? call->fds[i] >= 0 : call->fds[i] == -1);
	assert_int_equal(interrupts_route_count(&rig->vm.interrupts), 3);
	assert_int_equal(rig->vm.interrupts.routes[1].message.data, 1);
	assert_int_equal(rig->vm.interrupts.routes[1].message.device_id, 0);
}

/* Like Linux: enables MSI-X with all vectors masked, then unmasks one at a time. */
static void vector_is_set_up_once(void **state)
{
	struct rig *rig = *state;
	size_t from;
	int fd;

	put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(last_call()->fds[i], -1);
	put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	from = fake_vfio.count;
	program(rig, 5, 50, 0);
	assert_int_equal(fake_vfio.count, from + 1);
	assert_int_equal(last_call()->index, MSIX_INDEX);
	assert_int_equal(last_call()->start, 5);
	assert_int_equal(last_call()->count, 1);
	fd = last_call()->fds[0];
	assert_true(fd >= 0);

	/* Masking now changes only the irqfd. Interrupts of a masked vector wait. */
	for (unsigned round = 0; round < 3; round++) {
		size_t kvm = fake_kvm.count;

		put(rig, TABLE + 16 * 5 + 12, 4, 1);
		assert_int_equal(fake_kvm.count, kvm + 1);
		assert_int_equal(fake_kvm.calls[kvm].request, KVM_IRQFD);
		assert_int_equal(fake_kvm.calls[kvm].group, KVM_IRQFD_FLAG_DEASSIGN);
		assert_int_equal(get(rig, WINDOW64 + 0x4000, 4), 0);
		eventfd_write(fd, 1);
		assert_int_equal(get(rig, WINDOW64 + 0x4000, 4), 1 << 5);
		put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
		put(rig, TABLE + 16 * 5 + 12, 4, 0);
		put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
		assert_int_equal(fake_kvm.count, kvm + 2);
		assert_int_equal(fake_kvm.calls[kvm + 1].group, 0);
		assert_int_equal(fake_kvm.calls[kvm + 1].value, fd);
		/* One more signal, for an interrupt that may be pending in hardware. */
		assert_int_equal(waiting(fd), 2);
	}
	assert_int_equal(fake_vfio.count, from + 1);
}

static void route_changes_while_the_irqfd_is_detached(void **state)
{
	struct rig *rig = *state;
	size_t vfio, kvm;
	int fd;

	program(rig, 0, 1, 0);
	put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	fd = last_call()->fds[0];
	assert_int_equal(waiting(fd), 0);
	vfio = fake_vfio.count;
	kvm = fake_kvm.count;
	put(rig, TABLE + 8, 4, 2);
	assert_int_equal(fake_kvm.count, kvm + 3);
	assert_int_equal(fake_kvm.calls[kvm].request, KVM_IRQFD);
	assert_int_equal(fake_kvm.calls[kvm].group, KVM_IRQFD_FLAG_DEASSIGN);
	assert_int_equal(fake_kvm.calls[kvm + 1].request, KVM_SET_GSI_ROUTING);
	assert_int_equal(fake_kvm.calls[kvm + 2].request, KVM_IRQFD);
	assert_int_equal(fake_kvm.calls[kvm + 2].group, 0);
	assert_int_equal(fake_vfio.count, vfio);
	assert_int_equal(waiting(fd), 1);
	assert_int_equal(rig->vm.interrupts.routes[0].message.data, 2);
	/* A write without a change makes no calls. */
	kvm = fake_kvm.count;
	program(rig, 0, 2, 0);
	assert_int_equal(fake_kvm.count, kvm);
	assert_int_equal(fake_vfio.count, vfio);
}

static void msi_vectors_are_enabled_from_config_space(void **state)
{
	struct rig *rig = *state;

	put(rig, ECAM + 0x54, 8, DOORBELL);
	put(rig, ECAM + 0x5c, 2, 0x47);
	put(rig, ECAM + 0x60, 4, 2); /* masks the second */
	put(rig, MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 1 << 4);
	assert_int_equal(last_call()->index, MSI_INDEX);
	assert_int_equal(last_call()->count, 2);
	assert_true(last_call()->fds[0] >= 0);
	assert_int_equal(last_call()->fds[1], -1);
	put(rig, ECAM + 0x60, 4, 0);
	assert_int_equal(last_call()->start, 1);
	assert_int_equal(rig->vm.interrupts.routes[0].message.address, DOORBELL);
	assert_int_equal(rig->vm.interrupts.routes[0].message.data, 0x46);
	assert_int_equal(rig->vm.interrupts.routes[1].message.data, 0x47);
	/* More messages than the device has enable all it has. */
	put(rig, MSI_FLAGS, 2, 0);
	put(rig, MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 7 << 4);
	assert_int_equal(last_call()->count, 4);
}

static void line_is_unmasked_by_resample_eventfd(void **state)
{
	struct rig *rig = *state;
	size_t trigger = fake_vfio_find_irqs(0, LINE_INDEX), unmask = fake_vfio_find_irqs(trigger + 1, LINE_INDEX);
	size_t irqfd = fake_find(0, KVM_IRQFD);

	assert_int_equal(fake_vfio.calls[trigger].flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
	assert_int_equal(fake_vfio.calls[unmask].flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK);
	assert_int_equal(fake_kvm.calls[irqfd].group, KVM_IRQFD_FLAG_RESAMPLE);
	assert_int_equal(fake_kvm.calls[irqfd].value, fake_vfio.calls[trigger].fds[0]);
	assert_true(rig->vm.interrupts.routes[0].is_line);
	assert_int_equal(rig->vm.interrupts.routes[0].spi, 32);

	/* After enabling and disabling MSI-X, MSI is set up again. */
	put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	assert_int_equal(interrupts_route_count(&rig->vm.interrupts), 0);
	put(rig, MSIX_FLAGS, 2, 0);
	assert_int_equal(last_call()->index, LINE_INDEX);
	assert_int_equal(interrupts_route_count(&rig->vm.interrupts), 1);
}

static void stop_loop(void *owner, int fd, uint32_t events)
{
	(void)fd;
	(void)events;
	loop_stop(owner);
}

/* After the guest has handled the line, the event loop unmasks it by a call. */
static void line_of_mediated_device_is_unmasked_by_the_event_loop(void **state)
{
	const uint32_t by_call = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK;
	struct rig *rig = *state;
	const struct vfio_config config = { .paths = &rig->paths, .count = 1, .devices = { MEDIATED } };
	int resample, end = eventfd(0, EFD_CLOEXEC);
	struct loop loop;

	vfio_close(rig->vfio);
	loop_open(&loop);
	fake_vfio.count = 0;
	make_folders(rig->folder, "sys/bus/mdev/devices/" MEDIATED);
	make_link(rig->folder, "sys/bus/mdev/devices/" MEDIATED "/iommu_group", "../../../../kernel/iommu_groups/7");
	rig->vfio = vfio_open(&config, &rig->vm, &rig->pci, &loop, &rig->error);
	assert_non_null(rig->vfio);
	/* One call sets up the line. No call sets up unmasking by an eventfd. */
	assert_int_equal(fake_vfio_find_irqs(fake_vfio_find_irqs(0, LINE_INDEX) + 1, LINE_INDEX), SIZE_MAX);
	resample = loop.watches[0].fd; /* the eventfd that KVM writes, the loop's only watch */
	assert_int_equal(loop_add(&loop, end, POLLIN, stop_loop, &loop, &rig->error), 0);
	eventfd_write(end, 1);
	eventfd_write(resample, 1);
	fake_vfio.count = 0;
	loop_run(&loop);
	assert_int_equal(fake_vfio.count, 1);
	assert_int_equal(last_call()->flags, by_call);
	assert_int_equal(last_call()->index, LINE_INDEX);
	assert_int_equal(last_call()->count, 1);
	assert_int_equal(waiting(resample), 0);

	/* With MSI enabled the line is not unmasked. After MSI is disabled, the line is set up again. */
	put(rig, MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE);
	fake_vfio.count = 0;
	eventfd_write(resample, 1);
	loop_run(&loop);
	assert_int_equal(fake_vfio.count, 0);
	put(rig, MSI_FLAGS, 2, 0);
	assert_int_equal(last_call()->index, LINE_INDEX);
	assert_int_equal(last_call()->flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
	vfio_close(rig->vfio);
	rig->vfio = NULL;
	for (unsigned i = 0; i < LOOP_MAX_WATCHES; i++)
		assert_true(loop.watches[i].fd == -1 || loop.watches[i].fd == end);
	close(end);
}

static void reset_precedes_detaching_of_interrupts(void **state)
{
	struct rig *rig = *state;
	size_t vfio, kvm, reset, off;

	program(rig, 0, 1, 0);
	program(rig, 1, 2, 0);
	put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	vfio = fake_vfio.count;
	kvm = fake_kvm.count;
	vfio_reset(rig->vfio);
	reset = fake_vfio_find(vfio, VFIO_DEVICE_RESET);
	off = fake_vfio_find_irqs(vfio, MSIX_INDEX);
	assert_true(reset < off);
	assert_int_equal(fake_vfio.calls[off].flags, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER);
	assert_int_equal(fake_vfio.calls[off].count, 0);
	/* Both irqfds are detached after that. */
	assert_int_equal(fake_vfio.calls[off].kvm, kvm);
	assert_int_equal(fake_kvm.calls[kvm].group, KVM_IRQFD_FLAG_DEASSIGN);
	assert_int_equal(fake_kvm.calls[kvm + 1].group, KVM_IRQFD_FLAG_DEASSIGN);
	assert_int_equal(interrupts_route_count(&rig->vm.interrupts), 1); /* the line's */
	assert_int_equal(*real_config(PCI_COMMAND), PCI_COMMAND_MEMORY);
	assert_int_equal(get(rig, ECAM + PCI_COMMAND, 2), 0);
	assert_int_equal(get(rig, MSIX_FLAGS, 2), 7);
	put(rig, ECAM + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(get(rig, TABLE, 8), 0);
	assert_int_equal(get(rig, TABLE + 12, 4), 1);
}

static void device_stays_unreset_when_it_has_no_reset(void **state)
{
	struct rig *rig;

	open_rig(state);
	rig = *state;
	fake_vfio.no_reset = true;
	assert_int_equal(pass_through(rig), 0);
	put(rig, ECAM + PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	vfio_reset(rig->vfio);
	assert_int_equal(fake_vfio_find(0, VFIO_DEVICE_RESET), SIZE_MAX);
	assert_int_equal(*real_config(PCI_COMMAND), PCI_COMMAND_MEMORY);
	close_rig(state);
}

/* An inspection detaches and attaches interrupts. Interrupts in between, or pending in hardware, are not lost. */
static void interrupts_are_kept_when_detached_and_attached_again(void **state)
{
	struct rig *rig = *state;
	size_t vfio;
	int fd;

	program(rig, 0, 1, 0);
	put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	fd = last_call()->fds[0];
	vfio = fake_vfio.count;
	vfio_detach_interrupts(rig->vfio);
	vfio_detach_interrupts(rig->vfio);
	assert_int_equal(fake_kvm.calls[fake_kvm.count - 1].group, KVM_IRQFD_FLAG_DEASSIGN);
	vfio_attach_interrupts(rig->vfio);
	vfio_attach_interrupts(rig->vfio);
	assert_int_equal(fake_kvm.calls[fake_kvm.count - 1].group, 0);
	assert_int_equal(waiting(fd), 1);
	assert_int_equal(fake_vfio.count, vfio);
}

/* The host has no interrupts left. The guest continues without them, and the call is not repeated. */
static void guest_continues_when_interrupts_cannot_be_set_up(void **state)
{
	struct rig *rig = *state;
	size_t from;

	fake_vfio.fail_request = VFIO_DEVICE_SET_IRQS;
	fake_vfio.fail_with = ENOSPC;
	put(rig, MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
	program(rig, 2, 1, 0);
	from = fake_vfio.count;
	for (unsigned i = 0; i < 10; i++)
		program(rig, 2, 1, i % 2);
	assert_int_equal(fake_vfio.count, from);
	fake_kvm.fail_request = KVM_IRQFD;
	fake_kvm.fail_with = ENOMEM;
	program(rig, 2, 5, 0);
}

/* Linux 7.2 reports which interrupts hardware forwards. */
static void vlpi_parse_finds_forwarded_interrupts(void **state)
{
	static bool forwarded[VFIO_EVENTS];
	char text[] = "\nDevice ID: 0x18, Event ID Range: [0 - 127]\n"
		      "EVENT_ID    INTID  HWINTID   TARGET   COL_ID HW\n"
		      "-----------------------------------------------\n"
		      "       0     8192        0        0        0  1\n"
		      "       5     8193        0        0        0  0\n"
		      "   65535     8194        0        1        1  1\n"
		      "   65536     8195        0        1        1  1\n"
		      "       6     8196        0        1\n"
		      "\nDevice ID: 0x8, Event ID Range: [0 - 31]\n"
		      "EVENT_ID    INTID  HWINTID   TARGET   COL_ID HW\n"
		      "-----------------------------------------------\n"
		      "       5     8320        0        1        1  1\n";
	FILE *file = fmemopen(text, sizeof(text) - 1, "r");

	(void)state;
	vfio_vlpi_parse(file, 0x18, forwarded);
	assert_true(forwarded[0] && forwarded[65535]);
	assert_false(forwarded[5] || forwarded[6]);
	memset(forwarded, 0, sizeof(forwarded));
	rewind(file);
	vfio_vlpi_parse(file, 0x8, forwarded);
	assert_true(forwarded[5]);
	assert_false(forwarded[0] || forwarded[65535]);
	memset(forwarded, 0, sizeof(forwarded));
	rewind(file);
	vfio_vlpi_parse(file, 0x10, forwarded);
	assert_null(memchr(forwarded, true, sizeof(forwarded)));
	fclose(file);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, open_passed, close_rig)
	const struct CMUnitTest tests[] = {
		CASE(vectors_are_enabled_by_one_call),
		CASE(vector_is_set_up_once),
		CASE(route_changes_while_the_irqfd_is_detached),
		cmocka_unit_test(vlpi_parse_finds_forwarded_interrupts),
		CASE(msi_vectors_are_enabled_from_config_space),
		CASE(line_is_unmasked_by_resample_eventfd),
		CASE(line_of_mediated_device_is_unmasked_by_the_event_loop),
		CASE(reset_precedes_detaching_of_interrupts),
		cmocka_unit_test(device_stays_unreset_when_it_has_no_reset),
		CASE(interrupts_are_kept_when_detached_and_attached_again),
		CASE(guest_continues_when_interrupts_cannot_be_set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
