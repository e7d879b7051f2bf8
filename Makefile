# make demo | test | test-rest | lint | bench | fuzz | clean. Each makes the environment that it needs, once.

PYTHON ?= python3
BIN := .venv/bin

# Full data sets beside the checkout are used unless the user names others.
ifneq ($(wildcard ../shared/data/.),)
export DUALBOUND_DATA ?= $(abspath ../shared/data)
endif

# The work is parallel over processes; threads of the linear algebra below them only get in the way.
export OMP_NUM_THREADS ?= 1

.PHONY: demo test test-rest compiled lint bench fuzz clean
.DEFAULT_GOAL := demo

demo: .venv/.installed
	@$(BIN)/dualbound demo

# The first case of every test, within minutes; all others are the rest. The checker of shapes, which
# takes a third of the time, looks only at those.
test: .venv/.tools compiled
	@PYTEST_ADDOPTS=--jaxtyping-packages= $(BIN)/pytest -q -n 2 --dist loadfile --part quick

# All of the rest, or a share of it: make test-rest SHARE=0/4.
SHARE ?= 0/1
test-rest: .venv/.tools compiled
	@$(BIN)/pytest -q -n 2 --part rest --share $(SHARE)

# The search is compiled once, and not by each process of the tests for itself.
compiled: .venv/.installed
	@$(BIN)/python -c "from dualbound.phases.tree import prepare; prepare()"

lint: .venv/.tools
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo

bench: .venv/.installed
	@$(BIN)/python benchmarks/nearest.py

# Random questions against brute force, for as long as asked: make fuzz SECONDS=3600.
SECONDS ?= 60
fuzz: .venv/.tools
	@PYTHONPATH=tests $(BIN)/python tests/queries/fuzz.py --seconds $(SECONDS)

clean:
	@rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests scripts benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

PIP = $(BIN)/pip install -q --disable-pip-version-check -c constraints.txt

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dualbound needs Python 3.11 or later: make PYTHON=/path/to/python3")'
	@echo "Installing into .venv (once; a minute or two)"
	@$(PYTHON) -m venv .venv
	@$(PIP) -e .
	@touch $@

# What tests and development need besides.
.venv/.tools: .venv/.installed
	@echo "Installing what the tests need (once; a minute)"
	@$(PIP) -e ".[dev]"
	@touch $@
