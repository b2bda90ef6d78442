# One door each. `make help` lists them.
GO ?= go
GRAFT := bin/graft

.PHONY: help build test pjrt-plugin test-pjrt check demo compare fuzz bench bench-peft bench-pjrt bench-plugin parity native native-test clean bench-tokenizers cuda cuda-toolchain cuda-check test-cuda test-cuda-host test-cuda-quick test-cuda-table test-cuda-step test-cuda-parity test-gpu-pack cuda-mutants test-gpu bench-gpu

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

build: ## bin/graft
	$(GO) build -o $(GRAFT) ./cmd/graft

test: ## every test that needs no GPU; nvcc over the kernels and a PJRT plugin where pip can fetch them
	$(GO) vet ./...
	$(GO) test -timeout 30m ./...
	cd tests/link && $(GO) test -timeout 30m ./...
	$(MAKE) --no-print-directory test-cuda
	@if python3 -m pip --version >/dev/null 2>&1; then $(MAKE) --no-print-directory cuda-check test-pjrt; \
	else echo "not run: what python3 -m pip fetches: nvcc for the kernels (make cuda-check), a PJRT plugin (make test-pjrt)"; fi

# The CPU plugin, a single release: its checksum is pinned.
PJRT_WHEEL := xla_cpu_pjrt-0.0.1-py3-none-manylinux_2_27_x86_64.whl
PJRT_SHA256 := 55837b6b7b47daa717f2d9a5a03563ea0ceaa338d06a81a1e2d3f060d960decc
PJRT_PLUGIN := $(CURDIR)/.cache/pjrt/xla_cpu_pjrt.so

pjrt-plugin: $(PJRT_PLUGIN) ## the PJRT plugin of the CPU, from PyPI into .cache/pjrt

$(PJRT_PLUGIN):
	mkdir -p .cache/pjrt
	python3 -m pip download -q --no-deps --only-binary=:all: --platform manylinux_2_27_x86_64 -d .cache/pjrt xla-cpu-pjrt==0.0.1
	cd .cache/pjrt && echo "$(PJRT_SHA256)  $(PJRT_WHEEL)" | sha256sum -c --quiet
	cd .cache/pjrt && python3 -m zipfile -e $(PJRT_WHEEL) unpacked && mv unpacked/xla_plugins/xla_cpu_pjrt/xla_cpu_pjrt.so . && rm -r unpacked $(PJRT_WHEEL)

test-pjrt: $(PJRT_PLUGIN) ## the operation table, training, generation and the commands on that plugin
	GRAFT_PJRT_PLUGIN=$(PJRT_PLUGIN) $(GO) test -timeout 40m -run PJRT ./bindings/pjrt ./go/device ./tests/optest ./tests/parity ./tests/e2e ./examples/demo

check: ## formatting, module files, the build without cgo and a run of it
	@test -z "$$(gofmt -l bindings cmd csrc go tests examples)" || { gofmt -l bindings cmd csrc go tests examples; echo "run gofmt -w on these"; exit 1; }
	$(GO) mod tidy -diff
	$(GO) mod verify
	CGO_ENABLED=0 $(GO) build ./...
	CGO_ENABLED=0 $(GO) test ./go/device ./tests/e2e -run 'TestWithoutCgo|TestFromDataToMergedModel'

demo: build ## learn a task from the Go standard library, in about five minutes
	$(GO) run ./examples/demo

FUZZTIME ?= 10m
fuzz: ## every parser of files, FUZZTIME (10m) each
	@grep -rl --include='*_test.go' '^func Fuzz' go | xargs -n1 dirname | sort -u | while read d; do \
		grep -ho '^func Fuzz[A-Za-z]*' $$d/*_test.go | cut -c6- | while read f; do \
			echo "$$d $$f"; $(GO) test ./$$d -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x || exit 1; \
		done || exit 1; \
	done

compare: ## every method on the demo's task, measured: the table and runs/compare/compare.html
	$(GO) run ./examples/demo -compare -out runs/compare

bench: ## operations, the whole step and the tokenizer on this machine; the step on a PJRT plugin, the tokenizers package where pip can fetch them
	$(GO) test -run '^$$' -bench . ./tests/optest ./tests/bench ./go/tokenizer
	@if python3 -m pip --version >/dev/null 2>&1; then $(MAKE) --no-print-directory bench-plugin bench-tokenizers; \
	else echo "not run: what python3 -m pip fetches: a PJRT plugin (make bench-plugin), the tokenizers package (make bench-tokenizers)"; fi

bench-plugin: $(PJRT_PLUGIN) ## the step on that plugin
	GRAFT_PJRT_PLUGIN=$(PJRT_PLUGIN) $(GO) test -run '^$$' -bench PJRT ./tests/bench

bench-peft: ## the step beside transformers + PEFT, installed from PyPI into .cache/peft
	tests/bench/peft.sh

bench-pjrt: $(PJRT_PLUGIN) ## the step on that plugin beside the same, float32
	GRAFT_PJRT_PLUGIN=$(PJRT_PLUGIN) tests/bench/peft.sh pjrt

bench-tokenizers: ## the tokenizer beside the tokenizers package, installed from PyPI into .cache/tokenizers
	tests/bench/tokenizers.sh

parity: ## regenerate the fixtures from transformers + PEFT and test against them
	tests/parity/make.sh

native: ## the CPU backend as a library, with its C++ tests
	cmake -S . -B build/native -DCMAKE_BUILD_TYPE=Release && cmake --build build/native -j2

native-test: native ## C++ tests, plain and with sanitizers
	ctest --test-dir build/native --output-on-failure
	cmake -S . -B build/sanitize -DGRAFT_SANITIZE=ON && cmake --build build/sanitize -j2
	ctest --test-dir build/sanitize --output-on-failure

cuda-toolchain: ## nvcc 13.0 from PyPI into .cache/cuda-toolchain, unless one is there
	$(MAKE) -C cuda toolchain

cuda: ## build/lib/libgraft_cuda.so for sm_80, 86, 89, 90a, 100, 120
	$(MAKE) -C cuda library

cuda-check: ## CUDA kernels for every architecture: registers, spills and shared memory within budget
	$(MAKE) -C cuda check

test-cuda: ## all of the CUDA tests that need no card and no nvcc, on the host emulation
	$(MAKE) -C cuda -j2 test-emulation

test-cuda-table: ## the operation table over the CUDA kernels, run by the host emulation
	$(MAKE) -C cuda -j2 test-table

test-cuda-quick: ## CUDA kernels on the host: three thread orders, sanitizers, the comparisons of the benchmarks
	$(MAKE) -C cuda -j2 test-quick

test-cuda-host: ## every CUDA kernel on the host: three thread orders, sanitizers, race detector
	$(MAKE) -C cuda -j2 test-host

test-cuda-step: ## the whole step on the CUDA kernels, run by the host emulation, against the CPU
	$(MAKE) -C cuda -j2 test-step

test-cuda-parity: ## every fixture of PyTorch, PEFT and transformers over the CUDA kernels, run by the host emulation
	$(MAKE) -C cuda -j2 test-parity

test-gpu-pack: ## build/gpu-tests: every test of a GPU, for a machine with a driver alone
	$(MAKE) -C cuda pack

cuda-mutants: ## broken CUDA kernels, each of which the tests must catch
	$(MAKE) -C cuda -j2 mutants

test-gpu: ## CUDA tests on a GPU, operations and whole steps, and under compute-sanitizer; fails without one
	$(MAKE) -C cuda test-gpu

bench-gpu: ## CUDA benchmarks on a GPU, into cuda/bench/results
	$(MAKE) -C cuda bench-gpu

clean: ## remove what was built
	rm -rf bin build
