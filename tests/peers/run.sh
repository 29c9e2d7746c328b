#!/usr/bin/env bash
# Those who call Skygate, their own code: Flagger's webhook client, Argo Rollouts' `web` provider, and a Prometheus,
# each against `skygate serve` beside `skygate simulate-oap`, all on loopback.
# Takes Go and Debian's package of Prometheus. The first build of Flagger's and Argo's code takes minutes; Go keeps it.
#   tests/peers/run.sh                        all of them
#   tests/peers/run.sh flagger|argo|prometheus [FLAG…]   one of them, with flags for `go test`
# SKYGATE names another program than the one that is built here.
# Ends with 77 where what it takes cannot be had here.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { printf 'peers: %s (%ss)\n' "$*" "$SECONDS" >&2; }
fail() { printf 'peers: %s\n' "$*" >&2; exit 1; }
skip() { printf 'peers: skipped: %s\n' "$*" >&2; exit 77; }

command -v go >/dev/null || skip "no Go here: install it (1.24 or newer), what calls the service is written in it"

# Unpacked and not installed: the package would start a service of its own.
find_prometheus() {
    PROMETHEUS=$(command -v prometheus || true)
    [ -n "$PROMETHEUS" ] && return
    local folder=target/peers/prometheus
    if ! [ -x "$folder/usr/bin/prometheus" ]; then
        say "fetching prometheus from Debian"
        rm -rf "$folder" && mkdir -p "$folder"
        (
            cd "$folder"
            # Unpacking as root needs no sandbox user.
            fetch() { timeout 300 apt-get -qq -o APT::Sandbox::User=root download prometheus; }
            fetch 2>/dev/null || { timeout 300 apt-get -qq update && fetch; }
            dpkg-deb -x prometheus_*.deb .
            rm prometheus_*.deb
        ) || { say "skipped: there is no Prometheus here, and Debian's package cannot be had"; return 1; }
    fi
    PROMETHEUS="$PWD/$folder/usr/bin/prometheus"
}

# `go test`, for the module of that name.
peer() {
    local name=$1
    shift
    say "$name"
    timeout 600 go mod download -C "tests/peers/$name" || skip "the modules of $name cannot be had"
    go test -C "tests/peers/$name" -mod=readonly -count=1 -parallel 8 -timeout 10m "$@" .
}

# What a real Prometheus makes of the rules: first on series that are made up, then on a service.
check_prometheus() {
    find_prometheus || return 0
    export PROMETHEUS
    "$(dirname "$PROMETHEUS")/promtool" check config docker/prometheus/prometheus.yaml
    "$(dirname "$PROMETHEUS")/promtool" test rules tests/peers/prometheus/alerts.yaml
    peer prometheus "$@"
}

if [ -z "${SKYGATE:-}" ]; then
    cargo build --locked --quiet --bin skygate
    SKYGATE="${CARGO_TARGET_DIR:-$PWD/target}/debug/skygate"
fi
export SKYGATE

if [ $# -gt 0 ]; then
    case $1 in
    prometheus) check_prometheus "${@:2}" ;;
    flagger | argo) peer "$@" ;;
    *) fail "no peer is called $1: there are flagger, argo and prometheus" ;;
    esac
else
    peer argo
    peer flagger
    check_prometheus
fi
say "done"
