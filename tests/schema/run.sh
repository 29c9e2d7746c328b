#!/usr/bin/env bash
# Schemathesis against the running service: no 5xx, and every answer as its description says.
# Needs Python; installs what it needs below target/. Takes the flags of `schemathesis run`; without any it takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."

[ $# -gt 0 ] || set -- --max-examples 15
venv=$PWD/target/schemathesis
if [ ! -x "$venv/bin/schemathesis" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet schemathesis==4.32.5
fi
cargo build --locked
work=$(mktemp -d)
started=()
finish() {
    for process in "${started[@]}"; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT

# Starts a command that prints its address once it is ready, and waits for that.
start() {
    local name=$1
    shift
    "$@" >"$work/$name" 2>"$work/$name.log" &
    started+=($!)
    for _ in $(seq 100); do
        if [ -s "$work/$name" ]; then
            cat "$work/$name"
            return
        fi
        sleep 0.1
    done
    cat "$work/$name.log" >&2
    return 1
}

start oap target/debug/skygate simulate-oap --listen 127.0.0.1:0 >/dev/null
oap=$(cat "$work/oap")
token=admin-0123456789abcdef
echo "root admin $token" >"$work/tokens"
start service target/debug/skygate serve --listen 127.0.0.1:0 --store "sqlite:$work/skygate.db" \
    --oap "http://oap.istio-system:12800=$oap" --tokens "$work/tokens" --log warn >/dev/null
service=$(cat "$work/service")

# What there is to be found: a template and a run of it. Events of a run that goes on end with it, so nobody follows any.
curl -sf -H "authorization: Bearer $token" --data-binary @api/examples/apdex.yaml "$service/api/v1/templates?namespace=bookinfo" >"$work/applied"
curl -sf -H "authorization: Bearer $token" --data-binary @api/requests/run.json "$service/api/v1/runs" >"$work/started"

# It leaves its notes where it is started.
cd "$work"
"$venv/bin/schemathesis" run "$service/openapi.json" \
    --header "authorization: Bearer $token" \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,unsupported_method,allow_header_conformance,use_after_free \
    --exclude-operation-id followRun \
    --request-timeout 70 \
    "$@"

curl -sf "$service/readyz"
echo
if [ -s "$work/service.log" ]; then
    echo "the service had something to say:" >&2
    cat "$work/service.log" >&2
    exit 1
fi
