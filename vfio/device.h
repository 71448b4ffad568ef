/* SPDX-License-Identifier: MIT */
/* One passed-through function, private to the files of vfio/. The PCI device's lock guards it. */
#ifndef LKVM_VFIO_DEVICE_H
#define LKVM_VFIO_DEVICE_H

#include "hw/msix_table.h"
#include "hw/rcec.h"
#include "state/sections.h"
#include "util/log.h"
#include "vfio/vfio.h"

#define VFIO_MAX_AREAS 8

struct vfio_device;

/* Whole pages of a BAR that are mapped into the guest. */
struct vfio_area {
	uint64_t offset; /* in the BAR */
	struct ram memory;
	unsigned slot;
};

struct vfio_bar {
	struct vfio_device *device;
	unsigned index;
	uint64_t size;   /* 0: none */
	uint64_t offset; /* in the device's file */
	unsigned area_count;
	struct vfio_area areas[VFIO_MAX_AREAS];
};

struct vfio_vector {
	struct msi_vector msi;
	bool has_trigger; /* the device's driver in the kernel has its eventfd */
	bool replay;      /* signal it when it is attached: detaching lost what was pending in hardware */
};

enum vfio_mode { VFIO_MODE_OFF, VFIO_MODE_LINE, VFIO_MODE_MSI, VFIO_MODE_MSIX };

struct vfio_interrupts {
	enum vfio_mode mode;
	bool has_line;
	bool unmask_by_user; /* lkvm unmasks the line after the guest has handled it; the kernel does not */
	bool warned;
	unsigned msi_count, msix_count; /* vectors of the device */
	unsigned active;                /* vectors of the current mode */
	struct vfio_vector *vectors;    /* the larger of both counts */
	struct msix_entry *entries;     /* the MSI-X table, msix_count entries */
	struct msi_vector line;
	bool replay_line;
	int resample_fd;

	/* The BARs and offsets of the MSI-X table and of the pending bits. */
	unsigned table_bar, pending_bar;
	uint64_t table_offset, pending_offset;
};

#define VFIO_INTERRUPTS_NONE ((struct vfio_interrupts){ .line = MSI_VECTOR_NONE, .resample_fd = -1 })

/* Migration by the device's driver in the kernel. */
struct vfio_migration {
	pthread_mutex_t lock;    /* one thread may run precopy; all else is the main thread's */
	uint32_t offers;         /* VFIO_MIGRATION_*; 0: nothing */
	uint32_t state;          /* enum vfio_device_mig_state */
	int data_fd;             /* -1: this state has no data */
	struct byte_buffer data; /* read so far */
};

#define VFIO_MIGRATION_NONE ((struct vfio_migration){ .lock = PTHREAD_MUTEX_INITIALIZER, .data_fd = -1 })

struct vfio_device {
	char address[VFIO_ADDRESS_SIZE];
	const struct log *log;
	struct vm *vm;
	int fd;
	bool can_reset;     /* by any method of the kernel */
	bool resets_itself; /* by its own function level reset */
	struct pci_device pci;

	uint64_t config_offset; /* in the device's file */
	unsigned config_size;
	bool passed[PCI_CONFIG_SIZE]; /* bytes of config space that are read and written in the device */
	bool copied[PCI_CONFIG_SIZE]; /* bytes that were copied from the device when it was opened */
	unsigned msi_capability, msix_capability, express_capability, errors_capability; /* offsets; 0: none */

	struct vfio_bar bars[PCI_BARS + 1];
	struct vfio_interrupts interrupts;
	struct vfio_migration migration;
	bool is_logged;        /* it tracks what it writes to RAM */
	bool is_detached;      /* it cannot access memory: a save without its state */
	bool reset_unreported; /* it was reset, and the guest was not notified */

	struct loop *loop;
	int error_fd;   /* the kernel reports a fatal error; -1: it cannot */
	int request_fd; /* the kernel wants the device back; -1: it cannot */
};

/* device.c. Takes over `fd`. With `restores`, vfio_device_restored() sets up the interrupts. */
int vfio_device_open(struct vfio_device *device, int fd, struct pci_bus *pci, bool restores, struct error *error);
void vfio_device_reset(struct vfio_device *device); /* as at power-on */
void vfio_device_close(struct vfio_device *device);

/*
 * device_fd.c. Reads and writes bytes of the device's file. False if the device does not answer; a read gives
 * all ones then. vfio_device_region() fills in a region's description of `size` bytes. vfio_device_feature()
 * returns the request's result or -errno.
 */
struct vfio_feature;
bool vfio_device_read(const struct vfio_device *device, uint64_t offset, void *bytes, unsigned size);
bool vfio_device_write(const struct vfio_device *device, uint64_t offset, const void *bytes, unsigned size);
int vfio_device_region(const struct vfio_device *device, unsigned index, void *info, size_t size, struct error *error);
int vfio_device_feature(const struct vfio_device *device, uint32_t what, struct vfio_feature *feature);

/* config.c. Opens the PCI device, and fills in the config space that the guest sees. */
int vfio_config_open(struct vfio_device *device, const struct pci_bus *pci, struct error *error);

/*
 * config.c. Writes the guest's command register to the device, with memory and ports always on. Bus mastering
 * is off while the device is detached.
 */
void vfio_config_command(struct vfio_device *device);

/* bars.c. Maps the pages of BARs, but not those with the MSI-X table. */
int vfio_bars_open(struct vfio_device *device, struct error *error);
void vfio_bars_close(struct vfio_device *device);

/*
 * msi.c. The mode that the guest enabled, and its number of vectors. Of one vector: whether it is unmasked, and
 * its message.
 */
enum vfio_mode vfio_wanted_mode(const struct vfio_device *device);
unsigned vfio_wanted_vectors(const struct vfio_device *device, enum vfio_mode mode);
bool vfio_message_is_unmasked(const struct vfio_device *device, unsigned number);
struct msi_message vfio_message(const struct vfio_device *device, unsigned number);

/* interrupts.c */
int vfio_interrupts_open(struct vfio_device *device, struct error *error);
void vfio_interrupts_close(struct vfio_device *device);
void vfio_interrupts_update(struct vfio_device *device); /* config space changed */
void vfio_interrupts_update_vector(struct vfio_device *device, unsigned number); /* its entry changed */
void vfio_interrupts_off(struct vfio_device *device);    /* gives routes back, clears the table */
void vfio_interrupts_detach(struct vfio_device *device); /* until the next update */
void vfio_interrupts_replay(struct vfio_device *device); /* the next update signals each once, as it attaches it */

/*
 * msix_table.c. Finds the MSI-X table, if there is one; after vfio_interrupts_open(). Reads and writes return
 * whether the access was to the table or to the pending bits.
 */
int vfio_table_find(struct vfio_device *device, struct error *error);
bool vfio_table_read(struct vfio_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t *value);
bool vfio_table_write(struct vfio_device *device, unsigned bar, uint64_t offset, unsigned size, uint64_t value);

/* state.c. Visits the objects that hold what the guest programmed. Then, once they are loaded, applies them. */
int vfio_device_visit(struct vfio_device *device, unsigned number, struct state_visitor *visitor, struct error *error);
int vfio_device_restored(struct vfio_device *device, struct error *error);

/*
 * migration.c. A move does nothing to a device without migration. A device that fails in a move is reset if it
 * is in the error state, and its guest must be notified (reset_unreported).
 */
enum vfio_move {
	VFIO_STOP_PEERS, /* it sends no requests to other devices */
	VFIO_STOP,
	VFIO_START_PEERS, /* it takes requests of other devices */
	VFIO_START,
	VFIO_PRECOPY, /* reads what data there is while the device runs; any one thread */
	VFIO_CANCEL_PRECOPY,
};

void vfio_migration_open(struct vfio_device *device);
void vfio_migration_close(struct vfio_device *device);
int vfio_migration_move(struct vfio_device *device, enum vfio_move move, struct error *error);
void vfio_migration_reset(struct vfio_device *device); /* after a reset of the device */

/* For a device with migration that is stopped. It is stopped afterwards as well. */
int vfio_migration_save(struct vfio_device *device, const char *section, struct section_writer *writer, struct error *error);
int vfio_migration_load(struct vfio_device *device, const struct section *section, struct error *error);

/* dirty.c. As the functions of vfio/vfio.h, for one device. */
bool vfio_device_dirty_start(struct vfio_device *device);
void vfio_device_dirty_stop(struct vfio_device *device);
void vfio_device_dirty_mark(struct vfio_device *device);

/*
 * detach.c. Detaching keeps the device from memory. Attaching resets it and gives it access again.
 * vfio_device_report_reset() notifies the guest of a reset that it was not notified of yet.
 */
void vfio_device_detach(struct vfio_device *device);
void vfio_device_attach(struct vfio_device *device);
void vfio_device_report_reset(struct vfio_device *device);

/* vlpi.c. Which events of a device are vLPIs. NULL if KVM does not show it. The caller frees it. */
bool *vfio_vlpi_read(const struct vm *vm, uint32_t device_id);

/* stat.c */
void vfio_device_stat(struct vfio_device *device, struct report *report);

/*
 * errors.c. Whether errors can be reported to the guest; the offset of free bytes for that in extended config
 * space, or 0.
 */
bool vfio_errors_possible(const struct vfio_device *device);
unsigned vfio_errors_find_offset(const struct vfio_device *device, const bool *taken);

/*
 * errors.c. Reports to the guest that the device has lost its state, or is about to: its driver resets it and
 * repeats what was under way. False if that is impossible: the device has no reset of its own, or the guest has
 * not enabled the report.
 */
bool vfio_errors_report(struct vfio_device *device);

/*
 * reset.c. Resets the function alone; its config space stays. vfio_reset_offer() offers function level reset to
 * the guest in the PCI Express capability. vfio_reset_by_guest() resets if this write to config space requests
 * it.
 */
void vfio_device_reset_function(struct vfio_device *device);
void vfio_reset_offer(struct vfio_device *device);
void vfio_reset_by_guest(struct vfio_device *device, unsigned offset, unsigned size, uint64_t value);

/* events.c */
int vfio_events_open(struct vfio_device *device, struct error *error);
void vfio_events_close(struct vfio_device *device);

#endif
