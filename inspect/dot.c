/* SPDX-License-Identifier: MIT */
/* The interrupts as a graph for graphviz: device, event, LPI, collection, vCPU. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect/inspect.h"

struct graph {
	const struct inspection *inspection;
	FILE *out;
	bool open; /* the node of a device is begun, and its events follow */
};

/* Writes letters, digits and "-", and "_" for all else: a name from the file could break the syntax of a label. */
static void put_label(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc(isalnum((unsigned char)*text) || *text == '-' ? *text : '_', out);
}

static const char *problem_color(uint32_t problems)
{
	return problems ? ", color=red, fontcolor=red" : "";
}

static void put_collection(void *owner, const struct its_collection *collection)
{
	FILE *out = ((struct graph *)owner)->out;

	fprintf(out, "\tcollection%u [label=\"collection %u\"%s];\n", collection->id, collection->id,
		problem_color(collection->problems));
	if (collection->vcpu != ITS_NO_VCPU)
		fprintf(out, "\tcollection%u -> vcpu%u;\n\tvcpu%u [label=\"vCPU %u\", shape=box, style=rounded];\n", collection->id,
			collection->vcpu, collection->vcpu, collection->vcpu);
}

/* Begins a record: the name, then a port for each event. */
static void put_device(void *owner, const struct its_device *device)
{
	struct graph *graph = owner;
	const struct inspect_device *known = inspection_device(graph->inspection, device->id);
	char address[INSPECT_ADDRESS_LENGTH];

	if (graph->open)
		fputs("\"];\n", graph->out);
	graph->open = true;
	inspect_pci_address(device->id, address);
	fprintf(graph->out, "\tdevice%u [shape=record%s, label=\"", device->id, problem_color(device->problems));
	put_label(graph->out, known ? known->name : "device");
	fprintf(graph->out, "\\n%s", address);
}

static void put_port(void *owner, const struct its_event *event)
{
	fprintf(((struct graph *)owner)->out, "|<e%u> event %u", event->id, event->id);
}

static void put_event(void *owner, const struct its_event *event)
{
	FILE *out = ((struct graph *)owner)->out;
	const char *fill = event->pending ? ", style=filled, fillcolor=orange" : !event->enabled ? ", style=dashed" : "";

	fprintf(out, "\tlpi%u [label=\"LPI %u\\npriority %u%s%s\"%s%s];\n", event->lpi, event->lpi, event->priority,
		event->enabled ? "" : ", disabled", event->pending ? ", pending" : "", fill, problem_color(event->problems));
	fprintf(out, "\tdevice%u:e%u -> lpi%u;\n\tlpi%u -> collection%u;\n", event->device, event->id, event->lpi, event->lpi,
		event->collection);
}

/* Refuses a graph that is too large to look at. */
static int check_size(const struct inspection *inspection, struct error *error)
{
	const struct its_visitor nobody = { 0 };
	struct its_walk *walk;
	uint64_t nodes;

	if (inspection_walk(inspection, &nobody, &walk, error) < 0)
		return -1;
	nodes = (uint64_t)walk->collections + walk->devices + walk->events;
	free(walk);
	if (nodes <= INSPECT_MOST_ROWS)
		return 0;
	return error_set(error, EFBIG, "the ITS's tables have %llu entries, a graph at most %u", (unsigned long long)nodes,
			 INSPECT_MOST_ROWS);
}

static int put_graph(struct graph *graph, struct error *error)
{
	const struct its_visitor nodes = { .collection = put_collection, .device = put_device, .event = put_port, .owner = graph };
	const struct its_visitor edges = { .event = put_event, .owner = graph };

	fputs("digraph interrupts {\n\trankdir=LR;\n\tnode [fontname=\"sans-serif\", fontsize=10];\n", graph->out);
	if (inspection_has_its(graph->inspection)) {
		if (check_size(graph->inspection, error) < 0 || inspection_walk(graph->inspection, &nodes, NULL, error) < 0)
			return -1;
		if (graph->open)
			fputs("\"];\n", graph->out);
		if (inspection_walk(graph->inspection, &edges, NULL, error) < 0)
			return -1;
	}
	fputs("}\n", graph->out);
	return 0;
}

char *inspect_dot(const struct inspection *inspection, struct error *error)
{
	struct graph graph = { .inspection = inspection };
	char *text = NULL;
	size_t size;
	int result;

	graph.out = open_memstream(&text, &size);
	if (!graph.out) {
		error_system(error, ENOMEM, "the graph");
		return NULL;
	}
	result = put_graph(&graph, error);
	if (fclose(graph.out) != 0 && result == 0)
		result = error_system(error, ENOMEM, "the graph");
	if (result == 0)
		return text;
	free(text);
	return NULL;
}
