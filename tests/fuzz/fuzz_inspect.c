/* SPDX-License-Identifier: MIT */
/*
 * Inspects a snapshot: the views as text and as JSON, the graph, the checks, the views of an extract, and the difference to the
 * original. Input: a byte that selects one of these, seven unused bytes, edits (struct edit).
 */
#include "edited.h"
#include "json.h"
#include "inspect/diff.h"
#include "inspect/verify.h"
#include "mutate.h"
#include "util/bits.h"

#define UNREADABLE UINT64_MAX /* instead of a number of changes */

/* Conditions that must hold. */

static void text_is_sound(const char *text)
{
	for (; *text; text++) {
		unsigned char next = (unsigned char)text[1];

		fuzz_must(*text == '\n' || (unsigned char)*text >= ' ');
		fuzz_must(*text != 0x7f && !((unsigned char)*text == 0xc2 && next >= 0x80 && next < 0xa0));
	}
}

typedef int (*view)(const struct inspection *inspection, struct report *report, struct error *error);

enum { VIEW_CPU = 3 };

static const view views[] = {
	inspect_summary, inspect_its, inspect_gic, [VIEW_CPU] = inspect_cpu, inspect_devices, inspect_pci, inspect_memory,
};
#define VIEWS (unsigned)(COUNT(views))

static char *finish(struct report *report, int result, const struct error *error)
{
	char *text;

	if (result < 0) {
		fuzz_must(error->text[0] != '\0');
		text_is_sound(error->text);
		report_close(report);
		return strdup(error->text);
	}
	text = strdup(report_text(report));
	if (report->json)
		fuzz_must(json_is_sound(text));
	else
		text_is_sound(text);
	report_close(report);
	return text;
}

static char *show(const struct side *side, view how, bool json)
{
	struct error error = { .text = "" };
	struct report report;

	report_open(&report, json);
	return finish(&report, how(&side->inspection, &report, &error), &error);
}

/* Braces and brackets must nest, quotes must end. */
static void graph_is_sound(const char *text)
{
	int braces = 0, brackets = 0;
	bool quoted = false;

	for (; *text; text++) {
		fuzz_must(*text == '\n' || *text == '\t' || (*text >= ' ' && *text <= '~'));
		if (*text == '\\' && quoted) {
			fuzz_must(*++text == 'n');
			continue;
		}
		quoted ^= *text == '"';
		if (quoted) {
			fuzz_must(*text != '{' && *text != '}' && *text != '\n');
			continue;
		}
		braces += (*text == '{') - (*text == '}');
		brackets += (*text == '[') - (*text == ']');
		fuzz_must(braces >= 0 && brackets >= 0 && brackets <= 1);
	}
	fuzz_must(!braces && !brackets && !quoted);
}

static void draw(struct side *side)
{
	struct error error = { .text = "" };
	char *text = inspect_dot(&side->inspection, &error);

	if (text)
		graph_is_sound(text);
	else
		fuzz_must(error.text[0] != '\0');
	free(text);
}

static void tell(void *owner, const char *place, const char *what)
{
	(void)owner;
	fuzz_must(place[0] && what[0]);
	text_is_sound(place);
	text_is_sound(what);
}

static unsigned verify(struct side *side)
{
	struct verdict verdict = { .report = tell };
	struct error error = { .text = "" };

	fuzz_must(verify_sections(&side->snapshot, &verdict, &error) == 0);
	fuzz_must(verify_its(&side->inspection, &verdict, &error) == 0);
	fuzz_must(verify_lpis(&side->inspection, &verdict, &error) == 0);
	fuzz_must(verify_queues(&side->inspection, &verdict, &error) == 0);
	fuzz_must(verify_msix(&side->inspection, &verdict, &error) == 0);
	return verdict.faults;
}

static void verify_all(struct side *side)
{
	verify(side);
}

static uint64_t compare(const struct side *before, const struct side *after, bool all, bool json)
{
	struct error error = { .text = "" };
	uint64_t changes;
	struct report report;
	int result;

	report_open(&report, json);
	result = diff_snapshots(&before->inspection, &after->inspection, all, &report, &changes, &error);
	free(finish(&report, result, &error));
	return result < 0 ? UNREADABLE : changes;
}

static void look(struct side *side, unsigned which)
{
	free(show(side, views[which], false));
	free(show(side, views[which], true));
}

/* Shows the registers of one vCPU. */
static void look_at_vcpu(struct side *side)
{
	side->inspection.vcpu = 1;
	look(side, VIEW_CPU);
}

/* Opens an extract of the side. False: inspect_extract() failed. */
static bool extract(const struct side *side, struct side *copy, struct ram *memory)
{
	struct error error = { .text = "" };
	bool known;

	*copy = (struct side){ .bytes = side->bytes };
	fuzz_must(ram_open(memory, golden.base, RAM_SIZE, &error) == 0);
	known = inspect_extract(&side->bytes, &side->ram, memory, &error) == 0;
	fuzz_must(known || error.text[0]);
	if (known)
		fuzz_must(open_side(copy, memory->host, checksums));
	else
		ram_close(memory);
	return known;
}

static void compare_with_extract(struct side *side, unsigned which)
{
	char *text, *other;
	struct side copy;
	struct ram memory;

	if (!extract(side, &copy, &memory))
		return;
	text = show(side, views[which], true);
	other = show(&copy, views[which], true);
	fuzz_must(!strcmp(text, other));
	free(text);
	free(other);
	close_side(&copy);
	ram_close(&memory);
}

static void verify_extract(struct side *side)
{
	struct side copy;
	struct ram memory;

	if (!extract(side, &copy, &memory))
		return;
	fuzz_must(verify(side) == verify(&copy));
	close_side(&copy);
	ram_close(&memory);
}

/* Both directions must have the same number of changes. A readable snapshot must not differ from itself. */
static void compare_both(struct side *side)
{
	uint64_t changes = compare(&golden.side, side, false, false);

	fuzz_must(compare(side, &golden.side, true, true) == changes);
	fuzz_must(compare(side, side, false, false) == (changes == UNREADABLE ? UNREADABLE : 0));
}

static void look_into(struct side *side, unsigned which)
{
	static void (*const others[])(struct side *side) = { draw, verify_all, verify_extract, look_at_vcpu, compare_both };
	const unsigned count = COUNT(others);

	which %= count + 2 * VIEWS;
	if (which < count)
		others[which](side);
	else if (which < count + VIEWS)
		look(side, which - count);
	else
		compare_with_extract(side, which - count - VIEWS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct edit edits[MOST_EDITS];
	struct side side = { 0 };
	size_t count;
	bool opened;

	if (size < 8)
		return 0;
	count = (size - 8) / sizeof(edits[0]);
	if (count > MOST_EDITS)
		count = MOST_EDITS;
	memcpy(edits, data + 8, count * sizeof(edits[0]));
	opened = open_edited(&side, edits, count);
	if (opened)
		look_into(&side, data[0]);
	close_edited(&side, opened, edits, count);
	return 0;
}
