# The two commands of the README. Both set up a virtual environment of their own first.
PYTHON ?= python3
VENV ?= .venv
READY := $(VENV)/ready
# The files of the quick tests: 90 seconds of processor time in all.
QUICK := $(patsubst %,tests/test_%.py,decision deploy_plan docs features graph keras_layers knapsack model_files packing \
	precision profiler quantize recipe recipe_faults targets)
ONE_THREAD := OPENBLAS_NUM_THREADS=1 HYBRIDQ_THREADS=1

.PHONY: demo lint test check clean

demo: $(READY)  ## train the keyword spotter as FP32, 8-bit and hybrid on synthetic voices, and print the table
	$(VENV)/bin/hybridq sweep recipes/quickstart

lint: $(READY)  ## run the linter, the type checker and the contracts of who may import whom
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test: lint  ## the same and all tests
	@# three processes on two cores: tests wait too; one thread each of BLAS, as in the command line, and of TensorFlow
	$(ONE_THREAD) $(VENV)/bin/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check: lint  ## the same and the quick tests, in three minutes
	$(ONE_THREAD) $(VENV)/bin/python -m pytest -n 2 --dist loadfile -m "not slow" $(QUICK)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed (PYTHON=python3.11 make ...); this is %d.%d" % v)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:
	rm -rf $(VENV)
