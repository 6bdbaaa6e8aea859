# Everything a developer or a first visitor runs. Needs Python 3.11 to 3.13 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_READY := $(DEMO_VENV)/.ready

.PHONY: help setup demo test check coverage docs bench clean

help:
	@echo "make demo      render a street drive, run the main job on it, compare with the truth"
	@echo "make test      set up and run all tests"
	@echo "make check     format, lint, types, import contract, fast tests"
	@echo "make coverage  all tests, with the coverage floor of the rooms without PyTorch"
	@echo "make docs      build the documentation into site/"
	@echo "make bench     measure speed and start-up, results into benchmarks/results/"
	@echo "make setup     only the development environment in $(VENV)"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable '.[dev,docs]' --constraint constraints.txt
	touch $@

# The demo has its own environment: the base install and the renderer, no PyTorch.
$(DEMO_READY): pyproject.toml
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/pip install --quiet --editable '.[synth]'
	touch $@

demo: $(DEMO_READY)
	$(DEMO_VENV)/bin/python benchmarks/demo.py --out demo

test: $(READY)
	$(BIN)/pytest

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -m "not slow and not data"

coverage: $(READY)
	$(BIN)/pytest --cov --cov-report=
	$(BIN)/coverage report --fail-under=90 --include='*/litescene/core/*,*/litescene/geometry/*,*/litescene/media/*,*/litescene/metrics/*,*/litescene/synth/*,*/litescene/runtime/*,*/litescene/scene/*'

docs: $(READY)
	$(BIN)/mkdocs build --strict --quiet

bench: $(READY)
	$(BIN)/python benchmarks/startup.py --json benchmarks/results/startup.json
	$(BIN)/litescene synth street --out out/bench --seconds 10 --layout video
	$(BIN)/python benchmarks/run_speed.py out/bench/drive.mp4 --camera out/bench/camera.yaml \
		--json benchmarks/results/run_speed.json

clean:
	rm -rf build dist site demo .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
