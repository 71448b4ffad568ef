/* SPDX-License-Identifier: MIT */
/*
 * A virtio device for tests of the transport: it gives every request back, counts what it is asked, and sits in a
 * machine with a driver for it.
 */
#ifndef TESTS_FAKE_ECHO_H
#define TESTS_FAKE_ECHO_H

#include "fake/driver.h"

#define ECHO_QUEUES 2
#define ECHO_SIZE 16 /* entries a queue */
#define ECHO_RINGS(n) (FAKE_RAM_BASE + 0x10000ull * ((n) + 1))
#define ECHO_FEATURE (1ull << 40)

struct echo {
	struct virtio_device device; /* first */
	atomic_uint starts, stops, pauses, resumes, closes, requests;
	uint8_t config[8];

	struct fake_machine machine;
	struct fake_function function;
	struct fake_queue rings[ECHO_QUEUES];
	unsigned complaints; /* lines in the VM's log */
};

/* cmocka's setup and teardown, with and without MSI. */
int echo_setup(void **state);
int echo_setup_line(void **state);
int echo_teardown(void **state);

/* From reset to DRIVER_OK with every feature; vector 0 for configuration changes, 1 + n for queue n. */
void echo_run_driver(struct echo *echo);

/* Clears the rings, as a driver does that starts again. */
void echo_clear_rings(struct echo *echo);

/* One request, without a notification. */
void echo_offer(struct echo *echo, unsigned queue);

/* Whether an MSI-X vector was signalled since the last look, waiting for it; or was not, for a while. */
bool echo_signalled(struct echo *echo, unsigned vector);
bool echo_quiet(struct echo *echo, unsigned vector);

#endif
