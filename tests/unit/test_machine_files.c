/* SPDX-License-Identifier: MIT */
/* machine/files.c: lkvm's output does not replace a file that the machine uses, under any of its names. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine/machine.h"
#include "util/bits.h"

static char folder[] = "/tmp/lkvm-files-XXXXXX";

static int setup(void **state)
{
	static const char *const files[] = { "disk", "base", "overlay", "kernel", "initrd", "other" };

	(void)state;
	if (!mkdtemp(folder) || chdir(folder) < 0)
		return -1;
	for (size_t i = 0; i < COUNT(files); i++)
		close(open(files[i], O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	return symlink("disk", "symbolic") < 0 || link("kernel", "hard") < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r '%s'", folder);
	return system(command);
}

static const struct machine machine = {
	.config = {
		.kernel = "kernel", .initrd = "initrd", .disk_count = 2,
		.disks = { { .path = "disk" }, { .path = "base", .overlay = "overlay" } },
	},
};

static const struct {
	const char *file, *use;
} uses[] = {
	{ "disk", "a disk of the guest" },   { "symbolic", "a disk of the guest" }, { "base", "a disk of the guest" },
	{ "overlay", "a disk of the guest" }, { "kernel", "the guest's kernel" },    { "hard", "the guest's kernel" },
	{ "initrd", "the guest's kernel or initial RAM disk" },
};

static void dump_of_device_tree_is_refused_over_files_of_the_machine(void **state)
{
	struct machine copy = machine;
	struct error error;

	(void)state;
	for (size_t i = 0; i < COUNT(uses); i++) {
		copy.config.dump_fdt = uses[i].file;
		if (machine_check_dump(&copy, &error) == 0)
			fail_msg("--dump-dtb %s is not refused", uses[i].file);
		assert_non_null(strstr(error.text, uses[i].use));
	}
	copy.config.dump_fdt = "other";
	assert_int_equal(machine_check_dump(&copy, &error), 0);
	copy.config.dump_fdt = "new";
	assert_int_equal(machine_check_dump(&copy, &error), 0);
	copy.config.dump_fdt = NULL;
	assert_int_equal(machine_check_dump(&copy, &error), 0);
}

static void save_is_refused_over_files_of_the_machine(void **state)
{
	struct error error;
	struct stat status;

	(void)state;
	for (size_t i = 0; i < COUNT(uses); i++) {
		assert_int_equal(stat(uses[i].file, &status), 0);
		if (machine_check_replaced(&machine, status.st_dev, status.st_ino, &error) == 0)
			fail_msg("a save over %s is not refused", uses[i].file);
		assert_non_null(strstr(error.text, uses[i].use));
	}
	assert_int_equal(stat("other", &status), 0);
	assert_int_equal(machine_check_replaced(&machine, status.st_dev, status.st_ino, &error), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dump_of_device_tree_is_refused_over_files_of_the_machine),
		cmocka_unit_test(save_is_refused_over_files_of_the_machine),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
