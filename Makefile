# Everything runs in .venv; a target whose inputs did not change does nothing.
PYTHON ?= python3
PIP_OPTIONS ?=
VENV := .venv
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt $(PIP_OPTIONS)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types unit slow coverage docs bench torture clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## create .venv and install the pinned dependencies

demo: $(VENV)/.models ## the main job: the trained 135 M model plays two visits to a water maze, then a script does
	$(BIN)/hippo run model=hippo-135m episodes=2 agent.max_calls=300
	$(BIN)/hippo run model=script episodes=2 agent.max_calls=400

test: lint types unit ## lint, types and tests

lint: $(VENV)/.dev ## ruff: style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

unit: $(VENV)/.dev $(VENV)/.models ## pytest, a process for each core, without the slow tests
	$(PYTEST) -m "not slow"

slow: $(VENV)/.dev $(VENV)/.models ## the slow tests: trainings, kills, hundreds of steps of the real model (fifteen minutes)
	$(PYTEST) -m slow

coverage: $(VENV)/.dev $(VENV)/.models ## pytest with branch coverage
	$(PYTEST) --cov --cov-report=term:skip-covered

docs: $(VENV)/.docs ## the guide and the reference as a site in build/site; a broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(VENV)/.bench $(VENV)/.models ## seconds per step, beside smolagents on the same model
	$(BIN)/python -m eval.bench.loop

torture: $(VENV)/.runtime ## kills, crowds, damaged files, full disks, poison (ten minutes)
	$(BIN)/python -m eval.bench.durability

clean: ## remove .venv and caches; models stay in the user's cache folder
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)

# torch comes first and by its exact version, so that the CPU build is taken where there is one.
$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing dependencies into $(VENV) (about two minutes)"
	$(PIP) "$$(grep '^torch==' constraints.txt)"
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.docs: $(VENV)/.runtime
	$(PIP) --editable '.[docs]'
	@touch $@

$(VENV)/.bench: $(VENV)/.runtime
	$(PIP) --editable '.[bench]'
	@touch $@

$(VENV)/.models: agent/hub/catalog.py | $(VENV)/.runtime
	$(BIN)/hippo models fetch smollm2-135m minilm spacy-en
	@touch $@
