# Two commands for a fresh machine with Python 3.11+, pip and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
OUT    ?= runs/demo

.PHONY: demo test check format docs clean

demo: $(VENV)/.installed
	$(BIN)/bdk run --encoder mamba --fusion ram --retriever laion2b --out $(OUT)

# all of them; what is marked slow (killed sweeps, clusters, wheels, whole combinations) is about two thirds of the time
test: $(VENV)/.installed
	$(BIN)/pytest -n 2 --dist loadfile

# what a contributor runs before a commit: format, lint, types, import contracts, fast tests
check: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not slow"

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.installed
	$(BIN)/pip install -q -e '.[docs]'
	$(BIN)/mkdocs build --strict

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -e '.[cpu,dev]'
	touch $@

clean:
	rm -rf $(VENV) dist build site
