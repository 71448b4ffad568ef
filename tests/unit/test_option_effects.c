/* SPDX-License-Identifier: MIT */
/*
 * Each option of each command, and each item of --disk and --network, has an effect or is refused. The tests iterate over the
 * tables of commands, options and items. A new entry fails until it has a test.
 */
#include "unit/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/command.h"
#include "cmd/run_options.h"
#include "util/bits.h"


/* kvmtool's options that request lkvm's only behaviour. No other option may be ignored. */
static const char *const ignored[] = {
	"run --virtio-transport", "run --force-pci", "run --no-dhcp", "run --no-pvtime", "run --disable-mte",
	"list --run", "stat --memory",
};

/* Values of options whose kind does not define the allowed values. */
static const struct {
	const char *name, *value;
} samples[] = {
	{ "disk", "file" }, { "disk-overlay", "text" }, { "network", "mode=user" }, { "vfio-pci", "1:2.3" }, { "kaslr-seed", "7" },
	{ "virtio-transport", "pci" }, { "hugetlbfs", "2M" }, { "prefault", "0x80000000+1M" }, { "compress", "3" },
	{ "live", "rounds" }, { "cpu", "1" }, { "watchdog", "none" },
};

static bool may_be_ignored(const char *command, const char *option)
{
	char line[64];

	snprintf(line, sizeof(line), "%s --%s", command, option);
	for (size_t i = 0; i < COUNT(ignored); i++)
		if (!strcmp(ignored[i], line))
			return true;
	return false;
}

/* Returns a value that is not the default, or NULL. */
static const char *sample(const struct option_entry *entry, char *to, size_t size)
{
	const char *second = entry->choices ? strrchr(entry->choices, '|') : NULL;

	if (entry->kind == OPTION_NUMBER) {
		snprintf(to, size, "%llu", (unsigned long long)entry->minimum + 1);
		return to;
	}
	if (entry->kind == OPTION_SIZE)
		return "77M";
	if (entry->kind == OPTION_STRING || entry->kind == OPTION_FILE)
		return "text";
	if (entry->kind == OPTION_CHOICE)
		return strcmp(entry->name, "irqchip") ? second + 1 : "gicv3"; /* its default is the last choice */
	for (size_t i = 0; i < COUNT(samples); i++)
		if (!strcmp(samples[i].name, entry->name))
			return samples[i].value;
	return NULL;
}

static void check_option(const char *command, const struct option_table *table, const struct option_entry *entry)
{
	char name[40], value[64], number[32], *words[2] = { name, value };
	void *values = malloc(table->target_size);
	struct error error = { 0 };
	int count = 1;
	bool changes;

	snprintf(name, sizeof(name), "--%s", entry->name);
	if (entry->argument) {
		const char *text = sample(entry, number, sizeof(number));

		if (!text)
			fail_msg("%s %s: this test knows no value for it", command, name);
		snprintf(value, sizeof(value), "%s", text);
		snprintf(name, sizeof(name), "--%s%s%s", entry->name, entry->optional ? "=" : "", entry->optional ? text : "");
		count = entry->optional ? 1 : 2;
	}
	memcpy(values, table->defaults, table->target_size);
	if (options_parse(table, values, &count, words, &error) != OPTIONS_GOOD)
		fail_msg("%s %s: %s", command, name, error.text);
	changes = memcmp(values, table->defaults, table->target_size) != 0;
	if (changes == may_be_ignored(command, entry->name))
		fail_msg("%s %s: %s", command, name, changes ? "has an effect, so it is not one to ignore" : "is ignored");
	free(values);
}

static void option_changes_what_its_command_does(void **state)
{
	(void)state;
	for (const struct command *command = command_table; command->name; command++)
		for (size_t i = 0; command->options && i < command->options->count; i++)
			check_option(command->name, command->options, &command->options->entries[i]);
}

/* Returns whether the text has this option, and not only one with a longer name. */
static bool has_option(const char *text, const char *name)
{
	char option[40];
	size_t length = (size_t)snprintf(option, sizeof(option), "--%s", name);

	for (const char *at = text; (at = strstr(at, option)); at += length)
		if (!strchr("abcdefghijklmnopqrstuvwxyz-", at[length]))
			return true;
	return false;
}

/* Returns the text of all tests but this one and test_options.c, whose options are made up. */
static char *read_tests(void)
{
	FILE *pipe = popen("cat tests/vm/*.sh $(ls tests/unit/*.c | grep -v 'test_option') | tr -d '\\0'", "r");
	size_t size = 8u << 20, length;
	char *text = calloc(1, size);

	assert_non_null(pipe);
	length = fread(text, 1, size - 1, pipe);
	assert_int_equal(pclose(pipe), 0);
	assert_true(length > 0 && length < size - 1);
	return text;
}

static void options_are_all_used_by_tests(void **state)
{
	char *tests = read_tests();

	(void)state;
	for (const struct command *command = command_table; command->name; command++) {
		for (size_t i = 0; command->options && i < command->options->count; i++) {
			const char *name = command->options->entries[i].name;

			if (!may_be_ignored(command->name, name) && !has_option(tests, name))
				fail_msg("no test uses %s --%s: write one that sees its effect", command->name, name);
		}
	}
	free(tests);
}

/* Command lines on which one option would make another one ineffective. */
static void command_refuses_options_that_have_no_effect_together(void **state)
{
	static const struct {
		const char *line, *part;
	} cases[] = {
		{ "snapshot save --max-pause 5 --live=point-in-time vm file", "--max-pause is only for --live=rounds" },
		{ "snapshot save --live=point-in-time --stop vm file", "--stop" },
		{ "snapshot inspect --symbols file --its file", "--symbols" },
		{ "snapshot inspect --symbols file --dot file", "--symbols" },
		{ "inspect --symbols file --gic --pci vm", "--symbols" },
		{ "run --kernel file --disk file --disks-changed=allow", "--disk-overlay" },
		{ "run --kernel file --vfio-pci 1:2.3 --balloon", "--balloon" },
		{ "run --kernel file --network mode=none --network mode=tap", "mode=none" },
		{ "run --kernel file --network mode=user,vhost=on", "mode=tap" },
		{ "run --kernel file --network mode=tap,passt=file", "mode=user" },
		{ "run --kernel file --network fd=5,tapif=t", "exclude" },
		{ "run --kernel file file", "two kernels" },
		{ "list --json --quiet", "--json and --quiet" },
		{ "stop --force --timeout 5 vm", "--timeout" },
		{ "reboot --force --timeout 5 vm", "--timeout" },
		{ "stat --all vm", "--all" },
		{ "snapshot restore --no-verify --verify=before file", "--no-verify" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		int err = memfd_create("err", MFD_CLOEXEC), status;
		char text[512] = "";
		pid_t child = fork();

		if (!child) {
			char program[] = "lkvm", line[256], *words[16] = { program }, *rest = line;
			int count = 1;

			snprintf(line, sizeof(line), "%s", cases[i].line);
			while ((words[count] = strtok_r(rest, " ", &rest)))
				count++;
			dup2(err, STDERR_FILENO);
			_exit(command_main(command_table, count, words));
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(pread(err, text, sizeof(text) - 1, 0) >= 0);
		close(err);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_USAGE || !strstr(text, cases[i].part))
			fail_msg("%s: status %d: %s", cases[i].line, status, text);
	}
}

/* Returns a saved configuration with two disks, one of them read-only, and two interfaces. */
static struct machine_config saved_machine(void)
{
	return (struct machine_config){
		.disk_count = 2,
		.disks = { { .path = "/old", .queues = 2, .serial = "old", .size = 512 },
			   { .path = "/old", .queues = 1, .serial = "old", .size = 512, .read_only = true } },
		.network_count = 2,
		.networks = { { .mode = NET_TAP, .tap_fd = -1, .queues = 2, .mac = { 2, 1 } },
			      { .mode = NET_TAP, .tap_fd = -1, .queues = 1, .mac = { 2, 2 } } },
	};
}

/* Applies the restore options in `line`, separated by spaces, to the configuration. */
static int replace(const char *line, struct machine_config *config, struct error *error)
{
	struct run_options options = *(const struct run_options *)snapshot_restore_options_table.defaults;
	static char text[256]; /* the parsed options point into it */
	char *words[8], *rest = text;
	int count = 0;

	snprintf(text, sizeof(text), "%s", line);
	for (char *word; (word = strtok_r(rest, " ", &rest));)
		words[count++] = word;
	*config = saved_machine();
	if (options_parse(&snapshot_restore_options_table, &options, &count, words, error) != OPTIONS_GOOD)
		return -1;
	return run_options_replace(config, &options, error);
}

static bool restore_refuses(const char *line, const char *part)
{
	struct machine_config config;
	struct error error;

	if (replace(line, &config, &error) == 0)
		return false;
	if (!strstr(error.text, part))
		fail_msg("%s: no \"%s\" in: %s", line, part, error.text);
	return true;
}

static bool restore_accepts(const char *line, struct machine_config *config)
{
	struct error error;

	if (replace(line, config, &error) < 0)
		fail_msg("%s: %s", line, error.text);
	return true;
}

static void check_read_only(void)
{
	struct machine_config config;

	assert_true(restore_refuses("--disk x,ro", "--disk-overlay"));
	assert_true(restore_accepts("--disk x --disk y,ro", &config));
	assert_true(config.disks[1].read_only);
	assert_true(restore_accepts("--disk x --disk y", &config));
	assert_string_equal(config.disks[1].path, "y");
	assert_true(config.disks[1].read_only); /* it was saved so */
	assert_false(config.disks[0].read_only);
}

static void check_disk_queues(void)
{
	struct machine_config config;

	assert_true(restore_refuses("--disk x,queues=3", "queues=2"));
	assert_true(restore_refuses("--disk x,queues=1", "queues=2"));
	assert_true(restore_accepts("--disk x,queues=2", &config));
	assert_true(restore_accepts("--disk x", &config));
	assert_int_equal(config.disks[0].queues, 2);
}

static void check_serial(void)
{
	struct machine_config config;

	assert_true(restore_refuses("--disk x,serial=new", "old"));
	assert_true(restore_accepts("--disk x,serial=old", &config));
	assert_string_equal(config.disks[0].serial, "old");
}

/* A snapshot's disk is raw: its format was decided when the guest was started. */
static void check_format(void)
{
	struct machine_config config;

	assert_true(restore_accepts("--disk x,format=raw", &config));
	assert_true(restore_refuses("--disk x,format=qcow2", "qemu-img"));
	assert_int_equal(config.disks[0].size, 512); /* a disk with a known size is not examined for other formats */
}

static void restore_honours_or_refuses_each_disk_item(void **state)
{
	static const struct {
		const char *item;
		void (*check)(void);
	} checks[] = {
		{ "ro", check_read_only }, { "queues", check_disk_queues }, { "serial", check_serial }, { "format", check_format },
	};

	(void)state;
	for (const struct run_disk_item *item = run_disk_items; item->key; item++) {
		size_t i = 0;

		while (i < COUNT(checks) && strcmp(checks[i].item, item->key) != 0)
			i++;
		if (i == COUNT(checks))
			fail_msg("--disk %s: this test does not know it", item->key);
		checks[i].check();
	}
}

static bool network_is_replaced(const char *item, const struct virtio_net_config *net)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 9 };

	if (!strcmp(item, "tapif"))
		return net->tap && !strcmp(net->tap, "t0");
	if (!strcmp(item, "script"))
		return net->script && !strcmp(net->script, "up");
	if (!strcmp(item, "vhost"))
		return net->vhost && net->vhost_required;
	if (!strcmp(item, "fd"))
		return net->tap_fd == 5;
	if (!strcmp(item, "passt"))
		return net->mode == NET_USER && net->passt && !strcmp(net->passt, "p");
	if (!strcmp(item, "mac") || !strcmp(item, "guest_mac")) /* the next driver gets it */
		return !memcmp(net->new_mac, mac, 6) && net->mac[1] == 2;
	if (!strcmp(item, "queues") || !strcmp(item, "mq"))
		return net->queues == 1;
	return !strcmp(item, "trans");
}

static void restore_honours_or_refuses_each_network_item(void **state)
{
	static const struct {
		const char *item, *value;
	} values[] = {
		{ "tapif", "t0" }, { "script", "up" }, { "vhost", "required" }, { "fd", "5" }, { "passt", "p,mode=user" },
		{ "mac", "02:00:00:00:00:09" }, { "guest_mac", "02:00:00:00:00:09" }, { "queues", "1" }, { "mq", "1" },
		{ "trans", "virtio" },
	};
	struct machine_config config;

	(void)state;
	for (const struct run_network_item *item = run_network_items; item->key; item++) {
		char line[128];
		size_t i = 0;

		while (i < COUNT(values) && strcmp(values[i].item, item->key) != 0)
			i++;
		if (i == COUNT(values))
			fail_msg("--network %s: this test does not know it", item->key);
		snprintf(line, sizeof(line), "-n tapif=first -n %s=%s", item->key, values[i].value);
		assert_true(restore_accepts(line, &config));
		if (!network_is_replaced(item->key, &config.networks[1]))
			fail_msg("%s has no effect", line);
	}
	assert_true(restore_refuses("-n queues=3", "queues=2"));
	assert_true(restore_refuses("-n mq=1", "queues=2"));
	assert_true(restore_refuses("-n mode=user", "queues=2"));
	assert_true(restore_refuses("-n mode=none", "mode=none"));
	assert_true(restore_accepts("-n tapif=a -n mode=user,passt-options=--tcp", &config));
	assert_string_equal(config.networks[1].passt_options, "--tcp");
}

static void restore_refuses_options_that_have_no_effect_together(void **state)
{
	(void)state;
	assert_true(restore_refuses("--prefault 0x80000000+1M --eager", "--eager"));
	assert_true(restore_refuses("--prefault 0x80000000+1M --hugetlbfs", "--hugetlbfs"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_all_used_by_tests),
		cmocka_unit_test(command_refuses_options_that_have_no_effect_together),
		cmocka_unit_test(option_changes_what_its_command_does),
		cmocka_unit_test(restore_honours_or_refuses_each_disk_item),
		cmocka_unit_test(restore_honours_or_refuses_each_network_item),
		cmocka_unit_test(restore_refuses_options_that_have_no_effect_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
