# SPDX-License-Identifier: Apache-2.0
#
# `make` explains itself. Everything is built from this tree and the Go module
# proxy; nothing here needs root except what scripts/setup installs once.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

GO          ?= go
# More flags for every `go test`, for example GOTESTFLAGS=-v.
GOTESTFLAGS ?=
# How long `make prove` fuzzes each decoder.
FUZZTIME    ?= 60s
# How many schedules `make sim` plays.
N           ?= 100000
# How often `make prove` repeats what depends on chance.
PROVE_COUNT ?= 5

export CGO_ENABLED ?= 1
TOOLS := .cache/tools

.PHONY: help build check lint quick vet staticcheck format fix test unit race real lab lab-stock soak starve setup prove demo conformance fuzz linearizability failure-matrix model sim clock crash corrupt bench-store bench-pair bench-target bench-neighbour bench-api clean

help: ## this list
	@echo "Perdure: two block storage arrays that behave as one."
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "Start with 'make demo'. Before a commit: 'make check'."

build: ## all commands, into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

check: lint quick ## what every commit passes: linters and fast tests, no root, under 3 minutes

lint: vet staticcheck format

vet:
	$(GO) vet ./...
	$(GO) vet -tags 'lab prove' ./...
	$(GO) vet -tags kernel ./test/kernel/...
	$(GO) vet -tags soak ./test/soak

staticcheck: $(TOOLS)/staticcheck
	./$< -tags lab ./...

format: $(TOOLS)/gofumpt
	@out=$$(git ls-files -co --exclude-standard -- '*.go' | xargs -r ./$< -l); \
	if [ -n "$$out" ]; then echo "not formatted, run 'make fix':"; echo "$$out"; exit 1; fi

fix: $(TOOLS)/gofumpt ## format the sources
	git ls-files -co --exclude-standard -- '*.go' | xargs -r ./$< -w

# Most tests of two arrays wait, for a silent one to be given up: several of them fit on a core.
TOGETHER := -parallel 6

quick:
	$(GO) test -short $(TOGETHER) $(GOTESTFLAGS) ./...

unit:
	$(GO) test $(TOGETHER) $(GOTESTFLAGS) ./...

# Of the long tests those of volumes that join and leave groups, where most goroutines meet; the
# others are for 'make prove'. With the race detector memory is dear: few at once.
race:
	$(GO) test -race -short $(GOTESTFLAGS) ./...
	$(GO) test -race -parallel 3 $(GOTESTFLAGS) -run 'Join|Stays|Leaves|Admi|Dismiss' -skip 'LostWhile' ./internal/node

setup: ## install the Debian packages that the integration tests use
	scripts/setup

# What a test needs from Debian is installed by now: without it a test fails, and is skipped
# in a plain 'make check' only.
test: export PERDURE_LAB := required
test: setup lint unit race real ## everything: linters, all tests, the race detector, and the tests with real processes and networks

# The tests with real processes fail, instead of being skipped, where the machine
# offers no namespaces: a run that proved nothing must not look like one that did.
real: build ## the tests with real processes in network namespaces, part of test
	PERDURE_LAB=required $(GO) test $(GOTESTFLAGS) -p 2 -tags lab -timeout 20m ./internal/lab/... ./test/...

# Which part of the lab with real kernels: a pattern for `go test -run`, such as
# 'TestRows/recommended/classic/^10$$'.
LAB ?= .
lab: build ## hours: real Linux kernels as hosts, with multipath, file systems and fio, over all that can fail; builds the kernel first
	scripts/setup kernel qemu-system-x86
	scripts/lab '$(LAB)'

lab-stock: build ## a quarter of an hour: some rows of the lab with Debian's own kernel as the host, in software emulation
	scripts/setup mmdebstrap qemu-system-x86
	scripts/lab TestStock

# How long `make soak` is (and `make starve`, 10 if not said), and which faults: 0 draws others each time.
MINUTES ?= 60
SEED    ?= 0
soak: build ## random faults at random times under load for MINUTES, all of it verified; draws what happened into .cache/soak.svg
	@mkdir -p .cache
	PERDURE_LAB=required $(GO) test -tags soak -timeout $$(($(MINUTES) + 30))m -count 1 -v -run TestSoak ./test/soak -soak.minutes $(MINUTES) -soak.seed $(SEED) -soak.plot $(CURDIR)/.cache/soak.svg | grep --line-buffered -v -E '^ *=== ' | awk '/^soak: /{last=$$0; next} {print; fflush()} END {print last}'

starve: build ## ten minutes with two busy loops on each core: no false failover, or one that hosts don't notice
	PERDURE_LAB=required $(GO) test -tags soak -timeout 30m -count 1 -v -run TestStarvation ./test/soak -soak.minutes $(if $(filter file,$(origin MINUTES)),10,$(MINUTES)) | grep --line-buffered -v -E '^ *=== ' | awk '/^starve: /{last=$$0; next} {print; fflush()} END {print last}'

prove: build failure-matrix linearizability crash corrupt bench-store ## hours: the matrix with real processes, fuzzing, the race detector over everything, what depends on chance again and again
	$(GO) test -tags prove $(GOTESTFLAGS) -count 1 -timeout 30m -run TestManyLogins -v ./internal/iscsi | grep -E "logins:|^(---|FAIL|ok)"
	$(GO) test -tags prove $(GOTESTFLAGS) -count 1 -timeout 30m -run TestDeathWithinCommands ./internal/node
	scripts/fuzz $(FUZZTIME)
	PERDURE_LAB=required $(GO) test -tags lab -timeout 20m -count 1 -v -run TestActiveScenarios ./test/real -real.still 30s | grep -E "paused|^(---|FAIL|ok)"
	$(GO) test -race $(GOTESTFLAGS) -timeout 60m ./...
	PERDURE_LAB=required $(GO) test $(GOTESTFLAGS) -tags 'lab prove' -count $(PROVE_COUNT) -timeout 240m ./internal/lab/... $(if $(wildcard test),./test/...)

demo: build ## two arrays, a witness and a host on this machine: see a failover
	bin/perdure demo

conformance: build ## libiscsi's suite against one array, the other, and tgt: what passes, fails and is skipped, per family
	@PERDURE_LAB=required $(GO) test -tags lab -timeout 20m -count 1 -v -run TestConformance$$ ./test/real -real.peer | grep --line-buffered -v -E '^ *=== '

fuzz: ## every decoder for FUZZTIME each (20s of it by default), from the committed corpus
	scripts/fuzz $(if $(filter file,$(origin FUZZTIME)),20s,$(FUZZTIME))

failure-matrix: build ## every row of the failure matrix, with the core alone and with real processes, as tables
	$(GO) test -count 1 -v -run TestMatrix ./internal/arbitration | grep -v -E '^ *(===|---)'
	PERDURE_TABLE=$(CURDIR)/docs/failure-scenarios.md PERDURE_LAB=required $(GO) test -tags lab -timeout 30m -count 1 -v -run Matrix ./test/lab

crash: build ## 100 killed daemons and 10,000 power cuts, each followed by a check
	PERDURE_LAB=required $(GO) test -tags lab -timeout 60m -count 1 -v -run TestKills ./test/real -real.kills 100 | grep -E 'kills:|^(---|FAIL|ok)'
	$(GO) test -timeout 60m -count 1 -v -run TestAForgetfulDisk ./test/crash | grep -E 'mutant|^(---|FAIL|ok)'
	$(GO) test -timeout 60m -count 1 -v -run TestPowerCuts ./test/crash -crash.points 10000 | grep -E 'LOST|seed|crash:' | sed 's/.*crash: /crash: /'

sim: ## N simulated schedules (100000 by default) of a pair with faults, an hour on two cores
	scripts/sim $(N)

linearizability: build ## what hosts see through both arrays is one truth: a million commands and 200 faults, twice, the second time with slow links
	PERDURE_LAB=required $(GO) test -tags lab -timeout 90m -count 1 -v -run TestHastyReadsAreCaught ./test/linear | grep -E 'found out|^(---|FAIL)'
	for delay in 0 5ms; do PERDURE_LAB=required $(GO) test -tags lab -timeout 90m -count 1 -v -run TestLinearizability ./test/linear -linear.operations 1000000 -linear.faults 200 -linear.delay $$delay | grep -E 'seed|answered|drawn|^(FAIL|---)|linearizability:' | sed 's/.*linearizability: /linearizability: /'; done

bench-store: ## the storage engine against fio on the same disk, and what it has to reach, in 3 minutes
	$(GO) run ./test/bench/store

bench-target: build ## the array as an iSCSI target beside tgt, istgt and a bare echo, in memory and on a disk, in 20 minutes
	scripts/setup istgt
	$(GO) run ./test/bench/target

bench-pair: build ## what mirroring costs a host, through either array, with links of up to 10 ms, in 3 minutes
	$(GO) run ./test/bench/pair

bench-neighbour: build ## what a host with 8 sessions of 128 commands costs one with a single command at a time, in 2 minutes
	$(GO) run ./test/bench/neighbour

bench-api: build ## 1,000 groups of 10 volumes through REST: created, listed, switched over, idle, failed over; in 10 minutes
	$(GO) run ./test/bench/api

corrupt: build ## a disk that changes and loses what was written, under load: all of it found, none served
	PERDURE_LAB=required $(GO) test -tags lab -timeout 30m -count 1 -v -run TestCorruptIsNoticed ./test/real | grep -E 'mutant|^(---|FAIL|ok)'
	PERDURE_LAB=required $(GO) test -tags lab -timeout 60m -count 1 -v -run TestCorruptFiles ./test/real -real.fileflips 30 | grep -E 'files:|B says|^(---|FAIL|ok)'
	PERDURE_LAB=required $(GO) test -tags lab -timeout 60m -count 1 -v -run 'TestCorrupt$$' ./test/real -real.flips 200 | grep -E 'hit nothing|seed|^(FAIL)|corrupt:' | sed 's/.*corrupt: /corrupt: /'

clock: build ## as root: hosts and arrays while this machine's clock is stepped, there and back
	PERDURE_LAB=required $(GO) test -tags 'lab clock' -timeout 20m -count 1 -v -run TestClockSteps ./test/real | grep -E 'step|^(---|FAIL|ok)'

model: ## search the decisions about who may serve, exhaustively
	$(GO) run ./cmd/perdure-model

clean: ## remove what was built
	rm -rf bin .cache

$(TOOLS)/%: tools/go.mod tools/go.sum
	@mkdir -p $(TOOLS)
	cd tools && CGO_ENABLED=0 $(GO) build -o $(CURDIR)/$(TOOLS)/ tool
	@touch $@
