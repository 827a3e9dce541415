# make demo    set up, export a real checkpoint, encode, show similarities and speed
# make test    set up, lint, check types, run the whole suite
# make lint    set up, ruff and mypy alone
# make bench   set up, measure this machine (results as JSON under .bench/results/) and print the tables: ours and the
#              peers in environments of their own; PEERS="fastembed openvino" for some, BENCH_OPTIONS=--all for what takes
#              longer, --fresh to start from the beginning after an interruption
# make publish-bench   set up, copy those results to benchmarks/results/, write the tables and plots of README.md and docs/;
#              PARTIAL=1 for results of fewer contestants or tasks than the published ones
# make wheels  set up, build dist/'s wheels for Linux x86_64, Linux aarch64 and macOS arm64, and run the one for here
# make docs    set up, build the documentation into site/
# make clean   remove what the others made

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

# The CPU build of torch, which export alone needs: a bare `torch` brings gigabytes of CUDA libraries on Linux. Where
# that index cannot be reached, the default one serves.
TORCH ?= torch==2.13.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: demo test lint bench publish-bench wheels docs clean

demo: $(VENV)/.kernels
	$(BIN)/python examples/demo.py

# Two processes, a file's tests in one: they keep two cores busy, and each needs about 2 GB with torch. Files run in the
# order of tests/conftest.py; xdist's own runs those of few tests last, among them the longest.
test: lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.kernels
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.kernels
	$(BIN)/python -m benchmarks $(if $(PEERS),--peers $(PEERS)) $(BENCH_OPTIONS)

publish-bench: $(VENV)/.kernels
	SIMCSE_BUILD_KERNELS=0 $(PIP) install --editable '.[bench]'
	$(BIN)/python -m benchmarks.report $(if $(PARTIAL),--partial)

wheels: $(VENV)/.kernels
	PYTHONPATH=engine/kernels $(BIN)/python tests/wheels.py dist

docs: $(VENV)/.kernels
	$(BIN)/python -m mkdocs build --strict

# The project is installed as links to its folders, so this is done again only when the dependencies change.
$(VENV)/.ready: pyproject.toml Makefile
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required; make PYTHON=…")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --retries 0 --timeout 15 --index-url $(TORCH_INDEX) $(TORCH) 2>/dev/null || $(PIP) install $(TORCH)
	SIMCSE_BUILD_KERNELS=0 $(PIP) install --editable '.[cpu,export,tensorrt-rtx,arrow,plot,serve,docs,test,dev]'
	touch $@

# The native library, compiled by the environment's own ziglang or CXX; what did not change is not compiled again.
KERNELS := $(wildcard engine/kernels/*.cc engine/kernels/*.h engine/kernels/build_kernels/*.py)
$(VENV)/.kernels: $(VENV)/.ready $(KERNELS)
	PYTHONPATH=engine/kernels $(BIN)/python -m build_kernels
	touch $@

clean:
	rm -rf $(VENV) .demo .bench .environments .pytest_cache build dist site engine/simcse_engine/kernels/libsimcse_kernels.*
