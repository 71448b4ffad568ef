# SPDX-License-Identifier: MIT
# Fuzzers: `make fuzz`.

# libFuzzer comes with clang. Warnings are gcc's business, above.
FUZZ_CC ?= clang
FUZZ_SECONDS ?= 60
FUZZ_PARSER_SECONDS ?= $(FUZZ_SECONDS)
FUZZ_FLAGS := $(if $(OVERLAY),-I$(OVERLAY)) $(CPPFLAGS) -Itests -std=gnu11 -O1 -g -pthread $(SANITIZE) -fsanitize=fuzzer-no-link \
	-Wno-gnu-variable-sized-type-not-at-end
FUZZ_SOURCES := $(filter-out kvm/kvm.c,$(VM_SOURCES)) tests/fake/driver.c tests/fake/kvm.c
FUZZ_OBJECTS := $(FUZZ_SOURCES:%.c=build/fuzz/obj/%.o)
# The parser's first: they run longest.
FUZZERS := $(addprefix build/fuzz/fuzz_,sections snapshot stream boot devices tables inspect)

build/fuzz/obj/%.o: %.c Makefile $(if $(OVERLAY),$(OVERLAY)/.stamp)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -MMD -MP -c -o $@ $<

build/fuzz/lkvm.a: $(FUZZ_OBJECTS)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)ar rcs $@ $^

build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o build/fuzz/lkvm.a
	$(call say,LINK,$@)
	$(Q)$(FUZZ_CC) $(SANITIZE) -fsanitize=fuzzer -pthread -o $@ $^ -lfdt -lz

build/fuzz/make_seeds: build/fuzz/obj/tests/fuzz/make_seeds.o build/fuzz/lkvm.a
	$(call say,LINK,$@)
	$(Q)$(FUZZ_CC) $(SANITIZE) -pthread -o $@ $^ -lfdt -lz

.PRECIOUS: build/fuzz/obj/%.o

fuzz: $(FUZZERS)
	FUZZ_SECONDS='$(FUZZ_SECONDS)' FUZZ_PARSER_SECONDS='$(FUZZ_PARSER_SECONDS)' tests/fuzz/run $(FUZZERS)

# After the snapshot's format changed.
fuzz-seeds: build/fuzz/make_seeds
	build/fuzz/make_seeds tests/fuzz/corpus

.PHONY: fuzz fuzz-seeds

-include $(FUZZ_OBJECTS:.o=.d) $(wildcard build/fuzz/obj/tests/fuzz/*.d)
