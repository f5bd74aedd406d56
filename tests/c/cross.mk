# SPDX-License-Identifier: Apache-2.0
# Builds the C tests for another architecture and runs them under an emulator: `make ctest-cross` calls
# this in the root, with -j, TRIPLE and C_FLAGS.

CPU := $(firstword $(subst -, ,$(TRIPLE)))
COMPILER := $(shell command -v $(TRIPLE)-gcc)
# -L: where Debian keeps the libraries of the architecture.
EMULATOR := $(firstword $(foreach name,qemu-$(CPU)-static qemu-$(CPU),$(shell command -v $(name))))
RUN := $(EMULATOR) -L /usr/$(TRIPLE)
FOLDER := build/cross/$(TRIPLE)
HEADERS := $(wildcard csrc/*.h tests/c/*.h)
OBJECTS := $(patsubst csrc/%.c,$(FOLDER)/core/%.o,$(sort $(wildcard csrc/*.c)))
TESTS := $(patsubst tests/c/%.c,%,$(sort $(wildcard tests/c/test_*.c)))

.DELETE_ON_ERROR:
.PHONY: run found $(TESTS)

run: $(TESTS)

# Succeeds where compiler and emulator are installed.
found:
	@test -n '$(COMPILER)' -a -n '$(EMULATOR)'

$(TESTS): %: $(FOLDER)/%
	$(RUN) $<

$(TESTS:%=$(FOLDER)/%): $(FOLDER)/%: tests/c/%.c $(OBJECTS) $(HEADERS)
	@echo '$(TRIPLE)-gcc $@'
	@$(COMPILER) $(C_FLAGS) @$(FOLDER)/sanitizers -pthread -o $@ $< $(OBJECTS)

$(OBJECTS): $(FOLDER)/core/%.o: csrc/%.c $(HEADERS) $(FOLDER)/sanitizers
	@mkdir -p $(@D)
	@$(COMPILER) $(C_FLAGS) @$(FOLDER)/sanitizers -c -o $@ $<

# Compiler options as a file: the emulator of AArch64 has room for ASan's shadow, that of s390x has not.
$(FOLDER)/sanitizers:
	@mkdir -p $(@D)
	@echo 'int main(void) { return 0; }' > $@.c
	@for kinds in address,undefined undefined; do \
		echo "-fsanitize=$$kinds -fno-sanitize-recover=all" > $@; \
		if $(COMPILER) @$@ -o $@.probe $@.c && $(RUN) $@.probe; then break; fi; : > $@; \
	done 2> /dev/null
	@test -s $@ || { echo '$(TRIPLE): no sanitizer runs' >&2; exit 1; }
	@echo "$(TRIPLE): $$(cat $@)"
