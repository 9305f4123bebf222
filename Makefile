# The two commands of the README. Both set up a virtual environment of their own first.
PYTHON ?= python3
VENV ?= .venv
READY := $(VENV)/ready
# The files of the quick tests: 90 seconds of processor time in all.
QUICK := $(patsubst %,tests/test_%.py,decision deploy_plan docs features graph keras_layers knapsack model_files packing \
	precision profiler quantize recipe recipe_faults targets)
# One thread each of BLAS, as in the command line, and of TensorFlow. What Python compiles is kept, whatever the environment
# says: the processes of the tests, and the hundreds that these start, would compile hybridq and the tests anew.
PYTEST := OPENBLAS_NUM_THREADS=1 HYBRIDQ_THREADS=1 PYTHONDONTWRITEBYTECODE= $(VENV)/bin/python -m pytest

.PHONY: demo lint test check clean

demo: $(READY)  ## train the keyword spotter as FP32, 8-bit and hybrid on synthetic voices, and print the table
	$(VENV)/bin/hybridq sweep recipes/quickstart

lint: $(READY)  ## run the linter, the type checker and the contracts of who may import whom
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

test: lint  ## the same and all tests
	@# collected by one process first, whose compiled tests the others take; three on two cores, for tests wait too
	@$(PYTEST) --collect-only -qq >/dev/null || true
	$(PYTEST) -n 3 --dist loadfile --no-loadscope-reorder

check: lint  ## the same and the quick tests, in three minutes
	$(PYTEST) -n 2 --dist loadfile -m "not slow" $(QUICK)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed (PYTHON=python3.11 make ...); this is %d.%d" % v)'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	touch $@

clean:
	rm -rf $(VENV)
