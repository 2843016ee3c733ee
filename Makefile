# Everything a user or a contributor types. `make help` lists it.

export PYTHON ?= python3
VENV := .venv
PEER := .venv-peer
WHEEL := .venv-wheel
TOOLS := .tools
NEWER := .prometheus-newer
DEBIANS := .debian
# Programs that the tests start, by Debian package. Playwright's own takes libatomic1, and
# buildah of Debian 13 or newer takes netavark.
DEBIAN := prometheus prometheus-alertmanager openssl curl wget chromium pipx \
	buildah netavark debootstrap debian-archive-keyring docker-compose docker-registry systemd libatomic1 \
	nginx-light lintian $(FOR_DEB)
FOR_DEB := debhelper help2man
BIN := $(VENV)/bin
# Without it pip would build the package with whatever build tools it finds that day.
INSTALL := --no-build-isolation --no-deps --disable-pip-version-check --quiet

# Debian's releases, from the oldest Python that the package runs on to the newest that there is. All
# tests run on the Python of .venv: if that is the machine's own, it need not be tried again.
SUITES := $(shell sed -n 's/^SUITES: Final = (\(.*\))/\1/p' tests/support/debian.py | tr -d '",')
NEWEST := $(lastword $(SUITES))
OWN = $(shell if [ "$$(dirname "$$(readlink -f $(BIN)/python)")" = /usr/bin ]; \
	then . /etc/os-release && echo $$VERSION_CODENAME; fi)
OTHERS = $(patsubst %,test-%,$(filter-out $(OWN),$(1)))
IN_DEBIAN = PYTHONPATH=tests $(BIN)/python -m support.debian

# Folders too: one changes when a file in it is removed.
PACKAGED := pyproject.toml hatch_build.py README.md LICENSE \
	$(shell find exporter docs/runbooks grafana/dashboards grafana/provisioning -name __pycache__ -prune -o -print)

# All processors are used, by the tests of functions one by one, by others a file in one process. Those
# that measure time or memory are marked `alone`. The files that take longest come early, in the order
# that is given here: one of them at the end would keep a single processor busy.
QUICK := --numprocesses=auto tests/unit tests/lint tests/golden
ON_EVERY_PYTHON = --numprocesses=auto $(SELECT) tests/unit tests/golden tests/integration/test_web*.py
PROCESSES := tests/states tests/deploy tests/integration tests/peer
TOGETHER := --numprocesses=auto --dist=loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help demo test test-full check bench venv generate rules dashboards helm stack lock sbom audit dist \
	pyz deb image image-sbom image-digest chart publish-chart release-check release-notes clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# It needs the runtime only, a fraction of what is developed with.
demo: $(if $(wildcard $(VENV)/.done),$(VENV)/.done,$(VENV)/.runtime) ## run the exporter on a simulated billing service, at http://localhost:8426
	$(BIN)/viam-billing-exporter --demo

test: venv $(PEER)/.done $(WHEEL)/.done $(TOOLS)/.done $(NEWER)/.done ## run all tests but the hours-long ones
	@tests/debian_packages.sh $(DEBIAN)
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest --installed=$(WHEEL) $(QUICK) tests/rules
	@$(MAKE) --no-print-directory $(call OTHERS,$(firstword $(SUITES)) $(NEWEST)) SELECT='-m "not long"'
	@$(BIN)/python -m generate chart # or several processes would write the same files
	$(BIN)/pytest --installed=$(WHEEL) -m "not alone and not slow" $(TOGETHER) $(PROCESSES)
	$(BIN)/pytest --installed=$(WHEEL) -m "alone and not slow" $(PROCESSES)

test-full: venv $(PEER)/.done $(WHEEL)/.done $(TOOLS)/.done $(NEWER)/.done ## run all tests
	@tests/debian_packages.sh $(DEBIAN)
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest --installed=$(WHEEL) --hypothesis-profile=random $(QUICK) tests/rules
	@$(MAKE) --no-print-directory $(call OTHERS,$(SUITES))
	@$(BIN)/python -m generate chart # or several processes would write the same files
	$(BIN)/pytest --installed=$(WHEEL) --hypothesis-profile=random -m "not alone and not slow" $(TOGETHER) $(PROCESSES)
	$(BIN)/pytest --installed=$(WHEEL) --hypothesis-profile=random -m "slow or alone" $(PROCESSES)

check: venv lint ## the quick part: format, lint, types, imports, generated files, unit tests
	$(BIN)/pytest -m "not long" $(QUICK)

# Debian packages: golang-go, golang-google-grpc-dev, and for two of the peers
# golang-github-prometheus-client-golang-dev and nginx-light. BENCH takes options, such as -h.
bench: venv ## measure beside other programs; takes up to 40 minutes
	@cd tests && ../$(BIN)/python -m bench $(BENCH)

.PHONY: lint
lint: venv
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m generate --check

venv: $(VENV)/.done ## set up .venv with the package and its hash-pinned dependencies

$(VENV)/.runtime: requirements/runtime.txt requirements/build.txt pyproject.toml
	@tests/debian_packages.sh python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --disable-pip-version-check --quiet --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	$(BIN)/pip install $(INSTALL) --editable .
	@touch $@

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

# Helm and kubectl, which Debian does not have. Of the package only they are kept.
$(TOOLS)/.done: tests/tools/package.json tests/tools/package-lock.json tests/tools/.npmrc
	@tests/debian_packages.sh npm
	rm -rf $(TOOLS) && cp -r tests/tools $(TOOLS)
	cd $(TOOLS) && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier --silent
	cd $(TOOLS) && $(PYTHON) -m zipfile -e node_modules/@aws-cdk/*/lib/layer.zip unpacked
	cd $(TOOLS) && mv unpacked/*/* . && chmod +x helm kubectl && rm -r unpacked node_modules
	@touch $@

# Prometheus and Alertmanager of a newer Debian, beside the installed ones. They need nothing else.
$(NEWER)/.done: tests/support/debian.py | $(VENV)/.done
	@tests/debian_packages.sh debootstrap debian-archive-keyring
	rm -rf $(NEWER) && mkdir -p $(NEWER)/packages
	$(IN_DEBIAN) $(NEWEST) sh -ec 'apt-get update --quiet=2 && cd $(NEWER)/packages && \
		apt-get download --quiet=2 --option=APT::Sandbox::User=root \
			prometheus promtool prometheus-alertmanager'
	for package in $(NEWER)/packages/*; do dpkg-deb --extract $$package $(NEWER); done
	rm -r $(NEWER)/packages
	@touch $@

test-python: venv ## the tests that every Python has to pass, on another one: PYTHON=... VENV=.venv-...
	$(BIN)/pytest $(ON_EVERY_PYTHON)

# The Python of a Debian, with what is developed with.
.venv-%/.done: requirements/dev.txt tests/support/debian.py | $(VENV)/.done
	@tests/debian_packages.sh debootstrap debian-archive-keyring
	$(IN_DEBIAN) $* python3 -m venv --clear .venv-$*
	$(IN_DEBIAN) $* .venv-$*/bin/pip install --disable-pip-version-check --quiet --no-cache-dir \
		--require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: test-python test-pythons $(SUITES:%=test-%)
test-pythons: $(SUITES:%=test-%) ## the tests that every Python has to pass, on those of Debian's releases; test-SUITE: on one

$(SUITES:%=test-%): test-%: .venv-%/.done $(WHEEL)/.done
	$(IN_DEBIAN) $* .venv-$*/bin/pip install --disable-pip-version-check --quiet --no-index \
		--no-deps --force-reinstall build/wheel/*.whl
	$(IN_DEBIAN) $* .venv-$*/bin/pytest --installed=.venv-$* $(ON_EVERY_PYTHON)

# What the tests start as a user does: the wheel, and what runs with it, and nothing else.
$(WHEEL)/.requirements: requirements/runtime.txt | $(VENV)/.done
	$(PYTHON) -m venv --clear --without-pip $(WHEEL)
	$(BIN)/pip --python $(WHEEL)/bin/python install --disable-pip-version-check --quiet \
		--require-hashes -r $<
	@touch $@

$(WHEEL)/.done: $(WHEEL)/.requirements $(PACKAGED)
	@rm -rf build/wheel
	$(BIN)/hatchling build --target wheel --directory build/wheel
	$(BIN)/pip --python $(WHEEL)/bin/python install --disable-pip-version-check --quiet \
		--no-deps --force-reinstall build/wheel/*.whl
	@touch $@

generate: venv ## write all generated files: messages, docs, the contract, and what the next four write
	$(BIN)/python -m grpc_tools.protoc -I protos --python_out=exporter/pb --pyi_out=exporter/pb protos/*.proto
	$(BIN)/python -m generate

rules: venv ## write the files of viam-billing rules into deploy/
	$(BIN)/python -m generate rules

dashboards: venv ## write the dashboards for Grafana from grafana/source/
	$(BIN)/python -m generate dashboards

helm: venv $(TOOLS)/.done ## put rules and dashboards into the chart and deploy/kubernetes, and write their generated parts
	$(BIN)/python -m generate chart

stack: venv ## write what deploy/compose takes from the other configurations
	$(BIN)/python -m generate stack

lock: venv ## write the hash-pinned requirement files, with the newest versions
	$(BIN)/uv pip compile $(LOCK) pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile $(LOCK) pyproject.toml --group dev -o requirements/dev.txt
	$(BIN)/uv pip compile $(LOCK) --group build -o requirements/build.txt
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

# --- What a release consists of ---

# The Pythons that the single file holds libraries for, and those that the Debian package does: of
# Debian 12 and 13. All are for the C library of Debian 12, or an older one.
PYTHONS := $(shell sed -n 's/.*:: Python :: \(3\.[0-9]*\)".*/\1/p' pyproject.toml)
DEBIAN_PYTHONS := 3.11 3.13
PLATFORMS := $(foreach libc,2_17 2_28 2_34,manylinux_$(libc)_x86_64)
HELD := build/held
# One version of Python after the other, each with `$$python` in place of its number.
FOR_PYTHON := --python-version $$python $(PLATFORMS:%=--platform=%) --only-binary=:all: \
	--disable-pip-version-check --quiet

$(HELD)/.done: requirements/runtime.txt | $(VENV)/.done
	@rm -rf $(HELD)
	for python in $(PYTHONS); do $(BIN)/pip download $(FOR_PYTHON) --no-deps \
		--require-hashes --requirement $< --dest $(HELD) || exit; done
	@touch $@

.PHONY: packages
packages: venv
	$(BIN)/hatchling build --directory dist

# What runs with each of these Pythons, in one folder.
MODULES := build/modules
.PHONY: $(MODULES)
$(MODULES): packages $(HELD)/.done
	rm -rf $@ $@-for
	for python in $(PYTHONS); do $(BIN)/pip install $(FOR_PYTHON) --no-compile --no-index \
		--find-links $(HELD) --find-links dist --target $@-for/$$python \
		viam-billing-exporter==$(VERSION) || exit; done
	deploy/merge-modules.sh $@ $(PYTHONS:%=$@-for/%)

pyz: $(MODULES) ## make the single file that runs with any of these Pythons
	install -m 0644 deploy/single-file/check-python.py build/
	$(BIN)/shiv --reproducible --site-packages $< --preamble build/check-python.py \
		--entry-point exporter.start:by_name --python '/usr/bin/env python3' \
		--output-file dist/viam-billing-exporter.pyz

deb: $(MODULES) ## make the package for Debian
	@tests/debian_packages.sh $(FOR_DEB)
	rm -rf build/deb
	BIN=$(BIN) SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} \
		deploy/debian/build.sh build/deb/source $(VERSION) $< $(DEBIAN_PYTHONS)
	mv build/deb/*.deb dist/

dist: ## make what a release consists of, in dist/
	rm -rf dist
	$(MAKE) --no-print-directory pyz deb sbom
	cp $(SBOM) dist/
	cp requirements/runtime.txt dist/requirements.txt
	cd dist && sha256sum * > SHA256SUMS

# The same checkout and base give the same layers: the times in it are those of the commit.
image: ## build the container image; BUILDER=podman, BASE=NAME@sha256:..., BUILDER_OPTIONS=...
	$(if $(BASE_DIGEST)$(UNPINNED),,$(error BASE=$(BASE) has no digest, so another day would give another \
		image. Append @sha256:..., or set UNPINNED=yes for an image that stays on this machine))
	@mkdir -p build
	SOURCE_DATE_EPOCH=$(EPOCH) $(BUILDER) build --file deploy/container/Dockerfile \
		--tag $(IMAGE):$(VERSION) --build-arg BASE_IMAGE=$(BASE) --build-arg REVISION=$(REVISION) \
		$(LABELS:%=--label org.opencontainers.image.%) $(BUILDER_OPTIONS) .
BUILDER ?= docker
IMAGE ?= viam-billing-exporter
BASE ?= $(shell sed -n 's/^ARG BASE_IMAGE=//p' deploy/container/Dockerfile)
BASE_DIGEST = $(word 2,$(subst @, ,$(BASE)))
# SOURCE is the address of the repository. Without it the image does not say where it comes from.
LABELS = version=$(VERSION) revision=$(REVISION) created=$(shell git log -1 --format=%cI) \
	base.name=$(firstword $(subst @, ,$(BASE))) $(BASE_DIGEST:%=base.digest=%) \
	$(SOURCE:%=source=%) $(SOURCE:%=documentation=%/tree/$(REVISION)/docs)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION = $(shell git describe --always --dirty --abbrev=40 --exclude='*')
EPOCH = $(shell git log -1 --format=%ct)

image-sbom: sbom ## write the bill of materials of the image, with its base, to build/
	$(IN_IMAGE) -c "$$($(BIN)/python deploy/container/materials.py ask)" > $(IMAGE_SBOM).asked
	$(BIN)/python deploy/container/materials.py add $(SBOM) < $(IMAGE_SBOM).asked > $(IMAGE_SBOM)
	@rm $(IMAGE_SBOM).asked
IMAGE_SBOM := build/image.cdx.json
IN_IMAGE ?= $(BUILDER) run --rm --entrypoint=sh $(IMAGE):$(VERSION)

# Of what BUILDER_OPTIONS="--push --metadata-file=build/image.json" pushed.
image-digest: ## print the digest of the image that docker buildx pushed
	@sed -n 's/^ *"containerimage.digest": "\(sha256:[0-9a-f]*\)".*/\1/p' build/image.json | grep .

# Helm takes the times of the files, so the same commit gives the same package.
chart: venv $(TOOLS)/.done ## package the Helm chart, with its rules and dashboards, into dist/
	$(BIN)/python -m generate chart
	@rm -rf build/chart dist/*.tgz && mkdir -p build/chart dist
	cp -r deploy/helm/viam-billing-exporter build/chart/
	find build/chart -exec touch --date=@$(EPOCH) {} +
	$(TOOLS)/helm package --destination dist build/chart/viam-billing-exporter

publish-chart: $(TOOLS)/.done ## push the packaged chart to oci://CHARTS and print its digest
	@mkdir -p build
	@$(TOOLS)/helm push dist/viam-billing-exporter-$(VERSION).tgz oci://$(CHARTS) $(HELM_OPTIONS) \
		> build/pushed 2>&1 || { cat build/pushed >&2; exit 1; }
	@sed -n 's/^Digest: //p' build/pushed | grep .

release-check: venv $(TOOLS)/.done ## TAG=vVERSION: stop if the tag, the chart and the changelog do not agree
	@test "$$TAG" = "v$(VERSION)" || \
		{ echo "the tag is '$$TAG', but the version in pyproject.toml is $(VERSION)" >&2; exit 1; }
	@grep -Eq '^## $(subst .,\.,$(VERSION)) - [0-9]{4}-[0-9]{2}-[0-9]{2}$$' CHANGELOG.md || \
		{ echo "CHANGELOG.md has no date for $(VERSION)" >&2; exit 1; }
	$(BIN)/python -m generate --check version chart

release-notes: ## print what CHANGELOG.md says about this version
	@awk '/^## / { here = $$2 == "$(VERSION)"; found += here; next } here; END { exit !found }' CHANGELOG.md

clean: ## remove what the targets made and git ignores
	rm -rf $(VENV) .venv-* $(TOOLS) $(NEWER) $(DEBIANS) build dist deploy/helm/viam-billing-exporter/files \
		deploy/kubernetes/components/prometheus-operator/made-by-make-helm .mypy_cache .pytest_cache .ruff_cache .hypothesis
