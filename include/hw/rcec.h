/* SPDX-License-Identifier: MIT */
/*
 * PCI Express Advanced Error Reporting: functions that are endpoints of the root complex tell their errors to its event
 * collector, a device of its own, which interrupts. So a guest learns that a device it drives itself must be reset.
 * PCI Express Base Specification 6.0 sections 6.2.4.1.2, 7.8.4 (the capability) and 7.9.10 (association).
 */
#ifndef LKVM_HW_RCEC_H
#define LKVM_HW_RCEC_H

#include "hw/pci.h"

/* Bytes of the capability in a function's extended config space; a collector's is longer. */
#define PCI_ERRORS_SIZE 0x2cu

struct rcec {
	struct pci_device pci; /* all its state is in there */
	bool signalled;        /* that something is to be told, since it last became so; follows from config space */
};

enum rcec_severity { RCEC_NONFATAL, RCEC_FATAL };

/* Plugs it into the next free slot, as `pci->rcec`. After a failure there is nothing to close. */
int rcec_open(struct rcec *rcec, struct pci_bus *pci, struct error *error);

/* These do nothing where it is not open. Saving and restoring is as for any PCI device: hw/pci.h. */
void rcec_close(struct rcec *rcec);
void rcec_reset(struct rcec *rcec);
void rcec_quiesce(struct rcec *rcec);
void rcec_resume(struct rcec *rcec);
int rcec_visit(struct rcec *rcec, struct state_visitor *visitor, struct error *error);
int rcec_restored(struct rcec *rcec, struct error *error);

/*
 * Tells the guest that the function with requester ID `source` has an error, of which its own status says more. False if the
 * guest does not want to know, and nothing was told. Any thread; another device's lock may be held.
 */
bool rcec_report(struct rcec *rcec, uint32_t source, enum rcec_severity severity);

/*
 * The capability of a function that has room for it at `offset`; one error, an internal one that is fatal unless the guest
 * says otherwise. What links it to others there stays.
 */
void pci_errors_add(struct pci_device *device, unsigned offset);

/*
 * Sets that error's status and tells its bus's collector. False if the guest does not want to know (it has masked the error,
 * the function's reporting is off in its PCI Express capability at `express`, or the collector's is), or there is no
 * collector: then nothing was set.
 */
bool pci_errors_report(struct pci_device *device, unsigned offset, unsigned express);

#endif
