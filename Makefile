# What can be done here. GNU make 3.81 is enough; nothing needs root.

PYTHON := .venv/bin/python
PYPROJECTS := protos/pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
TYPED := protos/generate.py requirements libs services bench deploy/helm deploy/images deploy/local deploy/tls \
    tests/deploy tests/harness tests/system
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run test check format bench images up down protos certs lock clean

help: ## Tell what can be done
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/run.stamp ## Start Postroom on this machine, with two demo accounts; Ctrl-C stops it
	@exec $(PYTHON) -m deploy.local.run $(ARGS)

test: .venv/dev.stamp ## Run every test that needs nothing but pip (ARGS='-k imap' for some; RUNNER=containers)
	@$(PYTHON) -m $(if $(filter containers,$(RUNNER)),tests.deploy.system,pytest) $(ARGS)

check: .venv/dev.stamp ## Check format, lint, types, the walls between packages, the stubs, the Dockerfile
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy $(TYPED)
	.venv/bin/lint-imports
	$(PYTHON) protos/compare.py
	.venv/bin/hadolint deploy/images/Dockerfile

format: .venv/dev.stamp ## Format the code and mend what ruff can mend
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

bench: .venv/dev.stamp ## Measure Postroom, and its peers where they are installed
	@$(PYTHON) -m bench $(ARGS)

images: ## Build the container images (ARGS='--tag VERSION imap smtp': some; DOCKER names the client)
	@deploy/images/build $(ARGS)

up: ## Start Postroom under Docker Compose (ARGS='--scale imap=3')
	@docker compose up --detach --wait $(ARGS)

down: ## Stop it; the mail stays on its volumes
	@docker compose down $(ARGS)

protos: .venv/dev.stamp ## Make the stubs in protos/gen anew
	PATH="$(CURDIR)/.venv/bin:$$PATH" $(PYTHON) protos/generate.py

certs: .venv/run.stamp ## Make a development CA and certificates in .run/certs, where they are missing
	$(PYTHON) -m postroom_chassis.certificates .run/certs

lock: .venv/dev.stamp ## Lock the requirements anew (ARGS=--upgrade: at newer versions)
	$(PYTHON) requirements/lock.py $(ARGS)

clean: ## Remove the environment and caches; .run, with its mail, stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/run.stamp: requirements/run.txt $(PYPROJECTS) requirements/install
	@requirements/install requirements/run.txt && touch $@

.venv/scan.stamp: requirements/scan.txt .venv/dev.stamp
	@$(PYTHON) -m venv --clear .venv/scan
	@.venv/scan/bin/pip install -q --require-hashes -r requirements/scan.txt && touch $@

.venv/dev.stamp: requirements/dev.txt .venv/run.stamp
	@requirements/install requirements/dev.txt && touch $@
