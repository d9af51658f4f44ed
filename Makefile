# Every command of the project. Each makes the environment that it needs, once; after that it works
# offline. All paths are relative, so that the checkout may lie in a folder with spaces in its name.

CAN_MAKE_ENVIRONMENTS := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
HAS_PIP := import pip, sys; sys.exit(sys.version_info < (3, 11))

# The newest interpreter that really runs: a version manager's launchers may exist and fail.
PYTHON ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c '$(CAN_MAKE_ENVIRONMENTS)' 2>/dev/null && echo "$$python" && break; done)
NO_PYTHON := chainrule needs Python 3.11 or newer with its venv module: install it, or name it with make PYTHON=/path/to/python.

SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
RUN := .venv/$(SCRIPTS)/python
RUN_PEERS := .venv-peers/$(SCRIPTS)/python

# One process for each processor: they begin with a share each, and who is done takes of the others'.
PROCESSES := --numprocesses logical --maxprocesses 4 --dist worksteal

.PHONY: help demo test test-all check bench docs clean

help:
	@echo "make demo      the main job on real input, in about half a minute"
	@echo "make test      the tests, without the slow ones"
	@echo "make test-all  every test, and stored numbers compared with PyTorch's"
	@echo "make check     format, lint, types, architecture laws, docstring examples"
	@echo "make bench     timings, side by side with peers, a quarter of an hour"
	@echo "make docs      the documentation, in site/: runs the lectures, a few minutes the first time"
	@echo "make clean     remove environments, caches and written files"

demo: .venv/.installed-demo
	@$(RUN) examples/demo.py

test: .venv/.installed-dev
	@$(RUN) -m pytest -m "not slow" $(PROCESSES)

test-all: .venv/.installed-dev .venv-peers/.installed
	@$(RUN) -m pytest
	@set -e; for script in $(wildcard tools/golden_*.py); do \
		name=tools.$$(basename "$$script" .py); echo "$$name --check"; \
		$(RUN_PEERS) -m "$$name" --check; done

check: .venv/.installed-dev
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy
	@$(RUN) tools/architecture.py
	@$(RUN) -m pytest -q src

bench: .venv/.installed-dev .venv-peers/.installed
	@$(RUN) -m benchmarks --out docs --peers-python $(RUN_PEERS)

docs: .venv/.installed-docs
	@$(RUN) -m sphinx -q --fresh-env --nitpicky --fail-on-warning --keep-going docs site
	@echo "site/index.html"

clean:
	rm -rf .venv .venv-peers .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist out \
		site docs/gallery
	find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

# An environment of any origin is kept where its interpreter and pip work, and made anew where not.
# $(call install,FOLDER,WHAT)
define install
	@$(1)/$(SCRIPTS)/python -c '$(HAS_PIP)' 2>/dev/null || { \
		python="$(PYTHON)"; test -n "$$python" || { echo "$(NO_PYTHON)" >&2; exit 1; }; \
		echo "making $(1) with $$python"; "$$python" -m venv --clear $(1); }
	@echo "installing $(2) into $(1): once, from the network"
	@$(1)/$(SCRIPTS)/python -m pip install --quiet --disable-pip-version-check $(2) || { \
		echo "could not install into $(1): mend what pip names above, then run the same command again." >&2; \
		exit 1; }
	@touch $@
endef

.venv/.installed-demo: pyproject.toml
	$(call install,.venv,--editable '.[sklearn]')

.venv/.installed-dev: pyproject.toml
	$(call install,.venv,--editable '.[dev]')
	@touch .venv/.installed-demo

.venv/.installed-docs: pyproject.toml
	$(call install,.venv,--editable '.[docs]')

.venv-peers/.installed: tools/peers.txt
	$(call install,.venv-peers,--requirement tools/peers.txt)
