# BLP's tasks. `make` alone lists them. Works with make 3.81; without make, ./demo does what `make demo` does.
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
.DEFAULT_GOAL := help
.PHONY: help demo test test-full dev check bench lock clean

help: ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: ## Set up, tell the whole story on a sandbox, verify it, then serve the portal (BLP_DEMO_ONCE=1 stops after the story)
	@./demo

test: $(STAMP) browser ## Set up and pass all tests (about 1 % of the long sweeps)
	@./tests/run

test-full: $(STAMP) browser ## The same with the full counts: long sweeps, fuzz, every byte
	@BLP_TEST_FULL=1 ./tests/run

dev: $(STAMP) ## Serve the portal with a worker on the embedded database, sample catalog loaded
	@$(BIN)/blp migrate
	@$(BIN)/blp catalog apply --yes app/data/catalog.yaml
	@BLP_LOG_FORMAT=console $(BIN)/blp serve --worker

check: $(STAMP) ## Lint, types, import contracts, migration drift, deployment files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m tests.checks

bench: $(STAMP) ## Measure against floors of the same run (ONLY=name,name for some; WHOLE=1: every due renewal)
	@$(BIN)/python -m app.bench $(if $(WHOLE),--whole) $(ONLY)

lock: $(STAMP) ## Resolve pyproject.toml anew into the hashed requirements files
	@$(BIN)/python scripts/lock.py

clean: ## Remove the environment and everything the demo, the tests and the embedded database left
	@./scripts/clean

$(STAMP): requirements-dev.txt pyproject.toml scripts/setup
	@./scripts/setup dev

.PHONY: browser
browser: $(STAMP)
	@./scripts/browser
