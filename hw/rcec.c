/* SPDX-License-Identifier: MIT */
/* The root complex event collector, and the error capability of the functions that report to it. */
#include "hw/rcec.h"

#include <linux/pci_regs.h>
#include <string.h>

#include "util/bits.h"

#define MSIX_BAR 0u
#define ERRORS 0x100u /* in config space */
#define SOURCE (ERRORS + PCI_ERR_ROOT_ERR_SRC)
#define ASSOCIATION 0x140u

#define INTERNAL_ERROR 22 /* PCI_ERR_UNC_INTN */

/* Linux ignores the vendor, and looks for the class. */
static const struct pci_identity identity = {
	.name = "event-collector",
	.vendor = 0x1b36,
	.device = 0x0807,
	.subsystem_vendor = 0x1af4,
	.subsystem = 0x1100,
	.class_code = 0x080700,
	.vectors = 1,
};

/*
 * The error capability of any function
 */

void pci_errors_add(struct pci_device *device, unsigned offset)
{
	uint8_t *config = device->state.config + offset, *writable = device->writable + offset;

	memset(config + 4, 0, PCI_ERRORS_SIZE - 4);
	put32(config, (get32(config) & 0xfff00000) | 1u << 16 | PCI_EXT_CAP_ID_ERR);
	/* In hardware this error is masked until firmware unmasks it. lkvm is the firmware. */
	put32(config + PCI_ERR_UNCOR_SEVER, PCI_ERR_UNC_INTN);
	put32(config + PCI_ERR_CAP, INTERNAL_ERROR); /* the first error pointer: it is the only error */
	put32(device->cleared_by_ones + offset + PCI_ERR_UNCOR_STATUS, PCI_ERR_UNC_INTN);
	put32(writable + PCI_ERR_UNCOR_MASK, PCI_ERR_UNC_INTN);
	put32(writable + PCI_ERR_UNCOR_SEVER, PCI_ERR_UNC_INTN);
}

bool pci_errors_report(struct pci_device *device, unsigned offset, unsigned express)
{
	const uint8_t *control = device->state.config + express + PCI_EXP_DEVCTL;
	uint8_t *errors = device->state.config + offset;
	bool fatal, reported;

	if (!device->bus->rcec)
		return false;
	/* The status is set before the guest can read it: the read needs the lock. The interrupt may come first. */
	pthread_mutex_lock(&device->lock);
	fatal = get32(errors + PCI_ERR_UNCOR_SEVER) & PCI_ERR_UNC_INTN;
	reported = !(get32(errors + PCI_ERR_UNCOR_MASK) & PCI_ERR_UNC_INTN) &&
	       *control & (fatal ? PCI_EXP_DEVCTL_FERE : PCI_EXP_DEVCTL_NFERE) &&
	       rcec_report(device->bus->rcec, pci_device_id(device), fatal ? RCEC_FATAL : RCEC_NONFATAL);
	if (reported)
		put32(errors + PCI_ERR_UNCOR_STATUS, PCI_ERR_UNC_INTN);
	pthread_mutex_unlock(&device->lock);
	return reported;
}

/*
 * The event collector
 */

static bool has_report(const struct rcec *rcec)
{
	const uint8_t *errors = rcec->pci.state.config + ERRORS;
	uint32_t command = get32(errors + PCI_ERR_ROOT_COMMAND), status = get32(errors + PCI_ERR_ROOT_STATUS);

	return (command & PCI_ERR_ROOT_CMD_NONFATAL_EN && status & PCI_ERR_ROOT_NONFATAL_RCV) ||
	       (command & PCI_ERR_ROOT_CMD_FATAL_EN && status & PCI_ERR_ROOT_FATAL_RCV);
}

/*
 * Drives the line as long as a report is pending. Returns true if a report becomes pending and must be signalled by a
 * message. The device is locked here, and must not be when the message is sent.
 */
static bool update(struct rcec *rcec)
{
	bool pending = has_report(rcec), begins = pending && !rcec->signalled;
	bool by_message = pci_device_msix_enabled(&rcec->pci);

	rcec->signalled = pending;
	pci_device_set_line(&rcec->pci, pending && !by_message);
	return begins && by_message;
}

static void rcec_config_written(void *owner, unsigned offset, unsigned size, uint64_t value)
{
	struct rcec *rcec = owner;
	bool message;

	(void)offset;
	(void)size;
	(void)value;
	pthread_mutex_lock(&rcec->pci.lock);
	message = update(rcec);
	pthread_mutex_unlock(&rcec->pci.lock);
	if (message)
		pci_device_signal(&rcec->pci, 0);
}

bool rcec_report(struct rcec *rcec, uint32_t source, enum rcec_severity severity)
{
	uint8_t *errors = rcec->pci.state.config + ERRORS;
	bool fatal = severity == RCEC_FATAL, enabled, message = false;
	uint32_t status;

	pthread_mutex_lock(&rcec->pci.lock);
	enabled = get32(errors + PCI_ERR_ROOT_COMMAND) & (fatal ? PCI_ERR_ROOT_CMD_FATAL_EN : PCI_ERR_ROOT_CMD_NONFATAL_EN);
	if (enabled) {
		status = get32(errors + PCI_ERR_ROOT_STATUS);
		if (status & PCI_ERR_ROOT_UNCOR_RCV) {
			status |= PCI_ERR_ROOT_MULTI_UNCOR_RCV;
		} else {
			status |= PCI_ERR_ROOT_UNCOR_RCV | (fatal ? PCI_ERR_ROOT_FIRST_FATAL : 0);
			put16(errors + PCI_ERR_ROOT_ERR_SRC + 2, (uint16_t)source);
		}
		put32(errors + PCI_ERR_ROOT_STATUS, status | (fatal ? PCI_ERR_ROOT_FATAL_RCV : PCI_ERR_ROOT_NONFATAL_RCV));
		message = update(rcec);
	}
	pthread_mutex_unlock(&rcec->pci.lock);
	if (message)
		pci_device_signal(&rcec->pci, 0);
	return enabled;
}

static int add_express(struct pci_device *device, struct error *error)
{
	uint8_t body[PCI_CAP_EXP_ENDPOINT_SIZEOF_V2 - 2] = { 0 };
	int offset;

	put16(body + PCI_EXP_FLAGS - 2, 2 | PCI_EXP_TYPE_RC_EC << 4);
	put32(body + PCI_EXP_DEVCAP - 2, PCI_EXP_DEVCAP_RBER);
	offset = pci_device_add_capability(device, PCI_CAP_ID_EXP, body, sizeof(body) + 2, error);
	if (offset < 0)
		return -1;
	put16(device->writable + offset + PCI_EXP_DEVCTL,
	      PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE | PCI_EXP_DEVCTL_URRE);
	put16(device->writable + offset + PCI_EXP_RTCTL,
	      PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE | PCI_EXP_RTCTL_SEFEE | PCI_EXP_RTCTL_PMEIE);
	return 0;
}

static void add_errors(struct pci_device *device)
{
	uint8_t *config = device->state.config;

	pci_errors_add(device, ERRORS);
	put32(config + ERRORS, get32(config + ERRORS) | ASSOCIATION << 20);
	put32(device->writable + ERRORS + PCI_ERR_ROOT_COMMAND,
	      PCI_ERR_ROOT_CMD_COR_EN | PCI_ERR_ROOT_CMD_NONFATAL_EN | PCI_ERR_ROOT_CMD_FATAL_EN);
	put32(device->cleared_by_ones + ERRORS + PCI_ERR_ROOT_STATUS,
	      PCI_ERR_ROOT_COR_RCV | PCI_ERR_ROOT_MULTI_COR_RCV | PCI_ERR_ROOT_UNCOR_RCV | PCI_ERR_ROOT_MULTI_UNCOR_RCV |
	      PCI_ERR_ROOT_FIRST_FATAL | PCI_ERR_ROOT_NONFATAL_RCV | PCI_ERR_ROOT_FATAL_RCV);
	/* All slots of this bus, and no other bus. */
	put32(config + ASSOCIATION, 1u << 16 | PCI_EXT_CAP_ID_RCEC);
	put32(config + ASSOCIATION + PCI_RCEC_RCIEP_BITMAP, ~0u);
}

int rcec_open(struct rcec *rcec, struct pci_bus *pci, struct error *error)
{
	struct pci_device *device = &rcec->pci;

	*rcec = (struct rcec){ 0 };
	if (pci_device_open(device, &identity, error) < 0)
		return -1;
	device->hook_size = PCI_CONFIG_SIZE;
	device->hook_write = rcec_config_written;
	device->hook_owner = rcec;
	if (add_express(device, error) < 0 || pci_device_add_msix(device, pci, MSIX_BAR, error) < 0) {
		pci_device_close(device);
		return -1;
	}
	add_errors(device);
	if (pci_device_plug(pci, device, -1, error) < 0) {
		pci_device_close(device);
		return -1;
	}
	pci->rcec = rcec;
	return 0;
}

static bool is_open(const struct rcec *rcec)
{
	return rcec->pci.bus != NULL;
}

void rcec_close(struct rcec *rcec)
{
	if (!is_open(rcec))
		return;
	rcec->pci.bus->rcec = NULL;
	pci_device_close(&rcec->pci);
}

/* After a reset or restore nothing must be signalled: the guest has the message, or it is a pending bit. */
static void sync_signalled(struct rcec *rcec)
{
	pthread_mutex_lock(&rcec->pci.lock);
	update(rcec);
	pthread_mutex_unlock(&rcec->pci.lock);
}

void rcec_reset(struct rcec *rcec)
{
	if (!is_open(rcec))
		return;
	pci_device_reset(&rcec->pci);
	sync_signalled(rcec);
}

void rcec_quiesce(struct rcec *rcec)
{
	if (is_open(rcec))
		pci_device_quiesce(&rcec->pci);
}

void rcec_resume(struct rcec *rcec)
{
	if (is_open(rcec))
		pci_device_resume(&rcec->pci);
}

int rcec_visit(struct rcec *rcec, struct state_visitor *visitor, struct error *error)
{
	if (!is_open(rcec))
		return 0;
	return visitor->visit(visitor, "event-collector/pci", &pci_state_table, &rcec->pci.state, error);
}

int rcec_restored(struct rcec *rcec, struct error *error)
{
	if (!is_open(rcec))
		return 0;
	/* Only the device writes this register, and a reset does not change it. */
	memcpy(rcec->pci.initial + SOURCE, rcec->pci.state.config + SOURCE, 4);
	if (pci_device_restored(&rcec->pci, error) < 0)
		return -1;
	sync_signalled(rcec);
	return 0;
}
