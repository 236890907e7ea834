# Every target says in one line what it does: make help.

GO       ?= go
TOOL     := $(GO) tool -modfile=internal/tools/go.mod
# Pure Go: one static binary, the same on every machine.
export CGO_ENABLED ?= 0
FUZZTIME ?= 30s
BENCH    ?= .
COUNT    ?= 5
SEEDS    ?= 1-100
TIMEOUT  ?= 30m
TRIALS   ?= 200
SEED     ?=
CHAOS    ?= TestChaos

.DEFAULT_GOAL := help
.PHONY: help demo test build lint fuzz e2e sim chaos bench protections check screenshots parts generate fmt \
	phase-build phase-lint phase-generated phase-tidy phase-static phase-fuzz phase-bench phase-protections phase-test

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## break a service and watch backout bring it back; needs nothing but Go
	$(GO) run ./cmd/backout demo

test: ## run the tests; those of parts that are missing here are skipped, and named
	@.ci/parts --explain
	$(GO) test -shuffle=on -timeout=$(TIMEOUT) ./...

build: ## build the static binary into bin/
	$(GO) build -trimpath -ldflags="-s -w" -o bin/backout ./cmd/backout

lint: ## vet, gofumpt, staticcheck, shellcheck
	@.ci/lint

fuzz: ## run every fuzz target for FUZZTIME each
	@.ci/fuzz $(FUZZTIME)

e2e: ## run every test with its real parts; a missing part fails
	BACKOUT_E2E=require $(GO) test -count=1 -timeout=$(TIMEOUT) ./...

sim: ## simulate the worlds of SEEDS, such as 7 or 1-1000 or 7,20-40; one that breaks tells its story
	$(GO) test ./internal/simtest -run='^TestSimulation$$' -count=1 -timeout=60m -v -seeds='$(SEEDS)'

chaos: ## kill -9, power cuts and cut links in TRIALS rollbacks; SEED replays, CHAOS names a test
	@rm -f bin/chaos.txt
	BACKOUT_E2E=require BACKOUT_CHAOS_TRIALS=$(TRIALS) BACKOUT_CHAOS_SEED=$(SEED) BACKOUT_CHAOS_TABLE=$(CURDIR)/bin/chaos.txt \
		$(GO) test -count=1 -timeout=120m -v -run='$(CHAOS)' ./internal/e2e
	@cat bin/chaos.txt

bench: ## run the benchmarks BENCH, COUNT times, and summarise them
	@mkdir -p bin
	$(GO) test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(COUNT) -timeout=60m ./... | tee bin/bench.txt
	@$(TOOL) benchstat bin/bench.txt

protections: ## take away, one at a time, each protection that is not proven yet, and see a test fail
	@.ci/protections

check: ## everything that must pass before a change goes in
	@.ci/phases build lint generated tidy static fuzz bench protections test

screenshots: ## take pictures of every page of the dashboard, into docs/screenshots/
	@mkdir -p docs/screenshots
	BACKOUT_E2E=require $(GO) test ./internal/e2e -run='^TestDashboardEveryPage$$' -count=1 -timeout=15m -v -pictures='$(CURDIR)/docs/screenshots'

parts: ## list the real parts that the tests use, and how to install them
	@.ci/parts --explain

generate: ## write the generated files again
	$(GO) generate ./...

fmt: ## format the code
	$(TOOL) gofumpt -w $$(git ls-files -co --exclude-standard '*.go')

# The phases of check, one by one.

phase-build:
	$(GO) build ./...

phase-lint: lint

phase-generated:
	@.ci/generated

phase-tidy:
	$(GO) mod tidy -diff
	$(GO) mod verify

phase-static: build
	@.ci/static bin/backout

# A count, not a time: the end of a time is sometimes reported as a failure.
phase-fuzz:
	@.ci/fuzz 1500x

phase-bench:
	@.ci/bench $(TIMEOUT)

phase-protections: protections

phase-test: export CGO_ENABLED = 1
phase-test:
	@.ci/race $(GO) test -race -shuffle=on -count=1 -timeout=$(TIMEOUT) ./...
