# The same verbs CI runs. Each does its own set-up in .venv/ and may be run again at will.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
PROTOS := $(wildcard protos/alphacut/v1/*.proto)
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help serve test e2e fuzz bench check proto proto-lint models debian clean constraints

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/bin/python:
	$(PYTHON) -m venv .venv

# What running needs, and what developing needs beside it. Exactly one of cpu and gpu: see pyproject.toml.
RUNTIME ?= cpu
.venv/.runtime-$(RUNTIME): pyproject.toml constraints.txt | .venv/bin/python
	$(PIP_INSTALL) -e '.[server,gateway,$(RUNTIME)]'
	@touch $@

.venv/.dev: .venv/.runtime-$(RUNTIME)
	$(PIP_INSTALL) -e '.[server,gateway,$(RUNTIME),dev]'
	@touch $@

serve: .venv/.runtime-$(RUNTIME)  ## gRPC server, REST gateway and demo page; pulls the model it needs first
	@exec $(BIN)/alphacut serve

# Left to `make e2e`: what drives other programs for long (a browser, Node, Java, a fuzzer of the API's description).
E2E := tests/e2e tests/integration/test_rest_examples.py tests/contract/test_described_api.py
test: .venv/.dev  ## the test suite with coverage; tests of models that were not pulled are skipped (make models)
	@$(BIN)/alphacut models pull u2netp
	@exec $(BIN)/python -m pytest $(E2E:%=--ignore=%) --cov --cov-report=term

e2e: .venv/.dev  ## the page in a real browser, examples in other languages, schemathesis (make debian brings what they need)
	@$(BIN)/alphacut models pull u2netp
	@exec $(BIN)/python -m pytest $(E2E)

FORMS ?= 100000
fuzz: .venv/.dev  ## long fuzzing: FORMS mutated forms against the gateway
	@ALPHACUT_FUZZ_FORMS=$(FORMS) exec $(BIN)/python -m pytest tests/fuzz --timeout=7200 --log-cli-level=INFO

# What some tests run and Python's packages do not bring; without it those tests are skipped and say so.
debian:  ## install from Debian what the tests can use and is missing: a browser, Node, PHP, curl (as root)
	@missing=""; \
	for pair in chromium:chromium curl:curl node:nodejs npm:npm php:php-cli; do \
		command -v $${pair%%:*} > /dev/null || missing="$$missing $${pair#*:}"; \
	done; \
	case "$$missing" in *php-cli*) missing="$$missing php-curl";; esac; \
	[ -z "$$missing" ] || { apt-get -qq update && \
		DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends $$missing; }

bench: .venv/.dev  ## the short benchmarks: emulated accelerator, gateway, stages, batching policy
	$(BIN)/python bench/emulated.py
	$(BIN)/python bench/gateway.py
	$(BIN)/python bench/stages.py
	$(BIN)/python bench/batching.py --quick

check: .venv/.dev proto-lint  ## lint, types, proto lint, stubs fresh, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# buf wants google/rpc beside our files; it is copied from the installed googleapis-common-protos.
proto-lint: .venv/.dev
	@rm -rf build/buf && mkdir -p build/buf/google && cp -r protos/. build/buf/
	@cp -r $$($(BIN)/python -c 'import google.rpc, pathlib; print(pathlib.Path(list(google.rpc.__path__)[0]))') build/buf/google/
	@rm -rf build/buf/google/rpc/context
	$(BIN)/buf lint build/buf
	$(BIN)/buf format --diff --exit-code build/buf --path build/buf/alphacut
	@rm -rf build/stubs && mkdir -p build/stubs
	@$(MAKE) --no-print-directory proto STUBS=build/stubs
	@diff -r -x __pycache__ build/stubs/alphacut/v1 client/alphacut/v1 || { echo 'The stubs differ from the protos: run make proto'; exit 1; }

STUBS ?= client
proto: .venv/.dev  ## generate the stubs from protos/
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I protos \
		-I "$$($(BIN)/python -c 'import google.rpc, pathlib; print(pathlib.Path(list(google.rpc.__path__)[0]).parents[1])')" \
		--python_out=$(STUBS) --grpc_python_out=$(STUBS) --mypy_out=quiet:$(STUBS) --mypy_grpc_out=quiet:$(STUBS) $(PROTOS)
	@echo '"""Stubs generated from protos/alphacut/v1 by `make proto`; never edited."""' > $(STUBS)/alphacut/v1/__init__.py

models: .venv/.runtime-$(RUNTIME)  ## pull and prepare every model that the tests use (280 MB)
	@exec $(BIN)/alphacut models pull u2netp u2net isnet

constraints: .venv/.dev  ## write constraints.txt anew from what is installed
	@{ head -2 constraints.txt; $(BIN)/python -m pip freeze --exclude-editable; echo 'onnxruntime-gpu==1.31.1'; } > build/constraints.txt
	@mv build/constraints.txt constraints.txt

clean:  ## remove what make made (.venv, caches, build); pulled models stay
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* htmlcov
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
