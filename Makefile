# One target for each check and task; `.ci/run` and the CI workflow run these and nothing else.

# Benchmarks and the demo use the release build; tests use the dev profile (optimized, with assertions).
CARGO ?= cargo
# Arguments of the command, for example: make demo ARGS="--seconds 20 --rate 500"
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo demo-retrain build release notices test test-full test-dynamic nextest model lint fmt-check clippy doc deny machete typos fuzz-corpus docs \
	sanitize fmt clean setup

help: ## List the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

demo: ## Run the demo, no Kafka needed (q quits; ARGS="--seconds 20 --rate 500")
	@scripts/setup build
	$(CARGO) run --release --quiet -- demo $(ARGS)

demo-retrain: build ## Run a retraining on reviews and a real Kafka (NUNCHI_DATA, default ../shared/data)
	@scripts/setup test
	scripts/demo-retrain

build: ## Build the release binary, target/release/nunchi
	@scripts/setup build
	$(CARGO) build --release

release: ## Build the binary to give to others: without paths of this machine, which is checked
	@scripts/setup build
	scripts/release --locked

notices: ## Renew deploy/THIRD-PARTY-NOTICES.txt, the licenses of all that is linked
	scripts/notices

test: ## Run all tests, with a real Apache Kafka (ARGS="--test demo" for one file)
	@scripts/setup test
	@scripts/test $(ARGS)

test-full: ## Run all tests, with every fault of the delivery tests provoked five times as often
	@scripts/setup test
	@NUNCHI_TEST_FULL=1 scripts/test $(ARGS)

test-dynamic: ## Run all tests with the system's librdkafka (pkg-config rdkafka, 2.12.1 or newer)
	@pkg-config --atleast-version=2.12.1 rdkafka \
		|| { echo "pkg-config finds no rdkafka of 2.12.1 or newer: set PKG_CONFIG_PATH" >&2; exit 1; }
	@scripts/setup test
	@scripts/test --features dynamic-librdkafka $(ARGS)

nextest: ## Run all tests by cargo-nextest, with a real Apache Kafka (.config/nextest.toml)
	@scripts/setup test
	@PATH="$$(scripts/tools cargo-nextest):$$PATH" NUNCHI_TEST_RUNNER=nextest scripts/test $(ARGS)

lint: fmt-check clippy doc ## Check format, lints and documentation

fmt-check: ## Check the format
	$(CARGO) fmt --check

clippy: ## Check lints; warnings are errors
	@scripts/setup build
	$(CARGO) clippy --all-targets -- -D warnings -D clippy::incompatible_msrv

doc: ## Check the API documentation; warnings are errors
	@scripts/setup build
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps

deny: ## Check dependencies: bans, licenses, sources (deny.toml says how advisories are checked), and the notices
	PATH="$$(scripts/tools cargo-deny):$$PATH" cargo-deny --workspace check bans licenses sources
	scripts/notices --check

machete: ## Find dependencies that no code uses
	PATH="$$(scripts/tools cargo-machete):$$PATH" cargo-machete

typos: ## Check the spelling of code and documents
	PATH="$$(scripts/tools typos):$$PATH" typos

fuzz-corpus: ## Run the fuzz targets on their corpora and on mutations (no nightly compiler needed)
	$(CARGO) test --test fuzz_corpus

sanitize: ## Run the engine's tests under AddressSanitizer and Miri (nightly)
	scripts/sanitize

docs: ## Build the API documentation
	$(CARGO) doc --no-deps
	@echo "target/doc/nunchi/index.html"

model: build ## Train the default model from the reviews in NUNCHI_DATA (default ../shared/data)
	scripts/train-default-model.sh

fmt: ## Format the code
	$(CARGO) fmt

setup: ## Install what build and tests need (make demo and make test do so themselves)
	@scripts/setup test

clean: ## Remove build output, downloads and installed tools
	$(CARGO) clean
	rm -rf .kafka .cache
