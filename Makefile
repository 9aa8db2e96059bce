# `make help` lists the targets. Everything is installed into .venv; nothing else is touched.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup up test kube-tools test-kube check fmt lint types layers docs verify image-test bench bench-kube clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

# What runs syncd
$(VENV)/.run: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("syncd needs Python 3.11.4 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11, 4) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# What tests it, too
$(VENV)/.dev: pyproject.toml $(VENV)/.run
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

setup: $(VENV)/.dev ## Install syncd and everything its tests need into .venv

up: $(VENV)/.run ## Set everything up and run: syncd up . --path examples
	@exec $(BIN)/syncd up . --path examples $(ARGS)

test: $(VENV)/.dev ## The whole test suite on a plain machine (ARGS='-k name' to choose)
	@$(BIN)/python -m pytest -q -n auto --dist loadgroup -m 'not kube' $(ARGS)

kube-tools: $(VENV)/.dev ## Build a Kubernetes API server for the tests, outside the repository (12 minutes once)
	@$(BIN)/python -m tests.support.kubetools

test-kube: kube-tools ## The tests on a real Kubernetes API server (ARGS='-k name' to choose)
	@$(BIN)/python -m pytest -q -n 3 --dist loadscope -m kube $(ARGS)

check: fmt-check lint types layers verify ## Everything that judges the code without running it

fmt: $(VENV)/.dev ## Format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

.PHONY: fmt-check
fmt-check: $(VENV)/.dev
	@$(BIN)/ruff format --check .

lint: $(VENV)/.dev ## Lint
	@$(BIN)/ruff check .

types: $(VENV)/.dev ## Check the types, strictly
	@$(BIN)/mypy

layers: $(VENV)/.dev ## Check that imports go down only
	@$(BIN)/lint-imports

docs: $(VENV)/.dev ## Write the pages that come from tables
	@$(BIN)/python docs/generate.py

verify: $(VENV)/.dev ## Fail where a generated page is stale
	@$(BIN)/python docs/generate.py --check

image-test: $(VENV)/.dev ## The steps of the Dockerfile outside of Docker (downloads 200 MB)
	@SYNCD_SLOW=1 $(BIN)/python -m pytest -q tests/image

bench: $(VENV)/.dev ## Measure what is hot; JSON on stdout (ARGS='--only steps')
	@$(BIN)/python -m bench $(ARGS)

bench-kube: kube-tools ## The same on a real Kubernetes API server: sync, crons, memory (ARGS='--only kube-crons')
	@$(BIN)/python -m bench --kube $(ARGS)

clean: ## Remove what was installed and built
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
