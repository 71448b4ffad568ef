/* SPDX-License-Identifier: MIT */
/* The ITS's command queue. ARM IHI 0069, section 5.3 "ITS commands". Pure. */
#ifndef LKVM_ARM_ITS_COMMAND_H
#define LKVM_ARM_ITS_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/guest_memory.h"
#include "util/err.h"

#define ITS_COMMAND_SIZE 32u
#define ITS_COMMAND_TEXT 128u

/* The queue, as in GITS_CBASER, GITS_CREADR and GITS_CWRITER. */
struct its_queue {
	bool valid;
	uint64_t address; /* guest physical */
	uint64_t size;    /* bytes, at most 1 MiB */
	uint64_t read;    /* offset of the next command that the ITS reads */
	uint64_t write;   /* of the next one that the guest writes */
	bool stalled;     /* the ITS stopped at a command that it rejects */
};

struct its_queue its_queue_decode(uint64_t cbaser, uint64_t creadr, uint64_t cwriter);

/* Returns whether both offsets lie in the queue; if not, it has no readable commands. */
bool its_queue_is_sound(const struct its_queue *queue);

/* "MAPTI device 0x8 event 3 LPI 8195 collection 0" */
void its_command_text(const uint64_t command[4], char text[ITS_COMMAND_TEXT]);

#endif
