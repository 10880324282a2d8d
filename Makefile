# Everything a developer does, and what .ci/run does. Each target makes what it needs.

PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
# Further arguments to pytest, for instance `make test ARGS="-k echo"`.
ARGS ?=
# With `COVER=yes` it is measured which lines ran, which takes a third longer: `make
# coverage` does that, and says whether they are enough. Not by pytest-cov: with that and
# xdist, asyncio's cancellation in the workers misbehaves on Python 3.11.
COVER ?=
# With `TESTS=all` also what takes long: consumers_tests/thorough.py says what that is.
TESTS ?=
# More than there are processors, since many tests wait for a process or a broker.
WORKERS ?= $(shell expr $$(nproc 2>/dev/null || echo 2) + 2)

# Tests start hundreds of processes. Where bytecode is not kept each compiles all modules.
export PYTHONDONTWRITEBYTECODE :=

BIN := $(VENV)/bin
# Stamps: what is there need not be installed again until pyproject.toml changes.
APP := $(VENV)/.installed-app
DEV := $(VENV)/.installed-dev
PEERS := $(VENV)/.installed-peers
AUDIT := $(VENV)/.installed-audit
NPM := $(VENV)/.installed-npm
WSTEST := $(VENV)/autobahn/python2/bin/wstest
STARLETTE := $(VENV)/starlette
# Where pyenv is, it hides versions that are installed and not selected.
PYTHON2 ?= $(or $(lastword $(wildcard $(HOME)/.pyenv/versions/2.7.*/bin/python2.7)),python2.7)
SOURCES := $(shell find consumers consumers_tests docs/examples -name '*.py' 2>/dev/null)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check install format lint types imports coverage docs \
	audit bench faults attacks autobahn starlette changelog release build clean programs

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

run: $(APP) ## Serve the chat example at http://127.0.0.1:8000
	@echo "The chat is served at http://$(HOST):$(PORT), Ctrl+C ends it."
	$(BIN)/consumers run --host $(HOST) --port $(PORT) --app-dir docs/examples chat.app:app

test: $(DEV) $(NPM) programs ## Run all tests in parallel
	@rm -f .coverage .coverage.*
	TESTS=$(TESTS) $(BIN)/$(if $(COVER),coverage run,python) -m pytest -n $(WORKERS) $(ARGS)
	@$(if $(COVER),$(BIN)/coverage combine -q,true)

check: lint types imports coverage docs ## Everything else that must hold before a change goes in

install: $(DEV) ## Make the virtual environment with all that developers need

format: $(DEV) ## Put imports and code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: $(DEV) ## Look for mistakes and untidy code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEV) ## Check types of package, tests and examples
	$(BIN)/mypy

imports: $(DEV) ## Check that modules import downwards only
	$(BIN)/lint-imports

coverage: .coverage ## Check how much of the code the tests run
	$(BIN)/coverage report

docs: $(DEV) ## Build the documentation, each warning an error
	$(BIN)/sphinx-build -q -n -T -W --keep-going -b html docs docs/_build/html
	@echo "The documentation is at docs/_build/html/index.html"

audit: $(AUDIT) ## Look for dependencies with known vulnerabilities, where that can be asked
	@$(BIN)/python -m consumers_tests.audit

bench: $(PEERS) ## Measure beside raw ASGI, other frameworks and servers
	$(BIN)/python -m consumers_tests.benchmarks $(ARGS)

faults: $(DEV) ## Kill brokers and servers, stall links, and judge what clients get
	$(BIN)/python -m consumers_tests.faults --out docs/project/fault-runs $(ARGS)

attacks: $(DEV) ## Attack each server, beside a client who must not notice
	$(BIN)/python -m consumers_tests.attacks $(ARGS)

autobahn: $(DEV) $(WSTEST) ## Put all 517 cases of Autobahn to each server; Python 2.7
	$(BIN)/python -m consumers_tests.conformance.autobahn --wstest $(WSTEST) \
		--work $(VENV)/autobahn/reports --out docs/project/autobahn-run.md $(ARGS)

starlette: $(DEV) $(STARLETTE) ## Run Starlette's own tests of HTTP over the server on trio
	cd $(STARLETTE) && PYTHONPATH=$(CURDIR) $(abspath $(BIN))/python -m pytest -q tests \
		-p consumers_tests.conformance.starlette_suite -p no:cacheprovider \
		-p no:faker -W ignore --ignore tests/middleware/test_opentelemetry.py $(ARGS)

changelog: $(DEV) ## Show what the next release will say
	$(BIN)/towncrier build --draft

release: $(DEV) ## Move the changelog's fragments into docs/changelog.md
	$(BIN)/towncrier build --yes

build: $(DEV) ## Build the wheel and the source distribution into dist/
	$(BIN)/python -m hatchling build

clean: ## Remove everything that can be made again
	rm -rf .venv .venv-newest .coverage .coverage.* .hypothesis .import_linter_cache \
		.mypy_cache .pytest_cache .ruff_cache build dist docs/_build htmlcov
	find consumers consumers_tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

# Data of an earlier run serve as long as no source has changed since. All tests are
# measured: what takes long runs lines of its own.
.coverage: $(SOURCES)
	@$(MAKE) test COVER=yes TESTS=all

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or later is needed, got $$($(PYTHON) --version 2>&1);" \
			"name one: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Dependency groups (--group) came with pip 25.1, venvs of older Pythons bring less.
$(APP): pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[all]'
	@touch $@

$(DEV): $(APP)
	$(BIN)/python -m pip install -q --disable-pip-version-check \
		--group test --group lint --group docs --group bench
	@touch $@

# Frameworks and servers that only the benchmarks need.
$(PEERS): $(DEV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --group peers
	@touch $@

# pip-audit, which says aloud if it is missing, and that there is no result then.
$(AUDIT): $(DEV)
	@if timeout 120 $(BIN)/python -m pip install -q --disable-pip-version-check \
		--group audit; then touch $@; else echo "pip-audit could not be installed"; fi

# AsyncAPI's parser and TypeScript's compiler, for the tests of schemas; these skip
# without them, which CI refuses.
$(NPM): consumers_tests/schema/npm/package-lock.json | $(BIN)/python
	@if ! command -v npm >/dev/null; then \
		echo "No npm: tests with AsyncAPI's parser and TypeScript will be skipped"; \
	elif mkdir -p $(VENV)/npm && cp $(dir $<)package*.json $(VENV)/npm/ \
		&& npm ci --silent --no-audit --no-fund --prefix $(VENV)/npm; then touch $@; \
	else \
		echo "npm could not install what some tests need: they will be skipped"; \
	fi

# Autobahn's own runner needs Python 2.7, for which only older virtualenvs make a venv.
$(WSTEST): | $(BIN)/python
	$(BIN)/python -m venv $(VENV)/autobahn/maker
	$(VENV)/autobahn/maker/bin/pip install -q virtualenv==20.21.1
	$(VENV)/autobahn/maker/bin/virtualenv -q -p $(PYTHON2) $(VENV)/autobahn/python2
	$(VENV)/autobahn/python2/bin/pip install -q autobahntestsuite==25.10.1

# Its tests are in its source distribution alone.
$(STARLETTE): $(DEV)
	mkdir -p $@
	version=$$($(BIN)/python -c 'import starlette; print(starlette.__version__)') && \
		$(BIN)/python -m pip download -q --no-deps --no-binary starlette \
			-d $(VENV) starlette==$$version && \
		tar -xzf $(VENV)/starlette-$$version.tar.gz -C $@ --strip-components=1
	touch $@

# What tests need beside Python: a browser for the pages, nginx to stand in front, and
# systemd's programs, which need not run as PID 1. They skip without, which CI refuses.
programs:
	@missing=; \
	command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
		|| missing=chromium; \
	PATH=$$PATH:/usr/sbin command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	command -v systemd-socket-activate >/dev/null || missing="$$missing systemd"; \
	if [ -z "$$missing" ]; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing from the Debian packages: $$missing"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
			apt-get install -qq -y --no-install-recommends $$missing >/dev/null \
			|| echo "Not installed: tests that need it will be skipped"; \
	else \
		echo "No right to install $$missing: tests that need it will be skipped"; \
	fi
