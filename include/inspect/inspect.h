/* SPDX-License-Identifier: MIT */
/*
 * Shows a snapshot's machine, devices and interrupt controller, as text or as JSON.
 *
 * Only what is shown is loaded. The contents of a file may be damaged or hostile in any way that its checksums do not detect.
 * Such values are shown unchanged, or described in an error.
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

/* A PCI device of the snapshot. Devices have the slots 0, 1, ... in the order of their sections. */
struct inspect_device {
	char name[SECTION_NAME_LENGTH + 1]; /* "virtio-blk0" */
	unsigned slot;
	bool is_virtio, is_passed_through; /* both false: the event collector */
	const struct section *pci; /* "virtio-blk0/pci" */
};

/* Writes the name of a section of the device, such as "vfio0/msix". */
#define INSPECT_PART_LENGTH (SECTION_NAME_LENGTH + 16)
void inspect_part_name(const struct inspect_device *device, const char *part, char name[INSPECT_PART_LENGTH]);

/*
 * Compares the disks' files, at the paths in the snapshot, with their identities at the save. Calls `report` for each file
 * that has an identity. `sentence` describes the difference, or why the file cannot be read. It is empty if the file matches.
 * Files are only read.
 */
enum inspect_disk_state { INSPECT_DISK_MATCHES, INSPECT_DISK_DIFFERS, INSPECT_DISK_UNREADABLE };
typedef void inspect_disk_report(void *owner, unsigned disk, const char *path, enum inspect_disk_state state,
			       const char *sentence);
void inspect_disks(const struct machine_config *config, inspect_disk_report *report, void *owner);

#define INSPECT_ALL_VCPUS UINT64_MAX

struct inspection {
	struct snapshot *snapshot;
	struct guest_memory memory;
	struct machine_config config;
	unsigned device_count;
	struct inspect_device devices[PCI_SLOTS];
	uint64_t *pendbasers; /* by vCPU */
	uint64_t propbaser;   /* KVM keeps one for each VM: the last one that a restore writes */
	const struct symbols *symbols; /* NULL: no file of symbols was given */
	bool symbols_fit;     /* the symbols match the guest's kernel, or have no `vectors` to check with */
	uint64_t vcpu;        /* show the registers of this vCPU, or INSPECT_ALL_VCPUS */
};

/*
 * `snapshot` is open, and must stay open until inspection_close(). Returns -1 if the configuration is missing or malformed,
 * or without memory.
 */
int inspection_open(struct inspection *inspection, struct snapshot *snapshot, struct error *error);
void inspection_close(struct inspection *inspection);

/* Reads a field of one element in a section. The error names both. */
int inspection_number(const struct inspection *inspection, const char *section, const char *field, uint64_t *value,
		      struct error *error);

/* Reads a vCPU's register of at most 64 bits, by KVM's id. */
int inspection_register(const struct inspection *inspection, unsigned vcpu, uint64_t id, uint64_t *value,
			struct error *error);

/*
 * Uses `symbols` to name addresses. The caller keeps ownership. Computes their KASLR offset from a vCPU's VBAR_EL1 and the
 * symbol `vectors`. If no VBAR_EL1 matches, the symbols do not fit and no address gets a name. Without the symbol `vectors` the
 * KASLR offset is 0.
 */
void inspection_use_symbols(struct inspection *inspection, struct symbols *symbols);

/* Returns a text such as "schedule+0x1c", or NULL if no symbol is near. */
const char *inspect_symbol(const struct inspection *inspection, uint64_t address, char text[SYMBOL_TEXT_LENGTH]);

/* Finds an array with at least `count` elements. */
int inspection_array(const struct inspection *inspection, const char *section, const char *field, uint32_t count,
		     struct field *array, struct error *error);

/* Returns the device with this requester id (slot in bits 7:3), or NULL. */
const struct inspect_device *inspection_device(const struct inspection *inspection, uint32_t requester);

/* Writes a PCI address such as "00:03.0". */
#define INSPECT_ADDRESS_LENGTH 16
void inspect_pci_address(uint32_t requester, char text[INSPECT_ADDRESS_LENGTH]);

/* inspection_its_tables() needs a machine with an ITS. */
bool inspection_has_its(const struct inspection *inspection);
int inspection_its_tables(const struct inspection *inspection, struct its_tables *tables, struct error *error);

/* Walks the ITS's tables. On success the caller frees `*walk`, which has the result. `walk` may be NULL. */
int inspection_walk(const struct inspection *inspection, const struct its_visitor *visitor, struct its_walk **walk,
		    struct error *error);

/* All ITS events, which inspect_events_find() searches. Events above INSPECT_MOST_ROWS are only counted. */
struct inspect_events {
	struct its_event *items; /* sorted by device, then by event */
	size_t count, capacity, left_out;
};

int inspect_events_open(struct inspect_events *events, const struct inspection *inspection, struct error *error);
void inspect_events_close(struct inspect_events *events);
const struct its_event *inspect_events_find(const struct inspect_events *events, uint32_t device, uint32_t event);

/* Returns a function's config space of PCI_CONFIG_SIZE bytes, or NULL with an error. */
const uint8_t *inspect_pci_config(const struct inspection *inspection, const struct inspect_device *device,
				  struct error *error);

/* The MSI or MSI-X capability in a config space. */
enum inspect_kind { INSPECT_MSI, INSPECT_MSIX, INSPECT_KINDS };

struct inspect_messages {
	enum inspect_kind kind;
	unsigned capability; /* its offset; 0: the function does not have it */
	bool enabled;        /* for MSI: false while MSI-X is enabled, too */
	bool masked;         /* MSI-X: the guest masked all vectors at once */
	bool held;           /* no message is sent: `masked`, or bus mastering is off */
	unsigned vectors;    /* MSI-X: 1..2048, 0 without the capability; MSI: enabled vectors, 0 or a power of two */
};

void inspect_find_messages(const uint8_t *config, enum inspect_kind kind, struct inspect_messages *messages);
const char *inspect_kind_name(enum inspect_kind kind); /* "MSI-X" */

/* The vectors of a device. inspect/messages.c describes where the snapshot has them. */
struct inspect_vectors {
	struct inspect_messages messages;
	unsigned count;     /* entries */
	bool knows_pending; /* the snapshot has the pending bits; those of a passed-through device stay in the device */
	char section[INSPECT_PART_LENGTH]; /* the section that has the vectors, or should have them */
	/* Private to inspect/messages.c: a virtio device has columns, a passed-through device has entries. */
	const uint8_t *config;
	struct field address, data, control, entries;
	uint64_t pending;
};

struct inspect_vector {
	uint64_t address;
	uint32_t data;
	bool masked, pending;
};

/*
 * `config` is the device's config space, and must outlive `vectors`. Returns false if the MSI-X table is missing or has
 * another size. Returns true without vectors if the device does not have the capability.
 */
bool inspect_vectors_open(struct inspect_vectors *vectors, const struct inspection *inspection,
			  const struct inspect_device *device, const uint8_t *config, enum inspect_kind kind);
void inspect_vector_at(const struct inspect_vectors *vectors, unsigned number, struct inspect_vector *vector);

/* Adds a list of the passed-through devices: their host addresses, and the sizes of their state. */
void inspect_passed_through(const struct inspection *inspection, struct report *report);

/* Reads `size` bytes, 1 to 4. All of them must lie inside the config space. */
uint32_t inspect_pci_read(const uint8_t *config, unsigned offset, unsigned size);

/* inspect_is_queue() returns whether a section is a virtqueue's, such as "virtio-net0/queue1". */
bool inspect_is_queue(const struct section *section);
int inspect_load_queue(const struct section *section, struct virtqueue_state *queue, struct error *error);

/* Writes the full name of the register that a field of a section holds, such as "GICD_CTLR". False: it is not a register. */
bool inspect_register_name(const char *section, const char *field, char name[REGISTER_NAME_LENGTH]);

/*
 * Parts that views share.
 * inspect_register() adds a register with its fields to the open list.
 * inspect_problems() adds the its_problem bits as member "problem".
 * inspect_vcpu() adds a vCPU, or ITS_NO_VCPU, as member "vcpu".
 * inspect_fields() adds the fields of a section as members. A field that is there twice is an error.
 */
void inspect_register(struct report *report, const char *name, uint64_t value);
void inspect_register_fields(struct report *report, const char *name, uint64_t value); /* only the member "fields" */
void inspect_problems(struct report *report, uint32_t problems);
void inspect_vcpu(struct report *report, uint32_t vcpu);
#define INSPECT_MOST_VALUES 65536u /* of a field; only the data of a passed-through device's host driver is larger */
int inspect_fields(const struct fields *fields, struct report *report, struct error *error);

/*
 * A list whose length depends on the guest or the file. Rows above the limit are counted, but not shown. inspect_row()
 * returns whether the next row is shown. inspect_rows_end() adds a member "LIST_not_shown" if rows were left out.
 */
#define INSPECT_MOST_ROWS (2 * ITS_LPI_LIMIT) /* twice the number of INTIDs */

struct inspect_rows {
	const char *list;
	size_t limit, count, not_shown;
};

bool inspect_row(struct inspect_rows *rows);
void inspect_rows_end(const struct inspect_rows *rows, struct report *report);

/*
 * Adds the predicted result of KVM_DEV_ARM_ITS_RESTORE_TABLES as member "restore_tables": "accepted", or the name of the
 * error. It has no value if the walk stopped at a limit.
 */
void inspect_restore_tables(struct report *report, const struct its_walk *walk);

/*
 * Parts of other views that the summary shares. inspect_vcpus() adds the vCPUs without their registers. inspect_virtio() adds
 * one row. The other two add members.
 */
int inspect_vcpus(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_virtio(const struct inspection *inspection, const struct inspect_device *device, struct report *report,
		   struct error *error);
void inspect_identity(const struct format_header *header, struct report *report);
void inspect_machine(const struct machine_config *config, struct report *report);

/* Adds all registers in a vCPU's section: a list for each group. */
int inspect_vcpu_registers(const struct inspection *inspection, struct report *report, const char *section,
			   struct error *error);

/* The views. Each adds members to the open object. */
int inspect_summary(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_its(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_gic(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_cpu(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_devices(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_pci(const struct inspection *inspection, struct report *report, struct error *error);
int inspect_memory(const struct inspection *inspection, struct report *report, struct error *error);

/* Returns the interrupts as a graph in graphviz's language, which the caller frees, or NULL with an error. */
char *inspect_dot(const struct inspection *inspection, struct error *error);

/*
 * Copies the part of RAM that the views and checks read: the interrupt tables and the rings. The machine is paused, and
 * `sections` has its state. `copy` has the same addresses and is zero; other pages of it are not written.
 */
int inspect_extract(const struct byte_buffer *sections, const struct ram *ram, struct ram *copy, struct error *error);

#endif
