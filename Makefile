# Each target makes the virtual environment that it needs, in .venv.
#
#   make demo       run the quick start against a real Jupyter Server, in the terminal
#   make lab        open JupyterLab on the quick start
#   make test       run the tests (what this machine cannot run is left out, and named)
#   make chaos      break servers, workers and kernels hundreds of times (takes an hour)
#   make coverage   run the unit and contract tests, and show what they cover
#   make bench      measure it beside others (ROWS="three --short" for a part of it)
#   make check      lint, format, types, layers and tests
#   make docs       write the generated parts of the documentation
#   make pictures   make the pictures of the documentation from a real JupyterLab
#   make hosts      see the live views work in every JupyterLab, Notebook 7, JupyterHub
#   make clean      remove everything that was made
#
# Another Python than python3: make demo PYTHON=python3.13

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXAMPLES := notebooks/examples
# Test files that run at once. They wait more than they compute, so one more than two cores.
JOBS ?= 3
# JupyterLab refuses to run as root, as in a container, unless it is told to.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
DATA := $(shell find jupyter-config labextension magics/opspawn_magics/widgets -type f -not -name '*.py*')

PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
# A name or a cache of the user's must not reach into the environment.
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH PYTHONHOME

.DEFAULT_GOAL := help
.PHONY: help demo lab test chaos bench check lint types layers coverage wheel docs pictures hosts clean

help:
	@sed -n 's/^#  *make /  make /p' $(MAKEFILE_LIST)

demo: $(VENV)/.data
	@$(BIN)/python tools/demo.py

lab: $(VENV)/.data
	cd $(EXAMPLES) && $(abspath $(BIN))/python -m jupyterlab quickstart.ipynb $(AS_ROOT)

test: $(VENV)/.dev
	$(BIN)/python -m pytest --numprocesses=$(JOBS) --dist=loadfile $(ARGS)

chaos: $(VENV)/.dev
	OPSPAWN_CHAOS_LONG=1 $(BIN)/python -m pytest tests/chaos tests/integration/test_runner_output.py $(ARGS)

# Peers are installed into environments of their own, below .bench.
bench: $(VENV)/.dev
	PYTHONPATH=tools $(BIN)/python -m benchmarks $(ROWS)

check: lint types layers test

lint: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/python tools/check_javascript.py

layers: $(VENV)/.dev
	$(BIN)/lint-imports --no-logo

coverage: $(VENV)/.dev
	$(BIN)/coverage run -m pytest tests/unit tests/contract $(ARGS)
	$(BIN)/coverage report

wheel: $(VENV)/.dev
	rm -rf build dist
	@$(BIN)/python -m build --outdir dist . >build.log 2>&1 || { cat build.log >&2; exit 1; }
	@rm -f build.log; ls dist

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

pictures: $(VENV)/.dev .scheduler/.installed
	$(BIN)/python tools/pictures.py

# Each host is installed into an environment of its own, below .hosts; JupyterHub's proxy is npm's.
hosts: $(VENV)/.dev
	$(BIN)/python tools/hosts.py $(ARGS)

.mcp/.installed: $(VENV)/.base
	@echo "Installing tool servers and the MCP conformance suite ..."
	@npm install --silent --no-audit --no-fund --prefix .mcp/node \
	  node@22.23.3 @modelcontextprotocol/conformance@0.2.0-alpha.12 \
	  @modelcontextprotocol/server-everything@2026.8.31 \
	  @modelcontextprotocol/server-filesystem@2026.8.31 \
	  @modelcontextprotocol/server-memory@2026.8.31 \
	  @modelcontextprotocol/inspector@2.12.0
	@$(PYTHON) -m venv .mcp/python
	@.mcp/python/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	  mcp-server-time mcp-server-git
	@$(PYTHON) -m venv .mcp/python-sqlite
	@.mcp/python-sqlite/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	  mcp-server-sqlite 'mcp<2'
	@touch $@

# jupyter-scheduler with all that it needs: its own front end and models are tried against ours.
.scheduler/.installed: $(VENV)/.base
	@echo "Installing jupyter-scheduler ..."
	@$(PYTHON) -m venv .scheduler
	@.scheduler/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	  jupyter-scheduler==2.12.1
	@touch $@

.evidence/.installed: $(VENV)/.base
	@echo "Installing what others validate evidence with ..."
	@$(PYTHON) -m venv .evidence
	@.evidence/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
	  bagit==1.9.0 roc-validator==0.13.0 runcrate==0.6.2 openlineage-python==1.54.0 \
	  'cyclonedx-python-lib[json-validation]==11.12.0'
	@touch $@

clean:
	rm -rf $(VENV) .mcp .evidence .scheduler .hosts build dist *.egg-info htmlcov .coverage .coverage.* .mypy_cache .ruff_cache
	rm -rf .pytest_cache .import_linter_cache .hypothesis
	rm -rf $(EXAMPLES)/.opspawn $(EXAMPLES)/opspawn_runs $(EXAMPLES)/.ipynb_checkpoints
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The package is installed in place, so that a change is seen at once. Such an installation leaves
# out the data files: what enables the server extension, and the JupyterLab extension. They are
# copied here, and again when they change.
$(VENV)/.base:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "opspawn_jupyter needs Python 3.11 or newer, and '$(PYTHON)' is not:" \
	       "$$($(PYTHON) --version 2>&1 || true). Name one: make PYTHON=python3.11 ..." >&2; \
	  exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "'$(PYTHON) -m venv' failed; on Debian: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.lab: $(VENV)/.base pyproject.toml setup.cfg
	@echo "Installing JupyterLab and opspawn_jupyter (a few minutes the first time) ..."
	@$(PIP) install --editable '.[lab]'
	@touch $@

$(VENV)/.data: $(VENV)/.lab tools/data_files.py $(DATA)
	@$(BIN)/python tools/data_files.py
	@touch $@

$(VENV)/.dev: $(VENV)/.data
	@echo "Installing the tools for development ..."
	@$(PIP) install --editable '.[lab,test,dev]'
	@$(BIN)/python -m bash_kernel.install --sys-prefix >/dev/null
	@touch $@
