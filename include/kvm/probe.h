/* SPDX-License-Identifier: MIT */
/*
 * What the host has and lacks for lkvm. Nothing is changed: devices are opened, and scratch VMs made and
 * closed again.
 */
#ifndef LKVM_KVM_PROBE_H
#define LKVM_KVM_PROBE_H

#include <stdbool.h>

enum probe_verdict {
	PROBE_GOOD,
	PROBE_WARNING, /* it works, or might, but not as one would like */
	PROBE_MISSING,
};

struct probe {
	const char *name;
	bool needed; /* without it no guest runs */
	enum probe_verdict verdict;
	char reason[160];
	char remedy[160]; /* empty where there is none, or none is wanted */
};

#define PROBES_MAX 40

struct probes {
	unsigned count;
	struct probe list[PROBES_MAX];
};

/* Adds a line; probes_remedy() says what to do about the last one added. More than PROBES_MAX are dropped. */
void probes_add(struct probes *probes, const char *name, enum probe_verdict verdict, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void probes_remedy(struct probes *probes, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Marks the last one added as needed. */
void probes_need(struct probes *probes);

/* Whether nothing that is needed is missing. */
bool probes_usable(const struct probes *probes);

/* The processor and /dev/kvm. */
void probe_base(struct probes *probes);

/* What KVM can do; adds nothing where it cannot be opened. */
void probe_kvm(struct probes *probes);

/* The rest of the kernel, and programs. */
void probe_host(struct probes *probes);

/*
 * Whether a kernel is known to crash when a guest unmaps an ITS collection that is in use and the ITS tables
 * are then saved: a NULL dereference in the host's kernel. `release` and `version` as uname(2) has them.
 */
void probe_kernel(struct probes *probes, const char *release, const char *version);

#endif
