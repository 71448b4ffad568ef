/* SPDX-License-Identifier: MIT */
/* Parses commands of the ITS's queue. */
#include "arm/its_command.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/bits.h"

#define FIELD(word, high, low) ((unsigned long long)(word) >> (low) & (~0ull >> (63 - (high) + (low))))

struct its_queue its_queue_decode(uint64_t cbaser, uint64_t creadr, uint64_t cwriter)
{
	return (struct its_queue){
		.valid = FIELD(cbaser, 63, 63),
		.address = FIELD(cbaser, 51, 12) << 12,
		.size = (FIELD(cbaser, 7, 0) + 1) * 4096,
		.read = FIELD(creadr, 19, 5) << 5,
		.write = FIELD(cwriter, 19, 5) << 5,
		.stalled = FIELD(creadr, 0, 0),
	};
}

bool its_queue_is_sound(const struct its_queue *queue)
{
	return queue->valid && queue->read < queue->size && queue->write < queue->size;
}

/* What a command is about, in the order in which it is told. */
enum argument { DEVICE = 1, EVENT = 2, LPI = 4, COLLECTION = 8, TARGET = 16, TABLE = 32, VALID = 64, TARGET2 = 128 };

static const struct {
	const char *name;
	unsigned arguments;
	uint8_t code;
} commands[] = {
	{ "MOVI", DEVICE | EVENT | COLLECTION, 0x01 },
	{ "INT", DEVICE | EVENT, 0x03 },
	{ "CLEAR", DEVICE | EVENT, 0x04 },
	{ "SYNC", TARGET, 0x05 },
	{ "MAPD", DEVICE | TABLE | VALID, 0x08 },
	{ "MAPC", COLLECTION | TARGET | VALID, 0x09 },
	{ "MAPTI", DEVICE | EVENT | LPI | COLLECTION, 0x0a },
	{ "MAPI", DEVICE | EVENT | COLLECTION, 0x0b },
	{ "INV", DEVICE | EVENT, 0x0c },
	{ "INVALL", COLLECTION, 0x0d },
	{ "MOVALL", TARGET | TARGET2, 0x0e },
	{ "DISCARD", DEVICE | EVENT, 0x0f },
};

/* Appends to `text`, as much as there is room for. */
__attribute__((format(printf, 3, 4))) static void put(char text[ITS_COMMAND_TEXT], size_t *length, const char *format, ...)
{
	va_list arguments;

	if (*length >= ITS_COMMAND_TEXT)
		return;
	va_start(arguments, format);
	*length += (size_t)vsnprintf(text + *length, ITS_COMMAND_TEXT - *length, format, arguments);
	va_end(arguments);
}

void its_command_text(const uint64_t command[4], char text[ITS_COMMAND_TEXT])
{
	uint8_t code = (uint8_t)FIELD(command[0], 7, 0);
	const char *name = NULL;
	unsigned arguments = 0;
	size_t length = 0;

	for (size_t i = 0; i < COUNT(commands) && !name; i++) {
		if (commands[i].code != code)
			continue;
		name = commands[i].name;
		arguments = commands[i].arguments;
	}
	if (!name) {
		snprintf(text, ITS_COMMAND_TEXT, "unknown command 0x%x", code);
		return;
	}
	length = (size_t)snprintf(text, ITS_COMMAND_TEXT, "%s", name);
	if (arguments & DEVICE)
		put(text, &length, " device 0x%llx", FIELD(command[0], 63, 32));
	if (arguments & EVENT)
		put(text, &length, " event %llu", FIELD(command[1], 31, 0));
	if (arguments & LPI)
		put(text, &length, " LPI %llu", FIELD(command[1], 63, 32));
	if (arguments & COLLECTION)
		put(text, &length, " collection %llu", FIELD(command[2], 15, 0));
	/* GITS_TYPER.PTA is 0 in KVM: a target is a number of a processor. */
	if (arguments & TARGET)
		put(text, &length, " vCPU %llu", FIELD(command[2], 50, 16));
	if (arguments & TARGET2)
		put(text, &length, " to vCPU %llu", FIELD(command[3], 50, 16));
	if (arguments & TABLE) {
		put(text, &length, " ITT 0x%llx", FIELD(command[2], 51, 8) << 8);
		put(text, &length, " bits %llu", FIELD(command[1], 4, 0) + 1);
	}
	if (arguments & VALID)
		put(text, &length, " %s", FIELD(command[2], 63, 63) ? "valid" : "invalid");
}
