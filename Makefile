# `make run` and `make test` set everything up on their first call.
PYTHON ?= python3
ARGS ?=
# CUDA=1 installs NVIDIA's libraries too, so that TensorFlow uses a GPU.
CUDA ?=
# Three processes for two cores, at most six: each holds TensorFlow, and waits for what it has started
# for a quarter of its time.
PROCESSES = $(shell $(PYTHON) -c 'import os; print(min(6, (os.cpu_count() or 1) * 3 // 2 or 1))')
PARALLEL ?= -n $(PROCESSES) --dist loadgroup --no-loadscope-reorder

.PHONY: help install run quick test test-all test-fast e2e-kubeflow lint lock schema audit sbom clean

help:  ## show this list
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

install:  ## make .venv with the twintrain command in it (again only when its locked set changed; CUDA=1 for GPUs)
	@$(PYTHON) requirements/install.py $(if $(filter 1,$(CUDA)),--cuda)

run: install  ## the main job: the whole comparison on full MNIST (ARGS="--recipe bare" and so on)
	.venv/bin/twintrain run $(ARGS)

quick: install  ## the same on a sample of 6,000 examples
	.venv/bin/twintrain run --quick $(ARGS)

test: install  ## all short tests, and a fifth of the long ones
	.venv/bin/python -m pytest $(PARALLEL) $(ARGS)

test-all: install  ## every test: `make test` runs a fifth of the long ones, which by the number of commits
	.venv/bin/python -m pytest $(PARALLEL) --turn all $(ARGS)

test-fast: install  ## the tests that take seconds
	.venv/bin/python -m pytest $(PARALLEL) -m "not e2e" $(ARGS)

IMAGE ?= localhost/twintrain:e2e
BUILD ?=

e2e-kubeflow: install  ## build the image, run the whole pipeline in containers (docker or podman; ten minutes)
	sed 's#^image:.*#image: $(IMAGE)#' kubeflow/cluster.yaml > .venv/e2e-cluster.yaml
	.venv/bin/twintrain kubeflow build --cluster .venv/e2e-cluster.yaml --no-cuda $(BUILD)
	TWINTRAIN_IMAGE=$(IMAGE) .venv/bin/python -m pytest -s tests/e2e/test_containers.py

lint: install  ## style, types, layers
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

lock:  ## resolve both locked dependency sets anew (needs uv)
	$(PYTHON) requirements/lock.py

audit: install  ## the locked sets, as this Python would take them, against PyPI's advisories (needs pypi.org, no mirror)
	failed=0; for set in glibc-2.39 cuda glibc-2.28; do \
	  .venv/bin/uvx pip-audit==2.10.1 --strict --disable-pip --require-hashes -r requirements/$$set.txt || failed=1; \
	done; exit $$failed

sbom: install  ## sbom.cdx.json (CycloneDX) of the locked set that the image is made from; development's packages are in it
	.venv/bin/uvx --from cyclonedx-bom==7.5.0 cyclonedx-py requirements --output-reproducible --of JSON -o sbom.cdx.json requirements/glibc-2.39.txt

clean:  ## remove the environment and all caches, keep runs/
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

schema: install  ## write docs/comparison.schema.json from the code
	.venv/bin/python -m twintrain.comparison.comparison > docs/comparison.schema.json
