# make up      build and run: a gateway on :8080, three replicas of the reference API, admin on 127.0.0.1:9900
# make test    format, lints and all tests; CI runs this and nothing more
# make bench   nginx, HAProxy and Phalanx side by side, then the data layer, tokens, the fleet and the autoscaler, each also
#              alone as bench-gateway, bench-data, bench-auth, bench-fleet, bench-scale; BENCH='--rounds 9',
#              DATA='--parts queries', AUTH='--parts profile' and FLEET='--parts idle' pass options
# make profile what a saturated gateway spends its CPU time on; PROFILE='--connections 64' passes options
# make audit   licences, bans, sources and advisories of the dependencies
# make fmt     format the sources
# make lint    format check and clippy, warnings as errors
# make clean   remove what was built

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: up test bench bench-gateway bench-data bench-auth bench-fleet bench-scale profile audit fmt lint clean needs-build \
  needs-test needs-bench needs-bench-data needs-bench-auth needs-bench-fleet needs-profile needs-audit

up: needs-build
	cargo build --release --locked -p phalanx
	@exec $${CARGO_TARGET_DIR:-target}/release/phalanx up

test: lint needs-test
	cargo test --locked --workspace --doc
	@if cargo nextest --version >/dev/null 2>&1; then \
	  cargo nextest run --locked --workspace; \
	else \
	  cargo test --locked --workspace --lib --bins --tests --examples; \
	fi

bench: bench-gateway bench-data bench-auth bench-fleet bench-scale

bench-gateway: needs-bench
	cargo build --release --locked -p phalanx -p phalanx-bench
	$${CARGO_TARGET_DIR:-target}/release/phalanx-bench gateway $(BENCH)

bench-data: needs-bench-data
	cargo build --release --locked -p phalanx -p phalanx-bench
	$${CARGO_TARGET_DIR:-target}/release/phalanx-bench data $(DATA)

bench-auth: needs-bench-auth
	cargo build --release --locked -p phalanx -p phalanx-bench
	$${CARGO_TARGET_DIR:-target}/release/phalanx-bench auth $(AUTH)

bench-fleet: needs-bench-fleet
	cargo build --release --locked -p phalanx -p phalanx-bench
	$${CARGO_TARGET_DIR:-target}/release/phalanx-bench fleet $(FLEET)

# A decision of the autoscaler for 1000 pods: aim below 1 ms.
bench-scale:
	cargo run --release --locked -p phalanx-scale --example decision

profile: needs-profile
	cargo build --release --locked -p phalanx -p phalanx-bench
	$${CARGO_TARGET_DIR:-target}/release/phalanx-bench profile $(PROFILE)

audit: needs-audit
	cargo deny --all-features check licenses bans sources
	@cargo deny --all-features check advisories || scripts/advisories-reachable

fmt:
	cargo fmt --all

lint: needs-build
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

clean:
	cargo clean

needs-build:
	@scripts/needs cargo cc

needs-test: needs-build
	@scripts/needs curl express node npm openssl pgbouncer postgres python3 redis-server schemathesis setpriv uvicorn

needs-bench: needs-build
	@scripts/needs nginx haproxy wrk strace setpriv

needs-bench-data: needs-build
	@scripts/needs postgres wrk setpriv node npm

needs-bench-auth: needs-build
	@scripts/needs h2load node npm postgres redis-server setpriv wrk

needs-bench-fleet: needs-build
	@scripts/needs setpriv

needs-profile: needs-build
	@scripts/needs nginx wrk setpriv perf

needs-audit: needs-build
	@scripts/needs cargo-deny
