# Two commands do everything on a fresh machine with Python 3.11+, gcc and make:
#   make demo   export the demo checkpoint, serve it with a real tritonserver, ask it about a photograph
#   make test   install, lint, type-check and run every test
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check install kernels checkpoint results figures kernels-report gpu-suite clean
.DELETE_ON_ERROR:

install: $(STAMP)

# The constraint makes pip take a CPU build of torch where one is offered; see README, "Installing".
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[train,export,openvino,rtx,server,dev]'
	touch $@

demo: $(STAMP)
	$(BIN)/python examples/demo.py

# Two files at a time: most tests keep one core busy.
test: $(STAMP) check kernels
	$(BIN)/pytest -n 2 --dist loadfile

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Their first use would build them too; here a failure is said once, not by every test.
kernels: $(STAMP)
	$(BIN)/lnlattennet kernels build --device cpu

# Trains the demo checkpoint again (35 minutes on 2 cores); checkpoints/README.md has its figures.
checkpoint: $(STAMP)
	$(BIN)/lnlattennet train --data synthetic --precision bf16-mixed --train-images 24000 --seed 2 \
		--output checkpoints/demo.safetensors

# Trains the network and its ablations on rendered faces and writes docs/records/ablations.md; goes on where it was stopped.
results: $(STAMP)
	$(BIN)/python -m lnlattennet.evaluation.ablation_study --record benchmarks/results/ablations.json \
		--page docs/records/ablations.md --picture docs/images/occlusion.png

# Builds, tests and measures the fused op, and the network in every runtime that is there, on a bare machine with a GPU:
# torch, nvcc, numpy and pytest, no .venv.
RESULTS ?= benchmarks/results
gpu-suite:
	PYTHONPATH=src $(PYTHON) -m lnlattennet.benchmarks.gpu_suite --results $(RESULTS) $(SUITE)

# Writes the tables of the documentation from the records in benchmarks/results/.
figures: $(STAMP)
	$(BIN)/python -m lnlattennet.benchmarks.figures README.md docs

# Compiles the CUDA kernels for every architecture (needs nvcc, no GPU) and writes docs/records/kernel-resources.md.
kernels-report: $(STAMP)
	$(BIN)/python -m lnlattennet.kernels._resources

clean:
	rm -rf $(VENV) build runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
