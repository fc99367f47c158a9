# `make` alone lists the targets. Needs Go 1.26; `make test` installs the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Set these on the command line, for instance: make run ARGS=--help
ARGS ?=
TESTFLAGS ?=
FUZZTIME ?= 10s
ROUNDS ?= 5
REQUESTS ?= 1000000
RECORDS ?= 1000000
VERSION ?= $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo unknown)

LINTER := .tools/bin/golangci-lint
# Most tests wait: for other programs, for time-outs and for intervals. By default only as many
# packages, and tests of a package, run at once as there are processors, which would then be
# idle for half of the time.
PARALLEL := -p 3 -parallel 6
# The packages whose tests take longest come first.
PACKAGES := ./cmd/statusd ./httpapi ./cache ./cmd/statusctl ./cmd/statusdev ./cache/... ./ingest ./...
# A third of the first run is the compiler.
COMPILER := -toolexec '"$(CURDIR)/.tools/toolexec"'
LDFLAGS := -ldflags "-X main.version=$(VERSION)"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Built as the tests are, without -trimpath, so that make test need not compile everything again.
.PHONY: run
run: ## start the whole system on this machine, nothing to install (ARGS="--help")
	@[ -x bin/statusdev ] || echo 'building; the first time takes a minute or two'
	@go build $(COMPILER) $(LDFLAGS) -o bin/ ./cmd/statusdev
	@exec bin/statusdev $(ARGS)

.PHONY: build
build: ## build statusd, statusctl and statusdev into bin/
	go build -trimpath $(LDFLAGS) -o bin/ ./cmd/statusd ./cmd/statusctl ./cmd/statusdev

.PHONY: dist
dist: ## build the release of this commit in bin/dist: archives, deb, rpm, SBOMs, checksums
	@rm -rf bin/dist
	@.tools/make-dist $(VERSION) bin/dist

# The path is for Node where the system's own is too old; see the script. The
# time-out ends a test that hangs: a busy machine must not reach it.
.PHONY: test
test test-stress: export PATH := $(CURDIR)/.tools/bin:$(PATH)
# By default a program under the race detector (TESTFLAGS=-race) waits for a second before it ends.
test test-stress: export GORACE := atexit_sleep_ms=10
# make check vets, and more than go test would.
test: ## run all tests, after installing what they need (TESTFLAGS="-race -run ARN" THOROUGH=1)
	@.tools/install-test-deps
	@echo 'the packages that take longest come first: the first result appears after some minutes'
	go test -vet=off -timeout 30m $(COMPILER) $(PARALLEL) $(TESTFLAGS) $(PACKAGES)

.PHONY: test-short
test-short: ## run the tests that start no other program; takes about a minute
	go test -short -vet=off $(COMPILER) $(PARALLEL) $(TESTFLAGS) $(PACKAGES)

.PHONY: test-stress
test-stress: ## run all tests on a busy machine, on one processor and shuffled; takes hours (ROUNDS=5)
	@.tools/install-test-deps
	@.tools/stress $(ROUNDS) $(PARALLEL) $(TESTFLAGS) $(PACKAGES)

.PHONY: soak
soak: ## send a million requests of 64 callers through nginx, check each answer (REQUESTS=1000000)
	@.tools/install-test-deps
	go test -count=1 -timeout 3h -v -run '^TestEachOfManyCallersGetsItsOwnAnswers$$' ./httpapi -soak $(REQUESTS)

.PHONY: soak-upgrade
soak-upgrade: ## read, change and expire a million records of the previous format (RECORDS=1000000)
	@.tools/install-test-deps
	go test -count=1 -timeout 3h -v -run '^TestAnUpgradeChangesNoAnswer$$' ./cache -upgraded $(RECORDS)

.PHONY: check
check: $(LINTER) ## run the linters and other static checks
	@.tools/check

.PHONY: check-deploy
check-deploy: export PATH := $(CURDIR)/.tools/bin:$(PATH)
check-deploy: ## check the files in deploy/ with the programs that use them (ARGS="helm iac")
	@.tools/install-test-deps
	@.tools/run-deploy-checks $(ARGS)

.PHONY: bench
bench: ## measure everything in one run and print one table (ARGS="--help")
	@go run ./cmd/internal/bench $(ARGS)

.PHONY: bench-dashboard
bench-dashboard: export PATH := $(CURDIR)/.tools/bin:$(PATH)
bench-dashboard: ## measure the dashboard in a browser: first rows, 200 changes a second, scrolling
	@.tools/install-test-deps
	@THOROUGH=1 go test -count=1 -v -parallel 1 -run '^TestTheDashboardInABrowser$$/^(arrival|flood|scroll)$$' ./cmd/statusd

.PHONY: screenshots
screenshots: export PATH := $(CURDIR)/.tools/bin:$(PATH)
screenshots: ## take a screenshot of every page of the dashboard, in bin/screenshots
	@.tools/install-test-deps
	@go build $(COMPILER) $(LDFLAGS) -o bin/ ./cmd/statusdev
	@node .tools/clients/dashboard/screenshots.mjs bin/statusdev bin/screenshots

.PHONY: fuzz
fuzz: ## fuzz every decoder with hostile input (FUZZTIME=10s each)
	@.tools/fuzz $(FUZZTIME)

.PHONY: clean
clean: ## remove everything that was built and installed here
	rm -rf bin .tools/bin .tools/*/node_modules

# Tools are pinned in a module of their own, so that what they need never
# becomes a dependency of the service. The first build takes a few minutes.
$(LINTER): .tools/go.mod .tools/go.sum
	@echo "building golangci-lint, once"
	@go mod download -C .tools # tells nothing, where the build lists 200 modules
	@go build -C .tools -buildvcs=false -o bin/ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@touch $@
