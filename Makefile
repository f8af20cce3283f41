# Two commands matter: `make reproduce` and `make test`. Both set up .venv on their first run.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.bench3dmm-installed
PROFILE ?= quick
# Where the notebooks find runs; `make reproduce RESULTS=output/results` finds none and trains them all.
RESULTS ?= $(if $(filter quick,$(PROFILE)),results,output/results)

.DEFAULT_GOAL := help
.PHONY: help reproduce test test-gpu setup lint notebooks format citation clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

reproduce: setup ## train a stored run again and compare, then draw everything into output/ (see README)
	$(BIN)/bench3dmm verify
	$(BIN)/bench3dmm notebooks --profile $(PROFILE) --output-dir output --results-dir $(RESULTS)

test: setup lint ## the checks of lint, pytest and the notebooks against their stored outputs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto
	$(BIN)/python -m pytest --nbval --nbval-cell-timeout=1800 notebooks/*.ipynb

test-gpu: setup ## the tests that need a GPU; says so where there is none
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	  $(BIN)/python -m pytest -n 0 -m gpu; \
	else echo "GPU tests: not run, torch sees no CUDA device"; fi

setup: $(STAMP) ## the virtual environment .venv, with the versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("bench3dmm needs Python 3.11 or later, \
	this is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[interactive,notebooks,test]'
	@touch $@

lint: setup ## ruff, the rules of imports between the wings, and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy

notebooks: setup ## run the notebooks in place, to store their outputs
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False \
	  notebooks/*.ipynb

format: setup ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

citation: ## validate CITATION.cff with cffconvert, in an environment of its own (it needs an older jsonschema)
	$(PYTHON) -m venv build/cff
	build/cff/bin/python -m pip install --quiet --disable-pip-version-check 'cffconvert==2.0.0' 'setuptools<81'
	build/cff/bin/cffconvert --validate -i CITATION.cff

clean: ## remove .venv, output/ and caches (results/ stays)
	rm -rf $(VENV) output build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
