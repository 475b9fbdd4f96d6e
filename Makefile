# `make` lists the targets. Needs GNU make, bash and a Python from 3.11 to 3.14; nothing else, and no root.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
ARGS ?=
ROUNDS ?= 1000
BROADCASTS ?= 500
OLDEST := 11
NEWEST := 14

# What was installed is remembered by what it was installed from, so that a second run installs nothing.
LOCKED := $(VENV)/.locked-$(shell cat requirements.txt pyproject.toml | cksum | tr -d ' ')
LOCKED_BENCH := $(VENV)/.locked-bench-$(shell cat requirements-bench.txt requirements.txt pyproject.toml | cksum | tr -d ' ')
LOCKED_DEV := $(VENV)/.locked-dev-$(shell cat requirements-dev.txt requirements.txt pyproject.toml | cksum | tr -d ' ')
WARMED := $(VENV)/.warmed

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.PHONY: help run setup test nightly check bench lock clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  Options: PYTHON=python3.13 (for a new .venv), PORT=8000, HOST=127.0.0.1, ARGS="..." (for run and test)'

run: $(WARMED) ## Set up, load tomorrow's calls in New York, plan them, show the result, serve it
	@DISPATCH_LOG_LEVEL=$${DISPATCH_LOG_LEVEL:-warning} $(BIN)/dispatch demo --serve --host $(HOST) --port $(PORT) $(ARGS)

setup: $(LOCKED_DEV) $(WARMED) ## Set up .venv with everything that the other targets need

test: $(LOCKED_DEV) $(WARMED) ## Run every test that this machine can run, one process a core (ARGS=-n0: one)
	@$(BIN)/python -m pytest -n logical --dist worksteal $(ARGS)

nightly: $(LOCKED_DEV) $(WARMED) ## Race ROUNDS (1000) and BROADCASTS (500) times on each database, try each property 20 times as often
	@echo "$(ROUNDS) rounds of 200 clients on the last slot and $(BROADCASTS) of 50 on one broadcast, on each database;"
	@echo "20 times the examples of each property."
	@DISPATCH_RACE_ROUNDS=$(ROUNDS) DISPATCH_BROADCAST_ROUNDS=$(BROADCASTS) HYPOTHESIS_PROFILE=nightly \
		$(BIN)/python -m pytest -vv -n logical --dist worksteal -m "nightly or hypothesis" --durations=0 --durations-min=10 $(ARGS)

check: $(LOCKED_DEV) ## Check style, types, the direction of imports and the declared dependencies
	@failed=; \
	for command in "ruff check ." "ruff format --check ." "mypy --strict" "lint-imports" "deptry ."; do \
		echo "== $$command"; $(BIN)/$$command || failed="$$failed, $$command"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed: $${failed#, }"; exit 1; fi

bench: $(LOCKED_BENCH) $(WARMED) ## Measure engines, matrices and calls over HTTP (20 minutes); INSTANCES=DIR adds that folder
	@$(BIN)/python -m benchmarks.field --size 1000x100 --limit 1 --limit 5 --limit 30 --seeds 3
	@$(BIN)/python -m benchmarks.matrices
	@$(BIN)/python -m benchmarks.engines
	@$(BIN)/python -m benchmarks.story
	@$(BIN)/python -m benchmarks.booking
	@$(BIN)/python -m benchmarks.board
	@[ -z "$(INSTANCES)" ] || $(BIN)/python -m benchmarks.instances --instances "$(INSTANCES)" $(ARGS)

lock: $(BIN)/python ## Write requirements*.txt anew from pyproject.toml (ARGS=--upgrade: newest versions)
	@[ -x $(VENV)/lock/bin/uv ] || { $(BIN)/python -m venv $(VENV)/lock && $(VENV)/lock/bin/pip install -q uv; }
	$(COMPILE) pyproject.toml -o requirements.txt
	$(COMPILE) pyproject.toml --extra dev -c requirements.txt -o requirements-dev.txt
	$(COMPILE) pyproject.toml --extra bench -c requirements-dev.txt -o requirements-bench.txt

clean: ## Remove .venv and caches; data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

COMPILE = $(VENV)/lock/bin/uv pip compile --quiet --system-certs --universal --python-version 3.$(OLDEST) --no-emit-index-url \
	--no-emit-find-links --custom-compile-command 'make lock' $(ARGS)

$(LOCKED): | $(BIN)/python
	@$(call install,requirements.txt)
	@$(call install_project)
	@touch $@

$(LOCKED_DEV): $(LOCKED)
	@$(call install,requirements-dev.txt)
	@touch $@

$(LOCKED_BENCH): $(LOCKED_DEV)
	@$(call install,requirements-bench.txt)
	@touch $@

$(WARMED): $(LOCKED) $(wildcard optimizer/*.py)
	@echo "Compiling the optimizer's kernels, once (about a minute) ..."
	@rm -f optimizer/__pycache__/*.nbi optimizer/__pycache__/*.nbc
	@$(BIN)/python -c 'import optimizer; optimizer.warm()'
	@touch $@

$(BIN)/python:
	@$(find_python); \
	echo "Creating $(VENV) with $$("$$python" --version) ..."; \
	"$$python" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

# $(call install,FILE): pip's own words go to a log; a count of packages is shown, or the log's end if pip fails.
define install
set -o pipefail; log=$(VENV)/install.log; total=$$(grep -c '^[a-z].*==' $1); \
echo "Installing the packages pinned in $1 ..."; \
if ! $(BIN)/python -m pip install -r $1 2>&1 | tee $$log | awk -v total=$$total -v step=$$([ -t 1 ] && echo 1 || echo 50) \
	'/^(Collecting|Requirement already)/ && n < total && ++n % step == 0 {printf "\r  %d of about %d ", n, total; fflush()} \
	/^Installing collected/ {printf "\n  unpacking (up to a minute) ...\n"; fflush()}'; \
then $(call install_failed); fi
endef

define install_project
log=$(VENV)/install.log; \
if ! $(BIN)/python -m pip install --quiet --no-deps --editable . >$$log 2>&1; \
then $(call install_failed); fi
endef

define install_failed
grep -iE '^ *(error|warning)|no matching|could not' $$log | head -20; \
	echo "The installation failed; all that pip said is in $$log."; \
	echo "It needs the package index that pip is set up for ('pip config list') and about 1.5 GB of disk."; \
	echo "Run the same command again to go on, or 'make clean' first to begin anew."; \
	exit 1
endef

# Sets the shell variable `python` to an interpreter that the pinned wheels serve, or says what was found instead.
define find_python
serves='import sys, venv, ensurepip; sys.exit(not (sys.implementation.name == "cpython" \
	and (3, $(OLDEST)) <= sys.version_info[:2] <= (3, $(NEWEST))))'; \
python=; seen=; \
for name in $(or $(PYTHON),$(foreach minor,14 13 12 11,python3.$(minor)) python3 python); do \
	"$$name" --version >/dev/null 2>&1 || continue; \
	if "$$name" -c "$$serves" >/dev/null 2>&1; then python=$$name; break; fi; \
	seen="$$seen  $$name is $$("$$name" --version 2>&1)\n"; \
done; \
if [ -z "$$python" ]; then \
	echo "No Python from 3.$(OLDEST) to 3.$(NEWEST) with venv was found. The pinned packages (OR-Tools, numba, numpy)"; \
	echo "come as ready-made wheels for these versions of CPython only."; \
	printf "$$seen"; \
	echo "Install one (on Debian and Ubuntu with its venv package, such as python3.13-venv) and name it:"; \
	echo "  make $(MAKECMDGOALS) PYTHON=/path/to/python3.13"; \
	exit 1; \
fi
endef
