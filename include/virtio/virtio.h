/* SPDX-License-Identifier: MIT */
/*
 * virtio devices over PCI, modern only (VIRTIO 1.2, section 4.1). virtio/virtio.c and status.c negotiate, own
 * the queues, and call a device through struct virtio_ops. virtio/pci.c and common_config.c have the registers.
 * A device adds its backend and its configuration, and does not use PCI.
 */
#ifndef LKVM_VIRTIO_H
#define LKVM_VIRTIO_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/pci.h"
#include "kvm/vm.h"
#include "state/state_table.h"
#include "util/err.h"
#include "util/report.h"
#include "util/worker.h"
#include "virtio/disk_identity.h"
#include "virtio/virtqueue.h"

#define VIRTIO_MAX_QUEUES 17

/* Device types, VIRTIO 1.2 section 5. */
enum virtio_id {
	VIRTIO_NET = 1,
	VIRTIO_BLOCK = 2,
	VIRTIO_CONSOLE = 3,
	VIRTIO_ENTROPY = 4,
	VIRTIO_BALLOON = 5,
	VIRTIO_INPUT = 18,
};

/* Device status bits, section 2.1. */
#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER 2u
#define VIRTIO_STATUS_DRIVER_OK 4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u
#define VIRTIO_STATUS_FAILED 128u

/* Feature bits of the transport, section 6. */
#define VIRTIO_FEATURE_INDIRECT (1ull << 28)
#define VIRTIO_FEATURE_EVENT_INDEX (1ull << 29)
#define VIRTIO_FEATURE_VERSION_1 (1ull << 32)

struct virtio_device;

/*
 * The operations of a device. start and stop run with the worker parked. process runs on the worker only. The config
 * functions run on vCPU threads, one at a time. All but name, id and process may be NULL.
 */
struct virtio_ops {
	const char *name; /* "blk" */
	enum virtio_id id;
	uint32_t class_code; /* PCI */

	/* Device-specific configuration (little-endian bytes): offset + size lies inside config_size. */
	void (*config_read)(struct virtio_device *device, unsigned offset, unsigned size, void *to);
	void (*config_write)(struct virtio_device *device, unsigned offset, unsigned size, const void *from);

	/* The driver set DRIVER_OK: device->features has the accepted features, and enabled queues are started. */
	void (*start)(struct virtio_device *device);
	/*
	 * The driver or the VM resets the device: drops requests and resets what the driver configured. Also called if
	 * start was not.
	 */
	void (*stop)(struct virtio_device *device);

	/* Processes all queues. Returns when nothing is left to do, or at once if worker_is_wanted(). */
	void (*process)(struct virtio_device *device);

	/*
	 * The VM pauses or resumes between start and stop. The worker is parked during both. vhost in the kernel is
	 * stopped and started here.
	 */
	void (*pause)(struct virtio_device *device);
	void (*resume)(struct virtio_device *device);

	/* Adds the device's own figures for `lkvm stat`. Any thread. */
	void (*stat)(struct virtio_device *device, struct report *report);

	/* The device's own state, `state_offset` bytes into its struct. NULL: none. */
	const struct state_table *state_table;
	size_t state_offset;

	/*
	 * After that state was loaded: checks it, and sets up what follows from it. The worker is parked. start
	 * is called afterwards if the driver had started. NULL: nothing to do.
	 */
	int (*restored)(struct virtio_device *device, struct error *error);

	/* Closes the backend. Must work after a failed open. */
	void (*close)(struct virtio_device *device);
};

/* The state of the transport, without the queues. */
struct virtio_state {
	uint64_t offered;  /* features, configuration */
	uint64_t accepted; /* features, by the driver */
	uint32_t device_feature_select;
	uint32_t driver_feature_select;
	uint16_t queue_select;
	uint16_t config_vector;
	uint8_t status;
	uint8_t generation;
	uint8_t interrupt_status; /* ISR */
	uint8_t padding;
};

extern const struct state_table virtio_state_table;

struct virtio_device {
	const struct virtio_ops *ops;
	char name[24];       /* "virtio-blk0" */
	unsigned config_size; /* bytes of device-specific configuration */
	unsigned queue_count;
	unsigned vectors;     /* MSI-X */
	struct vm *vm;
	struct pci_device pci;
	struct worker worker;

	/*
	 * For what the driver programs. vCPU threads hold it during an access, also while they wait for the worker to
	 * park. So the worker never locks it. Of the state, the worker and other threads change only status and
	 * generation, atomically, and interrupt_status, under line_lock.
	 * Order: lock, then line_lock; pci.lock, then doorbell_lock; lock, then doorbell_lock.
	 */
	pthread_mutex_t lock;
	struct virtio_state state;
	struct virtqueue queues[VIRTIO_MAX_QUEUES];
	uint64_t features; /* accepted, valid between start and stop */
	bool running;      /* between start and stop; changes with the worker parked */
	/*
	 * The eventfd of a queue's doorbell: the worker's kick_fd, unless the device set another before start
	 * returned.
	 */
	int doorbell_fds[VIRTIO_MAX_QUEUES];

	struct { /* for `lkvm stat`; relaxed counters */
		atomic_ulong interrupts, kicks, requests, errors;
	} counters;

	/* Private to the transport (virtio/transport.h). */
	bool opened;
	bool paused;                /* by the VM: the worker stays parked, whatever the driver does */
	atomic_bool warned;     /* needs_reset was logged */
	unsigned access_capability; /* offset in config space */
	pthread_mutex_t line_lock;  /* for state.interrupt_status and INTA together */
	pthread_mutex_t doorbell_lock; /* for the four below */
	bool doorbells_on;          /* the queues run */
	bool doorbells_mapped;
	uint64_t doorbell_address;  /* of queue 0, while mapped */
	int doorbells_attached[VIRTIO_MAX_QUEUES]; /* the eventfd that KVM holds, or -1 */
};

/* Parameters of virtio_open(). */
struct virtio_setup {
	const struct virtio_ops *ops;
	unsigned index;        /* in its name: virtio-blk0, virtio-blk1 */
	uint64_t features;     /* offered, without those of the transport */
	unsigned queue_count;  /* 1..VIRTIO_MAX_QUEUES */
	uint16_t queue_size;   /* 0: VIRTQUEUE_MAX_SIZE */
	unsigned config_size;
	unsigned vectors;      /* MSI-X; 0: one a queue, and one for configuration changes */
	int watch_fd;          /* wakes the worker; -1: none */
};

/*
 * Makes the PCI function and the worker (parked until the VM runs), and plugs it. `device` is embedded in the device's
 * own struct. After a failure, what virtio_open() made is closed, but not what the caller opened before.
 */
int virtio_open(struct virtio_device *device, const struct virtio_setup *setup, struct vm *vm,
		struct pci_bus *pci, struct error *error);

/* Stops the worker, calls ops->close, unplugs. */
void virtio_close(struct virtio_device *device);

void virtio_pause(struct virtio_device *device);
void virtio_resume(struct virtio_device *device);

/* Resets the device and its PCI function as at power-on. The VM is paused. */
void virtio_reset(struct virtio_device *device);

/*
 * virtio/restore.c. virtio_visit() visits all state: PCI, transport, queues, the device's own. virtio_restored() starts
 * the device from a state that was loaded into a device that was just opened. The VM is paused and the ITS restored. It
 * sets up KVM and the host's side; virtio_resume() does the rest.
 */
int virtio_visit(struct virtio_device *device, struct state_visitor *visitor, struct error *error);
int virtio_restored(struct virtio_device *device, struct error *error);

/* For devices. Interrupts the driver for a queue, if the driver wants it. */
void virtio_interrupt(struct virtio_device *device, struct virtqueue *queue);
/* The same for two queues. Interrupts once if they share a vector. */
void virtio_interrupt_pair(struct virtio_device *device, struct virtqueue *first, struct virtqueue *second);

/* Increments the configuration generation, and interrupts the driver. */
void virtio_config_changed(struct virtio_device *device);

/* The guest broke the protocol: sets DEVICE_NEEDS_RESET, interrupts it, and processes no more. `why` is logged once. */
void virtio_needs_reset(struct virtio_device *device, const char *why);

/* Whether that happened. A process function with several queues must stop at the others, too. */
bool virtio_is_broken(struct virtio_device *device);

/* The eventfd by which vhost signals `queue`'s interrupts. -1: the guest uses INTx or no vector. */
int virtio_call_fd(struct virtio_device *device, unsigned queue);

/* Adds an object named after the device. */
void virtio_stat(struct virtio_device *device, struct report *report);

/* The devices. Each open function allocates. NULL with the error set. To end, call virtio_close(), then free(). */
#define VIRTIO_BLOCK_SERIAL 20 /* bytes of a serial number; section 5.2.6 */
#define VIRTIO_BLOCK_LOWER 7   /* overlays below the one that is written */

struct virtio_block_config {
	const char *path;
	bool read_only;
	bool raw;          /* format=raw: the contents are not checked for other formats */
	unsigned queues;   /* 1..8 */
	const char *serial; /* NULL: made from the path; at most VIRTIO_BLOCK_SERIAL bytes are kept */
	uint64_t size;     /* required size in bytes; 0: any */
	const char *overlay; /* receives writes, so that `path` does not change; NULL: none, as for a read-only disk */
	bool overlay_new;  /* the overlay is made, and must not exist */
	const char *lower[VIRTIO_BLOCK_LOWER]; /* overlays between `path` and `overlay`, the lowest first; NULL: no more */
	struct disk_identity identity;         /* required of the file at `path`, if it is known */
	struct disk_identity overlay_identity; /* required of the overlay, unless it is new */
	struct disk_identity lower_identities[VIRTIO_BLOCK_LOWER];
	bool changed_allowed; /* a mismatch is only a warning */
	bool chosen;          /* the same, only for the file at `path`: the user chose it instead of the saved one */
};
struct virtio_net_config {
	enum { NET_TAP, NET_USER } mode;
	const char *tap;    /* interface name; NULL: the kernel chooses */
	const char *script; /* run with the interface's name after it is up; NULL: none */
	int tap_fd;         /* -1, or an open tap */
	uint8_t mac[6];
	uint8_t new_mac[6]; /* replaces the MAC after a restore; all zeroes: none */
	bool vhost;         /* use /dev/vhost-net if it exists */
	bool vhost_required;
	unsigned queues;    /* pairs, 1..8 */
	const char *passt;  /* path of the program; NULL: found by PATH */
	const char *passt_options; /* "--tcp-ports 2222:22"; NULL: none */
};
struct terminal;

struct virtio_device *virtio_block_open(struct vm *vm, struct pci_bus *pci, unsigned index,
					const struct virtio_block_config *config, struct error *error);
struct virtio_device *virtio_net_open(struct vm *vm, struct pci_bus *pci, unsigned index,
				      const struct virtio_net_config *config, struct error *error);
struct virtio_device *virtio_console_open(struct vm *vm, struct pci_bus *pci, struct terminal *terminal,
					  struct error *error);
struct virtio_device *virtio_entropy_open(struct vm *vm, struct pci_bus *pci, struct error *error);
struct virtio_device *virtio_balloon_open(struct vm *vm, struct pci_bus *pci, struct error *error);
struct virtio_device *virtio_input_open(struct vm *vm, struct pci_bus *pci, struct error *error);

/*
 * The file of an open disk, or of its overlay, if a write to it began since it was opened; otherwise NULL. Any
 * thread.
 */
const char *virtio_block_written(const struct virtio_device *device);

/*
 * The configuration of an open disk or network, with defaults filled in: absolute path, size, MAC, interface. Call the
 * function for the kind of device. Texts are valid as long as the device.
 */
void virtio_block_describe(struct virtio_device *device, struct virtio_block_config *config);
void virtio_net_describe(struct virtio_device *device, struct virtio_net_config *config);

/*
 * Fills in the identities of a disk's files, with the machine paused. A call before the pause, whose result is
 * discarded, brings the blocks into the host's cache. 0 or an errno value; an identity that cannot be read is
 * not known.
 */
int virtio_block_identify(struct virtio_device *device, struct virtio_block_config *config);

/*
 * A snapshot needs all that its guest wrote to a disk. virtio_block_record_map() writes the overlay's map, with the
 * machine paused: the files have everything then. virtio_block_sync() makes it durable, by any thread, afterwards.
 * 0 or an errno value.
 */
int virtio_block_record_map(struct virtio_device *device);
int virtio_block_sync(struct virtio_device *device);

/*
 * A new overlay for an open disk. virtio_block_prepare() prepares an overlay in `fd`, an empty file, and takes
 * that over. NULL with the error set, and nothing changed, if the file cannot have one or the disk has too
 * many. virtio_block_switch() adds it to the disk, with the machine paused, and returns its path, valid as long
 * as the device. virtio_block_close_overlay() is for one that was not added.
 */
struct disk_overlay;
struct disk_overlay *virtio_block_prepare(const struct virtio_device *device, int fd, struct error *error);
const char *virtio_block_switch(struct virtio_device *device, struct disk_overlay *overlay);
void virtio_block_close_overlay(struct disk_overlay *overlay);

/*
 * Dirty tracking (memory/ram.h) of the kernel's vhost, if it is used. virtio_net_dirty_set() turns it on or off
 * from the next start of vhost on; the machine is paused. virtio_net_dirty_mark() passes what was written to
 * ram_mark(), by any one thread.
 */
int virtio_net_dirty_set(struct virtio_device *device, bool on, struct error *error);
void virtio_net_dirty_mark(struct virtio_device *device);

/* Requests `bytes` of RAM (a multiple of 4096) from the guest, which decides how much it gives, and when. */
void virtio_balloon_set(struct virtio_device *device, uint64_t bytes);

/* Presses and releases a key (Linux: KEY_POWER, KEY_RESTART). False if no driver listens. Main thread. */
bool virtio_input_press(struct virtio_device *device, uint16_t key);

#endif
