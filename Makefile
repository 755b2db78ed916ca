# `make` tells what there is. Longer logic is in .ci/ and deploy/.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

SERVICES := order inventory fulfilment billing analytics
CRATES := $(foreach name,cli $(SERVICES),-p pesan-$(name))
ARGS ?=

.PHONY: help run build test lint fix bench images clean-data

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## The whole suite on this machine, until Ctrl-C (ARGS="--data DIR …")
	target/release/pesan up $(ARGS)

build: ## Release binaries of the five services and the command line
	.ci/need-cc.sh
	cargo build --release $(CRATES)

test: ## Every test, with a throw-away Postgres around them (ARGS="-p pesan-order")
	.ci/need-cc.sh
	.ci/test.sh $(ARGS)

lint: ## Format, clippy, the house rules, protos, licences
	.ci/need-cc.sh
	.ci/lint.sh

fix: ## Format the code
	cargo fmt --all

bench: build ## Load on a throw-away suite, against the database's own limit (ARGS="place reserve")
	.ci/bench.sh $(ARGS)

images: ## Container images of the five services (needs docker)
	deploy/images.sh

clean-data: ## Throw away what `make run` keeps in .pesan
	.ci/clean-data.sh
