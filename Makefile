# Weft: `make demo` shows it working, `make test` proves it. Both install what is missing first.

.DEFAULT_GOAL := help
.PHONY: help setup build release demo up down test lint unit bench fuzz clean

WEFT := target/debug/weft

help: ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):[^#]*## /  \1\t/' | expand -t 12

setup: ## Install what building and testing need (Debian 12)
	@scripts/setup.sh test

build: setup ## Build the binary (target/debug/weft), forwarder included
	@cargo build --quiet -p weft && echo "build: $(WEFT) ready"

release: setup ## Build the optimised binary (target/release/weft)
	@cargo build --quiet --release -p weft && echo "build: target/release/weft ready"

demo: build ## Two tenants with overlapping addresses on three hosts, under policy
	@$(WEFT) lab test examples/two-tenants.yaml

up: build ## The demo's lab, left running; `make down` ends it
	@$(WEFT) lab up examples/two-tenants.yaml

down: ## End the lab that `make up` started
	@$(WEFT) lab down two-tenants

test: setup lint unit ## All checks and all tests

lint: ## Formatting, clippy with warnings denied, the project's own checks
	@cargo fmt --all --check && echo "lint: formatting in order"
	@cargo clippy --quiet --workspace --all-targets -- -D warnings && echo "lint: clippy has nothing to say"
	@cargo run --quiet -p weft-tidy

unit: ## All tests: unit, property, protocol peers, labs
	@cargo build --quiet --workspace --all-targets
	@cargo test --workspace

bench: ## Measure packets beside the kernel and OVS, configuration beside etcd; prints ratios
	@scripts/setup.sh bench
	@cargo build --quiet --release -p weft -p weft-bench
	@target/release/weft-bench
	@target/release/weft-bench config

fuzz: ## Run every fuzz target for FUZZ_SECONDS (default 180)
	@fuzz/run.sh

clean: ## Remove build products
	@cargo clean --quiet
	@rm -rf ebpf/target fuzz/target .venv
