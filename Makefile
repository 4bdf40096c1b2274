# make demo [DATA=my.csv] [TARGET=column]   a synthetic table and its report, in ./demo
# make test [PROCESSES=2]                   everything a change must pass
# make lint | slow | clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
DATA ?=
TARGET ?=
PROCESSES ?= 2
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.DEFAULT_GOAL := help
.PHONY: help demo test lint slow clean

help:
	@sed -n 's/^# //p' Makefile

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later must be on PATH, however none was found. Install it, or run: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; found = sys.version.split()[0]; sys.exit(0 if sys.version_info >= (3, 11) else f"Python must be 3.11 or later, however: {found}. Run: make PYTHON=/path/to/python3.11")'
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -qq --editable ".[test]"
	@touch $(VENV)/.installed $@

demo: $(VENV)/.installed
	$(BIN)/scorewise demo $(if $(DATA),--data "$(DATA)") $(if $(TARGET),--target "$(TARGET)")

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Networks of tests are small: two processes of a thread each take less time than one of two threads.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile

slow: $(VENV)/.installed-test
	$(BIN)/python -m pytest -m slow

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
