/* SPDX-License-Identifier: MIT */
/* Interrupt lines, the table of GSI routes, irqfds and MSIs without a route. */
#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>

#include "kvm/interrupts.h"
#include "kvm/kvm.h"

int interrupts_open(struct interrupts *interrupts, int vm_fd, struct error *error)
{
	int result;

	*interrupts = (struct interrupts){ .vm_fd = vm_fd };
	result = pthread_mutex_init(&interrupts->lock, NULL);
	if (result)
		return error_system(error, result, "a lock for the interrupts");
	return 0;
}

void interrupts_close(struct interrupts *interrupts)
{
	pthread_mutex_destroy(&interrupts->lock);
}

void interrupts_set_line(struct interrupts *interrupts, unsigned spi, bool level)
{
	/* KVM_IRQ_LINE on arm64: type SPI in bits 27:24, INTID in 15:0. It does not use routes. */
	struct kvm_irq_level request = {
		.irq = (KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT) | (32 + spi),
		.level = level,
	};
	uint64_t bit = 1ull << spi;

	pthread_mutex_lock(&interrupts->lock);
	interrupts->lines = level ? interrupts->lines | bit : interrupts->lines & ~bit;
	kvm_call(interrupts->vm_fd, KVM_IRQ_LINE, (uintptr_t)&request);
	pthread_mutex_unlock(&interrupts->lock);
}

void interrupts_reset_lines(struct interrupts *interrupts)
{
	for (unsigned spi = 0; spi < 64; spi++)
		if (interrupts->lines & 1ull << spi)
			interrupts_set_line(interrupts, spi, false);
}

static struct kvm_irq_routing_entry route_entry(unsigned gsi, const struct interrupt_route *route)
{
	const struct msi_message *message = &route->message;

	if (route->is_line)
		return (struct kvm_irq_routing_entry){
			.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.pin = route->spi,
		};
	return (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.flags = KVM_MSI_VALID_DEVID,
		.u.msi = {
			.address_lo = (uint32_t)message->address,
			.address_hi = (uint32_t)(message->address >> 32),
			.data = message->data,
			.devid = message->device_id,
		},
	};
}

/* Gives the whole table to KVM. Call it with the lock held. */
static int routes_commit(struct interrupts *interrupts, struct error *error)
{
	struct {
		struct kvm_irq_routing header;
		struct kvm_irq_routing_entry entries[INTERRUPTS_MAX_ROUTES];
	} table;
	int result;

	memset(&table.header, 0, sizeof(table.header));
	for (unsigned gsi = 0; gsi < INTERRUPTS_MAX_ROUTES; gsi++)
		if (interrupts->used[gsi])
			table.entries[table.header.nr++] = route_entry(gsi, &interrupts->routes[gsi]);
	result = kvm_call(interrupts->vm_fd, KVM_SET_GSI_ROUTING, (uintptr_t)&table);
	if (result < 0)
		return error_system(error, -result, "KVM_SET_GSI_ROUTING with %u routes", table.header.nr);
	return 0;
}

static int free_gsi(const struct interrupts *interrupts)
{
	int gsi = 0;

	while (gsi < INTERRUPTS_MAX_ROUTES && interrupts->used[gsi])
		gsi++;
	return gsi < INTERRUPTS_MAX_ROUTES ? gsi : -1;
}

/* Adds all routes or none. */
static int add_routes(struct interrupts *interrupts, const struct interrupt_route *routes, unsigned count, int *gsis,
		      struct error *error)
{
	unsigned taken = 0;
	int result = 0;

	pthread_mutex_lock(&interrupts->lock);
	for (; result == 0 && taken < count; taken++) {
		gsis[taken] = free_gsi(interrupts);
		if (gsis[taken] < 0) {
			result = error_set(error, ENOSPC, "all %d interrupt routes are taken", INTERRUPTS_MAX_ROUTES);
			break;
		}
		interrupts->used[gsis[taken]] = true;
		interrupts->routes[gsis[taken]] = routes[taken];
	}
	if (result == 0)
		result = routes_commit(interrupts, error);
	while (result < 0 && taken > 0)
		interrupts->used[gsis[--taken]] = false;
	pthread_mutex_unlock(&interrupts->lock);
	return result;
}

int interrupts_routes_add(struct interrupts *interrupts, const struct msi_message *messages, unsigned count, int *gsis,
			  struct error *error)
{
	struct interrupt_route *routes = calloc(count + 1, sizeof(*routes));
	int result;

	if (!routes)
		return error_system(error, ENOMEM, "interrupt routes");
	for (unsigned i = 0; i < count; i++)
		routes[i].message = messages[i];
	result = add_routes(interrupts, routes, count, gsis, error);
	free(routes);
	return result;
}

int interrupts_route_add(struct interrupts *interrupts, const struct msi_message *message,
			 struct error *error)
{
	int gsi;

	return add_routes(interrupts, &(struct interrupt_route){ .message = *message }, 1, &gsi, error) < 0 ? -1 : gsi;
}

int interrupts_route_add_line(struct interrupts *interrupts, unsigned spi, struct error *error)
{
	int gsi;

	return add_routes(interrupts, &(struct interrupt_route){ .is_line = true, .spi = spi }, 1, &gsi, error) < 0 ? -1 : gsi;
}

int interrupts_route_change(struct interrupts *interrupts, int gsi, const struct msi_message *message,
			    struct error *error)
{
	struct interrupt_route old;
	int result;

	pthread_mutex_lock(&interrupts->lock);
	old = interrupts->routes[gsi];
	interrupts->routes[gsi].message = *message;
	result = routes_commit(interrupts, error);
	if (result < 0)
		interrupts->routes[gsi] = old;
	pthread_mutex_unlock(&interrupts->lock);
	return result;
}

void interrupts_route_remove(struct interrupts *interrupts, int gsi)
{
	/* KVM keeps the stale route until the next commit. That is harmless: no irqfd is attached to the GSI. */
	pthread_mutex_lock(&interrupts->lock);
	interrupts->used[gsi] = false;
	pthread_mutex_unlock(&interrupts->lock);
}

unsigned interrupts_route_count(struct interrupts *interrupts)
{
	unsigned count = 0;

	pthread_mutex_lock(&interrupts->lock);
	for (unsigned gsi = 0; gsi < INTERRUPTS_MAX_ROUTES; gsi++)
		count += interrupts->used[gsi];
	pthread_mutex_unlock(&interrupts->lock);
	return count;
}

static int attach(struct interrupts *interrupts, struct kvm_irqfd *request, struct error *error)
{
	int result = kvm_call(interrupts->vm_fd, KVM_IRQFD, (uintptr_t)request);

	if (result < 0)
		return error_system(error, -result, "KVM_IRQFD on GSI %u", request->gsi);
	return 0;
}

int interrupts_irqfd_attach(struct interrupts *interrupts, int gsi, int event_fd, struct error *error)
{
	struct kvm_irqfd request = { .fd = (uint32_t)event_fd, .gsi = (uint32_t)gsi };

	return attach(interrupts, &request, error);
}

int interrupts_irqfd_attach_line(struct interrupts *interrupts, int gsi, int event_fd, int resample_fd, struct error *error)
{
	struct kvm_irqfd request = {
		.fd = (uint32_t)event_fd, .gsi = (uint32_t)gsi, .flags = KVM_IRQFD_FLAG_RESAMPLE,
		.resamplefd = (uint32_t)resample_fd,
	};

	return attach(interrupts, &request, error);
}

void interrupts_irqfd_detach(struct interrupts *interrupts, int gsi, int event_fd)
{
	struct kvm_irqfd request = {
		.fd = (uint32_t)event_fd,
		.gsi = (uint32_t)gsi,
		.flags = KVM_IRQFD_FLAG_DEASSIGN,
	};

	kvm_call(interrupts->vm_fd, KVM_IRQFD, (uintptr_t)&request);
}

bool interrupts_signal_msi(struct interrupts *interrupts, const struct msi_message *message)
{
	struct kvm_msi request = {
		.address_lo = (uint32_t)message->address,
		.address_hi = (uint32_t)(message->address >> 32),
		.data = message->data,
		.devid = message->device_id,
		.flags = KVM_MSI_VALID_DEVID,
	};

	return kvm_call(interrupts->vm_fd, KVM_SIGNAL_MSI, (uintptr_t)&request) > 0;
}
