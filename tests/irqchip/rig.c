/* SPDX-License-Identifier: MIT */
/* A VM on real KVM: its registers, ITS commands and vCPUs, and saving and restoring it. */
#include "rig.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/kvm.h"

#define GIC_BASE 0x3fff0000ull
#define REDISTRIBUTORS 0x3f000000ull
#define ITS_BASE 0x3ffd0000ull
#define REPORT 0x10000000ull /* an address without a device: a store to it ends KVM_RUN */

extern const uint8_t guest_code[], guest_code_end_of_interrupt[], guest_code_end[];

void fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf("\n");
	exit(1);
}

static void need(int result, const char *what)
{
	if (result < 0)
		fail("%s: %s", what, strerror(-result));
}

static void set_core(struct vcpu *vcpu, uint64_t offset, uint64_t value)
{
	need(kvm_register_set(vcpu->fd, KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offset / 4, &value),
	     "a core register");
}

static void open_rig(struct rig *rig, unsigned vcpus, bool its)
{
	const struct vm_config config = { .ram_base = RIG_RAM, .ram_size = RIG_RAM_SIZE, .vcpu_count = vcpus };
	const struct gic_layout layout = {
		.distributor = GIC_BASE, .redistributors = REDISTRIBUTORS, .interrupts = RIG_INTERRUPTS,
	};
	struct error error;

	*rig = (struct rig){ 0 };
	if (vm_open(&rig->vm, &config, &error) < 0 || gic_open(&rig->vm, &layout, &error) < 0 ||
	    (its && its_open(&rig->vm, ITS_BASE, &error) < 0) ||
	    vcpus_initialise(&rig->vm, &rig->features, true, &error) < 0 || gic_initialise(&rig->vm, &error) < 0)
		fail("opening a VM: %s", error.text);
	rig->vm.interrupts.has_msi = its;
	rig->migrate = (struct migrate){
		.vm = &rig->vm, .features = &rig->features, .interrupts = RIG_INTERRUPTS, .fault = getenv("LKVM_FAULT"),
	};
	memcpy(rig->vm.ram.host, guest_code, (size_t)(guest_code_end - guest_code));
	rig_start(rig);
}

void rig_open(struct rig *rig, unsigned vcpus)
{
	open_rig(rig, vcpus, true);
}

void rig_open_without_its(struct rig *rig, unsigned vcpus)
{
	open_rig(rig, vcpus, false);
}

void rig_start(struct rig *rig)
{
	for (unsigned i = 0; i < rig->vm.vcpu_count; i++) {
		struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };

		set_core(&rig->vm.vcpus[i], offsetof(struct kvm_regs, regs.pc), RIG_CODE);
		set_core(&rig->vm.vcpus[i], offsetof(struct kvm_regs, regs.regs[1]), REPORT);
		need(kvm_call(rig->vm.vcpus[i].fd, KVM_SET_MP_STATE, (uintptr_t)&state), "KVM_SET_MP_STATE");
	}
}

void rig_close(struct rig *rig)
{
	vm_close(&rig->vm);
}

/* Registers. */

static uint64_t affinity(const struct rig *rig, unsigned vcpu)
{
	return (rig->vm.vcpus[vcpu].mpidr & 0xffffff) << 32;
}

uint32_t rig_distributor(struct rig *rig, uint32_t offset)
{
	uint32_t value = 0;

	need(kvm_attribute_get(rig->vm.gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, offset, &value), "reading GICD");
	return value;
}

void rig_set_distributor(struct rig *rig, uint32_t offset, uint32_t value)
{
	need(kvm_attribute_set(rig->vm.gic_fd, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, offset, &value), "writing GICD");
}

uint32_t rig_redistributor(struct rig *rig, unsigned vcpu, uint32_t offset)
{
	uint32_t value = 0;

	need(kvm_attribute_get(rig->vm.gic_fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, affinity(rig, vcpu) | offset, &value),
	     "reading GICR");
	return value;
}

void rig_set_redistributor(struct rig *rig, unsigned vcpu, uint32_t offset, uint32_t value)
{
	need(kvm_attribute_set(rig->vm.gic_fd, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, affinity(rig, vcpu) | offset, &value),
	     "writing GICR");
}

uint64_t rig_cpu_interface(struct rig *rig, unsigned vcpu, uint32_t encoding)
{
	uint64_t value = 0;

	need(kvm_attribute_get(rig->vm.gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, affinity(rig, vcpu) | encoding,
			       &value), "reading ICC");
	return value;
}

void rig_set_cpu_interface(struct rig *rig, unsigned vcpu, uint32_t encoding, uint64_t value)
{
	need(kvm_attribute_set(rig->vm.gic_fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, affinity(rig, vcpu) | encoding,
			       &value), "writing ICC");
}

uint64_t rig_its(struct rig *rig, uint32_t offset)
{
	uint64_t value = 0;

	need(kvm_attribute_get(rig->vm.its_fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, offset, &value), "reading GITS");
	return value;
}

void rig_set_its(struct rig *rig, uint32_t offset, uint64_t value)
{
	need(kvm_attribute_set(rig->vm.its_fd, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, offset, &value), "writing GITS");
}

void rig_program_gic(struct rig *rig)
{
	rig_set_distributor(rig, GICD_CTLR, 2); /* EnableGrp1 */
	for (unsigned i = 0; i < rig->vm.vcpu_count; i++) {
		const uint64_t properties = RIG_PROPERTIES | 15; /* 16 bits of INTIDs */
		const uint64_t pending = RIG_PENDING + 0x10000 * i;

		rig_set_cpu_interface(rig, i, ICC_PMR, 0xf8);
		rig_set_cpu_interface(rig, i, ICC_IGRPEN1, 1);
		if (rig->vm.its_fd < 0)
			continue;
		rig_set_redistributor(rig, i, GICR_PROPBASER, (uint32_t)properties);
		rig_set_redistributor(rig, i, GICR_PROPBASER + 4, (uint32_t)(properties >> 32));
		rig_set_redistributor(rig, i, GICR_PENDBASER, (uint32_t)pending);
		rig_set_redistributor(rig, i, GICR_PENDBASER + 4, (uint32_t)(pending >> 32));
	}
	for (unsigned i = 0; rig->vm.its_fd >= 0 && i < rig->vm.vcpu_count; i++)
		rig_set_redistributor(rig, i, GICR_CTLR, 1); /* EnableLPIs */
}

/* The ITS. */

void rig_program_its(struct rig *rig, bool indirect)
{
	uint64_t first = BASER_VALID | RIG_LEVEL2;

	rig->commands = 0;
	rig_set_its(rig, GITS_CBASER, BASER_VALID | RIG_QUEUE | (RIG_QUEUE_SIZE / 4096 - 1));
	rig_set_its(rig, GITS_BASER0, BASER_VALID | RIG_DEVICES | (indirect ? BASER_INDIRECT : 0));
	rig_set_its(rig, GITS_BASER1, BASER_VALID | RIG_COLLECTIONS);
	if (indirect)
		memcpy(ram_at(&rig->vm.ram, RIG_DEVICES, 8), &first, 8);
	rig_set_its(rig, GITS_CTLR, 1);
	if (!(rig_its(rig, GITS_CTLR) & 1))
		fail("the ITS does not turn on");
}

/* ARM IHI 0069, section 5.3: a command has four doublewords. */
static void command(struct rig *rig, uint64_t first, uint64_t second, uint64_t third)
{
	const uint64_t words[4] = { first, second, third, 0 };

	memcpy(ram_at(&rig->vm.ram, RIG_QUEUE + rig->commands, sizeof(words)), words, sizeof(words));
	rig->commands = (rig->commands + sizeof(words)) % RIG_QUEUE_SIZE;
	rig_set_its(rig, GITS_CWRITER, rig->commands);
	if (rig_its(rig, GITS_CREADR) != rig->commands)
		fail("the ITS does not take the command 0x%llx", (unsigned long long)first);
}

void rig_map_device(struct rig *rig, uint32_t device, unsigned event_bits)
{
	command(rig, (uint64_t)device << 32 | 0x08, event_bits - 1,
		BASER_VALID | (RIG_TRANSLATIONS + RIG_TRANSLATION_SIZE * (device % 256)));
}

void rig_map_collection(struct rig *rig, uint32_t collection, unsigned vcpu)
{
	command(rig, 0x09, 0, BASER_VALID | (uint64_t)vcpu << 16 | collection);
}

void rig_map_event(struct rig *rig, uint32_t device, uint32_t event, uint32_t lpi, uint32_t collection)
{
	command(rig, (uint64_t)device << 32 | 0x0a, (uint64_t)lpi << 32 | event, collection);
}

void rig_discard_event(struct rig *rig, uint32_t device, uint32_t event)
{
	command(rig, (uint64_t)device << 32 | 0x0f, event, 0);
}

void rig_invalidate(struct rig *rig, uint32_t device, uint32_t event)
{
	command(rig, (uint64_t)device << 32 | 0x0c, event, 0);
}

void rig_set_properties(struct rig *rig, uint32_t lpi, uint8_t priority, bool enabled)
{
	uint8_t *properties = ram_at(&rig->vm.ram, RIG_PROPERTIES + lpi - 8192, 1);

	*properties = (uint8_t)((priority & 0xfc) | enabled);
}

bool rig_send_msi(struct rig *rig, uint32_t device, uint32_t event)
{
	const struct msi_message message = {
		.address = ITS_BASE + ITS_DOORBELL_OFFSET, .data = event, .device_id = device,
	};

	return interrupts_signal_msi(&rig->vm.interrupts, &message);
}

void rig_set_line(struct rig *rig, unsigned vcpu, uint32_t interrupt, bool level)
{
	const uint32_t type = interrupt < 32 ? KVM_ARM_IRQ_TYPE_PPI : KVM_ARM_IRQ_TYPE_SPI;
	const struct kvm_irq_level line = {
		.irq = type << KVM_ARM_IRQ_TYPE_SHIFT | (interrupt < 32 ? vcpu << KVM_ARM_IRQ_VCPU_SHIFT : 0) | interrupt,
		.level = level,
	};

	need(kvm_call(rig->vm.fd, KVM_IRQ_LINE, (uintptr_t)&line), "KVM_IRQ_LINE");
	rig->raised = (rig->raised & ~(1ull << interrupt)) | (uint64_t)level << interrupt;
}

/* Running. */

uint32_t rig_acknowledge(struct rig *rig, unsigned index)
{
	struct vcpu *vcpu = &rig->vm.vcpus[index];
	uint32_t interrupt;
	int result = kvm_call(vcpu->fd, KVM_RUN, 0);

	need(result, "KVM_RUN");
	if (vcpu->run->exit_reason != KVM_EXIT_MMIO || vcpu->run->mmio.phys_addr != REPORT || !vcpu->run->mmio.is_write)
		fail("vCPU %u left KVM_RUN for the reason %u", index, vcpu->run->exit_reason);
	memcpy(&interrupt, vcpu->run->mmio.data, sizeof(interrupt));

	/* KVM completes the store at the next KVM_RUN. Only then do the registers include it. */
	vcpu->run->immediate_exit = 1;
	result = kvm_call(vcpu->fd, KVM_RUN, 0);
	vcpu->run->immediate_exit = 0;
	if (result != -EINTR)
		fail("vCPU %u runs on", index);
	return interrupt;
}

void rig_nest(struct rig *rig, unsigned vcpu)
{
	set_core(&rig->vm.vcpus[vcpu], offsetof(struct kvm_regs, regs.pc), RIG_CODE);
}

void rig_end(struct rig *rig, unsigned vcpu, uint32_t interrupt)
{
	const uint64_t offset = (uint64_t)(guest_code_end_of_interrupt - guest_code);

	set_core(&rig->vm.vcpus[vcpu], offsetof(struct kvm_regs, regs.regs[0]), interrupt);
	set_core(&rig->vm.vcpus[vcpu], offsetof(struct kvm_regs, regs.pc), RIG_CODE + offset);
}

unsigned rig_drain(struct rig *rig, unsigned vcpu, uint32_t *list, unsigned room)
{
	unsigned count = 0;

	/* KVM has few list registers and fills them at an exit, so one RIG_NOTHING does not prove that none is pending. */
	for (unsigned nothing = 0; nothing < 3;) {
		uint32_t interrupt = rig_acknowledge(rig, vcpu);

		if (interrupt == RIG_NOTHING) {
			nothing++;
			continue;
		}
		nothing = 0;
		if (interrupt < RIG_INTERRUPTS && rig->raised >> interrupt & 1)
			rig_set_line(rig, vcpu, interrupt, false);
		if (count < room)
			list[count] = interrupt;
		if (++count > 10000)
			fail("vCPU %u gets interrupt %u without an end", vcpu, interrupt);
	}
	return count;
}

/* Saving and restoring. */

int rig_save(struct rig *rig, struct saved *saved, struct error *error)
{
	*saved = (struct saved){ .ram = malloc(RIG_RAM_SIZE) };
	if (!saved->ram)
		fail("out of memory");
	if (migrate_save(&rig->migrate, &saved->sections, error) < 0) {
		saved_free(saved);
		return -1;
	}
	memcpy(saved->ram, rig->vm.ram.host, RIG_RAM_SIZE);
	return 0;
}

int rig_restore(struct rig *rig, const struct saved *saved, struct error *error)
{
	struct sections sections = { 0 };
	int result;

	memcpy(rig->vm.ram.host, saved->ram, RIG_RAM_SIZE);
	if (sections_parse(&sections, saved->sections.buffer.bytes, saved->sections.buffer.size, error) < 0)
		return -1;
	result = migrate_restore(&rig->migrate, &sections, error);
	if (result == 0)
		result = sections_check_used(&sections, error);
	sections_free(&sections);
	return result;
}

void saved_free(struct saved *saved)
{
	byte_buffer_free(&saved->sections.buffer);
	free(saved->ram);
}

static void expect_same_ram(const uint8_t *first, const uint8_t *second)
{
	for (uint64_t i = 0; i < RIG_RAM_SIZE; i++)
		if (first[i] != second[i])
			fail("RAM at 0x%llx was 0x%02x, and is 0x%02x after the restore",
			     (unsigned long long)(RIG_RAM + i), first[i], second[i]);
}

void rig_move(struct rig *rig)
{
	const unsigned vcpus = rig->vm.vcpu_count;
	const bool its = rig->vm.its_fd >= 0;
	const uint64_t raised = rig->raised;
	struct saved first, second;
	struct error error;

	if (rig_save(rig, &first, &error) < 0)
		fail("saving: %s", error.text);
	rig_close(rig);
	open_rig(rig, vcpus, its);
	if (rig_restore(rig, &first, &error) < 0)
		fail("restoring: %s", error.text);
	rig->commands = its ? rig_its(rig, GITS_CWRITER) : 0;
	rig->raised = raised;
	if (rig_save(rig, &second, &error) < 0)
		fail("saving what was restored: %s", error.text);
	expect_same_sections("the restore", &first, &second);
	expect_same_ram(first.ram, second.ram);
	saved_free(&first);
	saved_free(&second);
}
