/* SPDX-License-Identifier: MIT */
/*
 * PCI Express Advanced Error Reporting. Functions that are root complex integrated endpoints report errors to the root
 * complex event collector (RCEC), a device of its own, which interrupts. So a guest is notified that a passed-through
 * device must be reset.
 * PCI Express Base Specification 6.0 sections 6.2.4.1.2, 7.8.4 (the capability) and 7.9.10 (association).
 */
#ifndef LKVM_HW_RCEC_H
#define LKVM_HW_RCEC_H

#include "hw/pci.h"

/* Bytes of the capability in a function's extended config space; a collector's is longer. */
#define PCI_ERRORS_SIZE 0x2cu

struct rcec {
	struct pci_device pci; /* has all its state */
	bool signalled;        /* a report is pending, and was signalled; follows from config space */
};

enum rcec_severity { RCEC_NONFATAL, RCEC_FATAL };

/* Plugs it into the next free slot, and sets pci->rcec. After a failure there is nothing to close. */
int rcec_open(struct rcec *rcec, struct pci_bus *pci, struct error *error);

/* They do nothing if it is not open. Saving and restoring is as for any PCI device: hw/pci.h. */
void rcec_close(struct rcec *rcec);
void rcec_reset(struct rcec *rcec);
void rcec_quiesce(struct rcec *rcec);
void rcec_resume(struct rcec *rcec);
int rcec_visit(struct rcec *rcec, struct state_visitor *visitor, struct error *error);
int rcec_restored(struct rcec *rcec, struct error *error);

/*
 * Reports to the guest that the function with requester ID `source` has an error, which is in the function's status.
 * False if the guest has not enabled the report: nothing is reported. Any thread; another device's lock may be held.
 */
bool rcec_report(struct rcec *rcec, uint32_t source, enum rcec_severity severity);

/*
 * Adds the error capability to a function at `offset`. It has one error, an internal one, which is fatal unless
 * the guest changes the severity. A link to the next capability at `offset` stays.
 */
void pci_errors_add(struct pci_device *device, unsigned offset);

/*
 * Sets the error's status and reports it to the bus's event collector. False, with nothing set, if there is no event
 * collector or if the guest does not want the report: it has masked the error, or reporting is off in the function's
 * PCI Express capability (at `express`) or in the event collector.
 */
bool pci_errors_report(struct pci_device *device, unsigned offset, unsigned express);

#endif
