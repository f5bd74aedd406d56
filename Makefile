# SPDX-License-Identifier: Apache-2.0
# All that a contributor or CI runs; needs python3 with venv, a C compiler, make. See `make help`.

PYTHON ?= python3
CLANG ?= clang
CLANG_FORMAT ?= clang-format
FUZZ_SECONDS ?= 600

VENV := .venv
BIN := $(VENV)/bin
C_SOURCES := $(sort $(wildcard csrc/*.c))
C_HEADERS := $(sort $(wildcard csrc/*.h tests/c/*.h))
C_FORMATTED := $(C_SOURCES) $(C_HEADERS) $(sort $(wildcard tests/c/*.c benchmarks/*.c))
C_TESTS := $(patsubst tests/c/%.c,build/ctest/%,$(sort $(wildcard tests/c/test_*.c)))
C_OBJECTS := $(C_SOURCES:csrc/%.c=build/ctest/core/%.o)
FUZZERS := $(patsubst tests/c/%.c,build/fuzz/%,$(sort $(wildcard tests/c/fuzz_*.c)))

WARNINGS := -Wall -Wextra -Wconversion -Wvla -Werror
SANITIZERS := -fsanitize=address,undefined -fno-sanitize-recover=all
C_FLAGS := -std=c11 -O1 -g -fno-omit-frame-pointer -Icsrc $(WARNINGS)
# AArch64 runs the NEON kernels, s390x is big-endian.
CROSS_TRIPLES := aarch64-linux-gnu s390x-linux-gnu
# The core allocates nothing, so leaks could only be a test's own; LSan fails where ptrace is off.
export ASAN_OPTIONS ?= detect_leaks=0
export UBSAN_OPTIONS ?= print_stacktrace=1

# With ZNL_CI=1 a check that can't be made is a failure, not a warning.
ZNL_CI ?=
TOLERATE := [ '$(ZNL_CI)' != 1 ]

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The steps of `test` and `test-all` are listed in the order in which their output should be read.
.NOTPARALLEL:
.PHONY: help venv build test test-all lint ctest ctest-cross pytest fuzz fuzz-briefly demo clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

# --- environment and extension --------------------------------------------------------------------

venv: $(VENV)/dev.stamp ## make .venv with the package (editable) and all that `test` needs

$(VENV)/dev.stamp: pyproject.toml setup.py
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

build: $(VENV)/native.stamp ## compile csrc/ in place, again after each change

$(VENV)/native.stamp: $(VENV)/dev.stamp $(C_SOURCES) $(C_HEADERS) zipnn_like/_ffi_build.py
	$(BIN)/python setup.py --quiet build_ext --inplace
	touch $@

# --- tests ----------------------------------------------------------------------------------------

test: lint ctest pytest ## style, types, C tests under sanitizers, Python tests

test-all: lint ctest ctest-cross fuzz-briefly pytest ## test, other CPUs, 20 seconds of fuzzing

lint: $(VENV)/dev.stamp ## ruff, mypy, and clang-format 14 where it is installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict
	@if $(CLANG_FORMAT) --version 2> /dev/null | grep -q 'version 14\.'; \
	then $(CLANG_FORMAT) --dry-run -Werror $(C_FORMATTED); \
	else echo 'WARNING: $(CLANG_FORMAT) is not version 14: FORMAT OF C NOT CHECKED' >&2; fi

pytest: $(VENV)/native.stamp ## the Python tests
	$(BIN)/python -m pytest

ctest: $(C_TESTS) ## C tests with ASan and UBSan
	$(if $(C_TESTS),,$(error no tests/c/test_*.c))
	@test -s build/ctest/sanitizers || \
		{ echo 'WARNING: $(CC) has no ASan/UBSan: run UNSANITIZED' >&2; $(TOLERATE); }
	@set -e; for test in $(C_TESTS); do echo "$$test"; $$test; done

$(C_TESTS): build/ctest/%: tests/c/%.c $(C_OBJECTS) $(C_HEADERS)
	$(CC) $(C_FLAGS) @build/ctest/sanitizers -pthread -o $@ $< $(C_OBJECTS)

$(C_OBJECTS): build/ctest/core/%.o: csrc/%.c $(C_HEADERS) build/ctest/sanitizers
	@mkdir -p $(@D)
	$(CC) $(C_FLAGS) @build/ctest/sanitizers -c -o $@ $<

# The sanitizer flags as a file of compiler options, or an empty one where they do not link.
build/ctest/sanitizers:
	@mkdir -p $(@D)
	@echo 'int main(void) { return 0; }' > $@.c
	@if $(CC) $(SANITIZERS) -o $@.probe $@.c 2> /dev/null && $@.probe; \
	then echo '$(SANITIZERS)' > $@; else : > $@; fi

ctest-cross: ## C tests on emulated AArch64 and s390x: with UBSan, and ASan where it runs
	@set -e; for triple in $(CROSS_TRIPLES); do \
		cross="$(MAKE) --no-print-directory -f tests/c/cross.mk TRIPLE=$$triple"; \
		if $$cross --silent found 2> /dev/null; \
		then $$cross -j "$$(nproc)" C_FLAGS='$(C_FLAGS) -O2'; \
		else echo "WARNING: no $$triple-gcc or no qemu for it: NOT TESTED" >&2; $(TOLERATE); fi; \
	done

# --- fuzzing --------------------------------------------------------------------------------------

fuzz: $(FUZZERS) ## run each fuzzer for FUZZ_SECONDS (600); findings go to build/fuzz/
	$(if $(FUZZERS),,$(error no tests/c/fuzz_*.c))
	@set -e; for fuzzer in $(FUZZERS); do \
		name=$${fuzzer##*/}; mkdir -p build/fuzz/corpus/$$name; \
		seeds=; if [ -d tests/c/seeds/$$name ]; then seeds=tests/c/seeds/$$name; fi; \
		echo "$$fuzzer: $(FUZZ_SECONDS) seconds"; \
		$$fuzzer -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -verbosity=0 \
			-print_final_stats=1 -artifact_prefix=build/fuzz/ build/fuzz/corpus/$$name $$seeds; \
	done

$(FUZZERS): build/fuzz/%: tests/c/%.c $(C_SOURCES) $(C_HEADERS)
	@mkdir -p $(@D)
	$(CLANG) $(C_FLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
		-o $@ $< $(C_SOURCES)

fuzz-briefly: # 20 seconds, where clang and its fuzzer runtime are installed
	@mkdir -p build/fuzz
	@printf '%s\n' '#include <stdint.h>' '#include <stddef.h>' \
		'int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);' \
		'int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n) { return !in && n; }' \
		> build/fuzz/probe.c
	@if [ -z '$(FUZZERS)' ]; then echo 'WARNING: no tests/c/fuzz_*.c: NOT FUZZED' >&2; $(TOLERATE); \
	elif $(CLANG) -fsanitize=fuzzer,address -o build/fuzz/probe build/fuzz/probe.c 2> /dev/null; \
	then $(MAKE) --no-print-directory fuzz FUZZ_SECONDS=20; \
	else echo 'WARNING: $(CLANG) has no -fsanitize=fuzzer: NOT FUZZED' >&2; $(TOLERATE); fi

# --- the rest -------------------------------------------------------------------------------------

demo: $(VENV)/native.stamp ## compress a real model, restore and compare it, beside zstd
	$(BIN)/python benchmarks/demo.py

clean: ## remove what was built, .venv included
	rm -rf $(VENV) build dist wheelhouse *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -f zipnn_like/_native*.so zipnn_like/_native*.pyd zipnn_like/_native*.c
	find benchmarks tests zipnn_like -name __pycache__ -type d -prune -exec rm -rf {} +
