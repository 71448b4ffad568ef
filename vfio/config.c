/* SPDX-License-Identifier: MIT */
/*
 * The config space of a passed-through function as the guest sees it. The header is emulated: addresses are the
 * guest's, and the command register is also written to the device. Capabilities have the offsets of the
 * device's. A table defines the treatment of each.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "device.h"
#include "util/bits.h"

#define HEADER_SIZE 64u
#define BASIC_SIZE 256u
#define STRIDE 4u /* alignment of capabilities */
#define REPORTING (PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE)

enum treatment {
	HIDDEN,   /* not in the list; its bytes read as zero */
	COPIED,   /* copied from the device once; it never changes */
	PASSED,   /* read and written in the device */
	EMULATED, /* copied, and changed by `emulate` */
};

struct capability {
	uint16_t id;
	enum treatment treatment;
	const char *why;
	unsigned (*size)(const uint8_t *bytes); /* in bytes, with the header; NULL if hidden */
	void (*emulate)(struct vfio_device *device, unsigned offset);
};

/*
 * Sizes
 */

static unsigned size_8(const uint8_t *bytes) { (void)bytes; return 8; }
static unsigned size_12(const uint8_t *bytes) { (void)bytes; return 12; }
static unsigned size_errors(const uint8_t *bytes) { (void)bytes; return PCI_ERRORS_SIZE; }
static unsigned size_advanced(const uint8_t *bytes) { (void)bytes; return PCI_CAP_AF_SIZEOF; }
static unsigned size_vendor(const uint8_t *bytes) { return bytes[PCI_CAP_FLAGS]; }
static unsigned size_long_vendor(const uint8_t *bytes) { return get16(bytes + 6) >> 4; }

static unsigned size_message(const uint8_t *bytes)
{
	uint16_t flags = get16(bytes + PCI_MSI_FLAGS);

	return (flags & PCI_MSI_FLAGS_64BIT ? 14u : 10u) + (flags & PCI_MSI_FLAGS_MASKBIT ? 10u : 0u);
}

static unsigned size_express(const uint8_t *bytes)
{
	unsigned version = get16(bytes + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_VERS;

	return version > 1 ? PCI_CAP_EXP_ENDPOINT_SIZEOF_V2 : PCI_CAP_EXP_ENDPOINT_SIZEOF_V1;
}

/*
 * Emulated capabilities
 */

/* In D3 a vCPU's access to its registers would fail. So it stays in D0, and declares that D3 does not reset it. */
static void emulate_power(struct vfio_device *device, unsigned offset)
{
	uint8_t *capability = device->pci.state.config + offset;

	put16(capability + PCI_PM_PMC, get16(capability + PCI_PM_PMC) & PCI_PM_CAP_VER_MASK);
	memset(capability + PCI_PM_CTRL, 0, 4);
	put16(capability + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
	put16(device->pci.writable + offset + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
}

static void emulate_message(struct vfio_device *device, unsigned offset)
{
	uint8_t *capability = device->pci.state.config + offset;
	uint8_t *writable = device->pci.writable + offset;
	uint16_t flags = get16(capability + PCI_MSI_FLAGS);
	unsigned data = flags & PCI_MSI_FLAGS_64BIT ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32;

	memset(capability + PCI_MSI_ADDRESS_LO, 0, size_message(capability) - PCI_MSI_ADDRESS_LO);
	put16(capability + PCI_MSI_FLAGS, flags & (PCI_MSI_FLAGS_QMASK | PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT));
	put16(writable + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	put32(writable + PCI_MSI_ADDRESS_LO, ~3u);
	if (flags & PCI_MSI_FLAGS_64BIT)
		put32(writable + PCI_MSI_ADDRESS_HI, ~0u);
	put16(writable + data, 0xffff);
	if (flags & PCI_MSI_FLAGS_MASKBIT)
		put32(writable + data + 4, ~0u);
	device->msi_capability = offset;
}

static void emulate_msix(struct vfio_device *device, unsigned offset)
{
	uint8_t *flags = device->pci.state.config + offset + PCI_MSIX_FLAGS;

	put16(flags, get16(flags) & PCI_MSIX_FLAGS_QSIZE);
	put16(device->pci.writable + offset + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	device->msix_capability = offset;
}

/*
 * The link belongs to the host's port and is hidden. Device control and status are passed: payload sizes,
 * reset, errors.
 */
static void emulate_express(struct vfio_device *device, unsigned offset)
{
	uint8_t *capability = device->pci.state.config + offset;
	unsigned flags = get16(capability + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_VERS, size = size_express(capability);

	put16(capability + PCI_EXP_FLAGS, flags | PCI_EXP_TYPE_RC_END << 4);
	memset(capability + PCI_EXP_LNKCAP, 0, MIN(size, PCI_EXP_DEVCAP2) - PCI_EXP_LNKCAP);
	if (size > PCI_EXP_LNKCAP2)
		memset(capability + PCI_EXP_LNKCAP2, 0, size - PCI_EXP_LNKCAP2);
	memset(device->passed + offset + PCI_EXP_DEVCTL, true, 4);
	/* The bits that enable error reports are emulated: lkvm reports errors, and a device may not store the bits. */
	capability[PCI_EXP_DEVCTL] &= (uint8_t)~REPORTING;
	device->pci.writable[offset + PCI_EXP_DEVCTL] = REPORTING;
	device->express_capability = offset;
	vfio_reset_offer(device);
}

static void emulate_errors(struct vfio_device *device, unsigned offset)
{
	pci_errors_add(&device->pci, offset);
	device->errors_capability = offset;
}

/* Anything else is hidden: an unknown capability may affect more than the device. */
static const struct capability capabilities[] = {
	{ PCI_CAP_ID_PM, EMULATED, "accesses would fail while it sleeps; the host manages its power", size_8, emulate_power },
	{ PCI_CAP_ID_VPD, PASSED, "serial numbers and names, which the kernel reads", size_8, NULL },
	{ PCI_CAP_ID_MSI, EMULATED, "the device's own messages go to the host", size_message, emulate_message },
	{ PCI_CAP_ID_MSIX, EMULATED, "the same; the table is trapped", size_12, emulate_msix },
	{ PCI_CAP_ID_VNDR, PASSED, "the device's own driver may need it", size_vendor, NULL },
	{ PCI_CAP_ID_EXP, EMULATED, "it is on the emulated bridge, which has no link", size_express, emulate_express },
	{ PCI_CAP_ID_AF, PASSED, "its reset, which the kernel performs", size_advanced, NULL },
	{ PCI_CAP_ID_SSVID, COPIED, "only a name", size_8, NULL },
	{ PCI_CAP_ID_SATA, HIDDEN, "another way to registers that are in a BAR", NULL, NULL },
	{ PCI_CAP_ID_EA, HIDDEN, "addresses of the host", NULL, NULL },
	{ PCI_CAP_ID_HT, HIDDEN, "the link is the host's", NULL, NULL },
	{ PCI_CAP_ID_PCIX, HIDDEN, "the link is the host's", NULL, NULL },
};

static const struct capability long_capabilities[] = {
	{ PCI_EXT_CAP_ID_DSN, COPIED, "only a serial number", size_12, NULL },
	{ PCI_EXT_CAP_ID_VNDR, PASSED, "the device's own driver may need it", size_long_vendor, NULL },
	{ PCI_EXT_CAP_ID_ERR, EMULATED, "the device reports its errors to the host; lkvm reports others: errors.c", size_errors,
	  emulate_errors },
	{ PCI_EXT_CAP_ID_ACS, HIDDEN, "IOMMU groups depend on it", NULL, NULL },
	{ PCI_EXT_CAP_ID_ARI, HIDDEN, "it has no neighbours", NULL, NULL },
	{ PCI_EXT_CAP_ID_SRIOV, HIDDEN, "its virtual functions would appear in the host", NULL, NULL },
	{ PCI_EXT_CAP_ID_ATS, HIDDEN, "the guest has no IOMMU", NULL, NULL },
	{ PCI_EXT_CAP_ID_PRI, HIDDEN, "the guest has no IOMMU", NULL, NULL },
	{ PCI_EXT_CAP_ID_PASID, HIDDEN, "the guest has no IOMMU", NULL, NULL },
	{ PCI_EXT_CAP_ID_REBAR, HIDDEN, "BARs have fixed sizes once the machine is open", NULL, NULL },
	{ PCI_EXT_CAP_ID_LTR, HIDDEN, "the link is the host's", NULL, NULL },
};

static const struct capability *find_rule(const struct capability *rules, size_t count, unsigned id)
{
	for (size_t i = 0; i < count; i++)
		if (rules[i].id == id)
			return &rules[i];
	return NULL;
}

/* Adds one capability to the guest's config space. `taken` marks bytes that belong to another one. */
static int keep_capability(struct vfio_device *device, const uint8_t *real, bool *taken, unsigned limit, unsigned offset,
		const struct capability *rule, struct error *error)
{
	unsigned header = offset < BASIC_SIZE ? 2 : 4;
	unsigned size = rule->size(real + offset);

	if (size < header || size > limit - offset)
		return error_set(error, EBADMSG, "capability 0x%x at 0x%x of its config space says that it has %u bytes",
				 rule->id, offset, size);
	for (unsigned i = offset; i < offset + size; i++) {
		if (taken[i])
			return error_set(error, EBADMSG, "capability 0x%x at 0x%x of its config space lies in another one",
					 rule->id, offset);
		taken[i] = true;
		device->pci.state.config[i] = real[i];
		device->passed[i] = rule->treatment == PASSED && i >= offset + header;
		device->copied[i] = rule->treatment == COPIED;
	}
	if (rule->treatment == EMULATED)
		rule->emulate(device, offset);
	return 0;
}

static bool is_message(unsigned id)
{
	return id == PCI_CAP_ID_MSI || id == PCI_CAP_ID_MSIX;
}

/* The list in the first 256 bytes, linked again without hidden ones. */
static int keep_capabilities(struct vfio_device *device, const uint8_t *real, bool has_msi, struct error *error)
{
	uint8_t *config = device->pci.state.config, *link = config + PCI_CAPABILITY_LIST;
	uint8_t seen[BASIC_SIZE / STRIDE] = { 0 };
	bool taken[BASIC_SIZE] = { 0 };
	unsigned offset = real[PCI_STATUS] & PCI_STATUS_CAP_LIST ? real[PCI_CAPABILITY_LIST] & ~(STRIDE - 1) : 0;

	for (; offset; offset = real[offset + PCI_CAP_LIST_NEXT] & ~(STRIDE - 1)) {
		unsigned id = real[offset];
		const struct capability *rule = find_rule(capabilities, COUNT(capabilities), id);

		if (offset < HEADER_SIZE)
			return error_set(error, EBADMSG, "its list of capabilities leads into the header, to 0x%x", offset);
		if (seen[offset / STRIDE])
			return error_set(error, EBADMSG, "its list of capabilities leads back to 0x%x", offset);
		seen[offset / STRIDE] = true;
		if (!rule || rule->treatment == HIDDEN || (is_message(id) && !has_msi))
			continue;
		if (keep_capability(device, real, taken, BASIC_SIZE, offset, rule, error) < 0)
			return -1;
		*link = (uint8_t)offset;
		link = config + offset + PCI_CAP_LIST_NEXT;
		*link = 0;
	}
	return 0;
}

static void link_long(uint8_t *config, unsigned from, unsigned to)
{
	put32(config + from, (get32(config + from) & 0xfffff) | to << 20);
}

/* For a device without the capability. At the beginning of the list it replaces the hidden one that is there. */
static void add_errors(struct vfio_device *device, const bool *taken, unsigned last)
{
	unsigned offset = vfio_errors_find_offset(device, taken);

	if (!offset)
		return;
	emulate_errors(device, offset);
	if (offset != BASIC_SIZE)
		link_long(device->pci.state.config, last, offset);
}

/* The list of extended capabilities. It begins at 0x100, so a hidden one there stays, as a capability with ID 0. */
static int keep_long_capabilities(struct vfio_device *device, const uint8_t *real, struct error *error)
{
	uint8_t *config = device->pci.state.config, seen[PCI_CONFIG_SIZE / STRIDE] = { 0 };
	bool taken[PCI_CONFIG_SIZE] = { 0 }, can_report = vfio_errors_possible(device);
	unsigned last = BASIC_SIZE, offset = device->config_size > BASIC_SIZE ? BASIC_SIZE : 0;

	while (offset) {
		uint32_t header = get32(real + offset);
		unsigned id = PCI_EXT_CAP_ID(header);
		const struct capability *rule = find_rule(long_capabilities, COUNT(long_capabilities), id);

		if (header == 0 || header == ~0u)
			break;
		if (seen[offset / STRIDE])
			return error_set(error, EBADMSG, "its list of extended capabilities leads back to 0x%x", offset);
		seen[offset / STRIDE] = true;
		if (rule && rule->treatment != HIDDEN && (can_report || id != PCI_EXT_CAP_ID_ERR)) {
			if (keep_capability(device, real, taken, device->config_size, offset, rule, error) < 0)
				return -1;
			link_long(config, offset, 0);
			if (last != offset)
				link_long(config, last, offset);
			last = offset;
		}
		offset = PCI_EXT_CAP_NEXT(header);
		if (offset && (offset < BASIC_SIZE || offset + STRIDE > device->config_size))
			return error_set(error, EBADMSG, "its list of extended capabilities leads to 0x%x", offset);
	}
	if (can_report && !device->errors_capability && device->config_size > BASIC_SIZE)
		add_errors(device, taken, last);
	return 0;
}

static void set_byte(struct vfio_device *device, unsigned offset, uint8_t byte)
{
	uint8_t ours = device->pci.writable[offset];

	device->pci.state.config[offset] = (uint8_t)((device->pci.state.config[offset] & ours) | (byte & ~ours));
}

/* Reads passed bytes from the device. If that fails they are all ones, as if the device were removed. */
static void vfio_config_read_passed(void *owner, unsigned offset, unsigned size)
{
	struct vfio_device *device = owner;
	uint8_t bytes[8];
	bool any = false;

	for (unsigned i = 0; i < size; i++)
		any |= device->passed[offset + i];
	if (!any)
		return;
	vfio_device_read(device, device->config_offset + offset, bytes, size);
	pthread_mutex_lock(&device->pci.lock);
	for (unsigned i = 0; i < size; i++)
		if (device->passed[offset + i])
			set_byte(device, offset + i, bytes[i]);
	pthread_mutex_unlock(&device->pci.lock);
}

/* Writes passed bytes in whole runs: single bytes may have another effect in the device. */
static void write_passed(struct vfio_device *device, unsigned offset, unsigned size, uint64_t value)
{
	uint8_t bytes[8];

	for (unsigned i = 0; i < size; i++)
		bytes[i] = (uint8_t)(value >> 8 * i);
	for (unsigned i = 0, end; i < size; i = end + 1) {
		for (end = i; end < size && device->passed[offset + end]; end++)
			;
		if (end > i)
			vfio_device_write(device, device->config_offset + offset + i, bytes + i, end - i);
	}
}

void vfio_config_command(struct vfio_device *device)
{
	unsigned ports = get16(device->pci.writable + PCI_COMMAND) & PCI_COMMAND_IO; /* if it has any */
	uint8_t command[2];

	/*
	 * With memory off, an access of a vCPU under way would fault. Whether the guest sees the BARs is up to
	 * hw/bars.c.
	 */
	put16(command, get16(device->pci.state.config + PCI_COMMAND) | PCI_COMMAND_MEMORY | ports);
	if (device->is_detached)
		command[0] &= (uint8_t)~PCI_COMMAND_MASTER;
	vfio_device_write(device, device->config_offset + PCI_COMMAND, command, sizeof(command));
}

static void vfio_config_written(void *owner, unsigned offset, unsigned size, uint64_t value)
{
	struct vfio_device *device = owner;

	vfio_reset_by_guest(device, offset, size, value);
	pthread_mutex_lock(&device->pci.lock);
	write_passed(device, offset, size, value);
	if (offset < PCI_COMMAND + 2 && offset + size > PCI_COMMAND)
		vfio_config_command(device);
	vfio_interrupts_update(device);
	pthread_mutex_unlock(&device->pci.lock);
}

static int make_function(struct vfio_device *device, const uint8_t *real, struct error *error)
{
	const struct pci_identity identity = {
		.name = device->address,
		.vendor = get16(real + PCI_VENDOR_ID),
		.device = get16(real + PCI_DEVICE_ID),
		.subsystem_vendor = get16(real + PCI_SUBSYSTEM_VENDOR_ID),
		.subsystem = get16(real + PCI_SUBSYSTEM_ID),
		.class_code = get32(real + PCI_CLASS_REVISION) >> 8,
		.revision = real[PCI_CLASS_REVISION],
	};

	if (identity.vendor == 0xffff)
		return error_set(error, EIO, "the device does not answer");
	if ((real[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL)
		return error_set(error, ENOTSUP, "it is a bridge; only devices can be passed through");
	if (pci_device_open(&device->pci, &identity, error) < 0)
		return -1;
	device->pci.state.config[PCI_INTERRUPT_PIN] = real[PCI_INTERRUPT_PIN] ? 1 : 0;
	device->pci.hook_size = PCI_CONFIG_SIZE;
	device->pci.hook_read = vfio_config_read_passed;
	device->pci.hook_write = vfio_config_written;
	device->pci.hook_owner = device;
	return 0;
}

int vfio_config_open(struct vfio_device *device, const struct pci_bus *pci, struct error *error)
{
	uint8_t real[PCI_CONFIG_SIZE + 8] = { 0 }; /* 8 more: a capability's first bytes are read before its size */

	if (!vfio_device_read(device, device->config_offset, real, device->config_size))
		return error_set(error, EIO, "its config space cannot be read");
	if (make_function(device, real, error) < 0)
		return -1;
	/* The status register has errors, and whether there are capabilities. */
	device->passed[PCI_STATUS] = device->passed[PCI_STATUS + 1] = true;
	if (keep_capabilities(device, real, pci->interrupts->has_msi, error) < 0)
		return -1;
	return keep_long_capabilities(device, real, error);
}
