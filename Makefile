# Postroom. `make help` tells what there is.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	>/dev/null 2>&1 && echo $$p && break; done)
MEMBERS := protos libs/chassis libs/mime services/auth services/store services/smtp services/pop3 \
	services/imap services/admin
PACKAGES := $(MEMBERS:%=%/pyproject.toml)
SOURCES := $(addsuffix /src,$(filter-out protos,$(MEMBERS)))
SERVICES := auth store smtp pop3 imap admin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(READY): requirements/dev.txt $(PACKAGES)
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it and run make again"; exit 1; }
	@test -w . || { echo "$(CURDIR) can't be written: run make as its owner"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	echo "$(PYTHON) has no venv module: install it (Debian, Ubuntu: apt install python3-venv)"; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing what requirements/dev.txt lists"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	$(MEMBERS:%=-e %)
	@touch $@

.PHONY: venv
venv: $(READY) ## Make the Python environment

.PHONY: check
check: $(READY) ## Format, lint, types, walls, generated stubs: what CI checks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy $(SOURCES) tests/harness bench
	$(BIN)/lint-imports
	@rm -rf .stubs && PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py .stubs
	@diff -r -x __pycache__ .stubs/postroom protos/gen/postroom >/dev/null || { \
	echo "the stubs are not those of the .proto files: run make protos"; rm -rf .stubs; exit 1; }
	@rm -rf .stubs

.PHONY: format
format: $(READY) ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: test
test: $(READY) ## All tests that need nothing but pip
	$(BIN)/pytest

.PHONY: bench
bench: $(READY) ## Measure Postroom, and the peers where they are installed
	$(BIN)/python -m bench

.PHONY: protos
protos: $(READY) ## Make the stubs in protos/gen anew
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py

.PHONY: lock
lock: $(READY) ## Make the hash-locked requirements anew
	$(BIN)/python requirements/lock.py
