# The commands of this project. The two that matter on a fresh machine: make demo, make test.

PYTHON ?= python3
VENV := .venv
FRAMEWORKS := .venv-frameworks
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

ENGINES = munge slurmctld slurmd slurm-client gridengine-master gridengine-exec gridengine-client \
  iproute2 tmux openssh-server openssh-client chromium chromium-driver poppler-utils \
  texlive-latex-recommended bindfs fuse3 gcc libc6-dev

.PHONY: help engines demo demo-vision test test-quick test-vision test-exchange test-frameworks check docs format bench chaos fuzz clean

help:
	@echo "make demo         train, search and print the tables, on real handwritten digits (NumPy)"
	@echo "make demo-vision  the same with PyTorch"
	@echo "make test         all tests (those of job managers and browsers that are not here are skipped)"
	@echo "make engines      install those: Slurm and GridEngine, Chromium, FUSE (apt, as root), Ray"
	@echo "make test-exchange exports opened by the tools they are for, imports of what those make (1.1 GB)"
	@echo "make test-frameworks scripts of Lightning, Transformers, Keras, XGBoost and others (2 GB)"
	@echo "make check        lint, types, import contracts"
	@echo "make docs         the site, into site/; a broken link is an error"
	@echo "make bench        every benchmark in its quick form, into benchmarks/results/"
	@echo "make chaos        the model, 1,500 kills, then hostile file systems (about 40 minutes)"
	@echo "make fuzz         random params files and output; 10,000 commands on damaged folders (20 minutes)"

# -- Set-up: an environment, made again when pyproject.toml changes ---------------------------------

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made pyproject.toml
	$(PIP) install --editable ".[demo]"
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(PIP) install --editable ".[dev]"
	@touch $@

$(VENV)/.docs: $(VENV)/.made pyproject.toml
	$(PIP) install --editable ".[docs]"
	@touch $@

$(VENV)/.engines: $(VENV)/.dev
	$(PIP) install --editable ".[ray]"
	@touch $@

$(VENV)/.exchange: $(VENV)/.made pyproject.toml
	$(PIP) install --no-compile --editable ".[dev,exchange]"
	@touch $@

# An environment of their own: their pinned versions are not those of the other tools.
$(FRAMEWORKS)/.made: pyproject.toml tests/frameworks/requirements.txt
	$(PYTHON) -m venv $(FRAMEWORKS)
	$(FRAMEWORKS)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
	  --editable . --requirement tests/frameworks/requirements.txt
	@touch $@

$(VENV)/.vision: $(VENV)/.made src/modeldir/commands/templates/vision/requirements.txt
	$(PIP) install --editable ".[demo]"
	$(PIP) install --requirement src/modeldir/commands/templates/vision/requirements.txt
	@touch $@

# -- Use --------------------------------------------------------------------------------------------

demo: $(VENV)/.demo
	$(BIN)/modeldir demo demo

demo-vision: $(VENV)/.vision
	$(BIN)/modeldir demo demo-vision --template vision

# Started by the tests themselves, from tests/engines, never as services of this machine.
engines: $(VENV)/.engines
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive sh -c '\
	  dpkg -s $(ENGINES) >/dev/null 2>&1 || { \
	  apt-get -o DPkg::Lock::Timeout=600 -qq update && \
	  apt-get -o DPkg::Lock::Timeout=600 -qq -y --no-install-recommends install $(ENGINES); }'

# -- Checks -----------------------------------------------------------------------------------------

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

test-quick: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow" $(ARGS)

test-vision: $(VENV)/.dev $(VENV)/.vision
	$(BIN)/python -m pytest tests/commands/test_templates.py tests/worker/test_preload_libraries.py $(ARGS)

test-frameworks: $(FRAMEWORKS)/.made
	MODELDIR_ENGINES=frameworks $(FRAMEWORKS)/bin/python -m pytest -m frameworks tests/frameworks tests/adopt $(ARGS)

test-exchange: $(VENV)/.exchange
	MODELDIR_ENGINES=exchange $(BIN)/python -m pytest -m exchange \
	  tests/exchange tests/results/test_table_formats.py $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.docs
	$(BIN)/zensical build --clean --strict

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/all.py --peers $(ARGS)

chaos: $(VENV)/.dev
	$(BIN)/python tests/model/check_model.py
	$(BIN)/python tests/chaos.py $(ARGS)

fuzz: $(VENV)/.dev
	$(BIN)/python tests/fuzz.py $(ARGS)

clean:
	rm -rf $(VENV) $(FRAMEWORKS) demo demo-vision build dist site .cache .pytest_cache .mypy_cache .ruff_cache
