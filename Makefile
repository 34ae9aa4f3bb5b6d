# One command each. `make demo` and `make test` set up everything they need.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# A small report with every section, as it is kept in reports/golden/; what was done before is not done again.
.PHONY: setup demo golden test slow browser lint fmt check bench clean constraints

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo 'Installing into $(VENV): a few minutes and about 6 GB, most of it PyTorch ...'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	test -f data/demo/truth.json || $(BIN)/audit phantom data/demo --design cohorts/phantoms/demo.yaml
	$(BIN)/audit run cohorts/demo.yaml

golden: $(STAMP)
	$(BIN)/python examples/golden.py

test: $(STAMP)
	$(BIN)/pytest -m "not slow and not gpu and not browser"

slow: $(STAMP)
	$(BIN)/pytest -m slow

browser: $(STAMP)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,browser]'
	$(BIN)/pytest -m browser

fmt: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python benchmarks/measure.py
	$(BIN)/python benchmarks/profile_run.py
	$(BIN)/python benchmarks/auc_bootstrap.py
	$(BIN)/python benchmarks/matrix.py
	$(BIN)/python benchmarks/matrix_audit.py
	$(BIN)/python benchmarks/check.py

check: lint test

clean:
	rm -rf $(VENV) data/demo reports/demo

constraints: $(STAMP)
	$(BIN)/pip freeze --exclude-editable | grep -v -i -E '^(nvidia|cuda|triton)' > constraints.txt
