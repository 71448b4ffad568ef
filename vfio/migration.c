/* SPDX-License-Identifier: MIT */
/*
 * A device's own state, by the kernel's migration protocol (version 2). The device moves between states. In
 * some of them a file reads or writes the device's data, whose format only its driver knows.
 *
 *     saving:    RUNNING [-> PRE_COPY] -> RUNNING_P2P or PRE_COPY_P2P, all devices -> STOP -> STOP_COPY -> STOP
 *     loading:   RUNNING -> RESUMING -> STOP -> RUNNING_P2P, all devices -> RUNNING
 *
 * Kernel: include/uapi/linux/vfio.h, "enum vfio_device_mig_state".
 */
#include <errno.h>
#include <unistd.h>

#include "device.h"
#include "migration_abi.h"
#include "state/names.h"

#define MAX_DATA (128u << 20) /* half of the limit of a snapshot's reader */
#define CHUNK (1u << 20)

static const char *const names[] = {
	[VFIO_DEVICE_STATE_ERROR] = "ERROR", [VFIO_DEVICE_STATE_STOP] = "STOP", [VFIO_DEVICE_STATE_RUNNING] = "RUNNING",
	[VFIO_DEVICE_STATE_STOP_COPY] = "STOP_COPY", [VFIO_DEVICE_STATE_RESUMING] = "RESUMING",
	[VFIO_DEVICE_STATE_RUNNING_P2P] = "RUNNING_P2P", [VFIO_DEVICE_STATE_PRE_COPY] = "PRE_COPY",
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = "PRE_COPY_P2P",
};

void vfio_migration_open(struct vfio_device *device)
{
	struct vfio_feature feature = { 0 };

	device->migration.state = VFIO_DEVICE_STATE_RUNNING;
	if (vfio_device_feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, &feature) >= 0 &&
	    feature.migration.flags & VFIO_MIGRATION_STOP_COPY)
		device->migration.offers = (uint32_t)feature.migration.flags;
}

static void close_data(struct vfio_migration *migration)
{
	if (migration->data_fd >= 0)
		close(migration->data_fd);
	migration->data_fd = -1;
}

static void forget(struct vfio_migration *migration)
{
	close_data(migration);
	byte_buffer_free(&migration->data);
}

static void set_reset(struct vfio_migration *migration)
{
	forget(migration);
	migration->state = VFIO_DEVICE_STATE_RUNNING;
}

/* After a failure the device may be in any state. Only a reset leaves the error state. */
static void recover(struct vfio_device *device)
{
	struct vfio_feature feature = { 0 };
	uint32_t state = VFIO_DEVICE_STATE_ERROR;

	if (vfio_device_feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &feature) >= 0)
		state = feature.state.device_state;
	device->migration.state = state;
	if (state != VFIO_DEVICE_STATE_ERROR)
		return;
	vfio_device_reset_function(device);
	set_reset(&device->migration);
	device->reset_unreported = true;
}

static int set_state(struct vfio_device *device, uint32_t state, struct error *error)
{
	struct vfio_feature feature = { .state = { .device_state = state, .data_fd = -1 } };
	struct vfio_migration *migration = &device->migration;
	int result;

	if (migration->state == state)
		return 0;
	result = vfio_device_feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &feature);
	if (result < 0) {
		recover(device);
		return error_system(error, -result, "%s: VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE %s", device->address,
				    names[state]);
	}
	migration->state = state;
	if (feature.state.data_fd >= 0) {
		close_data(migration);
		migration->data_fd = feature.state.data_fd;
	}
	return 0;
}

static bool is_precopying(const struct vfio_migration *migration)
{
	return migration->state == VFIO_DEVICE_STATE_PRE_COPY || migration->state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

static int vfio_migration_stop_peers(struct vfio_device *device, struct error *error)
{
	struct vfio_migration *migration = &device->migration;

	if (!(migration->offers & VFIO_MIGRATION_P2P))
		return 0;
	if (migration->state == VFIO_DEVICE_STATE_RUNNING)
		return set_state(device, VFIO_DEVICE_STATE_RUNNING_P2P, error);
	return migration->state == VFIO_DEVICE_STATE_PRE_COPY ? set_state(device, VFIO_DEVICE_STATE_PRE_COPY_P2P, error) : 0;
}

static int vfio_migration_stop(struct vfio_device *device, struct error *error)
{
	struct vfio_migration *migration = &device->migration;

	if (migration->state == VFIO_DEVICE_STATE_STOP || migration->state == VFIO_DEVICE_STATE_STOP_COPY)
		return 0;
	/* The file of precopy also has the rest of the data. */
	return set_state(device, is_precopying(migration) ? VFIO_DEVICE_STATE_STOP_COPY : VFIO_DEVICE_STATE_STOP, error);
}

static int vfio_migration_start_peers(struct vfio_device *device, struct error *error)
{
	struct vfio_migration *migration = &device->migration;
	bool is_stopped = migration->state == VFIO_DEVICE_STATE_STOP || migration->state == VFIO_DEVICE_STATE_STOP_COPY;

	forget(migration);
	if (!is_stopped || !(migration->offers & VFIO_MIGRATION_P2P))
		return 0;
	return set_state(device, VFIO_DEVICE_STATE_RUNNING_P2P, error);
}

static int vfio_migration_start(struct vfio_device *device, struct error *error)
{
	forget(&device->migration);
	return set_state(device, VFIO_DEVICE_STATE_RUNNING, error);
}

/* Reads all data of the file; during precopy, all that there is now. */
static int read_data(struct vfio_device *device, struct error *error)
{
	struct vfio_migration *migration = &device->migration;
	struct byte_buffer *data = &migration->data;
	ssize_t size;

	do {
		size_t before = data->size;
		uint8_t *buffer = byte_buffer_add(data, NULL, CHUNK);

		if (!buffer)
			return error_system(error, ENOMEM, "%s: its state", device->address);
		size = read(migration->data_fd, buffer, CHUNK);
		data->size = before + (size > 0 ? (size_t)size : 0);
	} while (data->size <= MAX_DATA && (size > 0 || (size < 0 && errno == EINTR)));
	if (size > 0)
		return error_set(error, EFBIG, "%s: its state has more than %u MiB", device->address, MAX_DATA >> 20);
	if (size < 0 && !((errno == ENOMSG || errno == EAGAIN) && is_precopying(migration)))
		return error_system(error, errno, "%s: its state cannot be read", device->address);
	return 0;
}

static int vfio_migration_precopy(struct vfio_device *device, struct error *error)
{
	struct vfio_migration *migration = &device->migration;

	if (migration->state == VFIO_DEVICE_STATE_RUNNING && migration->offers & VFIO_MIGRATION_PRE_COPY &&
	    set_state(device, VFIO_DEVICE_STATE_PRE_COPY, error) < 0)
		return -1;
	if (migration->state != VFIO_DEVICE_STATE_PRE_COPY || read_data(device, error) == 0)
		return 0;
	/* The data can still be read when the device is stopped. */
	return vfio_migration_start(device, error);
}

static int vfio_migration_cancel_precopy(struct vfio_device *device, struct error *error)
{
	return is_precopying(&device->migration) ? vfio_migration_start(device, error) : 0;
}

static int write_data(struct vfio_device *device, const struct field *data, struct error *error)
{
	for (size_t done = 0; done < data->count;) {
		ssize_t result = write(device->migration.data_fd, data->values + done, data->count - done);

		if (result < 0 && errno != EINTR)
			return error_system(error, errno, "%s does not take its saved state", device->address);
		done += result > 0 ? (size_t)result : 0;
	}
	return 0;
}

static int (*const moves[])(struct vfio_device *device, struct error *error) = {
	[VFIO_STOP_PEERS] = vfio_migration_stop_peers,
	[VFIO_STOP] = vfio_migration_stop,
	[VFIO_START_PEERS] = vfio_migration_start_peers,
	[VFIO_START] = vfio_migration_start,
	[VFIO_PRECOPY] = vfio_migration_precopy,
	[VFIO_CANCEL_PRECOPY] = vfio_migration_cancel_precopy,
};

int vfio_migration_move(struct vfio_device *device, enum vfio_move move, struct error *error)
{
	int result;

	if (!device->migration.offers)
		return 0;
	pthread_mutex_lock(&device->migration.lock);
	result = moves[move](device, error);
	pthread_mutex_unlock(&device->migration.lock);
	return result;
}

void vfio_migration_reset(struct vfio_device *device)
{
	pthread_mutex_lock(&device->migration.lock);
	set_reset(&device->migration);
	pthread_mutex_unlock(&device->migration.lock);
}

int vfio_migration_save(struct vfio_device *device, const char *section, struct section_writer *writer, struct error *error)
{
	struct byte_buffer *data = &device->migration.data;
	int result = 0;

	/*
	 * It is in STOP already, unless an earlier save failed here. After precopy it is in STOP_COPY, with an
	 * open file.
	 */
	if (device->migration.data_fd < 0)
		result = set_state(device, VFIO_DEVICE_STATE_STOP, error);
	if (result == 0)
		result = set_state(device, VFIO_DEVICE_STATE_STOP_COPY, error);
	if (result == 0)
		result = read_data(device, error);
	if (result == 0) {
		section_begin(writer, section, 1, SECTION_MANDATORY);
		field_add(&writer->buffer, FIELD_DEVICE_DATA, 1, (uint32_t)data->size, data->bytes);
		section_end(writer);
		result = set_state(device, VFIO_DEVICE_STATE_STOP, error);
	}
	forget(&device->migration);
	return result;
}

int vfio_migration_load(struct vfio_device *device, const struct section *section, struct error *error)
{
	struct field data;
	int result;

	if (!field_find(&section->fields, FIELD_DEVICE_DATA, &data) || data.size != 1)
		return error_set(error, EBADMSG, "section %s: data is missing", section->name);
	if (!device->migration.offers)
		return error_set(error, ENOTSUP, "%s: the snapshot has its state, which its driver on this host cannot load",
				 device->address);
	result = set_state(device, VFIO_DEVICE_STATE_RESUMING, error);
	if (result == 0)
		result = write_data(device, &data, error);
	/* The driver checks the data here. */
	if (result == 0)
		result = set_state(device, VFIO_DEVICE_STATE_STOP, error);
	close_data(&device->migration);
	return result;
}

void vfio_migration_close(struct vfio_device *device)
{
	forget(&device->migration);
	pthread_mutex_destroy(&device->migration.lock);
}
