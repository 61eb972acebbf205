# Each target sets up what it needs in .venv. `make help` lists them.
PYTHON ?= python3
VENV ?= .venv
HOST ?= 127.0.0.1
PORT ?= 8000
MODELS ?= models
NAME ?= mine
DEVICE ?= auto
TORCH ?=
PIP = $(VENV)/bin/python -m pip --disable-pip-version-check
RUNTIME = $(if $(findstring cuda,$(DEVICE)),gpu,cpu)
OTHER_WHEEL = $(if $(findstring cuda,$(DEVICE)),onnxruntime,onnxruntime-gpu)
# Tests start hundreds of processes: what they load is compiled once, also where the shell keeps Python from it.
WITH_BYTECODE = PYTHONDONTWRITEBYTECODE=
TORCH_BUILD = $(if $(TORCH),$(VENV)/.torch-$(TORCH))

.PHONY: help install serve fit test lint types unit test-all check format bench docs tree helm manifests image clean
help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

install: $(VENV)/.install-$(RUNTIME) ## Put `harmonic` with all its commands into .venv/bin (TORCH=cpu for PyTorch without CUDA, DEVICE=cuda)

serve: $(VENV)/.serve-$(RUNTIME) ## Serve the models in ./models on port 8000 (PORT=, DEVICE=cuda, MODELS=)
	@$(VENV)/bin/harmonic serve --repository $(MODELS) --host $(HOST) --port $(PORT) --device $(DEVICE)

fit: $(VENV)/.install-$(RUNTIME) ## A classifier of your own photographs: DATA=folder of class folders, NAME=mine; published into ./models
	@test -n "$(DATA)" || { echo "Which photographs? make fit DATA=folder (a folder of images for each class)"; exit 1; }
	@$(VENV)/bin/harmonic fit "$(DATA)" --name $(NAME) --repository $(MODELS)

test: lint types unit ## Lint, types and tests

lint: $(VENV)/.dev ## Style and formatting
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.dev ## Static types
	$(VENV)/bin/mypy

unit: $(VENV)/.dev ## Tests, all but the slow ones and those that need docker or a GPU
	OMP_NUM_THREADS=1 $(WITH_BYTECODE) $(VENV)/bin/pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow and not docker and not gpu"

test-all: $(VENV)/.dev ## Every test that this machine can run, and what of each room they run: no less than tests/support/floors.json says
	$(WITH_BYTECODE) $(VENV)/bin/pytest --cov --cov-report=json
	$(VENV)/bin/python -m tests.support.floors coverage.json

check: test ## What must be green at each commit

format: $(VENV)/.dev ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: $(VENV)/.dev ## The service beside others, into docs/benchmarks.md (PEERS=, QUICK=1; quiet machine, 12 minutes)
	$(VENV)/bin/python -m benchmarks.servers $(if $(QUICK),--quick) $(PEERS)

docs: $(VENV)/.dev tree ## Write what is generated of the documentation; check that it names everything and its commands run
	$(VENV)/bin/python -m tests.support.settings_page
	$(VENV)/bin/pytest tests/test_docs.py tests/test_readme.py

tree: $(VENV)/.dev ## Write the tree of docs/architecture.md from the rules
	$(VENV)/bin/python -m tests.support.house

helm: $(VENV)/.dev ## Put the helm command into .venv/bin, for the chart and its tests
	$(VENV)/bin/python -m tests.support.helm fetch

manifests: $(VENV)/.dev ## Write deploy/kubernetes from the chart
	$(VENV)/bin/python -m tests.support.helm

image: ## Build the CPU container
	docker build --target cpu --tag harmonic:cpu .

clean: ## Remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage coverage.json

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "harmonic needs Python 3.11 or newer; set PYTHON=")'
	@$(PYTHON) -m venv $(VENV)

# One of the two ONNX Runtime wheels at a time: they overwrite each other's files.
$(VENV)/.serve-cpu $(VENV)/.serve-gpu: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing what serving needs into $(VENV) ..."
	@! $(PIP) show --quiet $(OTHER_WHEEL) 2>/dev/null || $(PIP) uninstall --quiet --yes $(OTHER_WHEEL)
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[serve,$(RUNTIME)]'
	@rm -f $(VENV)/.serve-* $(VENV)/.install-* && touch $@

$(VENV)/.install-cpu $(VENV)/.install-gpu: $(VENV)/bin/python $(TORCH_BUILD) pyproject.toml constraints.txt
	@echo "Installing every command, PyTorch included, into $(VENV) (several minutes the first time) ..."
	@! $(PIP) show --quiet $(OTHER_WHEEL) 2>/dev/null || $(PIP) uninstall --quiet --yes $(OTHER_WHEEL)
	@$(PIP) install --quiet --constraint constraints.txt --editable '.[serve,train,export,starter,$(RUNTIME)]'
	@rm -f $(VENV)/.serve-* $(VENV)/.install-* && touch $@ $(VENV)/.serve-$(RUNTIME)

# A build of PyTorch other than the package index's own (on Linux that is CUDA's, several gigabytes): TORCH=cpu. The two
# packages come as a pair of that build or not at all, from an index that pip is told of: PIP_EXTRA_INDEX_URL=...
$(VENV)/.torch-%: $(VENV)/bin/python constraints.txt
	@echo "Installing the build '$*' of torch and torchvision into $(VENV) ..."
	@$(PIP) install --quiet --constraint constraints.txt $(shell sed -nE 's/^(torch|torchvision)==(.*)$$/\1==\2+$*/p' constraints.txt) || { \
	  echo "None of the indexes that pip asks has that build. PyTorch's own site names those that do; then:" ; \
	  echo "    PIP_EXTRA_INDEX_URL=<index> make $(MAKECMDGOALS) TORCH=$*" ; exit 1 ; }
	@rm -f $(VENV)/.torch-* && touch $@

# pip would compile all that it installs; what is imported is compiled then, which is a quarter of it.
$(VENV)/.dev: $(VENV)/bin/python $(TORCH_BUILD) pyproject.toml constraints.txt
	@echo "Installing everything, PyTorch included, into $(VENV) (several minutes the first time) ..."
	@! $(PIP) show --quiet onnxruntime-gpu 2>/dev/null || $(PIP) uninstall --quiet --yes onnxruntime-gpu
	@$(PIP) install --quiet --no-compile --constraint constraints.txt --editable '.[serve,train,export,starter,stores,dev,cpu]'
	@rm -f $(VENV)/.serve-* $(VENV)/.install-* && touch $@ $(VENV)/.serve-cpu $(VENV)/.install-cpu
