/* SPDX-License-Identifier: MIT */
/* The complete program: command lines in, exit status and output out. Only the machine is a fake. */
#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fake/machine.h"
#include "cmd/command.h"
#include "cmd/run_options.h"
#include "util/bits.h"

static char scratch[40];

struct result {
	int status;
	char out[32768];
	char err[4096];
};

static struct result result;

/* An lkvm process that was started and not waited for. */
struct process {
	pid_t pid;
	int out, err;
};

static struct process start(const char *line)
{
	struct process process = {
		.out = memfd_create("out", MFD_CLOEXEC), .err = memfd_create("err", MFD_CLOEXEC),
	};

	fflush(NULL);
	process.pid = fork();
	if (!process.pid) {
		char text[1024], name[] = "lkvm", *words[64] = { name }, *rest = text;
		int count = 1;

		snprintf(text, sizeof(text), "%s", line);
		for (char *word; (word = strtok_r(rest, " ", &rest));)
			words[count++] = word;
		dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
		dup2(process.out, STDOUT_FILENO);
		dup2(process.err, STDERR_FILENO);
		exit(command_main(command_table, count, words)); /* not _exit(): the leak checker runs at exit */
	}
	return process;
}

static void read_all(int fd, char *text, size_t size)
{
	ssize_t got = pread_full(fd, text, size - 1, 0);

	text[got < 0 ? 0 : got] = '\0';
	close(fd);
}

static int finish(struct process process)
{
	int status;

	waitpid(process.pid, &status, 0);
	result.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	read_all(process.out, result.out, sizeof(result.out));
	read_all(process.err, result.err, sizeof(result.err));
	return result.status;
}

static int lkvm(const char *line)
{
	return finish(start(line));
}

#define assert_says(text, part)                                                                            \
	do {                                                                                               \
		if (!strstr(text, part))                                                                   \
			fail_msg("no \"%s\" in: %s", part, text);                                          \
	} while (0)

static void make_file(const char *name)
{
	close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

/* The tests run in a folder with files that replace kernels. */
static int set_up(void **state)
{
	char *top = getcwd(NULL, 0);

	*state = top;
	strcpy(scratch, "/tmp/lkvm-cmd-XXXXXX");
	if (!mkdtemp(scratch) || chdir(scratch) < 0)
		return -1;
	make_file("idle");
	make_file("obedient");
	make_file("poweroff");
	make_file("crash");
	make_file("failure");
	make_file("reset");
	make_file("unusable");
	return setenv("XDG_RUNTIME_DIR", scratch, 1);
}

static int tear_down(void **state)
{
	char command[64];
	int status = chdir(*state);

	free(*state);
	snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
	return status | system(command);
}

static bool socket_exists(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/lkvm/%s.sock", scratch, name);
	return access(path, F_OK) == 0;
}

static void wait_until_served(const char *name)
{
	char line[128];

	snprintf(line, sizeof(line), "stat %s", name);
	for (unsigned tries = 0; lkvm(line) != 0; tries++) {
		assert_true(tries < 100);
		usleep(50000);
	}
}

/* Help, versions, usage. */

static void help_lists_each_command(void **state)
{
	char list[sizeof(result.out)];

	(void)state;
	assert_int_equal(lkvm("--help"), 0);
	strcpy(list, result.out);
	assert_says(list, "The most commonly used lkvm commands are:");
	for (const struct command *command = command_table; command->name; command++)
		assert_says(list, command->summary);
	assert_int_equal(lkvm(""), 0);
	assert_string_equal(result.out, list);
	assert_int_equal(lkvm("help"), 0);
	assert_string_equal(result.out, list);
}

static void help_of_command_is_the_same_by_option_and_by_name(void **state)
{
	(void)state;
	for (const struct command *command = command_table; command->name; command++) {
		char line[64], text[sizeof(result.out)];

		snprintf(line, sizeof(line), "%s --help", command->name);
		assert_int_equal(lkvm(line), 0);
		assert_says(result.out, "usage: lkvm ");
		strcpy(text, result.out);
		snprintf(line, sizeof(line), "help %s", command->name);
		assert_int_equal(lkvm(line), 0);
		assert_string_equal(result.out, text);
	}
	assert_int_equal(lkvm("help nonsense"), 2);
	assert_string_equal(result.err,
			    "lkvm: help: \"nonsense\" is not a command of lkvm; see 'lkvm help --help'\n");
}

static void version_is_printed_by_command_and_by_option(void **state)
{
	(void)state;
	assert_int_equal(lkvm("version"), 0);
	assert_string_equal(result.out, "lkvm " LKVM_VERSION "\n");
	assert_int_equal(lkvm("--version"), 0);
	assert_string_equal(result.out, "lkvm " LKVM_VERSION "\n");
}

static void command_exits_with_2_when_its_usage_is_wrong(void **state)
{
	(void)state;
	assert_int_equal(lkvm("nonsense"), 2);
	assert_string_equal(result.err, "lkvm: 'nonsense' is not a command of lkvm; see 'lkvm help'\n");
	assert_int_equal(lkvm("list vm"), 2);
	assert_string_equal(result.err,
			    "lkvm: list: \"vm\" is one argument too many; see 'lkvm list --help'\n");
	assert_int_equal(lkvm("stop"), 2);
	assert_int_equal(lkvm("stop --all vm"), 2);
	assert_int_equal(lkvm("balloon vm"), 2);
	assert_int_equal(lkvm("balloon vm 12x"), 2);
	assert_int_equal(lkvm("stop vm --timeout 0"), 2);
	assert_int_equal(lkvm("completion fish"), 2);
	assert_int_equal(lkvm("snapshot inspect"), 2);
	assert_says(result.err, "a file is required");
	assert_int_equal(lkvm("inspect"), 2);
	assert_says(result.err, "a virtual machine is required");
	assert_int_equal(lkvm("snapshot inspect --dot --json file"), 2);
	assert_says(result.err, "--dot prints only a graph");
	assert_int_equal(lkvm("snapshot inspect --cpu --dot file"), 2);
	assert_int_equal(lkvm("inspect --dot --memory vm"), 2);
	assert_int_equal(lkvm("snapshot inspect --dot --symbols=x no-file"), 2);
	assert_int_equal(lkvm("snapshot merge file"), 2);
	assert_says(result.err, "two files are required: the snapshot, and the new file");
	assert_int_equal(lkvm("snapshot merge --compress=0 file out"), 2);
	assert_int_equal(lkvm("snapshot save --compress=10 vm file"), 2);
	assert_says(result.err, "10 is not in the range from 1 to 9");
}

/* Standard input is empty. */
static void command_fails_when_its_stream_is_empty(void **state)
{
	(void)state;
	assert_int_equal(lkvm("snapshot merge no-file out"), 1);
	assert_says(result.err, "lkvm: snapshot merge: no-file: cannot open it: ");
	assert_int_equal(lkvm("snapshot merge - out"), 1);
	assert_string_equal(result.err, "lkvm: snapshot merge: standard input: the stream was cut short\n");
	assert_int_equal(lkvm("snapshot restore -"), 1);
	assert_string_equal(result.err, "lkvm: snapshot restore: standard input: the stream was cut short\n");
	assert_int_not_equal(access("out", F_OK), 0);
}

/* Returns the exit status of `lkvm help` with this standard output, or without one. */
static int help_to(const char *path)
{
	struct process process = { .out = open("/dev/null", O_RDONLY | O_CLOEXEC) };

	process.err = dup(process.out);
	fflush(NULL);
	process.pid = fork();
	if (!process.pid) {
		char name[] = "lkvm", help[] = "help", *words[] = { name, help, NULL };

		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
		if (path)
			dup2(open(path, O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
		else
			close(STDOUT_FILENO);
		_exit(command_main(command_table, 2, words));
	}
	return finish(process);
}

static void command_fails_when_its_output_cannot_be_written(void **state)
{
	(void)state;
	assert_int_equal(help_to("/dev/null"), 0);
	assert_int_equal(help_to("/dev/full"), 1);
	assert_int_equal(help_to(NULL), 1);
}

/* lkvm run: options. */

static struct run_options parse_run(const char *line)
{
	static char text[512];
	struct run_options options = *(const struct run_options *)run_options_table.defaults;
	char *words[32], *rest = text;
	struct error error;
	int count = 0;

	snprintf(text, sizeof(text), "%s", line);
	for (char *word; (word = strtok_r(rest, " ", &rest));)
		words[count++] = word;
	if (options_parse(&run_options_table, &options, &count, words, &error) != OPTIONS_GOOD ||
	    run_options_finish(&options, count ? words[0] : NULL, &error) < 0)
		fail_msg("%s: %s", line, error.text);
	run_options_name(&options, 42);
	return options;
}

static void run_has_documented_defaults(void **state)
{
	struct run_options options = parse_run("--kernel Image");
	struct machine_config *config = &options.config;

	(void)state;
	assert_string_equal(config->kernel, "Image");
	assert_string_equal(options.name, "guest-42");
	assert_int_equal(config->cpus, 1);
	assert_int_equal(config->memory, 256ull << 20);
	assert_int_equal(config->irqchip, IRQCHIP_GICV3_ITS);
	assert_int_equal(config->console, CONSOLE_SERIAL);
	assert_int_equal(options.log_level, LOG_LEVEL_WARNING);
	assert_true(config->power_buttons && config->pvpanic && config->sve && config->pauth);
	assert_false(parse_run("Image --disable-pvpanic").config.pvpanic);
	assert_false(config->no_defaults || config->entropy || config->balloon || config->pmu);
	assert_false(options.detach);
	assert_false(config->kaslr_seed_given);
	assert_int_equal(config->disk_count + config->network_count, 0);
	assert_null(config->initrd);
	assert_null(config->parameters);
	assert_null(config->dump_fdt);
	assert_int_equal(parse_run("-k Image -c 8").config.memory, 704ull << 20);
	assert_string_equal(parse_run("Image").config.kernel, "Image");
}

static void run_accepts_the_options_of_kvmtool(void **state)
{
	struct run_options options =
		parse_run("--kernel X --cpus 4 --params console=ttyS0 --nodefaults --network mode=none "
			  "--loglevel=warning --irqchip=gicv3 --initrd F --rng --balloon --pmu "
			  "--mem 2G --force-pci --no-pvtime --disable-mte --virtio-transport pci "
			  "--console virtio --name vm-1 --dump-dtb dtb --kaslr-seed 0x10");
	struct machine_config *config = &options.config;

	(void)state;
	assert_string_equal(config->kernel, "X");
	assert_string_equal(config->parameters, "console=ttyS0");
	assert_string_equal(config->initrd, "F");
	assert_string_equal(config->name, "vm-1");
	assert_string_equal(config->dump_fdt, "dtb");
	assert_int_equal(config->cpus, 4);
	assert_int_equal(config->memory, 2ull << 30);
	assert_int_equal(config->irqchip, IRQCHIP_GICV3);
	assert_int_equal(config->console, CONSOLE_VIRTIO);
	assert_int_equal(config->network_count, 0);
	assert_true(config->no_defaults && config->entropy && config->balloon && config->pmu);
	assert_false(config->power_buttons || config->pvpanic);
	assert_true(config->kaslr_seed_given);
	assert_int_equal(config->kaslr_seed, 16);
	assert_int_equal(parse_run("-k X --debug").log_level, LOG_LEVEL_DEBUG);
}

static void run_parses_items_of_disk(void **state)
{
	struct run_options options = parse_run("-k X -d a=b.img --disk=c,ro -d d,queues=4,serial=s1,ro");
	const struct virtio_block_config *disks = options.config.disks;

	(void)state;
	assert_int_equal(options.config.disk_count, 3);
	assert_string_equal(disks[0].path, "a=b.img");
	assert_false(disks[0].read_only);
	assert_int_equal(disks[0].queues, 1);
	assert_null(disks[0].serial);
	assert_string_equal(disks[1].path, "c");
	assert_true(disks[1].read_only);
	assert_string_equal(disks[2].path, "d");
	assert_int_equal(disks[2].queues, 4);
	assert_string_equal(disks[2].serial, "s1");
	assert_true(disks[2].read_only);
}

static void run_parses_items_of_network(void **state)
{
	static const uint8_t given[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
	struct run_options options =
		parse_run("-k X --name vm -n mode=tap,tapif=tap0,mac=52:54:00:12:34:56,script=up,"
			  "vhost=required,queues=2 -n mode=user,passt=p,passt-options=-t,22 "
			  "-n vhost=off,fd=5,script=none -n mq=3,trans=virtio,vhost=1");
	const struct virtio_net_config *nets = options.config.networks;
	struct run_options same, other;

	(void)state;
	assert_int_equal(options.config.network_count, 4);
	assert_int_equal(nets[0].mode, NET_TAP);
	assert_string_equal(nets[0].tap, "tap0");
	assert_string_equal(nets[0].script, "up");
	assert_memory_equal(nets[0].mac, given, 6);
	assert_true(nets[0].vhost && nets[0].vhost_required);
	assert_int_equal(nets[0].queues, 2);
	assert_int_equal(nets[0].tap_fd, -1);
	assert_int_equal(nets[1].mode, NET_USER);
	assert_string_equal(nets[1].passt, "p");
	assert_string_equal(nets[1].passt_options, "-t,22");
	assert_int_equal(nets[2].mode, NET_TAP);
	assert_false(nets[2].vhost || nets[2].vhost_required);
	assert_int_equal(nets[2].tap_fd, 5);
	assert_null(nets[2].script);
	assert_int_equal(nets[3].queues, 3);
	assert_true(nets[3].vhost);

	/* MAC addresses derived from the name: locally administered, unicast, and different. */
	assert_int_equal(nets[1].mac[0], 2);
	assert_memory_not_equal(nets[1].mac, nets[2].mac, 6);
	same = parse_run("-k X --name vm -n mode=user,mac=52:54:00:12:34:56 -n mode=user");
	assert_memory_equal(nets[1].mac, same.config.networks[1].mac, 6);
	other = parse_run("-k X --name other -n mode=user -n mode=user");
	assert_memory_not_equal(nets[1].mac, other.config.networks[1].mac, 6);
}

static void run_parses_addresses_of_host_devices(void **state)
{
	struct run_options options = parse_run("-k X --vfio-pci 1:02.3 --vfio-pci=000a:Ff:1f.7");
	const struct vfio_config *config = &options.config.vfio;

	(void)state;
	assert_int_equal(config->count, 2);
	assert_string_equal(config->devices[0], "0000:01:02.3");
	assert_string_equal(config->devices[1], "000a:ff:1f.7");
}

static void run_refuses_bad_options_with_an_error(void **state)
{
	static const struct {
		const char *line, *sentence;
	} bad[] = {
		{ "", "no kernel was given; --kernel FILE names it" },
		{ "--frobnicate", "unknown option --frobnicate" },
		{ "-k idle idle", "there are two kernels, idle and idle" },
		{ "-k idle -c 0", "-c: 0 is not in the range from 1 to 512" },
		{ "-k idle --cpus 513", "--cpus: 513 is not in the range from 1 to 512" },
		{ "-k idle --cpus", "--cpus needs a value: N" },
		{ "-k idle --mem 63", "--mem: a guest needs at least 64 MiB" },
		{ "-k idle --mem 65537K", "--mem: the size must be a multiple of 1 MiB" },
		{ "-k idle --mem much", "--mem: \"much\" is not a size as 512M, 2G, or 256 (MiB)" },
		{ "-k idle --name .x", "--name: \".x\" is not a name: use letters, digits, dot, dash and underscore, and do not "
				       "begin with a dot or dash" },
		{ "-k idle --irqchip gicv2", "--irqchip: \"gicv2\" is none of gicv3|gicv3-its" },
		{ "-k idle --console tty", "--console: \"tty\" is none of serial|virtio" },
		{ "-k idle --loglevel=loud", "--loglevel: \"loud\" is none of error|warning|info|debug" },
		{ "-k idle --kaslr-seed x", "--kaslr-seed: \"x\" is not a number" },
		{ "-k idle --virtio-transport mmio",
		  "--virtio-transport: \"mmio\" is not supported: virtio devices are on PCI" },
		{ "-k idle --vfio-pci 1.2", "--vfio-pci: \"1.2\" is neither the address of a PCI device, such as 0000:01:00.0 or "
					    "01:00.0, nor the UUID of a mediated device" },
		{ "-k idle --vfio-pci 1:2.3 --vfio-pci 0:1:2.3", "--vfio-pci: 0000:01:02.3 is given twice" },
		{ "-k idle --vfio-pci 1:2.3 --balloon", "--balloon: a device of --vfio-pci may write to any page of the guest's "
							"memory, so no page can be given back" },
		{ "-k idle -d ,ro", "-d: no file was given" },
		{ "-k idle -d x,rw", "-d: \"rw\" is none of ro, queues=N, serial=TEXT, format=raw" },
		{ "-k idle -d x,ro=1", "-d: \"ro\" is none of ro, queues=N, serial=TEXT, format=raw" },
		{ "-k idle -d x,queues=9", "-d: queues: 9 is not in the range from 1 to 8" },
		{ "-k idle -n mode=bridge", "-n: mode: \"bridge\" is none of tap, user, none" },
		{ "-k idle -n tap", "-n: \"tap\" is none of mode=tap|user|none, tapif=NAME, script=FILE, fd=N, "
				    "vhost=on|off|required, passt=FILE, mac=MAC, queues=N, passt-options=TEXT" },
		{ "-k idle -n mode=tap,mac=1", "-n: mac: \"1\" is not a MAC address as 52:54:00:12:34:56" },
		{ "-k idle -n mode=tap,mac", "-n: mac needs a value" },
		{ "-k idle -n mode=tap,tapif=0123456789abcdef",
		  "-n: tapif: \"0123456789abcdef\" is not the name of an interface" },
		{ "-k idle -n mode=tap,vhost=maybe", "-n: vhost: \"maybe\" is none of on, off, required" },
		{ "-k idle -n mode=tap,queues=0", "-n: queues: 0 is not in the range from 1 to 8" },
		{ "-k idle -n mode=tap,tapif=a,fd=3", "-n: tapif and fd exclude each other" },
		{ "-k idle -n mode=user,tapif=a", "-n: tapif, script, fd and vhost are for mode=tap" },
		{ "-k idle -n mode=user,queues=2", "-n: several queues are for mode=tap" },
		{ "-k idle -d x,format=qcow2", "-d: format: \"qcow2\" is not raw: convert the image (qemu-img convert -O raw)" },
		{ "-k idle -n mode=user,vhost=on", "-n: tapif, script, fd and vhost are for mode=tap" },
		{ "-k idle -n mode=none,queues=2", "-n: mode=none makes no interface: it excludes all other items" },
		{ "-k idle -n mode=none,passt-options=-t", "-n: mode=none makes no interface: it excludes all other items" },
		{ "-k idle -n mode=none -n mode=tap", "--network: mode=none and interfaces exclude each other" },
		{ "-k idle --cpu 0", "--cpu: 0 is not in the range from 1 to 512" },
		{ "-k idle --disab", "--disab may be --disable-sve, --disable-pauth, --disable-pvpanic, --disable-mte" },
		{ "-k idle --kernal=x", "unknown option --kernal; did you mean --kernel?" },
		{ "-k idle --dsik x", "unknown option --dsik; did you mean --disk?" },
		{ "-k idle -n mode=tap,passt=p", "-n: passt and passt-options are for mode=user" },
		{ "-k idle -n mode=tap,trans=mmio", "-n: trans: \"mmio\" is not supported: only virtio" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		char line[256], expected[512];

		snprintf(line, sizeof(line), "run %s", bad[i].line);
		snprintf(expected, sizeof(expected), "lkvm: run: %s; see 'lkvm run --help'\n",
			 bad[i].sentence);
		assert_int_equal(lkvm(line), 2);
		assert_string_equal(result.err, expected);
	}
}

static void run_refuses_more_devices_than_its_limits(void **state)
{
	char line[1024] = "run -k idle";

	(void)state;
	for (unsigned i = 0; i < MACHINE_MAX_DISKS + 1; i++)
		strcat(line, " -d x");
	assert_int_equal(lkvm(line), 2);
	assert_says(result.err, "lkvm: run: -d: there are more than 16 disks;");
	strcpy(line, "run -k idle");
	for (unsigned i = 0; i < MACHINE_MAX_NETWORKS + 1; i++)
		strcat(line, " -n mode=user");
	assert_int_equal(lkvm(line), 2);
	assert_says(result.err, "lkvm: run: -n: there are more than 8 interfaces;");
}

/* lkvm run: exit. */

static void run_fails_when_its_kernel_is_missing_or_unusable(void **state)
{
	(void)state;
	assert_int_equal(lkvm("run --kernel nowhere"), 1);
	assert_string_equal(result.err,
			    "  Fatal: Unable to open kernel nowhere: No such file or directory\n");
	assert_int_equal(lkvm("run --kernel unusable --name u"), 1);
	assert_string_equal(result.err, "lkvm: run: this kernel is no kernel\n");
	assert_false(socket_exists("u"));
}

static void exit_status_reports_how_the_guest_ended(void **state)
{
	(void)state;
	assert_int_equal(lkvm("run -k poweroff"), 0);
	assert_string_equal(result.err, "");
	assert_int_equal(lkvm("run -k crash"), 3);
	assert_string_equal(result.err, "lkvm: run: the guest crashed\n");
	assert_int_equal(lkvm("run -k failure --name f"), 4);
	assert_string_equal(result.err, "lkvm: run: vCPU 1: KVM_RUN: Bad address\n");
	assert_false(socket_exists("f"));
	assert_int_equal(lkvm("run -k reset"), 0);
	assert_says(result.err, "lkvm: warning: the guest has reset itself: it starts again\n");
	assert_int_equal(lkvm("run -k reset --no-reboot"), 5);
	assert_string_equal(result.err, "lkvm: warning: the guest has reset itself: --no-reboot ends the virtual machine\n");
}

static void signal_ends_the_vm(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct process process = start("run -k idle --name s");

		wait_until_served("s");
		kill(process.pid, signals[i]);
		assert_int_equal(finish(process), 128 + signals[i]);
		assert_string_equal(result.err, "");
		assert_false(socket_exists("s"));
	}
}

static void run_fails_when_its_name_is_taken(void **state)
{
	struct process process = start("run -k idle --name once");

	(void)state;
	wait_until_served("once");
	assert_int_equal(lkvm("run -k idle --name once"), 1);
	assert_string_equal(result.err, "lkvm: run: a virtual machine named once is already running\n");
	assert_int_equal(lkvm("stop --force once"), 0);
	assert_int_equal(finish(process), 0);
}

/* The other commands. */

static void commands_control_a_vm_from_start_to_stop(void **state)
{
	struct process process = start("run -k obedient --name life --cpus 2");

	(void)state;
	wait_until_served("life");
	assert_int_equal(lkvm("list"), 0);
	assert_says(result.out, "  life                  running       2     320 MiB\n");
	assert_int_equal(lkvm("list --quiet"), 0);
	assert_string_equal(result.out, "life\n");
	assert_int_equal(lkvm("list --json"), 0);
	assert_says(result.out, "\"state\": \"running\", \"cpus\": 2, \"memory\": 335544320}]}\n");
	assert_int_equal(lkvm("stat life --json"), 0);
	assert_string_equal(result.out, "{\"state\": \"running\"}\n");
	assert_int_equal(lkvm("pause life"), 0);
	assert_string_equal(result.out, "Guest life paused\n");
	assert_int_equal(lkvm("list"), 0);
	assert_says(result.out, "  life                  paused ");
	assert_int_equal(lkvm("resume --name life --json"), 0);
	assert_string_equal(result.out, "{\"name\": \"life\", \"state\": \"resumed\"}\n");
	assert_int_equal(lkvm("reboot -a"), 0);
	assert_string_equal(result.out, "Guest life rebooted\n");
	assert_int_equal(lkvm("balloon life 16"), 1);
	assert_says(result.err, "lkvm: balloon: life: the guest has no balloon;");
	assert_int_equal(lkvm("stop nobody life"), 1);
	assert_string_equal(result.err, "lkvm: stop: nobody: no virtual machine of that name is running\n");
	assert_string_equal(result.out, "Guest life stopped\n");
	assert_int_equal(finish(process), 0);
	assert_int_equal(lkvm("list --quiet"), 0);
	assert_string_equal(result.out, "");
	assert_int_equal(lkvm("stop --all"), 0);
}

static void detach_returns_when_the_vm_runs_or_fails(void **state)
{
	(void)state;
	assert_int_equal(lkvm("run --detach -k idle --name d"), 0);
	assert_string_equal(result.out, "d\n");
	assert_int_equal(lkvm("list --quiet"), 0); /* does not wait */
	assert_string_equal(result.out, "d\n");
	assert_int_equal(lkvm("stop d --force"), 0);

	assert_int_equal(lkvm("run --detach -k idle"), 0);
	assert_says(result.out, "guest-");
	assert_int_equal(lkvm("stop --all --force"), 0);

	assert_int_equal(lkvm("run --detach -k unusable"), 1);
	assert_string_equal(result.err, "lkvm: run: this kernel is no kernel\n");
	assert_string_equal(result.out, "");
	assert_int_equal(lkvm("run --detach -k nowhere"), 1);
	assert_says(result.err, "  Fatal: Unable to open kernel nowhere");
}

/* Completion and manual page, which must match the tables of commands and options. */

static void completion_lists_matching_words(void **state)
{
	static const struct {
		const char *words, *expected; /* the last word is being completed */
	} cases[] = {
		{ "lkvm st", "stat stop " },
		{ "lkvm run --cons", "--console " },
		{ "lkvm run --console ", "serial virtio " },
		{ "lkvm run --console = v", "virtio " },
		{ "lkvm run --loglevel = ", "error warning info debug " },
		{ "lkvm check --j", "--json " },
		{ "lkvm completion ", "bash " },
		{ "lkvm help ver", "version " },
		{ "lkvm run --name ", "" },
		{ "lkvm snapshot inspect --cp", "--cpu " },
		{ "lkvm snapshot inspect --cpu --j", "--json " },
		{ "lkvm snapshot inspect --cpu = ", "" },
		{ "lkvm snapshot save --co", "--compress " },
		{ "lkvm snapshot merge --compress = ", "1 2 3 4 5 6 7 8 9 " },
	};
	FILE *file = fopen("complete", "we");

	(void)state;
	assert_int_equal(lkvm("completion bash"), 0);
	fputs(result.out, file);
	fclose(file);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char command[512], answer[256] = "";
		FILE *pipe;

		snprintf(command, sizeof(command),
			 "bash -c 'set -u; . ./complete; IFS=\" \"; COMP_WORDS=(%s); "
			 "[[ \"%s\" != *\" \" ]] || COMP_WORDS+=(\"\"); "
			 "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _lkvm; echo \"${COMPREPLY[*]} \"'",
			 cases[i].words, cases[i].words);
		pipe = popen(command, "re");
		assert_non_null(fgets(answer, sizeof(answer), pipe));
		assert_int_equal(pclose(pipe), 0);
		answer[strcspn(answer, "\n")] = '\0';
		assert_string_equal(answer[0] == ' ' ? "" : answer, cases[i].expected);
	}
}

/* Asserts that the text has the word, and not only as the beginning of another one. */
static void assert_has_word(const char *text, const char *word)
{
	const char *at = text;

	while ((at = strstr(at, word)))
		if (strchr(" \n", *(at += strlen(word))))
			return;
	fail_msg("the manual page has no \"%s\"", word);
}

/* The manual page has each command and each option: "Ic run", "Fl -kernel". */
static void manual_page_has_each_command_and_option(void **state)
{
	static char page[131072];
	char path[4200];
	int fd;

	snprintf(path, sizeof(path), "%s/docs/lkvm.1", (const char *)*state);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	read_all(fd, page, sizeof(page));
	for (const struct command *command = command_table; command->name; command++) {
		char mark[64];

		snprintf(mark, sizeof(mark), "\n.It Ic %s", command->name);
		assert_has_word(page, mark);
		for (size_t i = 0; command->options && i < command->options->count; i++) {
			snprintf(mark, sizeof(mark), "Fl -%s", command->options->entries[i].name);
			assert_has_word(page, mark);
		}
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(help_lists_each_command),
		TEST(help_of_command_is_the_same_by_option_and_by_name),
		TEST(version_is_printed_by_command_and_by_option),
		TEST(command_exits_with_2_when_its_usage_is_wrong),
		TEST(command_fails_when_its_stream_is_empty),
		TEST(command_fails_when_its_output_cannot_be_written),
		TEST(run_has_documented_defaults),
		TEST(run_accepts_the_options_of_kvmtool),
		TEST(run_parses_items_of_disk),
		TEST(run_parses_items_of_network), TEST(run_parses_addresses_of_host_devices),
		TEST(run_refuses_bad_options_with_an_error),
		TEST(run_refuses_more_devices_than_its_limits),
		TEST(run_fails_when_its_kernel_is_missing_or_unusable),
		TEST(exit_status_reports_how_the_guest_ended),
		TEST(signal_ends_the_vm),
		TEST(run_fails_when_its_name_is_taken),
		TEST(commands_control_a_vm_from_start_to_stop),
		TEST(detach_returns_when_the_vm_runs_or_fails),
		TEST(completion_lists_matching_words),
		TEST(manual_page_has_each_command_and_option),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
