# `make help` lists the targets. Needed: Python 3.11 or 3.12, gcc and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.docs-installed

.PHONY: help demo test test-all coverage check types style install kernels checkpoint results ablations soak figures kernels-report gpu-suite docs diagrams clean
.DEFAULT_GOAL := install
# Where this is set, as in many images, each of the tests' thousand processes would compile torch again: 1.5 s.
unexport PYTHONDONTWRITEBYTECODE
.DELETE_ON_ERROR:

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  %-15s %s\n", $$1, $$2 }'

install: $(STAMP) ## Install everything into .venv

# The constraint takes a CPU build of torch where one is offered; see docs/quickstart.md.
# Python compiles a module when it is first imported; an installer would compile all 17,000 files, most never imported.
EVERYTHING := --constraint constraints.txt --editable '.[train,export,faces,openvino,rtx,server,tables,video,cluster,gateway,bench,dev]'
# uv takes a quarter of pip's time. It does not read pip's settings: the indexes and wheels they name are handed to it,
# to choose among them as pip does. Where uv is not to be had, or fails, pip installs.
INDEXES = $$($(BIN)/pip config list | sed -nE "s/^[^=]*\.((extra-)?index-url|find-links)='(.*)'$$/\1 \3/p" | \
	sed 's/\\n/ /g' | awk '$$1 != "index-url" || !given++ { for (i = 2; i <= NF; i++) print "--" $$1 "=" $$i }')
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	{ $(BIN)/pip install --quiet --disable-pip-version-check --no-compile uv && $(BIN)/uv pip install --quiet \
		--python $(BIN)/python --index-strategy unsafe-best-match $(INDEXES) $(EVERYTHING); } || \
		$(BIN)/pip install --quiet --disable-pip-version-check --no-compile $(EVERYTHING)
	touch $@

demo: $(STAMP) ## Export a checkpoint, serve it with a real tritonserver, ask it about an image
	$(BIN)/python examples/demo.py

# Two files at a time: most tests keep one core busy. Reordered, the files with the fewest tests would come
# last, and those are the longest. OpenMP's threads would spin while they wait, on cores that others need.
# When one of its processes dies, the run ends with the name of the test; pytest-xdist 3.8 may wait for ever otherwise.
PYTEST := OMP_WAIT_POLICY=passive $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0
test: $(STAMP) ## Run lint, type checks and the tests
	@$(MAKE) --no-print-directory --jobs=2 check kernels
	$(PYTEST) -m 'not exhaustive'

test-all: $(STAMP) ## The same with the widest sweeps: every CUDA file, emulated shape and sanitized target
	@$(MAKE) --no-print-directory --jobs=2 check kernels
	$(PYTEST)

# Apart from `make test`: tracing makes the trainings a fifth slower.
coverage: $(STAMP) kernels ## Run every test and report which lines they ran
	$(PYTEST) --cov=lnlattennet --cov-report=term:skip-covered

check: types style ## Run lint, format, types, import contracts and spelling

types: $(STAMP)
	$(BIN)/mypy

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	find kernels/csrc tests/kernels -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' | \
		xargs $(BIN)/clang-format --dry-run --Werror

# Their first use would build them too; here a failure is said once, not by every test.
kernels: $(STAMP) ## Build the CPU kernels
	$(BIN)/lnlattennet kernels build --device cpu

# Trains the demo checkpoint again (35 minutes on 2 cores); checkpoints/demo.md has its figures.
checkpoint: $(STAMP) ## Train the demo checkpoint again
	$(BIN)/lnlattennet train --recipe demo --output checkpoints/demo.safetensors

results: $(STAMP) ## Write docs/results.md and the checkpoints' cards from the records in benchmarks/results/
	$(BIN)/python -m lnlattennet.benchmarks.leaderboard

# Trains the network and its ablations on rendered faces and writes docs/records/ablations.md; goes on where it was stopped.
ablations: $(STAMP) ## Train the ablations and write docs/records/ablations.md
	$(BIN)/python -m lnlattennet.evaluation.ablation_study --record benchmarks/results/ablations.json \
		--page docs/records/ablations.md --picture docs/images/occlusion.png

# Builds, tests and measures the fused op, and the network in every runtime that is there, on a bare machine with a GPU:
# torch, nvcc, numpy and pytest, no .venv.
RESULTS ?= benchmarks/results
gpu-suite: ## Build, test and measure everything on a machine with a GPU
	PYTHONPATH=src $(PYTHON) -m lnlattennet.benchmarks.gpu_suite --results $(RESULTS) $(SUITE)

# Not part of `make test`; `make soak SECONDS=30` tries it out.
SECONDS := 600
build/soak: $(STAMP)
	$(BIN)/export-engine --checkpoint checkpoints/demo.safetensors --output $@

soak: build/soak ## Serve under mixed load for 10 minutes; fail on a wrong answer or a leak
	$(BIN)/python -P -m lnlattennet.benchmarks.serving.soak build/soak --seconds $(SECONDS) --output build/soak.json

figures: $(STAMP) ## Write the tables of the documentation from the records in benchmarks/results/
	$(BIN)/python -m lnlattennet.benchmarks.figures README.md docs --roofline docs/images/roofline.svg

# Compiles the CUDA kernels for every architecture (needs nvcc, no GPU) and writes docs/records/kernel-resources.md.
kernels-report: $(STAMP) ## Compile the CUDA kernels and write docs/records/kernel-resources.md
	$(BIN)/python -m lnlattennet.kernels._resources

$(DOCS_STAMP): $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[docs]'
	touch $@

# Material prints its end of life (May 2027) at every build unless NO_MKDOCS_2_WARNING is set; see docs/adr/0019.
docs: $(DOCS_STAMP) ## Build the documentation into build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

diagrams: ## Draw docs/diagrams/*.dot as SVG (needs graphviz)
	for file in docs/diagrams/*.dot; do \
		dot -Tsvg "$$file" -o "docs/images/diagrams/$$(basename "$$file" .dot).svg" || exit 1; done

clean: ## Remove .venv and everything that was built
	rm -rf $(VENV) build runs .pytest_cache .mypy_cache .ruff_cache .hypothesis
