# The same few commands for people and for CI; `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
PORT ?= 8000
ARGS ?=
SCENARIO ?=
PINS := $(wildcard requirements/*.txt) pyproject.toml scripts/install_python
# Deferred: asked only by the targets that need them.
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
SOCKET_GROUP = $(shell stat -c %g /var/run/docker.sock 2>/dev/null || echo 0)
DEVELOPMENT = DOCKER_GID=$(SOCKET_GROUP)
PRODUCTION = $(DEVELOPMENT) $(COMPOSE) --file docker-compose.prod.yml $(MORE) --project-name $(PROJECT)
PROJECT ?= drawbridge-prod
GATEWAYS ?= 2
PROFILES ?=
BUILD ?= --build
# Further files for production: MORE="--file ours.yml".
MORE ?=

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: .venv/.run ## Try it: the gateway on a sandbox kingdom, http://127.0.0.1:8000, Ctrl-C ends all
	@scripts/in_foreground $(BIN)/python -m app demo --port $(PORT)

.PHONY: run
run: .venv/.run ## The gateway on the live API, embedded
	@scripts/in_foreground $(BIN)/python -m app serve --port $(PORT)

.PHONY: install
install: .venv/.dev ## .venv/ with the project, its command `drawbridge` and the developers' tools

.PHONY: test
test: .venv/.dev ## Every test, on what real servers can be had; ARGS="-k cache" to choose
	@scripts/install_real_servers
	@scripts/start_engine
	@PATH="$(CURDIR)/.cache/bin:$$PATH" $(BIN)/python -m pytest $(ARGS)

.PHONY: chaos
chaos: .venv/.dev ## Break it on purpose, one fault after the other; ARGS="--seconds 60"
	@scripts/install_real_servers
	@PATH="$(CURDIR)/.cache/bin:$$PATH" $(BIN)/python -m tests.chaos $(ARGS)

.PHONY: check
check: .venv/.dev ## Lint, types, security, the documentation's build
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app
	$(BIN)/python scripts/audit_dependencies.py requirements/run.txt
	$(BIN)/python scripts/scan_secrets.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site

.PHONY: fix
fix: .venv/.dev ## Format, and mend what can be mended without asking
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: .venv/.dev ## Measure, side by side with others
	$(BIN)/python -m benchmarks $(ARGS)

.PHONY: load
load: .venv/.dev ## Load tests; SCENARIO="smoke fault", BASE_URL=, DURATION=10m, VUS=200 to choose
	@scripts/install_real_servers
	@PATH="$(CURDIR)/.cache/bin:$$PATH" $(BIN)/python -m k6 $(ARGS) $(SCENARIO)

.PHONY: docs
docs: .venv/.dev ## Build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site
	@echo "Open site/index.html"

.PHONY: reference
reference: .venv/.dev ## Write the pages that are generated from the code
	$(BIN)/python scripts/generate_reference.py

.PHONY: dashboards
dashboards: .venv/.dev ## Write Grafana's dashboards from monitoring/grafana/dashboards.yml
	$(BIN)/python scripts/generate_dashboards.py

.PHONY: constants
constants: .venv/.dev ## Generate the game's constants anew from its npm package
	$(BIN)/python scripts/generate_constants.py

.PHONY: requirements
requirements: ## Compile the pins, with hashes, from pyproject.toml
	scripts/compile_requirements

.PHONY: up
up: ## For development: the gateway; all else sleeps until needed. PROFILES=logging,tracing
	$(DEVELOPMENT) COMPOSE_PROFILES=$(PROFILES) $(COMPOSE) up --no-start $(BUILD)
	$(DEVELOPMENT) $(COMPOSE) start gateway

# The gateway first: what is stopped while somebody still needs it would be woken again.
.PHONY: down
down: ## Stop and remove it; the data stays
	$(DEVELOPMENT) $(COMPOSE) stop gateway
	$(DEVELOPMENT) COMPOSE_PROFILES=logging,tracing $(COMPOSE) down --remove-orphans

.PHONY: up-prod
up-prod: ## For production, with secrets made where they are missing: docs/how-to/deploy.md
	@scripts/make_secrets
	$(PRODUCTION) up --detach $(BUILD) --scale gateway=$(GATEWAYS)

.PHONY: down-prod
down-prod: ## Stop and remove it; the data stays
	$(PRODUCTION) stop gateway
	$(PRODUCTION) down --remove-orphans

# Made anew only when a pin or the project's own description changed.
.venv/.run: $(PINS)
	@scripts/install_python run

.venv/.dev: $(PINS)
	@scripts/install_python dev
