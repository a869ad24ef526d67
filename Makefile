# Every target makes its own virtual environment, from Python 3.11+ alone. Registries are those of the
# machine's own pip, npm and go settings; none is named here.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo run test check format bench soak fuzz envtest web schema released lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all:
CODE := auth benchmarks cluster credentials docs hub models resolvers schema tests

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/run.stamp web ## The hub with three simulated clusters, on http://localhost:3001 (PORT)
	@$(BIN)/python -m hub demo

run: $(VENV)/run.stamp web ## The hub with the settings of the environment: the portal with HUB_MODE=true, else for yourself
	@$(BIN)/python -m hub serve

test: $(VENV)/dev.stamp web ## Every test that this machine can run; says what it skips and why
	$(BIN)/python -m pytest -n 2 --dist loadfile -m 'not fuzz and not quiet' $(TESTS) || [[ $$? == 5 ]]
	$(BIN)/python -m pytest -m quiet $(TESTS) || [[ $$? == 5 ]] # 5: there is none of these among TESTS

check: $(VENV)/dev.stamp ## Style, types (web/ too), import contracts, schema.graphql is what the code prints
	@web/build.sh check
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports
	$(BIN)/python -m hub schema | diff -u schema.graphql - || { echo 'schema.graphql is out of date: make schema'; exit 1; }

format: $(VENV)/dev.stamp ## Format the code and sort its imports
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: $(VENV)/dev.stamp ## Every benchmark, each as a ratio from one run
	$(BIN)/python -m benchmarks

soak: $(VENV)/dev.stamp ## The randomised tests with many more examples; for releases
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -m 'not browser' --timeout=1800 tests/resolvers tests/schema

fuzz: $(VENV)/fuzz.stamp ## The demo under schemathesis for five minutes: no server error, no leak; for releases
	$(BIN)/python -m pytest -m fuzz -s tests/fuzz

envtest: ## Build the real API server that tests use (Go 1.26+; 5 to 10 minutes the first time, then cached)
	$(PYTHON) -m tests.support.envtest build

web: $(VENV)/run.stamp ## Build the pages out of web/, with the machine's Node or one from PyPI
	@web/build.sh

schema: $(VENV)/run.stamp ## Write schema.graphql anew
	$(BIN)/python -m hub schema > schema.graphql

released: ## At a release: from now on tests prove that schema.graphql breaks no client of it
	cp schema.graphql tests/clients/schema/released.graphql

lock: ## Write requirements*.txt anew (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header -o requirements.txt
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-header -o requirements-dev.txt
	uv pip compile pyproject.toml --group dev --group fuzz --universal --python-version 3.11 --generate-hashes --no-header -o requirements-fuzz.txt
	uv pip compile --group node --universal --python-version 3.11 --generate-hashes --no-header -o requirements-node.txt

clean: ## Remove all that make made, but not ./data
	rm -rf $(VENV) hub/static web/node_modules tests/clients/node_modules tests/identity/node_modules benchmarks/peers/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(VENV)/run.stamp: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; try: make PYTHON=python3.12 …")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements-dev.txt
	$(PIP) -r requirements-dev.txt
	touch $@

$(VENV)/fuzz.stamp: $(VENV)/dev.stamp requirements-fuzz.txt
	$(PIP) -r requirements-fuzz.txt
	touch $@
