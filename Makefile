# The front door. Meson does the building; `make` with no word shows what there is.
# The system's own python3, not a version manager's shim, runs the build and the tests.
export PATH := /usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

PYTHON := /usr/bin/python3
BUILD ?= build
SANITIZED := $(BUILD)-asan
THREADS := $(BUILD)-tsan
CLANG := $(BUILD)-clang
SUITES := $(PYTHON) scripts/suites.py --build $(BUILD)
DEPS ?= scripts/deps.sh
FUZZ_SECONDS ?= 60
SOAK_RUNS ?= 200000
prefix ?= /usr/local

# The microVM engine on ordinary KVM, under QEMU's software emulation: some minutes.
.PHONY: test-vanilla-kvm
# test-microvm: the Python suites on the microVM engine alone.
.PHONY: help build demo test test-meson test-sanitized test-threads test-clang test-python test-microvm lint \
	format bench fidelity fuzz soak install clean

help:
	@echo "make build    build/pysandbox and the library"
	@echo "make demo     install what is missing, build, run the three examples"
	@echo "make test     every suite, with gcc, clang and the sanitizers"
	@echo "make lint     formatting, clang-tidy, banned functions, sizes"
	@echo "make bench    the figures of this machine"
	@echo "make fidelity CPython's, numpy's and pandas' own tests in a microVM: some hours"
	@echo "make fuzz     every fuzz target for FUZZ_SECONDS ($(FUZZ_SECONDS)) seconds"
	@echo "make soak     SOAK_RUNS ($(SOAK_RUNS)) executions with random ends: nothing may grow"
	@echo "make install  into prefix ($(prefix))"
	@echo "make format   clang-format, in place"

$(BUILD)/build.ninja:
	$(DEPS) build
	meson setup $(BUILD) --prefix=$(abspath $(prefix))

build: $(BUILD)/build.ninja
	ninja -C $(BUILD)

demo: build
	@$(BUILD)/pysandbox demo

test: build
	$(DEPS) test
	$(SUITES) all

test-meson test-sanitized test-threads test-clang test-python test-microvm: build
	$(DEPS) test
	$(SUITES) $(@:test-%=%)

test-vanilla-kvm: build
	$(DEPS) test vanilla-kvm
	$(PYTHON) tests/vanilla-kvm/rig.py $(BUILD)

lint:
	$(DEPS) build lint
	@test -e $(BUILD)/build.ninja || meson setup $(BUILD)
	$(PYTHON) scripts/lint.py --build $(BUILD)

format:
	git ls-files '*.c' '*.h' | xargs clang-format -i

bench: build
	$(DEPS) test
	$(PYTHON) bench/run.py --command $(BUILD)/pysandbox

fidelity: build
	$(DEPS) test fidelity
	$(PYTHON) scripts/fidelity.py --command $(BUILD)/pysandbox
	-$(PYTHON) scripts/fidelity_pytest.py numpy --command $(BUILD)/pysandbox
	-$(PYTHON) scripts/fidelity_pytest.py pandas --command $(BUILD)/pysandbox

soak: build
	PYSANDBOX=$(abspath $(BUILD))/pysandbox $(PYTHON) tests/soak/soak.py -n $(SOAK_RUNS)

fuzz:
	$(DEPS) build test
	FUZZ_SECONDS=$(FUZZ_SECONDS) scripts/fuzz.sh $(BUILD)-fuzz

install: build
	meson configure $(BUILD) --prefix=$(abspath $(prefix))
	meson install -C $(BUILD)

clean:
	rm -rf $(BUILD) $(SANITIZED) $(THREADS) $(CLANG) $(BUILD)-fuzz
