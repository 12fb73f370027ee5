# make demo: set up, then the main job on the embedded default. make test: set up, then the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo test setup lint types schemas repro clean

demo: $(VENV)/demo.done
	prefdata run --params recipes/demo.yaml

test: $(VENV)/dev.done
	pytest

setup: $(VENV)/dev.done

repro: $(VENV)/demo.done
	dvc repro

lint: $(VENV)/dev.done
	ruff check .
	ruff format --check .

types: $(VENV)/dev.done
	mypy

schemas: $(VENV)/demo.done
	prefdata schemas

clean:
	rm -rf data .pytest_cache .mypy_cache .ruff_cache

$(VENV)/demo.done: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo]"
	touch $@

$(VENV)/dev.done: $(VENV)/demo.done
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"prefdata needs Python 3.11 or newer, this is {v.major}.{v.minor}: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)
