/* SPDX-License-Identifier: MIT */
/*
 * A virtio device for tests of the transport. It returns every request unchanged and counts the calls of its operations.
 * The fixture has a fake machine with the device, and a driver for it.
 */
#ifndef TESTS_FAKE_ECHO_H
#define TESTS_FAKE_ECHO_H

#include "fake/driver.h"

#define ECHO_QUEUES 2
#define ECHO_SIZE 16 /* entries of a queue */
#define ECHO_RINGS(n) (FAKE_RAM_BASE + 0x10000ull * ((n) + 1))
#define ECHO_FEATURE (1ull << 40)

struct echo {
	struct virtio_device device; /* first */
	atomic_uint starts, stops, pauses, resumes, closes, requests;
	uint8_t config[8];

	struct fake_machine machine;
	struct fake_function function;
	struct fake_queue rings[ECHO_QUEUES];
	unsigned complaints; /* warnings in the VM's log */
};

/* cmocka's setup and teardown, with and without MSI. */
int echo_setup(void **state);
int echo_setup_line(void **state);
int echo_teardown(void **state);

/* Runs the driver from reset to DRIVER_OK, with all features. Vector 0 is for configuration changes, 1 + n for queue n. */
void echo_run_driver(struct echo *echo);

/* Clears the rings, as a driver does after a reset. */
void echo_clear_rings(struct echo *echo);

/* Offers one request, without a notification. */
void echo_offer(struct echo *echo, unsigned queue);

/*
 * echo_signalled() waits up to 1 s for a signal of an MSI-X vector, and clears it. echo_quiet() returns true if there is none
 * for 20 ms.
 */
bool echo_signalled(struct echo *echo, unsigned vector);
bool echo_quiet(struct echo *echo, unsigned vector);

#endif
