# LIES: `make demo` shows it, `make test` proves it. Both make their own .venv and need nothing else than
# Python 3.11 or newer, make and iproute2 (scripts/check-tools says which one is missing).
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Options of the drive (make demo ARGS="--mode all"), or of pytest (make test ARGS="-k wire -x").
ARGS ?=

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r name does; do \
	    printf '  make %-10s %s\n' "$$name" "$$does"; done

# The commands of every target are found in the tree's own environment, made once for this pyproject.toml.
$(VENV)/.made: pyproject.toml scripts/check-tools
	@scripts/check-tools "$(PYTHON)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade "pip>=25.1"
	$(PIP) install --editable .
	@touch $@

$(VENV)/.test-made: $(VENV)/.made
	$(PIP) install --group test
	@if pkg-config --exists dbus-1 glib-2.0 2>/dev/null; then $(PIP) install --group mock; \
	    else echo "no headers of libdbus and GLib: the tests with python-dbusmock are skipped"; fi
	@touch $@

$(VENV)/.lint-made: $(VENV)/.test-made
	$(PIP) install --group lint
	@touch $@

.PHONY: demo
demo: $(VENV)/.made ## drive past eight access routers and print what each handover cost
	@scripts/check-tools "$(PYTHON)" $(ARGS)
	@$(BIN)/lies demo $(ARGS)

.PHONY: radio-kernel
radio-kernel: $(VENV)/.test-made
	@scripts/fetch-radio-kernel $(BIN)/python || echo "They are skipped, and fail where CI=true." >&2

.PHONY: test
test: $(VENV)/.test-made radio-kernel ## run every test
	@scripts/check-tools "$(PYTHON)"
	@$(BIN)/python scripts/run_tests.py $(ARGS)

.PHONY: radio
radio: $(VENV)/.test-made radio-kernel ## the driver nl80211 on real 802.11 in a virtual machine (docs/radio.md)
	@scripts/check-tools "$(PYTHON)"
	@$(BIN)/python scripts/run_tests.py -m radio $(ARGS)

.PHONY: soak
soak: $(VENV)/.test-made ## faults and attacks in full, a line of figures for each (docs/reliability.md); make test runs tenths
	@$(BIN)/python scripts/run_soak.py $(ARGS)

.PHONY: bench
bench: $(VENV)/.made ## measure the event path beside raw ZeroMQ
	@$(BIN)/lies bench $(ARGS)

.PHONY: lint
lint: $(VENV)/.lint-made ## ruff (rules and format) and the contracts between packages
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

.PHONY: types
types: $(VENV)/.lint-made ## mypy strict and basedpyright
	$(BIN)/mypy
	$(BIN)/mypy tests scripts examples
	$(BIN)/basedpyright --level error

.PHONY: spec
spec: $(VENV)/.test-made ## write spec/, the generated tables of docs/ and the man pages anew
	$(BIN)/python scripts/make_spec.py
	$(BIN)/python scripts/make_man.py

.PHONY: wheel
wheel: $(VENV)/.made ## build the wheel into dist/
	$(PIP) wheel --no-deps --wheel-dir dist .

.PHONY: clean
clean: ## remove everything that make and the tools made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
