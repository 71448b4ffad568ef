/* SPDX-License-Identifier: MIT */
/* Pauses, resumes and resets an open machine, and presses its keys. */
#include <errno.h>
#include <linux/input-event-codes.h>

#include "arm/migrate.h"
#include "components.h"
#include "software_private.h"

void machine_pause(struct machine *machine)
{
	struct error error;

	if (!machine->running)
		return;
	vcpus_pause(&machine->vm);
	/* Read the counter last: the workers' last requests belong to the time before the pause. */
	for (size_t i = 0; i < machine_component_count; i++)
		if (machine_components[i]->pause)
			machine_components[i]->pause(machine);
	machine->running = false;
	if (vcpus_get_counter(&machine->vm, &machine->clock.counter, &error) < 0)
		log_message(machine->config.log, LOG_LEVEL_WARNING, "the guest's clock keeps running while paused: %s", error.text);
}

void machine_resume(struct machine *machine)
{
	struct error error;

	if (machine->running)
		return;
	if (vcpus_set_counter(&machine->vm, machine->clock.counter, &error) < 0)
		log_message(machine->config.log, LOG_LEVEL_WARNING, "the guest's clock kept running while paused: %s", error.text);
	for (size_t i = 0; i < machine_component_count; i++)
		if (machine_components[i]->resume)
			machine_components[i]->resume(machine);
	machine->running = true;
	atomic_store(&machine->was_resumed, true);
	vcpus_resume(&machine->vm);
}

int machine_reset(struct machine *machine, struct error *error)
{
	const struct migrate migrate = {
		.vm = &machine->vm,
		.features = &machine->cpu_features,
		.interrupts = machine->gic_layout.interrupts,
	};

	for (size_t i = 0; i < machine_component_count; i++)
		if (machine_components[i]->reset)
			machine_components[i]->reset(machine);
	interrupts_reset_lines(&machine->vm.interrupts);
	if (migrate_reset(&migrate, error) < 0 || machine_software_load(machine, error) < 0)
		return -1;
	machine->clock.counter = 0;
	machine->clock.resets++;
	return 0;
}

int machine_press(struct machine *machine, enum machine_key key, struct error *error)
{
	bool power = key == MACHINE_KEY_POWER;

	/* Debian's cloud kernels have virtio-input but no gpio-keys; others have only gpio-keys. Press one key, not both. */
	if (gpio_press(&machine->gpio, power ? GPIO_LINE_POWER : GPIO_LINE_RESTART) ||
	    (machine->input && virtio_input_press(machine->input, power ? KEY_POWER : KEY_RESTART)))
		return 0;
	return error_set(error, ENODEV, "the guest does not listen to its %s key (no driver for gpio-keys or virtio-input)",
			 power ? "power" : "restart");
}
