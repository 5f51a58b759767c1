# The ways into this project; `make help` lists them.
# Everything is installed into .venv with the exact versions of constraints.txt. State lies in the user's data folder, never here: `make clean` cannot lose it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt

# A folder of wheels beside the clone is used where there is one (torch for the CPU; without it pip takes torch from the package index).
WHEELS := ../shared/wheels
ifneq ($(wildcard $(WHEELS)/*.whl),)
export PIP_FIND_LINKS := $(strip $(abspath $(WHEELS)) $(PIP_FIND_LINKS))
endif
# The build back end is held to the same versions.
export PIP_CONSTRAINT := $(abspath constraints.txt)

BASE := $(VENV)/.base
FULL := $(VENV)/.full
SERVERS := kafka or s3 or postgres or ollama or stack
SOURCES := video_platform sensors ui tests benchmarks scripts

.PHONY: help setup demo up services services-stop test test-services test-compose test-browser test-speech test-slow bench lint fmt clean setup-browser

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(FULL) ## check this machine and install everything, also what development needs

demo: $(BASE) ## show the platform at work on a sample clip (about 430 MB of downloads the first time)
	@$(BIN)/vp demo

up: $(BASE) ## run the platform on your own home until Ctrl-C
	@$(BIN)/vp up

test: $(FULL) ## run the tests, on at most four cores at once (ARGS=-n0: one after the other)
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder -m "not ($(SERVERS) or browser or slow or speech or compose)" $(ARGS)

services: $(FULL) ## start Kafka, MinIO, PostgreSQL and Ollama here and print their settings: eval "$$(make -s services)"
	@$(BIN)/python -m scripts.services all start

services-stop: ## stop them; their data stays
	@$(BIN)/python -m scripts.services all stop

test-services: $(FULL) ## run the tests against real servers, which are fetched and built the first time (scripts/install_servers.sh says what that needs)
	-$(BIN)/python -m scripts.services all fetch
	$(BIN)/python -m pytest -m "$(SERVERS)" $(ARGS)

test-compose: $(FULL) ## bring docker-compose.yml up on a Docker engine of its own, made without a registry, and use it (scripts/install_docker.sh says what that needs)
	$(BIN)/python -m pytest -s -m compose tests/compose $(ARGS)

test-browser: $(FULL) ## run the tests that drive the page with Chromium
	$(BIN)/python -m pytest -m "browser and not ($(SERVERS))" $(ARGS)

test-speech: $(FULL) ## run the tests that speak to the speech model (scripts/install_speech.sh says what that needs)
	$(BIN)/python -m pytest -m "speech and not ($(SERVERS) or browser)" $(ARGS)

test-slow: $(FULL) ## run the tests that take minutes
	$(BIN)/python -m pytest -m "slow and not ($(SERVERS) or browser or speech)" $(ARGS)

bench: $(FULL) ## measure against the budgets; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks $(ARGS)

lint: $(FULL) ## style, types and the direction of imports
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/pyright

fmt: $(FULL) ## format, and mend what can be mended
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

clean: ## remove what was built here; never data
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

setup-browser: ## install Chromium from Debian's packages (asks for rights)
	scripts/install_browser.sh

$(BASE): pyproject.toml constraints.txt
	@$(PYTHON) scripts/check_machine.py base
	@echo "installing into $(VENV): about 430 MB of downloads the first time, some minutes without a word"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) -q -e .
	@touch $@

$(FULL): $(BASE)
	@$(BIN)/python scripts/check_machine.py full
	@echo "installing what development needs on top, PyTorch among it: 2 to 5.5 GB of disk, some minutes without a word"
	$(PIP_INSTALL) -q -e '.[models,speech,dev]'
	@touch $@
