# Everything needs Python 3.11+, make and the package index; the environment is made on first use.
PYTHON ?= python3
ACCELERATOR ?= cpu
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-$(ACCELERATOR)
LOCK := requirements/$(ACCELERATOR).lock
# A test file stays in one process, for what its tests share; more than four processes would fight for TensorFlow's threads.
PYTEST := $(BIN)/python -m pytest -q -n logical --maxprocesses 4 --dist loadfile

# Without compiled bytecode every import is more than twice as slow, whatever the shell around us prefers.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-all lint types ui docs screenshots lock clean help

help:  ## show the targets
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: $(STAMP)  ## the main job on the embedded data: table, recommendation, how to open the results
	@$(BIN)/harness run

test: lint types  ## lint, types, import layers, tests
	$(PYTEST)

test-all: lint types  ## the same with the slow tests
	$(PYTEST) -m "slow or not slow"

lint: $(STAMP)  ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

ui: $(STAMP)  ## the MLflow UI on 127.0.0.1, opened at the results
	@$(BIN)/harness ui

docs: $(STAMP)  ## the documentation as a site, every link checked: prints where it is
	@$(BIN)/python -m sphinx -W --keep-going -q -E -c docs . build/docs
	@echo "open build/docs/index.html"

screenshots: $(STAMP)  ## the documentation's pictures of the MLflow UI, from a real run (needs Chromium)
	$(BIN)/python docs/screenshots.py

lock:  ## resolve the lock files anew (needs uv)
	for a in cpu gpu; do uv pip compile pyproject.toml --extra $$a --extra joblib --extra onnx --group dev --group docs --universal \
		--python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --no-emit-find-links \
		-q -o requirements/$$a.lock; done

clean:  ## remove the environment and what tools left behind; results and store stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(STAMP): $(LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, $$($(PYTHON) --version) was found: set PYTHON=/path/to/python3.11"; exit 2; }
	@echo "making $(VENV) and installing $(LOCK) (a minute or two, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r $(LOCK)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.installed-*
	@touch $@
