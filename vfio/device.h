/* SPDX-License-Identifier: MIT */
/* One passed-through function, for the files of this room. All of it is under the PCI device's lock. */
#ifndef LKVM_VFIO_DEVICE_H
#define LKVM_VFIO_DEVICE_H

#include "hw/msix_table.h"
#include "hw/rcec.h"
#include "state/sections.h"
#include "util/log.h"
#include "vfio/vfio.h"

#define VFIO_MAX_AREAS 8

struct vfio_device;

/* Whole pages of a BAR that the guest reaches without us. */
struct vfio_area {
	uint64_t offset; /* in the BAR */
	struct ram memory;
	unsigned slot;
};

struct vfio_bar {
	struct vfio_device *device;
	unsigned index;
	uint64_t size; /* 0: none */
	uint64_t offset; /* in the device's file */
	unsigned area_count;
	struct vfio_area areas[VFIO_MAX_AREAS];
};

struct vfio_vector {
	struct msi_vector msi;
	bool has_trigger;  /* the device's driver in the kernel has its eventfd */
	bool replay; /* it was parted, and what was pending in hardware is lost then */
};

enum vfio_mode { VFIO_MODE_OFF, VFIO_MODE_LINE, VFIO_MODE_MSI, VFIO_MODE_MSIX };

struct vfio_interrupts {
	enum vfio_mode mode;
	bool has_line;
	bool unmask_by_user; /* that the line is over is for us to tell, not for the kernel */
	bool warned;
	unsigned msi_count, msix_count; /* that the device has */
	unsigned active;                /* vectors in the mode that is on */
	struct vfio_vector *vectors;    /* as many as the larger of both counts */
	struct msix_entry *entries;     /* the MSI-X table; msix_count */
	struct msi_vector line;
	bool replay_line;
	int resample_fd;

	/* Where the table and the pending bits are. */
	unsigned table_bar, pending_bar;
	uint64_t table_offset, pending_offset;
};

#define VFIO_INTERRUPTS_NONE ((struct vfio_interrupts){ .line = MSI_VECTOR_NONE, .resample_fd = -1 })

/* What the device's driver in the kernel knows of saving it. */
struct vfio_migration {
	pthread_mutex_t lock;    /* a thread may copy ahead; all else is the main thread's */
	uint32_t offers;         /* VFIO_MIGRATION_*; 0: nothing */
	uint32_t state;          /* enum vfio_device_mig_state */
	int data_fd;             /* -1: in this state there is no data */
	struct byte_buffer data; /* that was read so far */
};

#define VFIO_MIGRATION_NONE ((struct vfio_migration){ .lock = PTHREAD_MUTEX_INITIALIZER, .data_fd = -1 })

struct vfio_device {
	char address[VFIO_ADDRESS_SIZE];
	const struct log *log;
	struct vm *vm;
	int fd;
	bool can_reset, resets_itself; /* somehow; by its own function level reset */
	struct pci_device pci;

	uint64_t config_offset; /* in the device's file */
	unsigned config_size;
	bool passed[PCI_CONFIG_SIZE]; /* bytes of config space that are read and written in the device itself */
	bool copied[PCI_CONFIG_SIZE]; /* those that are as the device had them when it was opened */
	unsigned msi_capability, msix_capability, express_capability, errors_capability; /* 0: none */

	struct vfio_bar bars[PCI_BARS + 1];
	struct vfio_interrupts interrupts;
	struct vfio_migration migration;
	bool is_logged;   /* it keeps account of what it writes */
	bool is_detached; /* held off memory, for a save without its state */
	bool reset_unreported;    /* it was reset, and the guest does not know */

	struct loop *loop;
	int error_fd, request_fd; /* the kernel tells of a fault, wants the device back; -1: it cannot */
};

/* device.c. `fd` is the device's from now on. One that `restores` gets its interrupts once its state is there. */
int vfio_device_open(struct vfio_device *device, int fd, struct pci_bus *pci, bool restores, struct error *error);
void vfio_device_reset(struct vfio_device *device); /* as at power-on */
void vfio_device_close(struct vfio_device *device);

/*
 * device_fd.c. Bytes of the device's file: false where the device does not answer; what is read is all ones then. A region's
 * description, in `size` bytes. A feature's request, its result or -errno.
 */
struct vfio_feature;
bool vfio_device_read(const struct vfio_device *device, uint64_t offset, void *bytes, unsigned size);
bool vfio_device_write(const struct vfio_device *device, uint64_t offset, const void *bytes, unsigned size);
int vfio_device_region(const struct vfio_device *device, unsigned index, void *info, size_t size, struct error *error);
int vfio_device_feature(const struct vfio_device *device, uint32_t what, struct vfio_feature *feature);

/* config.c: fills in what the guest sees of config space; the PCI device is made by it. */
int vfio_config_open(struct vfio_device *device, const struct pci_bus *pci, struct error *error);

/* Bus mastering (unless it is detached) and the like go to the device; it answers at its registers whatever the guest says. */
void vfio_config_command(struct vfio_device *device);

/* bars.c. Of the BAR with the MSI-X table, the pages around that are mapped. */
int vfio_bars_open(struct vfio_device *device, struct error *error);
void vfio_bars_close(struct vfio_device *device);

/* messages.c: what the guest turned on, how many vectors of it; of one of these, whether it is unmasked, and what it sends. */
enum vfio_mode vfio_wanted_mode(const struct vfio_device *device);
unsigned vfio_wanted_vectors(const struct vfio_device *device, enum vfio_mode mode);
bool vfio_message_is_unmasked(const struct vfio_device *device, unsigned number);
struct msi_message vfio_message(const struct vfio_device *device, unsigned number);

/* interrupts.c */
int vfio_interrupts_open(struct vfio_device *device, struct error *error);
void vfio_interrupts_close(struct vfio_device *device);
void vfio_interrupts_update(struct vfio_device *device); /* config space changed */
void vfio_interrupts_off(struct vfio_device *device);    /* routes given back, table cleared */
void vfio_interrupts_detach(struct vfio_device *device);   /* until the next update */

/*
 * msix_table.c. Finds the MSI-X table, if there is one; after vfio_interrupts_open(). Then accesses to its BAR: whether one was
 * to it, or to its pending bits.
 */
int vfio_table_find(struct vfio_device *device, struct error *error);
bool vfio_table_read(struct vfio_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t *value);
bool vfio_table_write(struct vfio_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t value);
void vfio_interrupts_update_vector(struct vfio_device *device, unsigned number); /* its entry changed */

void vfio_interrupts_replay(struct vfio_device *device); /* each of them once, as the next update joins it */

/* state.c: the objects that say what the guest made of the device; then, once they were loaded. */
int vfio_device_visit(struct vfio_device *device, unsigned number, struct state_visitor *visitor, struct error *error);
int vfio_device_restored(struct vfio_device *device, struct error *error);

/*
 * migration.c. Moves do nothing to a device that offers nothing. A device that fails in one is reset if it takes nothing
 * less, and its guest is to be told.
 */
enum vfio_move {
	VFIO_STOP_PEERS, /* asks nothing of other devices from now on */
	VFIO_STOP,
	VFIO_START_PEERS, /* lets others ask */
	VFIO_START,
	VFIO_PRECOPY,    /* what can be read of its data while it runs; by any one thread */
	VFIO_CANCEL_PRECOPY, /* that was for nothing */
};

void vfio_migration_open(struct vfio_device *device);
void vfio_migration_close(struct vfio_device *device);
int vfio_migration_move(struct vfio_device *device, enum vfio_move move, struct error *error);
void vfio_migration_reset(struct vfio_device *device); /* the device was */

/* A device that offers to, and is stopped: before and behind it. */
int vfio_migration_save(struct vfio_device *device, const char *section, struct section_writer *writer, struct error *error);
int vfio_migration_load(struct vfio_device *device, const struct section *section, struct error *error);

/* dirty.c */
bool vfio_device_dirty_start(struct vfio_device *device);
void vfio_device_dirty_stop(struct vfio_device *device);
void vfio_device_dirty_mark(struct vfio_device *device);

/* detach.c: keeps a device from memory; lets it back, reset. Tells the guest of any reset that it does not know of. */
void vfio_device_detach(struct vfio_device *device);
void vfio_device_attach(struct vfio_device *device);
void vfio_device_report_reset(struct vfio_device *device);

/* forwarding.c: of each event of a device, as below; NULL where KVM does not tell. To be freed. */
bool *vfio_vlpi_read(const struct vm *vm, uint32_t device_id);

/* stat.c */
void vfio_device_stat(struct vfio_device *device, struct report *report);

/* errors.c: whether its guest can be told of errors; where in extended config space there is room for that, 0: nowhere. */
bool vfio_errors_possible(const struct vfio_device *device);
unsigned vfio_errors_find_offset(const struct vfio_device *device, const bool *taken);

/*
 * Tells the guest that the device has lost its state, or is about to: its driver resets it and does again what was under
 * way. False if it cannot be told: the device has no reset of its own, or the guest does not listen.
 */
bool vfio_errors_report(struct vfio_device *device);

/* reset.c: the function alone, which keeps its config space. */
void vfio_device_reset_function(struct vfio_device *device);
void vfio_reset_offer(struct vfio_device *device); /* to the guest, in the PCI Express capability */
void vfio_reset_by_guest(struct vfio_device *device, unsigned offset, unsigned size, uint64_t value); /* is it, by this write? */

/* events.c */
int vfio_events_open(struct vfio_device *device, struct error *error);
void vfio_events_close(struct vfio_device *device);

#endif
