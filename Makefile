# The commands of this repository. A bare machine with Python >= 3.11 and make is enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What a full run of the tests wants beside Python: a browser, a mail server, a mailbox host, a virus scanner, a web server, a second opinion on DKIM.
DEBIAN := chromium clamav-daemon dovecot-imapd libmail-dkim-perl nginx-light postfix
MEMBERS := $(patsubst %/pyproject.toml,%,$(wildcard libs/*/pyproject.toml services/*/pyproject.toml))

# A run of the tests starts Python some four hundred times: what was compiled once is kept, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup system demo up test check bench faults corpus reference lock clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY) ## Install everything into .venv from the lock file

$(READY): requirements.lock $(addsuffix /pyproject.toml,$(MEMBERS))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "The module venv is missing: on Debian, apt install python3-venv"; exit 1; }
	@test -x $(BIN)/uv || { awk '/^uv==/{p=1} p{print} p&&!/\\$$/{exit}' requirements.lock > $(VENV)/uv.txt && $(BIN)/python -m pip install --quiet --require-hashes -r $(VENV)/uv.txt; }
	@echo "Installing the packages of requirements.lock"
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps $(addprefix -e ./,$(MEMBERS))
	@touch $(READY)

system: ## Install the Debian packages that some tests need; without them those tests are skipped
	@command -v apt-get >/dev/null || { echo "No apt-get here: install by hand what you want of $(DEBIAN)"; exit 0; }; \
	missing=$$(for name in $(DEBIAN); do dpkg-query -Wf '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	test -n "$$missing" || exit 0; \
	if [ "$$(id -u)" = 0 ]; then as_root=""; elif sudo -n true 2>/dev/null; then as_root="sudo -n"; \
	else echo "Not root, and no sudo without a password: apt-get install" $$missing; exit 0; fi; \
	echo "Installing" $$missing; export DEBIAN_FRONTEND=noninteractive; \
	$$as_root apt-get -qq update && $$as_root apt-get -qq install --yes --no-install-recommends $$missing >/dev/null \
	|| echo "Could not install all of them; the tests that need them will be skipped"

demo: setup ## Run a town hall on this machine with five citizens (ONCE=1: stop afterwards)
	@$(BIN)/parvis demo $(if $(ONCE),--once)

up: setup ## Run the stack alone, until Ctrl-C
	@$(BIN)/parvis up

check: setup ## Check lint, types, import contracts, deployment files and reference pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/parvis reference --check
	$(BIN)/parvis config check config/example-town
	$(BIN)/python deploy/check.py

test: check ## Run the checks and all tests
	$(BIN)/pytest -n logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

bench: setup ## Run the benchmarks (BENCH=name for one), write var/bench/<name>.json
	@$(BIN)/python -m tests.bench $(BENCH)

faults: setup ## Run the fault scenarios in full size (FAULT=F-01 for one)
	@$(BIN)/python -m tests.faults $(FAULT)

corpus: setup ## Run third-party samples through the ingest services (DATA=folder)
	@$(BIN)/python -m tests.corpus $(DATA)

reference: setup ## Generate docs/reference from the code
	@$(BIN)/parvis reference

lock: setup ## Update the lock file
	@$(BIN)/uv lock --quiet
	@$(BIN)/uv export --quiet --no-header --all-packages --no-emit-workspace --format requirements-txt > requirements.lock

clean: ## Delete local data (var); .venv stays
	rm -rf var
