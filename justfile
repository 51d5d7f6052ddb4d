# The tasks of this repository. Without `just`, run ./justw instead: it installs it first.

set shell := ["bash", "-euo", "pipefail", "-c"]
set positional-arguments

export CARGO_TARGET_DIR := absolute_path(env("CARGO_TARGET_DIR", justfile_directory() / "target"))
export CARGO_TERM_PROGRESS_WHEN := env("CARGO_TERM_PROGRESS_WHEN", "never")
export TF_IN_AUTOMATION := "1"
export TERRAFORM := env("TERRAFORM", `command -v terraform || command -v tofu || true`)
nextest_version := "0.9.143"
deny_version := "0.20.2"
tools := CARGO_TARGET_DIR / "tools"
export PATH := tools / "bin" + ":" + env("PATH")

# List the tasks
default:
    @just --list --unsorted

# Show the whole pipeline on an emulator: Terraform, schedule, poller, fix, proof (--keep leaves it running)
demo *arguments: (_needs "demo") _emulator build-binaries
    "$CARGO_TARGET_DIR/debug/demo" "$@"

# All tests: formatting, lints, setup, unit, property, emulator, pipeline and Terraform tests
test: (_needs "test") check-format test-all

[parallel]
[private]
test-all: test-setup test-rust test-seeds-and-lint test-terraform test-emulator test-page

# Build everything that tests run
build: (_needs "build")
    cargo build --workspace --all-targets --locked

# Build the binaries alone: what the demo runs, and the tests build none of it again
build-binaries: (_needs "build-binaries")
    cargo build --workspace --bins --locked

# The emulator ends a moment after nextest does: `settle` waits for that, whatever the tests said.

# Rust tests: unit, property, emulator, pipeline (arguments go to nextest)
test-rust *arguments: (_needs "test-rust") _emulator build _nextest
    cargo nextest run --workspace --locked "$@" || failed=$?; \
      "$CARGO_TARGET_DIR/debug/emulator" settle; exit "${failed:-0}"

# The pipeline test alone; AUTOREMEDIATE_EMULATOR=container runs it on a container, AUTOREMEDIATE_EMULATOR_TLS=1 over TLS
test-pipeline: (test-rust "-E" "test(/^pipeline::/)")

# The deployed pipeline under half an hour of faults by chance; CHAOS_SEED tells a story again, CHAOS_MINUTES is its length
chaos: (test-by-hand "chaos")

# 100,000 findings in 200 accounts, with kills of Lambdas: SOAK_FINDINGS and SOAK_ACCOUNTS for fewer
soak: (test-by-hand "soak")

# The tests of one module that no other task runs
[private]
test-by-hand module: (_needs "test-rust") _emulator build _nextest
    cargo nextest run --workspace --locked --profile long --run-ignored only --no-capture -E 'test(/^{{ module }}::/)' \
      || failed=$?; "$CARGO_TARGET_DIR/debug/emulator" settle; exit "${failed:-0}"

# Tests of the Terraform modules, on a copy, so that no state or plugin is left in the working tree; with
# AWS_PROVIDER_VERSION, such as "~> 6.0", on those versions of the provider alone
test-terraform: (_needs "test-terraform")
    #!/usr/bin/env bash
    set -euo pipefail
    copy=$(mktemp -d) && trap 'rm -rf "$copy"' EXIT
    cp -r terraform "$copy/terraform"
    for manifest in crates/rules/*/rule.json; do
      mkdir -p "$copy/$(dirname "$manifest")" && cp "$manifest" "$copy/$manifest"
    done
    export TF_PLUGIN_CACHE_DIR=${TF_PLUGIN_CACHE_DIR:-$CARGO_TARGET_DIR/terraform-plugins}
    mkdir -p "$TF_PLUGIN_CACHE_DIR"
    # OpenTofu knows no `source` of a mock_provider, so it gets the mocks written out
    case $("$TERRAFORM" version) in OpenTofu*)
      mocks=$copy/terraform/tests/mocks/aws.tfmock.hcl
      find "$copy/terraform" -name '*.tftest.hcl' -exec sed -i -e "\,^ *source *= \"[./]*/tests/mocks\"\$,{r $mocks" -e 'd}' {} +
    esac
    for module in catalog target-role organization-reader central; do modules+=("modules/$module"); done
    for module in central targets; do modules+=("deploy/$module"); done
    for example in terraform/modules/*/examples/*; do modules+=("${example#terraform/}"); done
    for module in "${modules[@]}"; do
      echo "== terraform/$module"
      if [ -n "${AWS_PROVIDER_VERSION:-}" ] && [ "$module" != modules/catalog ]; then
        printf 'terraform {\n  required_providers {\n    aws = {\n      source  = "hashicorp/aws"\n      version = "%s"\n    }\n  }\n}\n' \
          "$AWS_PROVIDER_VERSION" >"$copy/terraform/$module/versions_override.tf"
      fi
      (cd "$copy/terraform/$module" && "$TERRAFORM" init -input=false >/dev/null && "$TERRAFORM" validate && "$TERRAFORM" test)
    done

# Tests of the emulator's own package
test-emulator *arguments: (_needs "test-emulator")
    localstack/emulator test "$@"

# Tests of the report page, in a real browser (arguments go to pytest)
test-page *arguments: (_needs "test-page") _page build-binaries
    tests/page/run test "$@"

# The picture of the report page in the README
picture: (_needs "test-page") _page build-binaries
    tests/page/run picture

# Tests of what says at once what is missing, of which Python the emulator runs on, and of the tables of costs
test-setup: (_needs "test-setup")
    JUST={{ quote(just_executable()) }} "$(localstack/find-python)" -m unittest discover --start-directory tools/tests

# Clippy, with warnings denied
lint: (_needs "lint")
    cargo clippy --workspace --all-targets --locked -- --deny warnings

# A thousand seeds of the simulator, which the other tests have built already: `simulate` has a build of its own
[private]
test-seeds: build
    nice "$CARGO_TARGET_DIR/debug/sim"

# Both take what the other tests leave of the processors while they wait for the emulator. The lints come last, because Cargo
# builds nothing else beside them.
[private]
test-seeds-and-lint: test-seeds
    nice {{ quote(just_executable()) }} lint

# The whole loop under faults in virtual time, by seed: --seeds N, --story SEED, --shrink SEED, --replay FILE
simulate *arguments: (_needs "build")
    cargo run --quiet --locked -p sim --profile sim --bin sim -- "$@"

# Takes one safeguard after the other out of a copy of the product, and looks for a seed that shows it (names one by words)
mutants *arguments: (_needs "build")
    cargo run --quiet --locked -p sim --profile sim --bin mutants -- --copy "$CARGO_TARGET_DIR/mutants" "$@"

# Fuzz every parser for a minute each, or those that are named (--keep adds to the corpus what reaches new code)
fuzz *arguments: (_needs "fuzz")
    fuzz/run "$@"

# Audit of crates, Python pins, Terraform and workflows: some parts by name; `tools/audit/run` says which and what they ask
audit *arguments: (_needs "audit") _deny
    tools/audit/run "$@"

# Whether everything is formatted
check-format: (_needs "check-format")
    cargo fmt --check
    rustfmt --check --edition 2024 crates/testkit/src/subjects/*.rs fuzz/src/*.rs docs/own-rule/*/src/*.rs
    "$TERRAFORM" fmt -check -recursive terraform

# Format everything; cargo fmt sees neither the subjects, whose modules a macro declares, nor the other workspaces
format: (_needs "format")
    cargo fmt
    rustfmt --edition 2024 crates/testkit/src/subjects/*.rs fuzz/src/*.rs docs/own-rule/*/src/*.rs
    "$TERRAFORM" fmt -recursive terraform

# Write what follows from the code: the lock file, the tables of the READMEs and of the costs, the JSON Schemas of policies and messages
generate: _lock build-binaries
    "$CARGO_TARGET_DIR/debug/autoremediate" policy schema > policy.schema.json.new
    mv policy.schema.json.new terraform/modules/catalog/policy.schema.json
    "$CARGO_TARGET_DIR/debug/autoremediate" notify --schema > messages.schema.json.new
    mv messages.schema.json.new terraform/modules/central/messages.schema.json
    "$CARGO_TARGET_DIR/debug/generate"
    tools/costs

# Release packages of the Lambdas in dist/ (--target for another architecture)
package *arguments: (_needs "package")
    cargo run --quiet --locked --package package -- "$@"

# Terraform plan of every target account: a file with one account ID a line, or `organization`, then terraform's arguments
targets-plan accounts *arguments: (_needs "targets-plan")
    terraform/deploy/targets/each-account plan {{ if accounts == "organization" { accounts } else { quote(absolute_path(accounts)) } }} "${@:2}"

# Terraform apply of every target account
targets-apply accounts *arguments: (_needs "targets-apply")
    terraform/deploy/targets/each-account apply {{ if accounts == "organization" { accounts } else { quote(absolute_path(accounts)) } }} "${@:2}"

# Terraform destroy of every target account
targets-destroy accounts *arguments: (_needs "targets-destroy")
    terraform/deploy/targets/each-account destroy {{ if accounts == "organization" { accounts } else { quote(absolute_path(accounts)) } }} "${@:2}"

# How long the release Lambdas take and what they call, beside the least that it could be (--help says what can be chosen; --compare OLD.json)
bench *arguments: (_needs "bench") package
    cargo build --quiet --locked --profile lambda --package bench --bins
    "$CARGO_TARGET_DIR/lambda/bench" --zips dist "$@"

# What is computed between two calls: a page of Netskope's, the policy, a plan (arguments go to divan)
bench-parts *arguments: (_needs "bench")
    cargo bench --quiet --locked --package bench --bench parts -- "$@"

# Remove what builds and runs leave
clean:
    cargo clean
    rm -rf dist

[private]
_needs task:
    @tools/needs "$1"

# What LocalStack needs from PyPI comes before the build, because it can fail. A container brings its own.
[private]
_emulator:
    @[ "${AUTOREMEDIATE_EMULATOR:-process}" != process ] || localstack/emulator setup >/dev/null

# The browser, before the build for the same reason.
[private]
_page:
    @tests/page/run setup >/dev/null

# Of the lock file, what our own crates say
[private]
_lock: (_needs "build-binaries")
    cargo update --quiet --workspace
    cargo update --quiet --workspace --manifest-path fuzz/Cargo.toml

[private]
_nextest:
    @cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked --version {{ nextest_version }} --root {{ tools }} --target-dir {{ tools }}/build

[private]
_deny:
    @cargo deny --version 2>/dev/null | grep -qF 'cargo-deny {{ deny_version }}' || cargo install cargo-deny --debug --locked --version {{ deny_version }} --root {{ tools }} --target-dir {{ tools }}/build
