# Two commands do everything on a fresh machine: `make demo` and `make test`. Both set up .venv/ first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
CONSTRAINTS := constraints/cpu.txt

.PHONY: demo test test-slow check tools clean

demo: $(STAMP)
	$(BIN)/mmgen demo

test: $(STAMP) tools check
	$(BIN)/python -m pytest

test-slow: $(STAMP) tools
	$(BIN)/python -m pytest -m slow -n 0

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mmgen needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e ".[masks,reid,upscale,review,dev]"
	touch $(STAMP)

# Other people's readers for the tests: the Khronos glTF validator, three.js, and axe-core for pages. Tests that need them are skipped where npm is missing.
tools:
	@if command -v npm >/dev/null && [ ! -d tests/node/node_modules/three ]; then \
		npm install --silent --no-audit --no-fund --prefix tests/node || echo "no outside checkers: their tests will be skipped"; fi

clean:
	rm -rf $(VENV) build *.egg-info demo
