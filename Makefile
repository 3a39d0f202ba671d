# Everything that people and CI do with this repository. `make` alone lists it.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
# Containers often set it. Without compiled files, each process compiles all modules, and pytest rewrites all tests again.
unexport PYTHONDONTWRITEBYTECODE

PYTHON ?= python3
BIN := .venv/bin
LOCKS := requirements/dev.lock requirements/triton.lock
OPERATORS := appliance/ops/source tests/ops/native
PROTO := appliance/gateway/proto/appliance/v1/inference.proto
MODEL := qwen2.5-coder-0.5b-instruct
LARGER_MODEL := qwen2.5-coder-1.5b-instruct
# For a machine with a GPU: the folder its wheels are carried in, its Python, and CUDA=installed where CUDA 13 is.
GPU_WHEELS ?= gpu-wheels
GPU_PYTHON ?= 3.12
GPU_LOCKS := requirements/cuda.lock requirements/triton.lock $(if $(filter installed,$(CUDA)),,requirements/cuda-libraries.lock)
PIECE := 48M
# Each has an event loop, boxes and browsers of its own; two fit the smallest machine.
WORKERS ?= 2

# $(call environment,FOLDER,LOCKS,MORE): a virtual environment with exactly the locked wheels, and then MORE (pip's words).
# Its stamp holds a digest of what it was made from: nothing happens while that is unchanged.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' \
		|| { echo 'error: this needs Python 3.10, 3.11 or 3.12; set it, for example: make PYTHON=python3.12 …' >&2; exit 1; }
	@digest="$$(cat $(2) $(if $(3),pyproject.toml) | sha256sum) $$($(PYTHON) -V)"; \
	if [ "$$(cat $(1)/made-from 2>/dev/null || true)" != "$$digest" ]; then \
		echo "Making $(1) from $(2)"; \
		$(PYTHON) -m venv --clear $(VENV) $(1); \
		$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes $(addprefix -r ,$(2)); \
		$(if $(3),$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(3);) \
		echo "$$digest" > $(1)/made-from; \
	fi
endef

# $(call marked,MARK,MORE): the tests with a mark, from the files that have it: to collect all takes longer than some proofs.
define marked
	$(BIN)/pytest -m $(1) $(2) $$(grep --recursive --files-with-matches --include='test_*.py' 'mark\.$(1)\b' tests)
endef

.PHONY: help setup check test proofs native redteam client-test quality coverage demo docs wording proto lock vendor oracle bench peers gpu-wheels gpu-setup gpu-test gpu-bench clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Create .venv from the lock files and compile the operators; does nothing if both are unchanged
	$(call environment,.venv,$(LOCKS),--no-build-isolation --editable .)
	@$(BIN)/python -m appliance.ops.toolchain

check: setup ## Check lint, format, types, lock files, generated files and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	find $(OPERATORS) -name '*.cpp' -o -name '*.h' | xargs $(BIN)/clang-format --dry-run -Werror
	$(BIN)/mypy
	$(BIN)/python requirements/lock.py --check
	$(BIN)/python requirements/browser.py --check
	$(BIN)/pytest --quiet tests/test_imports.py tests/test_generated.py

test: setup ## Run all tests except the proofs, with the real model and a real Triton; WORKERS=2 in parallel
	$(BIN)/pytest -n $(WORKERS) --dist loadscope

proofs: setup ## Run the tests that take longest: the real model, the red team
	$(call marked,proof,-n $(WORKERS) --dist loadscope)

native: setup ## Run clang-tidy, sanitizers, cross-compilers and emulators on the operators' C++: after each change of it
	$(call marked,native)

coverage: setup ## Run all tests and proofs, and report the code that they do not reach
	$(BIN)/pytest -m '' --cov --cov-report=term

demo: setup ## Download, verify and export a model, serve it with Triton, and ask it a question
	$(BIN)/appliance model pull $(MODEL)
	$(BIN)/appliance export $(MODEL) --target cpu
	$(BIN)/python -m appliance.cli.demo $(MODEL)

docs: setup ## Generate the reference pages in docs/ from the code
	$(BIN)/python -m tests.reference docs

wording: setup ## Write tests/golden/errors.txt, every line that a failure can print, from the code
	$(BIN)/python -m tests.wording

proto: setup ## Generate the gRPC stubs from our schema
	$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. $(PROTO)
	sed -i '1i # mypy: disable-error-code="type-arg"' $(PROTO:.proto=_pb2.pyi)

lock: setup ## Find the newest versions that fit together, and write the lock files
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python requirements/lock.py

vendor: setup ## Fetch the libraries of the chat page with npm, as requirements/browser.json lists them; VENDOR=--update
	$(BIN)/python requirements/browser.py $(VENDOR)

oracle: ## Generate tests/golden again with torch and transformers, in a separate environment; GGUF=file
	$(call environment,.venv-oracle,requirements/oracle.lock)
	.venv-oracle/bin/python -m tests.oracle $(if $(GGUF),--gguf $(GGUF))

client-test: setup ## Run the clients that people use, in environments of their own, against a real box; CLIENTS="--only litellm"
	$(BIN)/python -m tests.clients $(CLIENTS)

quality: setup ## Evaluate a real box, and torch with the same weights, with lm-evaluation-harness
	$(call environment,.venv-oracle,requirements/oracle.lock)
	$(BIN)/python -m tests.quality

redteam: setup ## Attack a real box with all known attacks and fuzzing, and print the results; REDTEAM="--seconds 60 --seed N"
	$(BIN)/python -m tests.redteam $(REDTEAM)

bench: setup ## Compare the performance with other engines and print the tables; options: BENCH="--quick"
	@$(MAKE) peers || echo 'Some of the other engines could not be installed; the tables show them as absent.' >&2
	$(BIN)/appliance model pull $(MODEL)
	$(BIN)/appliance model pull $(LARGER_MODEL)
	$(BIN)/python -m bench $(BENCH)

# llama.cpp is compiled on the machine that is measured. gcc 12 deletes parts of AMX's tile configuration as dead stores,
# and llama.cpp then crashes on CPUs with AMX: https://github.com/ggml-org/llama.cpp/issues/20824
peers: export CXXFLAGS := -fno-tree-dse -fno-dse
peers: ## Create the environments of the other engines for `make bench`, and of the Model Builder that one needs
	$(call environment,.venv-bench,requirements/bench.lock)
	$(call environment,.venv-oracle,requirements/oracle.lock)

gpu-wheels: setup ## Download the wheels for a GPU machine without a network, in pieces; GPU_WHEELS=folder GPU_PYTHON=3.12
	mkdir -p $(GPU_WHEELS)
	for lock in $(GPU_LOCKS); do \
		$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
			--python-version $(GPU_PYTHON).9 --implementation cp --abi cp$(subst .,,$(GPU_PYTHON)) --abi abi3 --abi none \
			$$(seq --format='--platform manylinux_2_%.0f_x86_64' 5 39) --platform manylinux2014_x86_64 \
			--platform manylinux2010_x86_64 --platform manylinux1_x86_64 --dest $(GPU_WHEELS) -r $$lock; \
	done
	find $(GPU_WHEELS) -name '*.whl' -size +$(PIECE) | while read -r wheel; do \
		split --bytes=$(PIECE) --numeric-suffixes "$$wheel" "$$wheel.part" && rm "$$wheel"; \
	done
	@du -sh $(GPU_WHEELS)

# Pip reads these; the locks' hashes hold for what was carried, too.
ifneq ($(wildcard $(GPU_WHEELS)),)
gpu-setup: export PIP_NO_INDEX := 1
gpu-setup: export PIP_FIND_LINKS := $(abspath $(GPU_WHEELS))
endif
gpu-setup: ## Create .venv-gpu, from the wheels in GPU_WHEELS if that folder exists
	@find $(wildcard $(GPU_WHEELS)) -maxdepth 1 -name '*.part00' | while read -r first; do \
		wheel="$${first%.part00}"; test -e "$$wheel" || cat "$$wheel".part* > "$$wheel"; \
	done
	$(call environment,.venv-gpu,$(GPU_LOCKS),--no-build-isolation --editable .)
	@.venv-gpu/bin/python -m appliance.ops.toolchain

gpu-test: gpu-setup ## On a machine with an NVIDIA GPU: run the GPU tests; CUDA=installed uses the machine's CUDA
	APPLIANCE_TEST_GPU=required .venv-gpu/bin/pytest tests/on_gpu

gpu-bench: gpu-setup ## On a machine with an NVIDIA GPU: measure its performance; options: BENCH="--peer-python python3"
	.venv-gpu/bin/python -m bench gpu $(BENCH)

clean: ## Delete the environments and caches in this folder; keep models and exports
	rm -rf .venv .venv-oracle .venv-bench .venv-gpu .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
