/* SPDX-License-Identifier: MIT */
/*
 * Probes of what the host has and lacks for lkvm. They change nothing: they open devices, and make and close scratch VMs.
 */
#ifndef LKVM_KVM_PROBE_H
#define LKVM_KVM_PROBE_H

#include <stdbool.h>

enum probe_verdict {
	PROBE_GOOD,
	PROBE_WARNING, /* it works or may work, with a disadvantage */
	PROBE_MISSING,
};

struct probe {
	const char *name;
	bool needed; /* no guest runs without it */
	enum probe_verdict verdict;
	char reason[160];
	char remedy[160]; /* empty if there is none, or none is needed */
};

#define PROBES_MAX 40

struct probes {
	unsigned count;
	struct probe list[PROBES_MAX];
};

/* Adds a result. probes_remedy() adds a remedy to the last one. Results after PROBES_MAX are dropped. */
void probes_add(struct probes *probes, const char *name, enum probe_verdict verdict, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void probes_remedy(struct probes *probes, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Marks the last result as needed. */
void probes_need(struct probes *probes);

/* Returns whether nothing needed is missing. */
bool probes_usable(const struct probes *probes);

/* Probes the processor and /dev/kvm. */
void probe_base(struct probes *probes);

/* Probes what KVM can do. Adds nothing if KVM cannot be opened. */
void probe_kvm(struct probes *probes);

/* Probes the rest of the kernel, and programs. */
void probe_host(struct probes *probes);

/*
 * Probes for a kernel that crashes (a NULL dereference in the host's kernel) when the ITS tables are saved after a guest has
 * unmapped an ITS collection in use. `release` and `version` are those of uname(2).
 */
void probe_kernel(struct probes *probes, const char *release, const char *version);

#endif
