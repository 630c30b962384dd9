# Everything that is done with this repository. `make help` lists it. CI is `make ci`.

GO      ?= go
SHELL   := /bin/sh
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The version is told by `promrelay version`, and to targets and receivers in User-Agent.
BRANCH  ?= $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null)
LDFLAGS := -s -w -X github.com/prometheus/common/version.Version=$(VERSION) -X github.com/prometheus/common/version.Branch=$(BRANCH)
BUILD   := CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)"

# Modules beside that of the repository: they keep its go.mod free of what only tests and tools need. Some only pin
# programs; NESTED are those with code of their own.
MODULES := tools $(patsubst %/go.mod,%,$(wildcard test/*/go.mod test/*/*/go.mod))
NESTED  := $(foreach dir,$(MODULES),$(if $(wildcard $(dir)/*.go),$(dir)))
# Packages of the quick loop: not those that run other programs and take minutes.
UNIT     = $$($(GO) list ./... | grep -v -e '/test/pipeline$$' -e '/test/peers$$' -e '/test/cluster$$' -e '/test/conformance$$' -e '/test/browser$$')
# Tests that compare with prometheus/scrape, whose Manager has a data race of its own when it reloads: they run without the detector.
ORACLE  := MatchesPrometheus$$
# Linters come from a module of their own.
TOOLS   := $(CURDIR)/tools/go.mod
TOOL    := $(GO) tool -modfile=$(TOOLS)
# Source files of all modules.
SOURCES  = $$(find . -name '*.go' -not -path '*/testdata/*' -not -path './.cache/*' -not -path './.git/*')

# Inputs for each fuzz target. A number and not a time: with a time, Go before 1.27 now and then fails at the end for
# no reason (golang/go#75804).
FUZZTIME  ?= 100000x
# Random cases and sequences of changes for conformance. All fields and traps are demanded of 2400 and more.
CASES     ?= 2400
SEQUENCES ?= 200
BENCHTIME ?= 1s
# How long the tests of one package may take, with the servers of test/cluster not yet compiled.
TIMEOUT   ?= 40m

# in runs a command in each of some modules, and stops at the first failure.
in = set -e; for dir in $(1); do echo "== $$dir: $(2)"; (cd $$dir && $(2)); done

.DEFAULT_GOAL := build

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /|/' | awk -F'|' '{printf "%-16s %s\n", $$1, $$2}'

##### build

.PHONY: build
build: ## bin/promrelay, static, for this machine
	$(BUILD) -o bin/promrelay ./cmd/promrelay

.PHONY: build-all
build-all: ## bin/promrelay-linux-amd64 and bin/promrelay-linux-arm64
	GOOS=linux GOARCH=amd64 $(BUILD) -o bin/promrelay-linux-amd64 ./cmd/promrelay
	GOOS=linux GOARCH=arm64 $(BUILD) -o bin/promrelay-linux-arm64 ./cmd/promrelay

.PHONY: cross
cross: ## compile for linux/arm64 and keep nothing
	GOOS=linux GOARCH=arm64 $(BUILD) -o /dev/null ./cmd/promrelay

.PHONY: clean
clean: ## remove what was built
	rm -rf bin

##### demo

.PHONY: demo
demo: ## the relay with exporters, manifests and a receiver, until Ctrl-C; CHECK=1 verifies and exits
	@echo "compiling the demo itself"
	@CGO_ENABLED=0 $(GO) run -trimpath ./demo $(if $(CHECK),-check)

##### test

.PHONY: unit
unit: ## tests of the rooms, with the race detector, without those that take long
	$(GO) test -race -short -skip '$(ORACLE)' $(UNIT)
	$(GO) test -short -run '$(ORACLE)' ./test/samples

# Tests in test/ build and run programs, of which Go's cache of results knows nothing: -count=1 has them run each time. The cluster's run
# alone, because they expect answers within seconds.
.PHONY: test
test: ## all tests: the rooms, also their long ones, the whole pipeline, a real cluster
	$(GO) test -race -timeout $(TIMEOUT) -skip '$(ORACLE)' $(UNIT)
	$(GO) test -count=1 -timeout $(TIMEOUT) $$($(GO) list ./test/... | grep -v '/test/cluster$$')
	$(GO) test -count=1 -timeout $(TIMEOUT) ./test/cluster
	@$(call in,$(NESTED),$(GO) test -count=1 -timeout $(TIMEOUT) ./...)

.PHONY: conformance
conformance: ## the relay's targets beside those of prometheus-operator and Prometheus: CASES random ones, and the kept ones
	CASES=$(CASES) SEQUENCES=$(SEQUENCES) $(GO) test -count=1 -timeout 24h ./test/conformance

.PHONY: bench
bench: ## benchmarks of the rooms
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) \
		$$(grep -rl '^func Benchmark' --include='*_test.go' $$($(GO) list -f '{{.Dir}}' ./...) | xargs -n1 dirname | sort -u)

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	set -e; for dir in $$($(GO) list -f '{{.Dir}}' ./...); do \
		for name in $$(cat $$dir/*_test.go 2>/dev/null | sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p'); do \
			echo "== $$name"; $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$dir; \
		done; \
	done

##### lint

.PHONY: lint
lint: verify-fmt verify-mod ## formatting, go.mod, vet, staticcheck, golangci-lint
	@$(call in,. $(NESTED),$(GO) vet ./...)
	@$(call in,. $(NESTED),$(TOOL) staticcheck ./...)
	@$(call in,. $(NESTED),$(TOOL) golangci-lint run --config $(CURDIR)/.golangci.yml ./...)

##### generated files: verify-x fails where update-x would change something

.PHONY: verify-generated
verify-generated: verify-docs verify-deploy ## all generated files

.PHONY: verify-docs update-docs
verify-docs: ## docs/metrics.md, and the table of alerts in docs/operations.md
	$(GO) test -count=1 -run '^(TestMetricReference|TestAlertTable)$$' ./test
update-docs: ## docs/metrics.md, and the table of alerts in docs/operations.md
	$(GO) test -count=1 -run '^(TestMetricReference|TestAlertTable)$$' ./test -update

GENERATED := ^(TestKustomizeFromChart|TestChartCRDs|TestChartReadme|TestExampleBase|TestPrometheusRule|TestMixin|TestMixinFormat)$$
.PHONY: verify-deploy update-deploy
verify-deploy: ## in deploy/: what is rendered from the chart, the chart's CRDs and table of values, the PrometheusRule, the mixin
	$(GO) test -count=1 -run '$(GENERATED)' ./test
update-deploy: ## in deploy/: what is rendered from the chart, the chart's CRDs and table of values, the PrometheusRule, the mixin
	$(GO) test -count=1 -run '$(GENERATED)' ./test -update

.PHONY: verify-fmt update-fmt
verify-fmt: ## formatting by gofumpt
	@out="$$($(TOOL) gofumpt -l $(SOURCES))"; if [ -n "$$out" ]; then echo "make update-fmt would change:"; echo "$$out"; exit 1; fi
update-fmt: ## formatting by gofumpt
	$(TOOL) gofumpt -w $(SOURCES)

.PHONY: verify-mod update-mod
verify-mod: ## go.mod and go.sum of every module
	@$(call in,. $(MODULES),$(GO) mod tidy -diff)
update-mod: ## go.mod and go.sum of every module
	@$(call in,. $(MODULES),$(GO) mod tidy)

##### CI

.PHONY: ci
ci: lint verify-generated cross test conformance ## all of CI
	$(MAKE) demo CHECK=1
