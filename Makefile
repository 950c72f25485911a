# make start: set up, and run the monitor with stand-ins for GitHub and Twilio.   make test: set up, and test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Covered whole, branches too: the app, and what decides without a file, socket, thread or clock.
PURE := HttpStart/*,E3_*/*,durable_host/engine/actions.py,durable_host/engine/determinism.py,durable_host/engine/episode.py,durable_host/engine/events.py,durable_host/engine/failures.py,durable_host/engine/play.py

# Node is for development alone: httpyac runs test.http, tsc and prettier check the pages' JavaScript.
NPM_INSTALLED := tests/npm/node_modules/.package-lock.json
NPM := $(if $(shell command -v npm),$(NPM_INSTALLED))
NODE_BIN := tests/npm/node_modules/.bin
JAVASCRIPT := durable_host/http/dashboard/*.js sandbox/page/*.js tests/browser/*.js

# Where it is set, each of the hundreds of hosts that the tests start compiles the app anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: start test coverage test-browser test-npm test-processes soak soak-long bench screenshots lint format check clean

start: $(VENV)/.run
	@$(BIN)/python -m durable_host --sandbox

test: $(VENV)/.dev
	@echo 'This takes about two minutes on two cores.'
	$(BIN)/python -m pytest -n auto

coverage: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n auto
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report
	@$(BIN)/coverage report --include='$(PURE)' --fail-under=100 > /dev/null || \
	  { $(BIN)/coverage report --show-missing --include='$(PURE)'; echo 'The app and the pure modules are covered whole.'; exit 1; }

# Playwright drives the machine's own Chromium.
test-browser: $(VENV)/.dev
	@command -v chromium > /dev/null || { apt-get update -qq && apt-get install -qq -y chromium; } || \
	  { echo "Chromium is missing, and could not be installed: install the package chromium."; exit 1; }
	$(BIN)/python -m pytest -n 2 -m browser tests/browser

screenshots: $(VENV)/.dev
	$(BIN)/python -m pytest -m browser tests/browser --pictures docs/images

# More rounds of what `make test` does in a few: six to ten minutes on two cores. `make soak-long` is for a night.
soak: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto -m soak

soak-long: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto -m soak_long

bench: $(VENV)/.run
	$(BIN)/python -m bench

# The recordings and the monitor's spec with the app in a process of its own; make test has it in the tests' own.
test-processes: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --processes tests/test_golden.py tests/test_monitor.py

test-npm: $(VENV)/.dev $(NPM_INSTALLED)
	$(BIN)/python -m pytest tests/world/test_http_file.py

lint: $(VENV)/.dev $(NPM)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/mypy --platform win32 durable_host
ifdef NPM
	$(NODE_BIN)/prettier --config tests/npm/prettier.json --check $(JAVASCRIPT)
	$(NODE_BIN)/tsc -p tests/npm
else
	@echo 'Node is not here: the JavaScript of the pages is not checked.'
endif

format: $(VENV)/.dev $(NPM)
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
ifdef NPM
	$(NODE_BIN)/prettier --config tests/npm/prettier.json --write $(JAVASCRIPT)
endif

check: lint coverage

clean:
	rm -rf $(VENV) .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "Python's venv module is missing; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

# What the app needs, and nothing else: it is what Azure installs too.
$(VENV)/.run: requirements.txt | $(VENV)/pyvenv.cfg
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# Dependency groups came with pip 25.1.
$(VENV)/.dev: pyproject.toml $(VENV)/.run
	$(BIN)/pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/pip install --quiet --disable-pip-version-check --group dev
	@touch $@

$(NPM_INSTALLED): tests/npm/package-lock.json
	npm ci --prefix tests/npm --ignore-scripts --no-audit --no-fund
	@touch $@
