# Two commands do everything on a fresh machine with Python 3.11+, gcc and make:
#   make demo   export the demo checkpoint, serve it with a real tritonserver, ask it about a photograph
#   make test   install, lint, type-check and run every test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check install kernels checkpoint kernels-report gpu-suite clean
.DELETE_ON_ERROR:

install: $(STAMP)

# The constraint makes pip take a CPU build of torch where one is offered; see README, "Installing".
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[train,export,openvino,rtx,server,dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/python -m lnlattennet.benchmarks.demo

test: $(STAMP) check kernels
	$(BIN)/pytest

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Their first use would build them too; here a failure is said once, not by every test.
kernels: $(STAMP)
	$(BIN)/lnlattennet kernels build --device cpu

# Trains the demo checkpoint again (under 30 minutes on 2 cores); checkpoints/README.md has its figures.
checkpoint: $(STAMP)
	$(BIN)/lnlattennet train --data synthetic --precision bf16-mixed --output checkpoints/demo.safetensors

# Builds, tests and measures the fused op on a bare machine with a GPU: torch, nvcc, numpy and pytest, no .venv.
RESULTS ?= benchmarks/results
gpu-suite:
	PYTHONPATH=src $(PYTHON) -m lnlattennet.benchmarks.gpu_suite --results $(RESULTS) $(SUITE)

# Compiles the CUDA kernels for every architecture (needs nvcc, no GPU) and writes docs/kernel-resources.md.
kernels-report: $(STAMP)
	$(BIN)/python -m lnlattennet.kernels.resources

clean:
	rm -rf $(VENV) build runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
