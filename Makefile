# Needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
METHOD := gtan

.PHONY: demo test lint install clean

demo: install  ## trains, evaluates and draws on the embedded default
	$(BIN)/python experiments/main.py --config=configs/$(METHOD).py \
	  --workdir=runs/$(METHOD)

test: install  ## passes the tests
	$(BIN)/python -m pytest -n 2

lint: install  ## ruff, and that imports only go down
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

install: $(VENV)/installed

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@

clean:
	rm -rf $(VENV) runs
