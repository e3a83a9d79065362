# Needs git, make, a C++ compiler, and Python 3.10 to 3.13 with its venv module and headers.
# Another Python: make PYTHON=python3.12 test; beside the first: with VENV_DIR=.venv-3.12

PYTHON ?= python3
VENV_DIR ?= .venv
VENV := $(VENV_DIR)/bin
INSTALLED := $(VENV_DIR)/.installed

.PHONY: install demo page bench test test-long coverage matrix lint docs figures fuzz audit clean

install: $(INSTALLED)

demo: $(INSTALLED)
	$(VENV)/bscodec demo --out demo

# A static page that codes in its visitor's browser, in build/page (docs/page.md).
page: $(INSTALLED)
	.ci/page $(VENV)

# On an idle machine. BENCH=--quick only sees that all of it runs; --hour and --training add to it.
bench: $(INSTALLED)
	$(VENV)/python -W ignore -m benchmarks --out bench $(BENCH)

test: lint
	$(VENV)/python -m pytest -q

test-long: $(INSTALLED)
	$(VENV)/python -m pytest -q -m long

coverage: $(INSTALLED)
	$(VENV)/python -m pytest -q --cov --cov-report=term --cov-report=html:coverage

# All tests, on every interpreter that is found; an environment of 6 GB each.
matrix:
	MAKE="$(MAKE)" .ci/matrix

lint: $(INSTALLED)
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/bandit -q -c pyproject.toml -r setup.py espnet2 egs2 benchmarks fuzz
	$(VENV)/shellcheck $$(git ls-files --cached --others --exclude-standard -- '*.sh' .ci)

# The site, in build/site; its search wants a server: python -m http.server --directory build/site
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(VENV)/python -W ignore -m mkdocs build --strict

figures: $(INSTALLED)
	$(VENV)/python -W ignore docs/figures/make.py

# What reads files from outside, under atheris; what it finds is kept in fuzz/found/.
MINUTES ?= 10
fuzz: $(INSTALLED)
	$(VENV)/python -m pip install -q -e '.[fuzz]'
	$(VENV)/python -m fuzz --minutes $(MINUTES)

# Dependencies as they are installed: do they fit, their licences, and (with a network) advisories.
audit: $(INSTALLED)
	$(VENV)/python -m pip install -q -e '.[audit]'
	.ci/audit $(VENV)

# Installing again after a change to these two keeps the copy of the plug-in that runs up to date.
# With bytecode, a minute of it: where PYTHONDONTWRITEBYTECODE is set, every start would compile.
$(INSTALLED): setup.py espnet2/gan_codec/bscodec/plugin.py
	@$(PYTHON) -c 'import sys, venv, ensurepip; assert (3, 10) <= sys.version_info < (3, 14)' 2>/dev/null \
	|| { echo "PYTHON=$(PYTHON): Python 3.10 to 3.13 with its venv module is needed" >&2; exit 1; }
	test -x $(VENV)/pip || $(PYTHON) -m venv $(VENV_DIR)
	$(VENV)/python -m pip install -e '.[test,demo]'
	touch $@

clean:
	rm -rf .venv .venv-* build dist page/node_modules page/model demo bench coverage fuzz/corpus fuzz/found *.egg-info .pytest_cache .ruff_cache .hypothesis
