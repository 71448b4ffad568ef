/* SPDX-License-Identifier: MIT */
/*
 * Looking into a snapshot: what its machine, devices and interrupt controller held, for a person or as JSON. Nothing is
 * loaded that is not shown. What a file says may be damaged or hostile in any way that its checksums do not show: it is
 * shown as it is, or named in a sentence.
 */
#ifndef LKVM_INSPECT_H
#define LKVM_INSPECT_H

#include "arm/its_table.h"
#include "arm/register_names.h"
#include "inspect/symbols.h"
#include "machine/machine.h"
#include "snapshot/snapshot.h"
#include "util/err.h"
#include "util/report.h"

/* A PCI device of the snapshot. They have the slots 0, 1, ... in the order of their sections. */
struct inspect_device {
	char name[SECTION_NAME_LENGTH + 1]; /* "virtio-blk0" */
	unsigned slot;
	bool is_virtio, is_passed_through; /* or of ours alone: neither */ /* or it is passed through */
	const struct section *pci; /* "virtio-blk0/pci" */
};

/* "vfio0/msix" */
#define INSPECT_PART_LENGTH (SECTION_NAME_LENGTH + 16)
void inspect_part_name(const struct inspect_device *device, const char *part, char name[INSPECT_PART_LENGTH]);

/*
 * Compares the files of the disks, at the paths that the snapshot has, with what they were at the save, and calls `told` for
 * each that has an identity. `sentence` says what is different, or why the file cannot be read; it is empty for one that
 * matches. No file is changed.
 */
enum inspect_disk_state { INSPECT_DISK_MATCHES, INSPECT_DISK_DIFFERS, INSPECT_DISK_UNREADABLE };
typedef void inspect_disk_told(void *owner, unsigned disk, const char *path, enum inspect_disk_state state,
			       const char *sentence);
void inspect_disks(const struct machine_config *config, inspect_disk_told *told, void *owner);

#define INSPECT_ALL_VCPUS UINT64_MAX

struct inspection {
	struct snapshot *snapshot;
	struct guest_memory memory;
	struct machine_config config;
	unsigned device_count;
	struct inspect_device devices[PCI_SLOTS];
	uint64_t *pendbasers; /* by vCPU */
	uint64_t propbaser;   /* KVM has one a VM: the last that a restore writes */
	const struct symbols *symbols; /* NULL: none are given */
	bool symbols_fit;     /* they are of the guest's kernel, as far as one can tell */
	uint64_t vcpu;        /* whose registers are wanted */
};

/* `snapshot` is open, and stays so. The configuration must be sound; else -1 with a sentence. */
int inspection_open(struct inspection *inspection, struct snapshot *snapshot, struct error *error);
void inspection_close(struct inspection *inspection);

/* A field of one element in a section. The sentence names both. */
int inspection_number(const struct inspection *inspection, const char *section, const char *field, uint64_t *value,
		      struct error *error);

/* A vCPU's register of 64 bits or less, by KVM's id. */
int inspection_register(const struct inspection *inspection, unsigned vcpu, uint64_t id, uint64_t *value,
			struct error *error);

/*
 * Lets addresses be named by `symbols`, which stay the caller's. Their slide follows from a vCPU's VBAR_EL1; where none
 * holds the file's `vectors`, they do not fit and nothing is named. A file without `vectors` is taken as it is.
 */
void inspection_use_symbols(struct inspection *inspection, struct symbols *symbols);

/* "schedule+0x1c", or NULL. */
const char *inspect_symbol(const struct inspection *inspection, uint64_t address, char text[SYMBOL_TEXT_LENGTH]);

/* An array with at least `count` elements. */
int inspection_array(const struct inspection *inspection, const char *section, const char *field, uint32_t count,
		     struct field *array, struct error *error);

/* The device with this requester id (slot in 7:3), or NULL. */
const struct inspect_device *inspection_device(const struct inspection *inspection, uint32_t requester);

/* "00:03.0" */
#define INSPECT_ADDRESS_LENGTH 16
void inspect_pci_address(uint32_t requester, char text[INSPECT_ADDRESS_LENGTH]);

/* Whether the machine has an ITS; its tables, to be walked. */
bool inspection_has_its(const struct inspection *inspection);
int inspection_its_tables(const struct inspection *inspection, struct its_tables *tables, struct error *error);

/* Walks them. What that finds out goes to `*walk`, to be freed; `walk` may be NULL. */
int inspection_walk(const struct inspection *inspection, const struct its_visitor *visitor, struct its_walk **walk,
		    struct error *error);

/* Every event, to be found by device and event. Those beyond what interrupts there are for are left out, and counted. */
struct inspect_events {
	struct its_event *items; /* by device, then event */
	size_t count, capacity, left_out;
};

int inspect_events_open(struct inspect_events *events, const struct inspection *inspection, struct error *error);
void inspect_events_close(struct inspect_events *events);
const struct its_event *inspect_events_find(const struct inspect_events *events, uint32_t device, uint32_t event);

/* A function's config space, PCI_CONFIG_SIZE bytes; NULL with a sentence. */
const uint8_t *inspect_pci_config(const struct inspection *inspection, const struct inspect_device *device,
				  struct error *error);

/* What it says of messages. */
enum inspect_kind { INSPECT_MSI, INSPECT_MSIX, INSPECT_KINDS };

struct inspect_messages {
	enum inspect_kind kind;
	unsigned capability; /* its offset; 0: the function does not have it */
	bool enabled;        /* the guest uses it */
	bool masked;         /* all vectors are, as a whole */
	bool held;           /* nothing is sent now: that, or the device may not write memory */
	unsigned vectors;    /* MSI-X: 1..2048, or 0 where it is not there; MSI: those that are on, a power of two */
};

void inspect_find_messages(const uint8_t *config, enum inspect_kind kind, struct inspect_messages *messages);
const char *inspect_kind_name(enum inspect_kind kind); /* "MSI-X" */

/* The vectors of a device, wherever the snapshot has them. */
struct inspect_vectors {
	struct inspect_messages messages;
	unsigned count;     /* that there are entries for */
	bool knows_pending; /* of a passed-through device, it is in the device */
	char section[INSPECT_PART_LENGTH]; /* where they are, or should be */
	/* Only for inspect_vector_at(): a virtio device's, a passed-through one's. */
	const uint8_t *config;
	struct field address, data, control, entries;
	uint64_t pending;
};

struct inspect_vector {
	uint64_t address;
	uint32_t data;
	bool masked, pending;
};

/* False: its table is missing, or of another shape. `config` is the device's. */
bool inspect_vectors_open(struct inspect_vectors *vectors, const struct inspection *inspection,
			  const struct inspect_device *device, const uint8_t *config, enum inspect_kind kind);
void inspect_vector_at(const struct inspect_vectors *vectors, unsigned number, struct inspect_vector *vector);

/* A list of the passed-through devices: which of the host's each was, and how much of its own state there is. */
void inspect_passed_through(const struct inspection *inspection, struct report *report);

/* `size` bytes, 1 to 4, at an offset that is inside it. */
uint32_t inspect_pci_read(const uint8_t *config, unsigned offset, unsigned size);

/* Whether a section is a virtqueue's, "virtio-net0/queue1"; what it holds. */
bool inspect_is_queue(const struct section *section);
int inspect_load_queue(const struct section *section, struct virtqueue_state *queue, struct error *error);

/* The full name of the register that a field of a section is, "GICD_CTLR"; false where it is none. */
bool inspect_register_name(const char *section, const char *field, char name[REGISTER_NAME_LENGTH]);

/*
 * Parts that views share: a row of a register with its fields, in an open list; its_problem bits as member "problem"; a
 * vCPU, or ITS_NO_VCPU, as member "vcpu"; the fields of a section as members, of which none may stand twice.
 */
void inspect_register(struct report *report, const char *name, uint64_t value);
void inspect_register_fields(struct report *report, const char *name, uint64_t value); /* the member "fields" alone */
void inspect_problems(struct report *report, uint32_t problems);
void inspect_vcpu(struct report *report, uint32_t vcpu);
#define INSPECT_MOST_VALUES 65536u /* of a field: larger is only what a passed-through device's driver gave */
int inspect_fields(const struct fields *fields, struct report *report, struct error *error);

/*
 * A list whose length the guest or the file chose: rows above the limit are counted, not shown. `inspect_row`: whether one
 * more is. At the end a member "LIST_not_shown", where there are such.
 */
#define INSPECT_MOST_ROWS (2 * ITS_LPI_LIMIT) /* more than there are interrupts for */

struct inspect_rows {
	const char *list;
	size_t limit, count, not_shown;
};

bool inspect_row(struct inspect_rows *rows);
void inspect_rows_end(const struct inspect_rows *rows, struct report *report);

/* What KVM_DEV_ARM_ITS_RESTORE_TABLES will say, as a member; none where the walk did not see all. */
void inspect_restore_tables(struct report *report, const struct its_walk *walk);

/* What the summary takes of other views: the vCPUs without their registers; a row of a virtio device; members. */
int inspect_vcpus(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_virtio(const struct inspection *inspection, const struct inspect_device *device, struct report *report,
		   struct error *error);
void inspect_identity(const struct format_header *header, struct report *report);
void inspect_machine(const struct machine_config *config, struct report *report);

/* All registers of the section of a vCPU: a list for each group. */
int inspect_vcpu_registers(const struct inspection *inspection, struct report *report, const char *section,
			   struct error *error);

/* The views. Each adds members to the object that is open. */
int inspect_summary(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_its(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_gic(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_cpu(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_devices(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_pci(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_memory(const struct inspection *inspection, struct report *report, struct error *error);

/* The interrupts as a graph in graphviz's language, to be freed; NULL with a sentence. */
char *inspect_dot(const struct inspection *inspection, struct error *error);

/*
 * Of a halted machine, whose state `sections` hold: copies of RAM what is needed to look into it, the interrupt tables and
 * the rings, to `copy`, which has the same addresses and is zero. All else stays untouched.
 */
int inspect_extract(const struct byte_buffer *sections, const struct ram *ram, struct ram *copy, struct error *error);

#endif
