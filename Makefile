# Targets for people who work on convfilter; users need none of them.

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

OLDEST := .venv-oldest

.PHONY: help setup test oldest lint format check fuzz bench docs site clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/ready ## make .venv with the program and what its tests need

$(VENV)/ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q -e '.[test]'
	touch $@

test: setup ## run the tests
	$(RUN) -m pytest -n auto --dist worksteal

oldest: ## run the tests on the oldest packages that pyproject.toml allows
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/pip install -q -e . $$($(PYTHON) -c 'import tomllib; \
	    project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	    asked = project["dependencies"] + project["optional-dependencies"]["test"]; \
	    print(*(each.replace(">=", "==") + ".*" for each in asked))')
	$(OLDEST)/bin/python -m pytest -n auto --dist worksteal

lint: setup ## ruff and mypy
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

format: setup ## let ruff put the code in shape
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

check: ## all that CI runs, on the oldest and the newest Python here, in a temporary copy
	bash .ci/run

fuzz: setup ## look for counterexamples: random filters, damaged pictures (long)
	HYPOTHESIS_PROFILE=search $(RUN) -m pytest --every-case -n auto --dist worksteal -k contract
	$(RUN) tests/fuzz.py --seconds 600

bench: setup ## measure the program beside the peers that are installed (some minutes)
	$(VENV)/bin/pip install -q -e '.[test,bench]'
	$(RUN) benchmarks/engine.py
	$(RUN) benchmarks/files.py
	$(RUN) benchmarks/formats.py

docs: setup ## make pictures, tables, lecture, hand-out, tutorial and manual pages again
	$(RUN) docs/make.py
	$(RUN) docs/lecture.py
	$(RUN) docs/handout.py
	$(RUN) docs/tutorial.py
	$(RUN) docs/man.py
	$(RUN) docs/formats.py

site: setup ## build docs/ as a site, in site/
	$(VENV)/bin/pip install -q -e '.[test,docs]'
	$(VENV)/bin/mkdocs build --strict

clean: ## remove .venv and what tools leave behind
	rm -rf $(VENV) $(OLDEST) build site .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage *.egg-info
