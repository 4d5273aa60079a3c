# Two commands: `make demo` and `make test`. Each makes .venv where it is missing, installs, and runs.
# `make test-hosts` runs what needs other frameworks and their suites, and the tests of the CUDA target.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --no-compile
# A test's products are small: threads of NumPy's and torch's BLAS would wait for each other, on all CPUs.
ONE := OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
SOURCES := $(shell find kernels -name '*.pyx' -o -name '*.pxd' -o -name '*.h') setup.py pyproject.toml

.PHONY: demo test test-hosts bench lint sanitize clean

demo: .venv/installed-cli
	$(BIN)/fastopt demo

test: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/compile_kernels.py
	$(ONE) $(BIN)/python -m pytest -n auto --maxprocesses=4 --dist worksteal

test-hosts: .venv/installed-hosts
	$(BIN)/python -m pytest tests/hosts tests/cuda -n auto --maxprocesses=2

bench: .venv/installed-dev
	$(BIN)/fastopt bench --peers

sanitize: .venv/installed-dev
	tests/sanitizer/run.sh

lint: .venv/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

# In place: Python's files are those of this folder, and the kernels are compiled once for all that follows.
.venv/built: .venv/bin/python $(SOURCES)
	$(INSTALL) --editable .
	touch $@

# An extra of what is installed already brings its packages, and builds nothing.
.venv/installed-%: .venv/built
	$(INSTALL) 'fastopt[$*]'
	touch $@

clean:
	rm -rf .venv build
