/* SPDX-License-Identifier: MIT */
/*
 * virtio devices over PCI, modern only (VIRTIO 1.2, section 4.1). virtio/virtio.c holds the negotiation and the
 * queues, and drives a device through struct virtio_ops; virtio/pci.c shows them to the guest as PCI registers. A
 * device adds its backend and its configuration, and never sees PCI.
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
 * What makes a device. start, stop and reset run with the worker parked; process runs on the worker only; the
 * config functions run on vCPU threads, one at a time. All but name, id and process may be NULL.
 */
struct virtio_ops {
	const char *name; /* "blk" */
	enum virtio_id id;
	uint32_t class_code; /* PCI */

	/* Device-specific configuration (little-endian bytes): offset + size lies inside config_size. */
	void (*config_read)(struct virtio_device *device, unsigned offset, unsigned size, void *to);
	void (*config_write)(struct virtio_device *device, unsigned offset, unsigned size, const void *from);

	/* The driver set DRIVER_OK: device->features holds what it took; enabled queues are started. */
	void (*start)(struct virtio_device *device);
	/*
	 * The driver resets the device, or the VM does: drop requests, forget what the driver configured. Also called
	 * when start was not.
	 */
	void (*stop)(struct virtio_device *device);

	/* Look at every queue; return when there is nothing left to do, or at once when worker_is_wanted(). */
	void (*process)(struct virtio_device *device);

	/*
	 * The VM pauses or goes on between start and stop; the worker is parked during both. vhost in the kernel is
	 * stopped and started here.
	 */
	void (*pause)(struct virtio_device *device);
	void (*resume)(struct virtio_device *device);

	/* Adds the device's own figures to `lkvm stat`. Any thread. */
	void (*stat)(struct virtio_device *device, struct report *report);

	/* The device's own state, `state_offset` bytes into its struct. NULL: it has none. */
	const struct state_table *state_table;
	size_t state_offset;

	/*
	 * That state was loaded: checks it and makes what follows from it. The worker is parked; start is called after it if
	 * the driver had started. NULL: nothing to do.
	 */
	int (*restored)(struct virtio_device *device, struct error *error);

	/* Releases the backend; must work after a failed open. */
	void (*close)(struct virtio_device *device);
};

/* All that the transport must keep of a device besides its queues. */
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
	 * What the driver programs: held by vCPU threads during an access, also while it waits for the worker to
	 * park. So the worker never takes it; of the state, it and other threads change status, generation and
	 * interrupt_status only, the first two atomically, the last under line_lock.
	 * Order: lock, then line_lock; pci.lock, then doorbell_lock, which nests in `lock` too.
	 */
	pthread_mutex_t lock;
	struct virtio_state state;
	struct virtqueue queues[VIRTIO_MAX_QUEUES];
	uint64_t features; /* accepted, valid between start and stop */
	bool running;      /* between start and stop; changes with the worker parked */
	/* Where a queue's doorbell goes: the worker's kick_fd unless the device set another before start returned. */
	int doorbell_fds[VIRTIO_MAX_QUEUES];

	struct { /* for `lkvm stat`; relaxed counters */
		atomic_ulong interrupts, kicks, requests, errors;
	} counters;

	/* Private to virtio/virtio.c, pci.c and notify.c. */
	bool opened;
	bool paused;                /* by the VM: the worker stays parked whatever the driver does */
	atomic_bool warned;     /* needs_reset was logged */
	unsigned access_capability; /* offset in config space */
	pthread_mutex_t line_lock;  /* state.interrupt_status and INTA together */
	pthread_mutex_t doorbell_lock; /* the four below */
	bool doorbells_on;          /* the queues run */
	bool doorbells_mapped;
	uint64_t doorbell_address;  /* of queue 0, while mapped */
	int doorbells_attached[VIRTIO_MAX_QUEUES]; /* the eventfd that KVM holds, or -1 */
};

/* What a device file fills in before virtio_open(). */
struct virtio_setup {
	const struct virtio_ops *ops;
	unsigned index;        /* in its name: virtio-blk0, virtio-blk1 */
	uint64_t features;     /* offered, without the transport's own */
	unsigned queue_count;  /* 1..VIRTIO_MAX_QUEUES */
	uint16_t queue_size;   /* 0: VIRTQUEUE_MAX_SIZE */
	unsigned config_size;
	unsigned vectors;      /* MSI-X; 0: one a queue, and one for configuration changes */
	int watch_fd;          /* for the worker; -1: none */
};

/*
 * Makes the PCI function and the worker (parked until the VM runs) and plugs it. `device` is embedded in the device's
 * own struct. On failure everything that virtio_open made is closed, but not what the device file opened before.
 */
int virtio_open(struct virtio_device *device, const struct virtio_setup *setup, struct vm *vm,
		struct pci_bus *pci, struct error *error);

/* Stops the worker, calls ops->close, unplugs. */
void virtio_close(struct virtio_device *device);

void virtio_pause(struct virtio_device *device);
void virtio_resume(struct virtio_device *device);

/* To power-on, the PCI function included; the VM is paused. */
void virtio_reset(struct virtio_device *device);

/*
 * virtio/restore.c. visit shows all state: PCI, transport, queues, the device's own. restored goes on from where the state
 * says after it was loaded into a device that is as it was opened: with the VM paused and the ITS restored. What KVM and
 * the host must know is set up by it, or by virtio_resume().
 */
int virtio_visit(struct virtio_device *device, struct state_visitor *visitor, struct error *error);
int virtio_restored(struct virtio_device *device, struct error *error);

/* For device files: interrupt the driver about a queue if it wants that; about a changed configuration. */
void virtio_interrupt(struct virtio_device *device, struct virtqueue *queue);
/* The same for two queues; once, if they share a vector. */
void virtio_interrupt_pair(struct virtio_device *device, struct virtqueue *first, struct virtqueue *second);
void virtio_config_changed(struct virtio_device *device);

/* The guest broke the protocol: sets DEVICE_NEEDS_RESET, tells it, and takes nothing more. `why` is logged once. */
void virtio_needs_reset(struct virtio_device *device, const char *why);

/* Whether that happened: a process function that serves several queues stops at the others, too. */
bool virtio_is_broken(struct virtio_device *device);

/* The eventfd on which vhost signals `queue`'s interrupts, or -1 where the guest uses INTx or no vector. */
int virtio_call_fd(struct virtio_device *device, unsigned queue);

/* Adds an object of the device's name. */
void virtio_stat(struct virtio_device *device, struct report *report);

/* The devices. Each allocates; NULL with the error set. virtio_close(), then free() of the result. */
#define VIRTIO_BLOCK_SERIAL 20 /* bytes of a serial number; section 5.2.6 */
#define VIRTIO_BLOCK_LOWER 7   /* overlays under the one that is written */

struct virtio_block_config {
	const char *path;
	bool read_only;
	bool raw;          /* the user says that it is: what it holds is not looked at */
	unsigned queues;   /* 1..8 */
	const char *serial; /* NULL: made from the path; at most VIRTIO_BLOCK_SERIAL bytes are kept */
	uint64_t size;     /* bytes that it must have; 0: any */
	const char *overlay; /* file for what is written, in place of `path`, which stays as it is; NULL: none; read-only has none */
	bool overlay_new;  /* it is made, and must not be there yet */
	const char *lower[VIRTIO_BLOCK_LOWER]; /* overlays between `path` and `overlay`, the lowest first; NULL: no more */
	struct disk_identity identity;         /* that the file at `path` must have, unless it is not known */
	struct disk_identity overlay_identity; /* the same of the overlay, unless it is new */
	struct disk_identity lower_identities[VIRTIO_BLOCK_LOWER];
	bool changed_allowed; /* what does not match is a warning only */
	bool chosen;          /* the same, of the file at `path` only: the user named it in place of the saved one */
};
struct virtio_net_config {
	enum { NET_TAP, NET_USER } mode;
	const char *tap;    /* interface name; NULL: the kernel chooses */
	const char *script; /* run with the interface's name once it is up; NULL: none */
	int tap_fd;         /* -1, or an open tap */
	uint8_t mac[6];
	uint8_t new_mac[6]; /* takes its place once a state is loaded; all zeroes: none */
	bool vhost;         /* use /dev/vhost-net if it is there */
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

/* The file of an open disk, or its overlay's, if a write to it was begun since it was opened; or NULL. Any thread. */
const char *virtio_block_written(const struct virtio_device *device);

/*
 * What an open disk or network was made as, with what was left open filled in: absolute path, size, MAC, interface. For
 * the kind of device that it is. Texts live as long as the device.
 */
void virtio_block_describe(struct virtio_device *device, struct virtio_block_config *config);
void virtio_net_describe(struct virtio_device *device, struct virtio_net_config *config);

/*
 * Fills in the identities of a disk's files. The machine is paused; or nobody looks at the result, and the files' blocks come
 * into the host's cache for the call that follows. An identity that cannot be read is not known: 0 or an errno value.
 */
int virtio_block_identify(struct virtio_device *device, struct virtio_block_config *config);

/*
 * A snapshot needs what its guest wrote to a disk. virtio_block_record_map(), while the machine is paused: the files hold all of it.
 * virtio_block_sync(), by any thread, afterwards: they hold it also after the host loses power. 0 or an errno value.
 */
int virtio_block_record_map(struct virtio_device *device);
int virtio_block_sync(struct virtio_device *device);

/*
 * A new overlay for an open disk. prepare makes `fd`, an empty file, ready for it, and takes it over; NULL with the error set if
 * that file is no place for one or the disk has too many, and nothing has changed. switch puts it over the disk of the paused
 * machine, and returns its path, which lives as long as the device. close is for one that was not put there.
 */
struct disk_overlay;
struct disk_overlay *virtio_block_prepare(const struct virtio_device *device, int fd, struct error *error);
const char *virtio_block_switch(struct virtio_device *device, struct disk_overlay *overlay);
void virtio_block_close_overlay(struct disk_overlay *overlay);

/*
 * For who keeps account of what devices write (memory/ram.h): that the kernel's vhost, which may write for an interface, is to
 * say what from its next start on (the machine is paused), and what it said until now, to ram_mark() (by any one thread).
 */
int virtio_net_dirty_set(struct virtio_device *device, bool on, struct error *error);
void virtio_net_dirty_mark(struct virtio_device *device);

/* Asks the guest for `bytes` of its RAM (a multiple of 4096); it gives what and when it likes. */
void virtio_balloon_set(struct virtio_device *device, uint64_t bytes);

/* Presses and releases a key (Linux code: 116 power, 408 restart). False if no driver listens. Main thread. */
bool virtio_input_press(struct virtio_device *device, uint16_t key);

#endif
