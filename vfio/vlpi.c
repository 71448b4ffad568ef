/* SPDX-License-Identifier: MIT */
/*
 * Which interrupts are vLPIs, which hardware forwards to the vCPUs. No ioctl shows it, but a file in debugfs
 * does. Its lines are the events that KVM's ITS maps. HW is 1 for a vLPI:
 *
 *     Device ID: 0x8, Event ID Range: [0 - 127]
 *     EVENT_ID    INTID  HWINTID   TARGET   COL_ID HW
 *     -----------------------------------------------
 *            0     8192        0        0        0  1
 *
 * Kernel: arch/arm64/kvm/vgic/vgic-debug.c, since Linux 6.16. KVM holds the ITS's lock while it fills one page
 * of the file. It neither stops vCPUs nor changes anything. (The older vgic-state beside it has no events, and
 * stays locked if its reader is killed.) Earlier kernels may have a backport of the file. One backport follows
 * a null pointer when a guest maps a device without an event, so the file is not read there.
 */
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "device.h"

#define DEVICE "Device ID: "
#define COLUMNS 6
#define FIRST_PID_NAMESPACE 0xeffffffcu /* its inode: PROC_PID_INIT_INO */

static bool read_columns(const char *line, unsigned long values[COLUMNS])
{
	char *end;

	for (unsigned i = 0; i < COLUMNS; i++, line = end) {
		values[i] = strtoul(line, &end, 10);
		if (end == line)
			return false;
	}
	return true;
}

void vfio_vlpi_parse(FILE *file, uint32_t device_id, bool is_vlpi[VFIO_EVENTS])
{
	unsigned long values[COLUMNS];
	bool is_wanted = false;
	char *line = NULL;
	size_t size = 0;

	while (getline(&line, &size, file) > 0) {
		if (!strncmp(line, DEVICE, strlen(DEVICE)))
			is_wanted = strtoul(line + strlen(DEVICE), NULL, 16) == device_id;
		else if (is_wanted && read_columns(line, values) && values[0] < VFIO_EVENTS)
			is_vlpi[values[0]] = values[COLUMNS - 1];
	}
	free(line);
}

static bool is_safe(void)
{
	unsigned long major, minor;
	struct utsname name;
	char *end;

	if (uname(&name) < 0)
		return false;
	major = strtoul(name.release, &end, 10);
	minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	return major > 6 || (major == 6 && minor >= 16);
}

/* KVM names a VM's folder by the process ID in the first PID namespace. getpid() is that number only there. */
static bool in_first_namespace(void)
{
	struct stat info;

	return stat("/proc/self/ns/pid", &info) == 0 && info.st_ino == FIRST_PID_NAMESPACE;
}

static FILE *open_file(const struct vm *vm)
{
	char pattern[96];
	glob_t found;
	FILE *file;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/debug/kvm/%d-%d/vgic-its-state@*", (int)getpid(), vm->fd);
	if (!is_safe() || !in_first_namespace() || glob(pattern, 0, NULL, &found) != 0)
		return NULL;
	file = fopen(found.gl_pathv[0], "re");
	globfree(&found);
	return file;
}

bool *vfio_vlpi_read(const struct vm *vm, uint32_t device_id)
{
	FILE *file = open_file(vm);
	bool *is_vlpi;

	if (!file)
		return NULL;
	is_vlpi = calloc(VFIO_EVENTS, sizeof(*is_vlpi));
	if (is_vlpi)
		vfio_vlpi_parse(file, device_id, is_vlpi);
	fclose(file);
	return is_vlpi;
}
