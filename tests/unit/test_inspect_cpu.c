/* SPDX-License-Identifier: MIT */
/* inspect/cpu.c, cpu_registers.c and kaslr.c: vCPUs of a real snapshot, and vCPUs that tests write. */
#include "unit/inspect_rig.h"

#include <linux/kvm.h>

struct made_vcpu {
	uint64_t state, pstate, pc, lr, vbar;
	uint64_t serror, has_esr, esr, abort;
};

static void add_vcpu(struct inspect_rig *rig, unsigned index, const struct made_vcpu *vcpu)
{
	struct byte_buffer *buffer = &rig->writer.buffer;
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", index);
	section_begin(&rig->writer, name, 1, 0);
	field_add_number(buffer, "mpidr", index);
	field_add_number(buffer, "mp_state", vcpu->state);
	field_add_number(buffer, "serror_pending", vcpu->serror);
	field_add_number(buffer, "serror_has_esr", vcpu->has_esr);
	field_add_number(buffer, "serror_esr", vcpu->esr);
	field_add_number(buffer, "external_abort_pending", vcpu->abort);
	field_add_number(buffer, "0x6030000000100040", vcpu->pc);
	field_add_number(buffer, "0x603000000010003c", vcpu->lr);
	field_add_number(buffer, "0x6030000000100042", vcpu->pstate);
	field_add_number(buffer, "0x603000000013c600", vcpu->vbar);
}

/* Makes a snapshot with one vCPU, or with two if `second` is not NULL. */
static void make(struct inspect_rig *rig, const struct made_vcpu *first, const struct made_vcpu *second)
{
	*rig = (struct inspect_rig){ .inspection = { .config.cpus = second ? 2 : 1, .vcpu = INSPECT_ALL_VCPUS } };
	add_vcpu(rig, 0, first);
	section_end(&rig->writer);
	if (second) {
		add_vcpu(rig, 1, second);
		section_end(&rig->writer);
	}
	rig_open_made(rig);
}

static void cpu_view_shows_vcpus_of_real_guest(void **state)
{
	struct inspect_rig rig;
	struct error error;
	const char *text;

	(void)state;
	rig_open_golden(&rig, "real-1");
	assert_string_equal(rig_show(&rig, inspect_cpu, false, &error),
			    "vcpus\n"
			    "  vcpu  mpidr  state    mode  pc          lr          pending\n"
			    "  0     0x0    running  EL1h  0x800847e0  0x8008462c  -\n"
			    "  1     0x1    off      EL1h  0x80080fe8  0x80080150  -\n");
	rig.inspection.vcpu = 1;
	text = rig_show(&rig, inspect_cpu, false, &error);
	assert_has(text, "  - vcpu     1\n    mpidr    0x1\n");
	assert_int_equal(count_of(text, "- vcpu"), 1);
	assert_has(text, "    general registers\n      register  value       fields\n");
	assert_has(text, "      pstate    0x800003c5  M=EL1h F=1 I=1 A=1 D=1 N=1\n");
	assert_has(text, "    system registers\n");
	assert_has(text, "      SCTLR_EL1         0xc5107d            M=1 C=1 SA=1 ");
	assert_has(text, "    vector registers\n      register  value                               fields\n");
	assert_has(text, "      v0        0x00000000000000000000000000000000  -\n");
	assert_has(text, "    other registers\n");
	assert_has(text, " PSCI_VERSION ");
	rig.inspection.vcpu = 2;
	assert_null(rig_show(&rig, inspect_cpu, false, &error));
	assert_string_equal(error.text, "there is no vCPU 2, the last one is 1");
	rig.inspection.vcpu = INSPECT_ALL_VCPUS;
	text = rig_show(&rig, inspect_cpu, true, &error);
	assert_int_equal(count_of(text, "\"register\": \"SCTLR_EL1\""), 2);
	rig_close(&rig);
}

static void cpu_view_shows_states_and_pending_exceptions(void **state)
{
	const struct made_vcpu first = { .state = KVM_MP_STATE_SUSPENDED, .serror = 1, .has_esr = 1, .esr = 0x2a, .abort = 1,
					  .pstate = 0x3c5 };
	struct made_vcpu second = { .state = 77, .serror = 1, .pstate = 0x80000010 };
	struct inspect_rig rig;
	struct error error;
	const char *text;

	(void)state;
	make(&rig, &first, &second);
	text = rig_show(&rig, inspect_cpu, false, &error);
	assert_has(text, "  0     0x0    suspended        EL1h   0x0  0x0  SError (ESR 0x2a), external abort\n");
	assert_has(text, "  1     0x1    KVM_MP_STATE 77  usr32  0x0  0x0  SError\n");
	rig_close(&rig);
	second = (struct made_vcpu){ .abort = 1 };
	make(&rig, &second, NULL);
	assert_has(rig_show(&rig, inspect_cpu, false, &error), "0x0  external abort\n");
	rig_close(&rig);
}

static void cpu_view_refuses_registers_of_wrong_size(void **state)
{
	static const uint8_t bytes[2048];
	struct made_vcpu vcpu = { 0 };
	struct inspect_rig rig;
	struct error error;

	(void)state;
	rig = (struct inspect_rig){ .inspection = { .config.cpus = 1 } };
	add_vcpu(&rig, 0, &vcpu);
	field_add(&rig.writer.buffer, "0x6050000000100054", 1, 257, bytes);
	section_end(&rig.writer);
	rig_open_made(&rig);
	assert_null(rig_show(&rig, inspect_cpu, true, &error));
	assert_string_equal(error.text, "section vcpu0: v0 has 257 values of 1 bytes");
	rig_close(&rig);

	rig = (struct inspect_rig){ .inspection = { .config.cpus = 1 } };
	add_vcpu(&rig, 0, &vcpu);
	field_add(&rig.writer.buffer, "0x6050000000100054", 8, 0, bytes);
	section_end(&rig.writer);
	rig_open_made(&rig);
	assert_null(rig_show(&rig, inspect_cpu, true, &error));
	assert_string_equal(error.text, "section vcpu0: v0 has 0 values of 8 bytes");
	rig_close(&rig);

	rig = (struct inspect_rig){ .inspection = { .config.cpus = 1 } };
	add_vcpu(&rig, 0, &vcpu);
	for (unsigned i = 0; i < 1024; i++) {
		char name[24];

		snprintf(name, sizeof(name), "0x6030000000%06x", i);
		field_add_number(&rig.writer.buffer, name, i);
	}
	section_end(&rig.writer);
	rig_open_made(&rig);
	assert_null(rig_show(&rig, inspect_cpu, true, &error));
	assert_string_equal(error.text, "section vcpu0: there are more than 1024 registers");
	rig_close(&rig);
}

#define VECTORS 0xffff800080010800ull

static struct symbol kernel_code[] = {
	{ 0xffff800080000000, "_text" }, { 0xffff800080000100, "schedule" }, { VECTORS, "vectors" },
};

static void assert_slide(const struct made_vcpu *first, const struct made_vcpu *second, const char *expected)
{
	struct symbols symbols = { .items = kernel_code, .count = 3 };
	struct inspect_rig rig;
	struct error error;

	make(&rig, first, second);
	inspection_use_symbols(&rig.inspection, &symbols);
	assert_has(rig_show(&rig, inspect_cpu, false, &error), expected);
	rig_close(&rig);
}

static void slide_is_computed_from_the_vectors(void **state)
{
	const struct made_vcpu still = { .pstate = 0x3c5, .vbar = VECTORS, .pc = 0xffff800080000104 };
	const struct made_vcpu moved = { .pstate = 5, .vbar = VECTORS + 0x230000, .pc = 0xffff800080230104,
					 .lr = 0x1fff800080230108 /* signed */ };
	const struct made_vcpu user = { .vbar = 0xfffffdfffe000800, .pc = 0xaaaa0104 }, off = { .state = 5, .pstate = 0x3c5 };
	const struct made_vcpu other = { .pstate = 5, .vbar = VECTORS + 0x800, .pc = 0xffff800080000104 };

	(void)state;
	assert_slide(&still, NULL, "symbols moved by  0x0\n");
	assert_slide(&still, NULL, "0xffff800080000104  schedule+0x4  ");
	assert_slide(&moved, NULL, "symbols moved by  0x230000\n");
	assert_slide(&moved, NULL, "0xffff800080230104  schedule+0x4  0x1fff800080230108  schedule+0x8  -\n");
	assert_slide(&off, &moved, "symbols moved by  0x230000\n");
	assert_slide(&off, NULL, "symbols moved by  -\n");
	assert_slide(&other, NULL, "symbols moved by  -\n");
	assert_slide(&other, NULL, "0xffff800080000104  -  ");
	assert_slide(&user, NULL, "symbols moved by  -\n");
	assert_slide(&user, &still, "symbols moved by  0x0\n");
	assert_slide(&user, &still, "0xaaaa0104          -             0x0  ");
}

static void symbols_are_used_unmoved_when_they_have_no_vectors(void **state)
{
	const struct made_vcpu vcpu = { .vbar = 0x80081000, .pc = 0x80080004 };
	struct symbol code[] = { { 0x80080000, "start" } };
	struct symbols symbols = { .items = code, .count = 1 };
	struct inspect_rig rig;
	struct error error;

	(void)state;
	make(&rig, &vcpu, NULL);
	inspection_use_symbols(&rig.inspection, &symbols);
	assert_has(rig_show(&rig, inspect_cpu, false, &error), "0x80080004  start+0x4  ");
	rig.inspection.vcpu = 0;
	assert_has(rig_show(&rig, inspect_cpu, false, &error), "pc        0x80080004  start+0x4  -\n");
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpu_view_shows_vcpus_of_real_guest),
		cmocka_unit_test(cpu_view_shows_states_and_pending_exceptions),
		cmocka_unit_test(cpu_view_refuses_registers_of_wrong_size),
		cmocka_unit_test(slide_is_computed_from_the_vectors),
		cmocka_unit_test(symbols_are_used_unmoved_when_they_have_no_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
