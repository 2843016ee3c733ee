# Everything a user or a contributor types. `make help` lists it.

PYTHON ?= python3
VENV := .venv
PEER := .venv-peer
BIN := $(VENV)/bin
# Without it pip would build the package with whatever build tools it finds that day.
INSTALL := --no-build-isolation --no-deps --disable-pip-version-check --quiet

.DEFAULT_GOAL := help
.PHONY: help demo test test-full check bench venv generate rules dashboards lock sbom audit clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: venv ## run the exporter on a simulated billing service, at http://localhost:8426
	$(BIN)/viam-billing-exporter --demo

test: venv $(PEER)/.done ## run all tests but the hours-long ones
	@tests/debian_packages.sh prometheus prometheus-alertmanager openssl curl wget chromium
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -m "not slow"

test-full: venv $(PEER)/.done ## run all tests
	@tests/debian_packages.sh prometheus prometheus-alertmanager openssl curl wget chromium
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest --hypothesis-profile=random

check: venv lint ## the quick part: format, lint, types, imports, generated files, unit tests
	$(BIN)/pytest tests/unit tests/lint tests/golden

# Debian packages: golang-go, golang-google-grpc-dev, and for two of the peers
# golang-github-prometheus-client-golang-dev and nginx-light. BENCH takes options, such as -h.
bench: venv ## measure beside other programs; takes about half an hour
	@cd tests && ../$(BIN)/python -m bench $(BENCH)

.PHONY: lint
lint: venv
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	cd deploy/prometheus && ../../$(BIN)/mypy --config-file=../../pyproject.toml --cache-dir=../../.mypy_cache/rules source
	$(BIN)/lint-imports
	$(BIN)/python -m exporter.reference --check
	cd deploy/prometheus && ../../$(BIN)/python -m source --check
	$(BIN)/python -m grafana.source --check

venv: $(VENV)/.done ## set up .venv with the package and its hash-pinned dependencies

$(VENV)/.done: requirements/dev.txt pyproject.toml
	@tests/debian_packages.sh python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install $(INSTALL) --editable .
	@touch $@

# The vendor's SDK pins its own protobuf, so it gets an environment of its own.
$(PEER)/.done: requirements/peer.txt
	@tests/debian_packages.sh python3-venv
	$(PYTHON) -m venv $(PEER)
	$(PEER)/bin/pip install --disable-pip-version-check --quiet --require-hashes -r $<
	@touch $@

generate: venv ## write the generated files anew: messages, docs, the contract
	$(BIN)/python -m grpc_tools.protoc -I protos --python_out=exporter/pb --pyi_out=exporter/pb protos/*.proto
	$(BIN)/python -m exporter.reference

rules: venv ## write the rules for Prometheus anew, from deploy/prometheus/settings.yml
	cd deploy/prometheus && ../../$(BIN)/python -m source

dashboards: venv ## write the dashboards for Grafana anew, from grafana/source/
	$(BIN)/python -m grafana.source

lock: venv ## write the hash-pinned requirement files anew, with the newest versions
	$(BIN)/uv pip compile $(LOCK) pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile $(LOCK) --group peer -o requirements/peer.txt
LOCK := --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --custom-compile-command "make lock"

sbom: venv ## write the software bill of materials of what runs to build/, as CycloneDX
	@mkdir -p $(dir $(SBOM))
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --mc-type application --of JSON \
		--output-reproducible -o $(SBOM) requirements/runtime.txt
SBOM := build/sbom.cdx.json

# pip-audit fails alike for a vulnerability and without a network, but only the former leaves a
# report. Strict, or a mirror that knows no vulnerabilities would pass for a good answer.
audit: venv ## ask the public databases for known vulnerabilities in what runs
	@mkdir -p build && rm -f $(AUDIT)
	@$(BIN)/pip-audit --strict --disable-pip --require-hashes --progress-spinner=off \
		--format=json --output=$(AUDIT) --requirement requirements/runtime.txt \
	|| { test -s $(AUDIT) && echo "VULNERABLE: see $(AUDIT)" \
		|| echo "NOT AUDITED: the databases cannot be asked from here. This says nothing of safety."; \
		exit 1; } >&2
AUDIT := build/audit.json

clean: ## remove what the targets made
	rm -rf $(VENV) $(PEER) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
