/* SPDX-License-Identifier: MIT */
/* Probes of the processor, the host's kernel and its devices, for lkvm doctor. */
#include "kvm/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util/bits.h"
#include "util/io.h"

/* Reads a small file as text; "" if it cannot be read. */
static void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? 0 : read_full(fd, text, size - 1);

	text[got < 0 ? 0 : got] = '\0';
	if (fd >= 0)
		close(fd);
}

/* Returns 0 if the device can be opened for reading and writing, else an errno value. */
static int try_device(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* Finds the name of the group that owns a file; "" if it has none. Local groups only, so no network access. */
static void owning_group(const char *path, char *name, size_t size)
{
	struct stat status;
	FILE *groups = fopen("/etc/group", "re");

	name[0] = '\0';
	if (groups && stat(path, &status) == 0)
		for (struct group *group; (group = fgetgrent(groups));)
			if (group->gr_gid == status.st_gid && group->gr_gid)
				snprintf(name, size, "%s", group->gr_name);
	if (groups)
		fclose(groups);
}

static void remedy_permission(struct probes *probes, const char *path)
{
	char group[64];

	owning_group(path, group, sizeof(group));
	if (group[0])
		probes_remedy(probes, "sudo usermod -aG %s $USER, and log in again", group);
	else
		probes_remedy(probes, "let your group read and write %s, by a udev rule", path);
}

static void probe_kvm_device(struct probes *probes)
{
	static const char path[] = "/dev/kvm";
	int code = try_device(path);

	probes_add(probes, "KVM", code ? PROBE_MISSING : PROBE_GOOD, "%s%s%s", path, code ? ": " : "",
		   code ? strerror(code) : " can be opened");
	probes_need(probes);
	if (code == EACCES || code == EPERM)
		remedy_permission(probes, path);
	else if (code)
		probes_remedy(probes, "boot a kernel with CONFIG_KVM at EL2 (under QEMU: "
			      "-M virt,virtualization=on)");
}

void probe_base(struct probes *probes)
{
	struct utsname names;
	bool arm64 = uname(&names) == 0 && !strcmp(names.machine, "aarch64");

	probes_add(probes, "processor", arm64 ? PROBE_GOOD : PROBE_MISSING, "%s", names.machine);
	probes_need(probes);
	if (!arm64) {
		probes_remedy(probes,
			      "lkvm runs arm64 guests on arm64; scripts/demo emulates such a machine");
		return; /* the KVM of another architecture is of no use */
	}
	probe_kvm_device(probes);
}

/* Parses "6.1.176" and ignores what follows. Missing numbers are 0. Returns how many there are. */
static unsigned parse_numbers(const char *text, unsigned long numbers[3])
{
	unsigned count = 0;

	for (unsigned i = 0; i < 3; i++)
		numbers[i] = 0;
	while (count < 3 && text[0] >= '0' && text[0] <= '9') {
		char *end;

		numbers[count++] = strtoul(text, &end, 10);
		if (end[0] != '.')
			break;
		text = end + 1;
	}
	return count;
}

/*
 * Debian's release, "6.1.0-42-arm64", does not contain the stable release. The version does: "#1 SMP Debian 6.1.176-1".
 */
static bool parse_release(const char *release, const char *version, unsigned long numbers[3])
{
	static const char mark[] = "Debian ";
	const char *debian = strstr(version, mark);

	return (debian && parse_numbers(debian + sizeof(mark) - 1, numbers) == 3) ||
	       parse_numbers(release, numbers) >= 2;
}

void probe_kernel(struct probes *probes, const char *release, const char *version)
{
	static const char name[] = "kernel and ITS saving";
	static const struct {
		unsigned long major, minor;
		unsigned long crashes; /* this stable release was seen to crash; so do earlier ones */
		unsigned long fixed;   /* this one was seen not to crash; ULONG_MAX: none was */
	} known[] = {
		{ 6, 1, 176, 192 },
		{ 6, 12, 107, ULONG_MAX },
		{ 7, 2, 0, 12 },
	};
	unsigned long numbers[3];

	if (!parse_release(release, version, numbers)) {
		probes_add(probes, name, PROBE_WARNING, "%.40s is a version that lkvm cannot parse", release);
		return;
	}
	for (unsigned i = 0; i < COUNT(known); i++) {
		if (numbers[0] != known[i].major || numbers[1] != known[i].minor)
			continue;
		if (numbers[2] >= known[i].fixed) {
			probes_add(probes, name, PROBE_GOOD, "%lu.%lu.%lu has the fix", numbers[0],
				   numbers[1], numbers[2]);
			return;
		}
		if (numbers[2] <= known[i].crashes) {
			probes_add(probes, name, PROBE_WARNING,
				   "%lu.%lu.%lu crashes when a guest's ITS is saved after the "
				   "guest unmapped a collection in use",
				   numbers[0], numbers[1], numbers[2]);
			probes_remedy(probes, "update the kernel; 6.1.192 and 7.2.12 have the fix");
			return;
		}
	}
	if (numbers[0] > 7 || (numbers[0] == 7 && numbers[1] > 2)) {
		probes_add(probes, name, PROBE_GOOD, "%lu.%lu is newer than the fix", numbers[0], numbers[1]);
		return;
	}
	probes_add(probes, name, PROBE_WARNING,
		   "%lu.%lu.%lu may crash when a guest's ITS is saved after the guest unmapped a "
		   "collection in use",
		   numbers[0], numbers[1], numbers[2]);
	probes_remedy(probes, "6.1.192 and 7.2.12 are known to have the fix");
}

/* The kernel (KVM, vhost) touches guest RAM, too, so a user-mode-only descriptor is not enough. */
static int open_userfaultfd(void)
{
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	int device;

	if (fd >= 0 || errno != EPERM)
		return fd;
	device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (device < 0) {
		errno = EPERM;
		return -1;
	}
	fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
	close(device);
	return fd;
}

static void probe_userfaultfd(struct probes *probes)
{
	static const char name[] = "userfaultfd write-protect";
	struct uffdio_api api = { .api = UFFD_API };
	int fd = open_userfaultfd();

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0) {
		probes_add(probes, name, PROBE_MISSING, "userfaultfd: %s", strerror(errno));
		if (errno == EPERM)
			probes_remedy(probes, "sudo sysctl vm.unprivileged_userfaultfd=1");
		else
			probes_remedy(probes, "a kernel with CONFIG_USERFAULTFD");
	} else if (!(api.features & UFFD_FEATURE_PAGEFAULT_FLAG_WP)) {
		probes_add(probes, name, PROBE_MISSING,
			   "this kernel has userfaultfd, but no write-protection on arm64");
		probes_remedy(probes, "Linux 6.10 or later");
	} else {
		probes_add(probes, name, PROBE_GOOD, "userfaultfd can protect memory against writing");
	}
	if (fd >= 0)
		close(fd);
}

static unsigned count_entries(const char *path)
{
	DIR *directory = opendir(path);
	unsigned count = 0;

	if (!directory)
		return 0;
	for (struct dirent *entry; (entry = readdir(directory));)
		count += entry->d_name[0] != '.';
	closedir(directory);
	return count;
}

static void probe_vfio(struct probes *probes)
{
	unsigned groups = count_entries("/sys/kernel/iommu_groups");

	if (access("/dev/vfio/vfio", F_OK) < 0) {
		probes_add(probes, "VFIO", PROBE_MISSING, "/dev/vfio/vfio: %s", strerror(errno));
		probes_remedy(probes, "sudo modprobe vfio-pci");
	} else if (!groups) {
		probes_add(probes, "VFIO", PROBE_MISSING,
			   "no IOMMU groups: the host has no IOMMU, or it is off");
		probes_remedy(probes, "switch on the SMMU in the firmware");
	} else {
		probes_add(probes, "VFIO", PROBE_GOOD, "%u IOMMU groups", groups);
	}
}

/* Only the kernel's log shows whether the processor and the interrupt controller have GICv4. Users may not read it. */
static void probe_gicv4(struct probes *probes)
{
	char words[4096];

	read_text("/proc/cmdline", words, sizeof(words));
	if (strstr(words, "kvm-arm.vgic_v4_enable=1")) {
		probes_add(probes, "GICv4", PROBE_WARNING, "enabled on the kernel's command line");
		probes_remedy(probes, "sudo dmesg | grep GICv4 shows whether the hardware has it");
	} else {
		probes_add(probes, "GICv4", PROBE_MISSING, "not enabled on the kernel's command line");
		probes_remedy(probes,
			      "boot the host with kvm-arm.vgic_v4_enable=1, if its hardware has GICv4");
	}
}

static void probe_vhost(struct probes *probes)
{
	static const char path[] = "/dev/vhost-net";
	int code = try_device(path);

	probes_add(probes, "vhost-net", code ? PROBE_MISSING : PROBE_GOOD, "%s%s%s", path, code ? ": " : "",
		   code ? strerror(code) : " can be opened");
	if (code == EACCES)
		remedy_permission(probes, path);
	else if (code)
		probes_remedy(probes, "sudo modprobe vhost_net; without it lkvm moves the packets itself");
}

/* CAP_NET_ADMIN. Without it only existing interfaces that belong to the user can be used. */
static bool may_make_interfaces(void)
{
	static const char mark[] = "\nCapEff:";
	char text[4096];
	const char *line;

	read_text("/proc/self/status", text, sizeof(text));
	line = strstr(text, mark);
	return line && strtoull(line + sizeof(mark) - 1, NULL, 16) >> CAP_NET_ADMIN & 1;
}

static void probe_tun(struct probes *probes)
{
	static const char path[] = "/dev/net/tun";
	int code = try_device(path);

	if (code) {
		probes_add(probes, "tap interfaces", PROBE_MISSING, "%s: %s", path, strerror(code));
		probes_remedy(probes, "sudo modprobe tun, and access to %s", path);
	} else if (!may_make_interfaces()) {
		probes_add(probes, "tap interfaces", PROBE_WARNING,
			   "only those made for you: no CAP_NET_ADMIN");
		probes_remedy(probes, "sudo ip tuntap add NAME mode tap user $USER, then tapif=NAME");
	} else {
		probes_add(probes, "tap interfaces", PROBE_GOOD, "can be made");
	}
}

static bool find_program(const char *name, char path[PATH_MAX])
{
	const char *at = getenv("PATH");

	while (at && *at) {
		const char *end = strchrnul(at, ':');

		snprintf(path, PATH_MAX, "%.*s/%s", (int)(end - at), at, name);
		if (access(path, X_OK) == 0)
			return true;
		at = *end ? end + 1 : end;
	}
	return false;
}

static void probe_passt(struct probes *probes)
{
	char path[PATH_MAX];

	if (find_program("passt", path)) {
		probes_add(probes, "passt", PROBE_GOOD, "%.140s", path);
		return;
	}
	probes_add(probes, "passt", PROBE_MISSING, "not in PATH; --network mode=user needs it");
	probes_remedy(probes, "sudo apt install passt");
}

static void probe_huge_pages(struct probes *probes)
{
	char text[128];

	read_text("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	if (!text[0] || strstr(text, "[never]")) {
		probes_add(probes, "huge pages", PROBE_WARNING,
			   "transparent huge pages are %s: guests run slower",
			   text[0] ? "off" : "not in this kernel");
		probes_remedy(probes, "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled");
		return;
	}
	probes_add(probes, "huge pages", PROBE_GOOD, "transparent huge pages: %.60s", text);
}

void probe_host(struct probes *probes)
{
	struct utsname names;

	if (uname(&names) == 0)
		probe_kernel(probes, names.release, names.version);
	probe_userfaultfd(probes);
	probe_huge_pages(probes);
	probe_tun(probes);
	probe_vhost(probes);
	probe_passt(probes);
	probe_vfio(probes);
	probe_gicv4(probes);
}
