# SPDX-License-Identifier: MIT
# lkvm: `make help` lists the targets.

.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

MACHINE := $(shell uname -m)
VERSION := 0.1.0
PREFIX ?= /usr/local
DESTDIR ?=
STATIC ?=

# V=1 shows the commands.
V ?=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-6s %s\n' '$(1)' '$(2)')

ifeq ($(MACHINE),aarch64)
CROSS_COMPILE ?=
else
CROSS_COMPILE ?= aarch64-linux-gnu-
endif
ARM64_CC := $(CROSS_COMPILE)gcc
ARM64_STRIP := $(CROSS_COMPILE)strip
HOST_CC ?= gcc

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wpointer-arith -Wcast-qual -Wwrite-strings -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wundef -Wvla -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough
CPPFLAGS := -D_GNU_SOURCE -Iinclude -DLKVM_VERSION='"$(VERSION)"'
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARNINGS) -fstack-protector-strong -ffunction-sections -fdata-sections \
	-fno-asynchronous-unwind-tables -fno-unwind-tables -ffile-prefix-map=$(CURDIR)=. -pthread
LINK_FLAGS := -pthread -Wl,--gc-sections -Wl,-z,relro,-z,now -Wl,--as-needed

# The folders are layers, the lowest first. scripts/check-layers holds them to that order.
LAYERS := util memory state snapshot kvm arm hw virtio vfio machine inspect save control cmd

# What a VM is made of; and the commands, some of which need no KVM.
VM_SOURCES := $(sort $(foreach layer,$(filter-out cmd,$(LAYERS)),$(wildcard $(layer)/*.c)))
SOURCES := main.c $(sort $(wildcard cmd/*.c)) $(VM_SOURCES)

# On x86-64, the commands that need no KVM; cmd/host/ stands in for the others.
HOST_SOURCES := main.c $(filter-out cmd/run.c cmd/detach.c cmd/machine_run.c cmd/snapshot_restore.c,$(sort $(wildcard cmd/*.c))) $(sort $(wildcard cmd/host/*.c)) \
	$(sort $(wildcard util/*.c memory/*.c state/*.c snapshot/*.c inspect/*.c arm/its_*.c arm/register*.c)) \
	kvm/probe_host.c kvm/probe_list.c virtio/disk_identity.c virtio/virtqueue.c vfio/address.c machine/config.c machine/config_texts.c \
	save/request.c control/client.c control/names.c

all: build/arm64/lkvm
ifneq ($(MACHINE),aarch64)
all: build/host/lkvm
endif

##
## Building
##
#: build/arm64/lkvm   the VMM (STATIC=1: fully static)
#: build/host/lkvm    on x86-64, the commands that need no KVM

# libfdt and zlib for arm64: from Debian's packages, unpacked into the user's cache; natively, the system's own.
ifneq ($(MACHINE),aarch64)
SYSROOT ?= $(shell scripts/arm64-debs sysroot)
ARM64_CPPFLAGS = -isystem $(SYSROOT)/usr/include
ARM64_LDFLAGS = -L$(SYSROOT)/usr/lib/aarch64-linux-gnu -Wl,-rpath-link,$(SYSROOT)/usr/lib/aarch64-linux-gnu
endif
ARM64_STATIC := $(if $(STATIC),-static)
ARM64_FLAVOUR := build/arm64/obj$(if $(STATIC),-static)

ARM64_OBJECTS := $(SOURCES:%.c=build/arm64/obj/%.o)
HOST_OBJECTS := $(HOST_SOURCES:%.c=build/host/obj/%.o)

# Relinks when STATIC changes.
build/arm64/link: FORCE
	@mkdir -p $(@D)
	@echo '$(ARM64_STATIC)' | cmp -s - $@ || echo '$(ARM64_STATIC)' >$@

build/arm64/lkvm: $(ARM64_OBJECTS) build/arm64/link
	$(call say,LINK,$@)
	$(Q)$(ARM64_CC) $(ARM64_STATIC) $(LINK_FLAGS) $(ARM64_LDFLAGS) -o $@ $(ARM64_OBJECTS) -lfdt -lz

# What runs once is small rather than fast: a little less code can be 64 KiB less file, the largest page's size.
build/arm64/obj/cmd/%.o build/arm64/obj/inspect/%.o build/arm64/obj/util/%.o: ALL_CFLAGS += -Os

build/arm64/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(ARM64_CC) $(CPPFLAGS) $(ARM64_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# arm64's KVM headers over the native ones, and nothing else of asm/: the rest would change system call numbers.
OVERLAY_HEADERS := kvm.h ptrace.h sve_context.h hwcap.h
ifneq ($(MACHINE),aarch64)
OVERLAY := build/overlay
ARM64_ASM ?= /usr/aarch64-linux-gnu/include/asm
$(OVERLAY)/.stamp: Makefile
	@mkdir -p $(OVERLAY)/asm
	$(Q)cp $(OVERLAY_HEADERS:%=$(ARM64_ASM)/%) $(OVERLAY)/asm/
	@touch $@
endif

build/host/lkvm: $(HOST_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(HOST_CC) $(LINK_FLAGS) -o $@ $^ -lz

build/host/obj/%.o: %.c Makefile $(if $(OVERLAY),$(OVERLAY)/.stamp)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(HOST_CC) $(if $(OVERLAY),-I$(OVERLAY)) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

##
## Testing
##
#: check              all tests: unit tests, then VM tests
#: check-quick        unit tests, and a dozen VM tests that touch every part: minutes
#: check-unit         unit tests, natively, under ASan and UBSan
#: check-tsan         the same unit tests under ThreadSanitizer
#: check-vm           tests on real KVM, in the emulated arm64 host (natively on arm64)
#: soak               the longer ones of them, which check leaves out
#: fuzz               fuzzers over the snapshot's parser and other input, FUZZ_SECONDS (60) each; needs clang

include tests/guest/guest.mk
include tests/irqchip/irqchip.mk

# What tests in the emulated host need beside busybox: static, so that they run wherever lkvm does.
VM_HELPERS := $(patsubst tests/vm/helpers/%.c,build/helpers/%,$(sort $(wildcard tests/vm/helpers/*.c)))

build/helpers/%: tests/vm/helpers/%.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(ARM64_CC) -D_GNU_SOURCE -std=gnu11 -O2 $(WARNINGS) -static -o $@ $<

# Unit tests are built twice: under ASan and UBSan in build/unit, under TSan in build/tsan.
UNIT_FLAGS := $(if $(OVERLAY),-I$(OVERLAY)) $(CPPFLAGS) -Itests -O1 $(filter-out -O2,$(ALL_CFLAGS))
UNIT_SOURCES := $(filter-out kvm/kvm.c vfio/ioctl.c,$(VM_SOURCES)) $(sort $(wildcard tests/fake/*.c)) \
	$(filter-out cmd/main.c,$(sort $(wildcard cmd/*.c)))
UNIT_PROGRAMS := $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/test_*.c)))
UNIT_OBJECTS := $(UNIT_SOURCES:%.c=build/unit/obj/%.o)
UNIT_TESTS := $(UNIT_PROGRAMS:%=build/unit/%)
TSAN_OBJECTS := $(UNIT_SOURCES:%.c=build/tsan/obj/%.o)
TSAN_TESTS := $(UNIT_PROGRAMS:%=build/tsan/%)

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# TSan does not know fences: those of virtio/virtqueue.c order accesses against the guest, not against threads of ours.
build/tsan/%: SANITIZE := -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan

# $(call unit_rules,FOLDER,OBJECTS)
define unit_rules
build/$(1)/obj/%.o: %.c Makefile $$(if $$(OVERLAY),$$(OVERLAY)/.stamp)
	@mkdir -p $$(@D)
	$$(call say,CC,$$@)
	$$(Q)$$(HOST_CC) $$(UNIT_FLAGS) $$(SANITIZE) -MMD -MP -c -o $$@ $$<

build/$(1)/lkvm.a: $(2)
	@rm -f $$@
	$$(call say,AR,$$@)
	$$(Q)$$(HOST_CC:gcc=ar) rcs $$@ $$^

build/$(1)/test_%: build/$(1)/obj/tests/unit/test_%.o build/$(1)/lkvm.a
	$$(call say,LINK,$$@)
	$$(Q)$$(HOST_CC) $$(SANITIZE) -pthread -o $$@ $$^ -lcmocka -lfdt -lz
endef
$(eval $(call unit_rules,unit,$(UNIT_OBJECTS)))
$(eval $(call unit_rules,tsan,$(TSAN_OBJECTS)))

# Makes and prints golden snapshots: tests/golden/README.md.
build/unit/golden: build/unit/obj/tests/golden/golden.o build/unit/lkvm.a
	$(call say,LINK,$@)
	$(Q)$(HOST_CC) $(SANITIZE) -pthread -o $@ $^ -lcmocka -lfdt -lz

.PRECIOUS: build/unit/obj/%.o build/tsan/obj/%.o

check: check-unit check-vm

check-quick: $(UNIT_TESTS) build/arm64/lkvm vm-programs
	tests/unit/run $(UNIT_TESTS)
	tests/vm/run --host 6.12 --guest 6.12 $$(grep -v '^#' tests/vm/quick)

check-unit: $(UNIT_TESTS)
	tests/unit/run $(UNIT_TESTS)

check-tsan: $(TSAN_TESTS)
	tests/unit/run --tsan $(TSAN_TESTS)

# All that tests/vm/run takes along beside lkvm itself; it asks for this, too.
vm-programs: $(GUEST_BINARIES) $(VM_HELPERS) $(IRQCHIP_PROGRAM)

check-vm: build/arm64/lkvm vm-programs
	tests/vm/run

soak: build/arm64/lkvm vm-programs
	tests/vm/run --soak

include tests/fuzz/fuzz.mk

##
## Quality
##
#: lint               layering, gcc -fanalyzer, cppcheck, clang-tidy, shellcheck, manual page
#: bench              figures beside Debian's arm64 QEMU, in the same emulated host; of inspect, here
lint:
	scripts/lint

bench: build/arm64/lkvm
	scripts/bench
	scripts/bench-inspect

# Makes large snapshots of small ones; tells what commands cost. Both run here.
build/bench/cost: build/host/obj/tests/bench/cost.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(HOST_CC) -o $@ $^

build/bench/enlarge build/bench/checksum: build/bench/%: build/host/obj/tests/bench/%.o $(filter-out build/host/obj/main.o build/host/obj/cmd/%,$(HOST_OBJECTS))
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(HOST_CC) $(LINK_FLAGS) -o $@ $^ -lz

##
## Installing
##
#: install            into $(DESTDIR)$(PREFIX)
# The completion is made from the command table, by whichever binary runs here.
build/lkvm.bash: $(if $(filter aarch64,$(MACHINE)),build/arm64/lkvm,build/host/lkvm)
	$(Q)$< completion bash >$@

install: build/arm64/lkvm build/lkvm.bash
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions
	install -m 755 build/arm64/lkvm $(DESTDIR)$(PREFIX)/bin/lkvm
	install -m 644 docs/lkvm.1 $(DESTDIR)$(PREFIX)/share/man/man1/lkvm.1
	install -m 644 build/lkvm.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lkvm

#: clean              removes build/
clean:
	rm -rf build

#: help               this list
help:
	@echo 'Targets of lkvm $(VERSION):'
	@sed -n 's/^#: /  /p' Makefile

FORCE:
.PHONY: all check check-quick check-unit check-tsan check-vm soak vm-programs lint bench install clean help FORCE

-include $(ARM64_OBJECTS:.o=.d) $(HOST_OBJECTS:.o=.d) $(UNIT_OBJECTS:.o=.d) $(TSAN_OBJECTS:.o=.d) \
	$(UNIT_PROGRAMS:%=build/unit/obj/tests/unit/%.d) $(UNIT_PROGRAMS:%=build/tsan/obj/tests/unit/%.d)
