# SPDX-License-Identifier: MIT
# Bare-metal guests of the VM tests: build/guest/NAME.bin, loaded by `lkvm run --kernel`.

GUEST_NAMES := hello garbage reset edu mtty scan overwrite idle panic
GUEST_BINARIES := $(GUEST_NAMES:%=build/guest/%.bin)
GUEST_OBJCOPY := $(CROSS_COMPILE)objcopy

# No libc and no floating point; position-independent, since a loader chooses the address; aligned accesses,
# since memory is Device memory until the MMU is on.
GUEST_CFLAGS := -std=gnu11 -O2 -g $(WARNINGS) -ffreestanding -fno-builtin -mgeneral-regs-only -mstrict-align \
	-fpie -fvisibility=hidden -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-tree-loop-distribute-patterns -ffunction-sections -fdata-sections -ffile-prefix-map=$(CURDIR)=. \
	-Itests/guest
GUEST_LDFLAGS := -nostdlib -static -Wl,-pie,--no-dynamic-linker,-z,notext,-z,max-page-size=4096,--gc-sections \
	-Wl,--build-id=none,-T,tests/guest/lib/guest.lds

GUEST_LIB := $(addprefix tests/guest/lib/,start.o probe.o runtime.o parameters.o mmu.o)
GUEST_DEVICES := $(addprefix tests/guest/lib/,pci.o virtio.o gic.o)

GUEST_PARTS_hello := $(GUEST_LIB) tests/guest/hello.o
GUEST_PARTS_garbage := tests/guest/lib/image_header.o $(GUEST_LIB) $(GUEST_DEVICES) \
	$(patsubst %.c,%.o,$(sort $(wildcard tests/guest/garbage/*.c)))
GUEST_PARTS_edu := tests/guest/lib/image_header.o $(GUEST_LIB) $(GUEST_DEVICES) tests/guest/edu/main.o
GUEST_PARTS_mtty := tests/guest/lib/image_header.o $(GUEST_LIB) $(GUEST_DEVICES) tests/guest/mtty/main.o
GUEST_PARTS_scan := tests/guest/lib/image_header.o $(GUEST_LIB) $(GUEST_DEVICES) tests/guest/scan.o
GUEST_PARTS_overwrite := tests/guest/lib/image_header.o $(GUEST_LIB) $(GUEST_DEVICES) tests/guest/overwrite.o
GUEST_PARTS_idle := tests/guest/lib/image_header.o $(GUEST_LIB) $(GUEST_DEVICES) tests/guest/idle.o
GUEST_PARTS_panic := tests/guest/lib/image_header.o $(GUEST_LIB) $(GUEST_DEVICES) tests/guest/panic.o
GUEST_PARTS_reset := tests/guest/lib/image_header.o $(GUEST_LIB) $(GUEST_DEVICES) \
	$(patsubst %.c,%.o,$(sort $(wildcard tests/guest/reset/*.c)))

# Objects lie outside build/guest, all of which goes into the machine that runs the tests.
GUEST_OBJECTS := $(addprefix build/guest-obj/,$(sort $(foreach name,$(GUEST_NAMES),$(GUEST_PARTS_$(name)))))

define guest_program
build/guest-obj/$(1).elf: $(addprefix build/guest-obj/,$(GUEST_PARTS_$(1))) tests/guest/lib/guest.lds
	$$(call say,LINK,$$@)
	$$(Q)$$(ARM64_CC) $$(GUEST_LDFLAGS) -o $$@ $$(filter %.o,$$^)
endef
$(foreach name,$(GUEST_NAMES),$(eval $(call guest_program,$(name))))

build/guest/%.bin: build/guest-obj/%.elf
	@mkdir -p $(@D)
	$(call say,BIN,$@)
	$(Q)$(GUEST_OBJCOPY) -O binary $< $@

build/guest-obj/%.o: %.c Makefile tests/guest/guest.mk
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(ARM64_CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

build/guest-obj/%.o: %.S Makefile tests/guest/guest.mk
	@mkdir -p $(@D)
	$(call say,AS,$@)
	$(Q)$(ARM64_CC) $(GUEST_CFLAGS) -MMD -MP -c -o $@ $<

.PRECIOUS: build/guest-obj/%.elf build/guest-obj/%.o

-include $(GUEST_OBJECTS:.o=.d)
