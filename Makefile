# Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
METHOD := gtan

.PHONY: demo test lint docs notebooks install clean

demo: install  ## trains, evaluates and draws on the embedded default
	$(BIN)/python experiments/main.py --config=configs/$(METHOD).py \
	  --workdir=runs/$(METHOD)

test: install  ## passes the tests
	$(BIN)/python -m pytest -n 2

lint: install  ## ruff, and that imports only go down
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

docs: $(VENV)/installed-docs  ## the pages as HTML, in site/; a warning is an error
	$(BIN)/mkdocs build --strict

notebooks: install  ## .ipynb files from their sources, without outputs
	$(BIN)/python experiments/notebooks/build.py

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) runs site
