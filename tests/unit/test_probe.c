/* SPDX-License-Identifier: MIT */
/* kvm/probe_*.c: the lines of the probe for kernels and for a fake KVM, and for this host. */
#include "unit/test.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "fake/kvm.h"
#include "kvm/probe.h"
#include "util/bits.h"

static struct probes probes;

static int set_up(void **state)
{
	(void)state;
	fake_kvm_reset();
	probes = (struct probes){ .count = 0 };
	return 0;
}

static const struct probe *find(const char *name)
{
	for (unsigned i = 0; i < probes.count; i++)
		if (!strcmp(probes.list[i].name, name))
			return &probes.list[i];
	fail_msg("no line about %s", name);
	return NULL;
}

static enum probe_verdict kernel_verdict(const char *release, const char *version)
{
	probes.count = 0;
	probe_kernel(&probes, release, version);
	assert_int_equal(probes.count, 1);
	return probes.list[0].verdict;
}

static void kernel_probe_warns_of_kernels_that_crash(void **state)
{
	(void)state;
	assert_int_equal(kernel_verdict("6.1.176", "#1 SMP"), PROBE_WARNING);
	assert_non_null(strstr(probes.list[0].reason, "6.1.176 crashes"));
	assert_int_equal(kernel_verdict("6.1.0-42-arm64", "#1 SMP Debian 6.1.176-1"), PROBE_WARNING);
	assert_non_null(strstr(probes.list[0].reason, "6.1.176 crashes"));
	assert_int_equal(kernel_verdict("6.12.107+deb13-arm64", "#1 SMP Debian 6.12.107-1"), PROBE_WARNING);
	assert_non_null(strstr(probes.list[0].reason, "6.12.107 crashes"));
	assert_non_null(strstr(probes.list[0].remedy, "update the kernel"));
}

static void kernel_probe_accepts_kernels_with_the_fix(void **state)
{
	(void)state;
	assert_int_equal(kernel_verdict("6.1.192", "#1 SMP"), PROBE_GOOD);
	assert_int_equal(kernel_verdict("7.2.12-arm64", "#1 SMP"), PROBE_GOOD);
	assert_int_equal(kernel_verdict("7.3.0-rc1", "#1 SMP"), PROBE_GOOD);
	assert_int_equal(kernel_verdict("8.0.0", "#1 SMP"), PROBE_GOOD);
}

static void kernel_probe_warns_of_unknown_kernels(void **state)
{
	static const char *const releases[] = {
		"6.1.180", "6.12.108", "6.6.3", "7.2.11", "7.1.0", "5.10.0-9-arm64", "6.8",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(releases); i++) {
		assert_int_equal(kernel_verdict(releases[i], "#1 SMP"), PROBE_WARNING);
		assert_non_null(strstr(probes.list[0].reason, "may crash"));
	}
	assert_int_equal(kernel_verdict("strange", ""), PROBE_WARNING);
}

static void kvm_probe_reports_all_good_when_kvm_has_everything(void **state)
{
	(void)state;
	probe_kvm(&probes);
	assert_true(probes_usable(&probes));
	for (unsigned i = 0; i < probes.count; i++)
		assert_int_equal(probes.list[i].verdict, PROBE_GOOD);
	assert_string_equal(find("IPA size")->reason, "44 bits: guests with RAM up to 16382 GiB");
	assert_string_equal(find("vCPUs")->reason, "up to 512");
	find("ITS save");
	find("ITS reset");
	find("pointer authentication");
}

static void kvm_probe_reports_missing_extensions(void **state)
{
	(void)state;
	fake_kvm.extensions = 0;
	probe_kvm(&probes);
	assert_true(probes_usable(&probes));
	assert_int_equal(find("SVE")->verdict, PROBE_MISSING);
	assert_int_equal(find("pointer authentication")->verdict, PROBE_MISSING);
	assert_int_equal(find("MTE")->verdict, PROBE_MISSING);
	assert_int_equal(find("PMU")->verdict, PROBE_MISSING);
	assert_int_equal(find("dirty ring")->verdict, PROBE_MISSING);
}

static void host_is_unusable_when_kvm_has_no_gic(void **state)
{
	(void)state;
	fake_kvm.fail_request = KVM_CREATE_DEVICE;
	fake_kvm.fail_with = ENODEV;
	probe_kvm(&probes);
	assert_int_equal(find("vGICv3")->verdict, PROBE_MISSING);
	assert_string_equal(find("vGICv3")->reason, "No such device");
	assert_false(probes_usable(&probes));
}

static void kvm_probe_reports_its_without_saving(void **state)
{
	(void)state;
	fake_kvm.fail_request = KVM_HAS_DEVICE_ATTR;
	fake_kvm.fail_with = ENXIO;
	probe_kvm(&probes);
	assert_int_equal(find("ITS")->verdict, PROBE_GOOD);
	assert_int_equal(find("ITS save")->verdict, PROBE_MISSING);
	assert_int_equal(find("ITS reset")->verdict, PROBE_MISSING);
	assert_true(probes_usable(&probes));
}

static void host_is_unusable_when_no_vm_can_be_created(void **state)
{
	(void)state;
	fake_kvm.fail_request = KVM_CREATE_VM;
	fake_kvm.fail_with = ENOMEM;
	probe_kvm(&probes);
	assert_int_equal(probes.count, 1);
	assert_false(probes_usable(&probes));
}

static void kvm_probe_has_a_result_when_any_call_fails(void **state)
{
	size_t calls;

	(void)state;
	probe_kvm(&probes);
	calls = fake_kvm.count;
	assert_true(calls > 10);
	for (size_t i = 0; i < calls; i++) {
		set_up(NULL);
		fake_kvm.fail_at = i;
		fake_kvm.fail_with = EIO;
		probe_kvm(&probes);
		assert_true(probes.count > 0);
	}
}

/* The other probes examine the real host. Each adds a line, with any result. */
static void host_probes_add_their_lines_on_any_host(void **state)
{
	(void)state;
	probe_base(&probes);
	probe_host(&probes);
	find("processor");
	find("kernel and ITS saving");
	find("userfaultfd write-protect");
	find("tap interfaces");
	find("vhost-net");
	find("passt");
	find("VFIO");
	find("GICv4");
	find("huge pages");
	for (unsigned i = 0; i < probes.count; i++) {
		assert_true(probes.list[i].reason[0]);
		assert_int_equal(probes.list[i].verdict == PROBE_GOOD, !probes.list[i].remedy[0]);
	}
}

static void probe_list_is_cut_at_its_limit(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PROBES_MAX + 5; i++)
		probes_add(&probes, "x", PROBE_GOOD, "%u", i);
	assert_int_equal(probes.count, PROBES_MAX);
	assert_string_equal(probes.list[PROBES_MAX - 1].reason, "39");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(kernel_probe_warns_of_kernels_that_crash, set_up),
		cmocka_unit_test_setup(kernel_probe_accepts_kernels_with_the_fix, set_up),
		cmocka_unit_test_setup(kernel_probe_warns_of_unknown_kernels, set_up),
		cmocka_unit_test_setup(kvm_probe_reports_all_good_when_kvm_has_everything, set_up),
		cmocka_unit_test_setup(kvm_probe_reports_missing_extensions, set_up),
		cmocka_unit_test_setup(host_is_unusable_when_kvm_has_no_gic, set_up),
		cmocka_unit_test_setup(kvm_probe_reports_its_without_saving, set_up),
		cmocka_unit_test_setup(host_is_unusable_when_no_vm_can_be_created, set_up),
		cmocka_unit_test_setup(kvm_probe_has_a_result_when_any_call_fails, set_up),
		cmocka_unit_test_setup(host_probes_add_their_lines_on_any_host, set_up),
		cmocka_unit_test_setup(probe_list_is_cut_at_its_limit, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
