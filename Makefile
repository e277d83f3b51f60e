# `make` alone lists the verbs. Each one sets itself up in .venv from constraints.txt.
PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
# Tests wait more than they compute: three for two cores.
WORKERS ?= 3
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help demo test test-oldest lint format docs model fuzz fuzz-answers chaos bars bench bench-quick constraints clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*?## ' $(MAKEFILE_LIST) | awk -F':.*?## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.ready: $(CONSTRAINTS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "The outbox needs Python 3.11 or newer; this is $$($(PYTHON) --version). Name another: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(CONSTRAINTS)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.ready ## the main job on SQLite: transactions, a kill -9, a flaky destination, the count
	@$(BIN)/outbox demo $(ARGS)

test: $(VENV)/.ready ## every test, on SQLite, PostgreSQL and MariaDB (ARGS="-k name" selects)
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

test-oldest: ## the tests that touch libraries, on the oldest versions that are supported
	$(MAKE) --no-print-directory VENV=.venv-oldest CONSTRAINTS=constraints-oldest.txt test \
		ARGS="$(wildcard tests/test_enqueue*.py tests/test_sqlite*.py tests/test_migrations*.py tests/test_claim.py \
		tests/test_settle.py tests/test_store_trouble.py tests/test_worker_outcomes.py tests/test_cli*.py tests/test_delivery*.py tests/test_metrics.py)"

fuzz: $(VENV)/.ready ## the store against a model of its protocol, for FUZZ_SECONDS (300) on each database
	FUZZ_SECONDS=$${FUZZ_SECONDS:-300} $(BIN)/python -m pytest -n 2 tests/test_store_stateful.py $(ARGS)

fuzz-answers: $(VENV)/.ready ## answers as raw bytes, Retry-After, error texts: FUZZ_ANSWERS (1000000) of them
	FUZZ_ANSWERS=$${FUZZ_ANSWERS:-1000000} $(BIN)/python -m pytest -n 2 tests/test_delivery_any_answer.py \
		tests/test_policy_any_answer.py tests/test_hostile_strings.py $(ARGS)

DATABASE ?= postgresql
MINUTES ?= 12

chaos: $(VENV)/.ready ## faults against real workers, then the count (DATABASE=sqlite|postgresql|mariadb MINUTES=12 SEED=1)
	PYTHONPATH=tests $(BIN)/python -m chaos --database $(DATABASE) --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

lint: $(VENV)/.ready ## ruff, mypy strict, the import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.ready ## let ruff rewrite what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.ready ## write docs/configuration.md from the settings
	$(BIN)/python docs/generate_configuration.py

model: $(VENV)/.ready ## every order of the protocol's steps, and what breaks without each guard (some minutes)
	@PYTHONPATH=tests $(BIN)/python -m model

BENCH := PYTHONPATH=benchmarks:tests $(BIN)/python -m bench

bench: $(VENV)/.ready ## how fast it is, beside the bare HTTP client and other job queues (ARGS="latency --set concurrency=128")
	@$(BENCH) $(ARGS)

bench-quick: $(VENV)/.ready ## the same in under two minutes: small sizes, no peers that are not there yet
	@$(BENCH) quick $(ARGS)

bars: $(VENV)/.ready ## what the protocol must reach, measured (ARGS="snapshot --database postgresql", ARGS=--short)
	PYTHONPATH=benchmarks:tests $(BIN)/python -m bars $(ARGS)

RESOLVE := uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --upgrade \
	--no-annotate --no-header --quiet

constraints: ## resolve both constraints files and the image's anew: names, versions and hashes, no addresses (needs uv)
	$(RESOLVE) --output-file constraints.txt
	$(RESOLVE) --resolution lowest-direct --output-file constraints-oldest.txt
	uv pip compile pyproject.toml --extra metrics --extra mysql --extra postgres --universal --python-version 3.11 --generate-hashes \
		--constraint constraints.txt --no-annotate --no-header --quiet --output-file docker/requirements.txt

clean: ## remove what the other verbs made
	rm -rf .venv .venv-oldest .bench dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
