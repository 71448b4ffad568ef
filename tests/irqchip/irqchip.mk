# SPDX-License-Identifier: MIT
# The tests of vGICv3 and ITS without a guest: build/guest/irqchip, run by tests/vm/81-irqchip.sh.

IRQCHIP_PROGRAM := build/guest/irqchip
IRQCHIP_OBJECTS := $(patsubst %,build/arm64/obj/%.o,$(basename $(sort $(wildcard tests/irqchip/*.c tests/irqchip/*.S))))

# Static: where it runs there is nothing but lkvm's own libraries.
$(IRQCHIP_PROGRAM): $(IRQCHIP_OBJECTS) $(VM_SOURCES:%.c=build/arm64/obj/%.o)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(ARM64_CC) -static $(LINK_FLAGS) $(ARM64_LDFLAGS) -o $@ $^ -lfdt -lz

build/arm64/obj/tests/irqchip/%.o: tests/irqchip/%.S Makefile
	@mkdir -p $(@D)
	$(call say,AS,$@)
	$(Q)$(ARM64_CC) -c -o $@ $<

-include $(IRQCHIP_OBJECTS:.o=.d)
