# Two commands: `make demo` and `make test`. Each makes .venv where it is missing, installs, and runs.
# `make test-hosts` runs what needs other frameworks and their suites.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := $(shell find kernels fastopt -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h') setup.py pyproject.toml

.PHONY: demo test test-hosts bench lint sanitize clean

demo: .venv/installed-cli
	$(BIN)/fastopt demo

test: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tests/compile_kernels.py
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist worksteal

test-hosts: .venv/installed-hosts
	$(BIN)/python -m pytest tests/hosts tests/cuda -n auto --maxprocesses=2

bench: .venv/installed-test
	$(BIN)/fastopt bench --peers

sanitize: .venv/installed-test
	tests/sanitizer/run.sh

lint: .venv/installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed-cli: .venv/bin/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[cli]'
	touch $@

.venv/installed-test: .venv/bin/python $(SOURCES)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

.venv/installed-hosts: .venv/installed-test
	$(BIN)/python tests/requirements.py hosts cuda > .venv/hosts.txt
	$(BIN)/python -m pip install --quiet --requirement .venv/hosts.txt
	touch $@

clean:
	rm -rf .venv build
