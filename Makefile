# Everything a developer or a first visitor runs. Needs Python 3.11 to 3.13 and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO_READY := $(DEMO_VENV)/.ready

.PHONY: help setup demo test check lint docs bench clean

help:
	@echo "make demo      render a street drive, run the main job on it, compare with the truth"
	@echo "make test      set up, run all tests, hold the coverage of the rooms without PyTorch"
	@echo "make check     format, lint, types, import contract, fast tests"
	@echo "make lint      the same without the tests"
	@echo "make docs      build the documentation into site/"
	@echo "make bench     measure speed, accuracy and start-up, results into benchmarks/results/"
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

# One test a core, each on one thread: most are small, and threads would wait for each other.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

NO_TORCH := core geometry media metrics synth runtime scene
comma := ,
test: $(READY)
	$(PYTEST) --cov --cov-report=
	$(BIN)/coverage report --fail-under=90 \
		--include='$(subst $() ,$(comma),$(NO_TORCH:%=*/litescene/%/*))'

check: lint
	$(PYTEST) -m "not slow and not data"

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# Real video and labelled pictures come from the data sets. What is absent is named and left out.
RESULTS := benchmarks/results
TRAINED := src/litescene/results/segmentation
DATA := $(or $(LITESCENE_DATA),../shared/data)
VIDEO := $(DATA)/video/solidWhiteRight.mp4
SHIPPED := $(filter-out %_i8e %_i8s,$(notdir $(basename $(wildcard src/litescene/runtime/weights/*.onnx))))
MISSING := @echo "bench: left out, as there is no"

bench: $(READY)
	$(BIN)/python benchmarks/startup.py --json $(RESULTS)/startup.json
	$(BIN)/python benchmarks/street_speed.py --json $(RESULTS)/street_speed.json
	$(BIN)/python benchmarks/pooling_speed.py --json $(RESULTS)/pooling_speed.json
	$(BIN)/python benchmarks/sparse_speed.py --json $(RESULTS)/sparse_speed.json
	$(BIN)/python benchmarks/demo.py --out out/bench --json $(RESULTS)/demo.json
	$(BIN)/litescene bench segmentation --again --json $(RESULTS)/bench_segmentation.json \
		$(if $(wildcard $(TRAINED)/*.json),--picture docs/pictures/segmentation_front)
	$(BIN)/python benchmarks/run_speed.py out/bench/street/drive.mp4 \
		--camera out/bench/street/camera.yaml --json $(RESULTS)/run_speed_street.json
ifneq ($(and $(wildcard $(VIDEO)),$(wildcard $(DATA)/camvid/val)),)
	$(BIN)/python benchmarks/run_speed.py $(DATA)/camvid/val --camera fov=60 \
		--json $(RESULTS)/run_speed_camvid.json
	$(BIN)/python benchmarks/run_speed.py $(VIDEO) --camera fov=60 --frames 600 \
		--json $(RESULTS)/run_speed_motorway.json
else
	$(MISSING) $(VIDEO) or $(DATA)/camvid/val: speed on real video (set LITESCENE_DATA)
endif
ifneq ($(and $(wildcard $(VIDEO)),$(wildcard $(DATA)/camvid/val),$(wildcard $(DATA)/kitti07_160)),)
	$(BIN)/python benchmarks/real_video.py --data $(DATA) --json $(RESULTS)/real_video.json
else
	$(MISSING) $(VIDEO), $(DATA)/camvid/val or $(DATA)/kitti07_160: accuracy on real video
endif
ifneq ($(and $(wildcard $(VIDEO)),$(wildcard $(DATA)/camvid/val)),)
	$(BIN)/python benchmarks/segment_speed.py pp_liteseg_t --json $(RESULTS)/segment_speed.json
else
	$(MISSING) $(VIDEO) or $(DATA)/camvid/val: segment against PyTorch (set LITESCENE_DATA)
endif
ifneq ($(and $(wildcard $(DATA)/road_signs),$(wildcard $(DATA)/camvid/train)),)
	$(BIN)/python benchmarks/detect_speed.py --json $(RESULTS)/detect_speed.json
	for name in $(SHIPPED); do \
		$(BIN)/python benchmarks/int8.py $$name --json $(RESULTS)/int8_$$name.json || exit 1; done
else
	$(MISSING) $(DATA)/road_signs or $(DATA)/camvid/train: detectors against PyTorch, int8
endif

clean:
	rm -rf build dist site demo .coverage .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
