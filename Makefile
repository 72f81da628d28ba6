# Needs python3, make and a package index. Every target makes what it needs in .venv; see `make help`.
PYTHON ?= python3
PYTEST_ARGS ?= -n auto
BENCH_ARGS ?=

# What each stamp installs.
EXTRAS_train :=
EXTRAS_test := [test]
EXTRAS_lint := [lint,viz]
EXTRAS_notebook := [notebook]

.PHONY: help train test test-slow lint notebooks bench zoo sweep clean broken
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

train: .venv/.installed-train  ## train the bundled digits and print the test accuracy
	.venv/bin/laminax train digits

test: .venv/.installed-test  ## run the tests, spread over the cores (PYTEST_ARGS= for one process)
	.venv/bin/pytest $(PYTEST_ARGS)

test-slow: .venv/.installed-test  ## run the long trainings and the statistics
	XLA_FLAGS= .venv/bin/pytest -m slow $(PYTEST_ARGS)

lint: .venv/.installed-lint  ## check style, types and the layering of the rooms
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy -p laminax
	.venv/bin/lint-imports

notebooks: .venv/.installed-notebook  ## run the notebooks and store their outputs beside them
	.venv/bin/jupytext --to ipynb --set-kernel python3 --execute $(wildcard notebooks/*.py)

bench: .venv-bench/.installed-bench  ## time the peers side by side into benchmarks/RESULTS.md
	.venv-bench/bin/python -m benchmarks.mnist $(BENCH_ARGS)

zoo: .venv-bench/.installed-bench  ## time each model beside its torch equivalent into benchmarks/ZOO.md
	.venv-bench/bin/python -m benchmarks.zoo $(BENCH_ARGS)

sweep: .venv-bench/.installed-bench  ## time a sweep beside trainings one by one into benchmarks/SWEEP.md
	.venv-bench/bin/python -m benchmarks.sweep $(BENCH_ARGS)

clean:  ## remove the environments, caches and build outputs
	rm -rf .venv .venv-bench build dist *.egg-info
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.installed-%: pyproject.toml
	$(call install,.venv,$(EXTRAS_$*))

.venv-bench/.installed-%: pyproject.toml
	$(call install,.venv-bench,[$*])

# A half-made environment has no working pip: it is made anew. The stamp comes last, so an
# interrupted installation is repeated.
define install
@$1/bin/pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $1
$1/bin/python -m pip install --quiet --disable-pip-version-check --editable '.$2'
@touch $@
endef

# An environment that no longer starts (it was moved, or its Python is gone) is not installed,
# whatever its stamps say.
stale = $(if $(wildcard $1/.installed-*),$(shell $1/bin/pip --version >/dev/null 2>&1 || echo stale))
ifneq ($(call stale,.venv),)
$(wildcard .venv/.installed-*): broken
endif
ifneq ($(call stale,.venv-bench),)
$(wildcard .venv-bench/.installed-*): broken
endif
