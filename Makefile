# Fresh machine: Python 3.11 to 3.13, make and a package registry. `make help` lists the targets.

VENV ?= .venv
BIN := $(abspath $(VENV))/bin
# The first interpreter of a supported version; override with PYTHON=...
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13 python; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && { echo $$p; break; }; done)
export PATH := $(BIN):$(PATH)
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: help install repro test test-slow test-weak lint format hooks readme metrics experiments bench fuzz torture doctor clean
.DEFAULT_GOAL := help

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.dev  ## Create the virtual environment with everything for development

repro: $(VENV)/.runtime  ## Run the pipeline: dvc repro
	dvc repro

# A file's tests share what they fit and stay in one process; tests/conftest.py puts the long files first.
# Two processes with a thread for each core each wait for one another's threads: small products of matrices
# take several times as long.
PYTEST = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.dev  ## Lint, type-check and run the tests but the slow ones, in five minutes
	$(MAKE) --no-print-directory lint
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.dev  ## Run the slow tests: statistical, Ray, int8, repeatability, runs with other params
	$(PYTEST) -m slow

# As on a processor with AVX2 at most, whose products of matrices are another library's, too. TensorFlow
# computes with oneDNN there as everywhere, and with Eigen where that is turned off.
WEAK = ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell
MARKED ?= not slow
test-weak: $(VENV)/.dev  ## Run the suite as on a processor with AVX2 at most, with oneDNN and without
	$(WEAK) TF_ENABLE_ONEDNN_OPTS=1 $(PYTEST) -m "$(MARKED)"
	$(WEAK) TF_ENABLE_ONEDNN_OPTS=0 $(PYTEST) -m "$(MARKED)"

lint: $(VENV)/.dev  ## Lint, type-check and hold imports to their direction
	ruff check .
	ruff format --check .
	mypy
	lint-imports --no-logo

format: $(VENV)/.dev  ## Format the code and fix what ruff can fix
	ruff check --fix .
	ruff format .

hooks: $(VENV)/.dev  ## Install the pre-commit hooks into this clone
	pre-commit install

readme: $(VENV)/.runtime  ## Measure the stages, put the figures of the reports into README and docs
	python -m benchmarks.stage_times
	python -m benchmarks.readme
	-python -m benchmarks.screenshot

# Few columns: the headline metrics, and of the params those that differ. DVC has one for every dependency, too.
experiments: $(VENV)/.runtime  ## Show the experiments: headline metrics, and what differs in params
	dvc exp show --no-pager --only-changed --drop 'Created|.*/' --keep 'Experiment|expected\.|test\.'

metrics: $(VENV)/.runtime  ## Show the metrics and what changed since the last commit
	dvc metrics show
	dvc metrics diff

bench: $(VENV)/.dev  ## Compare what the parts cost with plain counterparts and with the committed table; three minutes
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python -m benchmarks.ratios

MINUTES ?= 1
fuzz: $(VENV)/.dev  ## Damaged input of every kind, for MINUTES=30 or as long as you like
	python -m tests.fuzz --minutes $(MINUTES)

torture: $(VENV)/.dev  ## Kill and interrupt runs at random moments, resume, compare bytes; about half an hour
	python -m tests.torture

doctor: $(VENV)/.runtime  ## Look at locks, leftovers of killed runs, room on the disks, versions and damage
	python -m pipeline.doctor

clean:  ## Remove the virtual environment and caches of tools; outputs stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "error: no Python 3.11, 3.12 or 3.13 found; give one with" \
		"PYTHON=path" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(VENV)/.runtime $@
