/* SPDX-License-Identifier: MIT */
/* The view of vCPUs: state, mode, PC, pending exceptions and registers. */
#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <stdio.h>

#include "arm/register_fields.h"
#include "inspect/inspect.h"
#include "state/names.h"

#define CORE(member) (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(member))

static void add_state(struct report *report, uint64_t mp_state)
{
	char text[40];

	switch (mp_state) {
	case KVM_MP_STATE_RUNNABLE:
		report_string(report, "state", "running");
		break;
	case KVM_MP_STATE_STOPPED:
		report_string(report, "state", "off");
		break;
	case KVM_MP_STATE_SUSPENDED:
		report_string(report, "state", "suspended");
		break;
	default:
		snprintf(text, sizeof(text), "KVM_MP_STATE %" PRIu64, mp_state);
		report_string(report, "state", text);
	}
}

static void add_mode(struct report *report, uint64_t pstate)
{
	char text[REGISTER_FIELD_LENGTH];

	register_field_text(register_fields("pstate"), pstate, text); /* its first field, M */
	report_string(report, "mode", text);
}

/* Exceptions that the guest takes as soon as it runs. */
static int add_pending(const struct inspection *inspection, struct report *report, const char *section, struct error *error)
{
	uint64_t serror, has_esr, esr, abort;
	char text[80], syndrome[40] = "";

	if (inspection_number(inspection, section, FIELD_VCPU_SERROR_PENDING, &serror, error) < 0 ||
	    inspection_number(inspection, section, FIELD_VCPU_SERROR_HAS_ESR, &has_esr, error) < 0 ||
	    inspection_number(inspection, section, FIELD_VCPU_SERROR_ESR, &esr, error) < 0 ||
	    inspection_number(inspection, section, FIELD_VCPU_EXTERNAL_ABORT_PENDING, &abort, error) < 0)
		return -1;
	if (serror && has_esr)
		snprintf(syndrome, sizeof(syndrome), " (ESR 0x%" PRIx64 ")", esr);
	snprintf(text, sizeof(text), "%s%s%s%s", serror ? "SError" : "", syndrome, serror && abort ? ", " : "",
		 abort ? "external abort" : "");
	report_string(report, "pending", *text ? text : NULL);
	return 0;
}

static void add_address(const struct inspection *inspection, struct report *report, const char *name, uint64_t address)
{
	char member[16], text[SYMBOL_TEXT_LENGTH];

	report_hex(report, name, address);
	if (!inspection->symbols)
		return;
	snprintf(member, sizeof(member), "%s_symbol", name);
	report_string(report, member, inspect_symbol(inspection, address, text));
}

static int add_vcpu(const struct inspection *inspection, struct report *report, unsigned vcpu, bool registers,
		    struct error *error)
{
	uint64_t mpidr, state, pc, lr, pstate;
	char section[SECTION_NAME_LENGTH + 1];

	snprintf(section, sizeof(section), SECTION_VCPU "%u", vcpu);
	if (inspection_number(inspection, section, FIELD_VCPU_MPIDR, &mpidr, error) < 0 ||
	    inspection_number(inspection, section, FIELD_VCPU_MP_STATE, &state, error) < 0 ||
	    inspection_register(inspection, vcpu, CORE(regs.pc), &pc, error) < 0 ||
	    inspection_register(inspection, vcpu, CORE(regs.regs[30]), &lr, error) < 0 ||
	    inspection_register(inspection, vcpu, CORE(regs.pstate), &pstate, error) < 0)
		return -1;
	report_begin(report, NULL);
	report_number(report, "vcpu", vcpu);
	report_hex(report, "mpidr", mpidr);
	add_state(report, state);
	add_mode(report, pstate);
	add_address(inspection, report, "pc", pc);
	add_address(inspection, report, "lr", lr);
	if (add_pending(inspection, report, section, error) < 0)
		return -1;
	if (registers && inspect_vcpu_registers(inspection, report, section, error) < 0)
		return -1;
	report_end(report);
	return 0;
}

/* NULL: no vCPU's VBAR_EL1 matches `vectors`. The file is another kernel's, or the guest has not set VBAR_EL1 yet. */
static void add_kaslr_offset(const struct inspection *inspection, struct report *report)
{
	if (!inspection->symbols)
		return;
	if (inspection->symbols_fit)
		report_hex(report, "symbols_moved_by", inspection->symbols->kaslr_offset);
	else
		report_string(report, "symbols_moved_by", NULL);
}

static int add_vcpus(const struct inspection *inspection, struct report *report, unsigned first, unsigned end, bool registers,
		     struct error *error)
{
	add_kaslr_offset(inspection, report);
	report_begin_list(report, "vcpus");
	for (unsigned i = first; i < end; i++)
		if (add_vcpu(inspection, report, i, registers, error) < 0)
			return -1;
	report_end_list(report);
	return 0;
}

int inspect_vcpus(const struct inspection *inspection, struct report *report, struct error *error)
{
	return add_vcpus(inspection, report, 0, inspection->config.cpus, false, error);
}

int inspect_cpu(const struct inspection *inspection, struct report *report, struct error *error)
{
	unsigned first = 0, end = inspection->config.cpus;

	if (inspection->vcpu != INSPECT_ALL_VCPUS) {
		if (inspection->vcpu >= end)
			return error_set(error, EINVAL, "there is no vCPU %" PRIu64 ", the last one is %u", inspection->vcpu,
					 end - 1);
		first = (unsigned)inspection->vcpu;
		end = first + 1;
	}
	return add_vcpus(inspection, report, first, end, report->json || inspection->vcpu != INSPECT_ALL_VCPUS, error);
}
