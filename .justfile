# Lists the recipes.
default:
    @just --list

# Exactly what CI runs.
check: fmt lint test doc

# Formatting, as CI wants it.
fmt:
    cargo fmt --all --check

# Lints, warnings denied.
lint:
    cargo clippy --locked --all-targets -- -D warnings

# The tests; the one command of the README.
test:
    cargo test --locked

# Documentation, warnings denied.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

# Benchmarks with their baselines in the same run.
bench *FILTER:
    cargo bench --locked -- {{FILTER}}

# Conditions here and in Go's expr, side by side (needs Go).
bench-peers:
    tests/bench/peers.sh

# Fuzzes a target (expr, cel, arguments, duration, answer); needs nightly, cargo-fuzz and jq.
fuzz TARGET *FLAGS:
    tests/fuzz/run.sh {{TARGET}} {{FLAGS}}

# Schemathesis against the running service (needs Python): `just test-schema --max-time 600` for longer.
test-schema *FLAGS:
    tests/schema/run.sh {{FLAGS}}

# Licences, banned crates and sources (needs cargo-deny).
deny:
    cargo deny --config .deny.toml check licenses bans sources

# Security advisories (needs cargo-deny and the network).
advisories:
    cargo deny --config .deny.toml check advisories

# A good version rolled out and a bad one rolled back, with everything that takes.
demo:
    cargo run --release --locked -- demo

# The service as an image of one static file (needs Docker).
image TAG="skygate":
    docker build -t {{TAG}} -f docker/Dockerfile .

# The Istio router against a real Kubernetes API server (needs Go; builds it once, in minutes).
test-kube *ARGS:
    tests/kube/run.sh {{ARGS}}

# Flagger's client, Argo's `web` provider and a Prometheus against the service (needs Go; builds them once, in minutes).
test-peers *ARGS:
    tests/peers/run.sh {{ARGS}}
