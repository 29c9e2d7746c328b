#!/usr/bin/env bash
# Fuzzes one target for as long as libFuzzer is told to:
#
#   tests/fuzz/run.sh expr|cel|arguments|duration|answer [-max_total_time=600 …]
#
# Needs a nightly toolchain, cargo-fuzz, and jq for the seeds, which are the corpus of conditions and the recorded answers.
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$1
shift
corpus=tests/fuzz/corpus/$target
mkdir -p "$corpus"

# Writes each text that comes, ended by a NUL, as a seed of its own.
seeds() {
    local number=0 text
    while IFS= read -r -d '' text; do
        number=$((number + 1))
        printf '%s' "$text" >"$corpus/seed-$number"
    done
}

flags=(-timeout=20 -rss_limit_mb=2048)
case $target in
expr | cel)
    {
        jq -rj '.[] | select(.id) | (.result | tojson) + "\n" + .condition + "\u0000"' tests/data/conformance/conditions.json
        while IFS= read -r condition; do printf '\n%s\0' "$condition"; done <tests/fuzz/seeds/cel.txt
    } | seeds
    flags+=(-dict=tests/fuzz/condition.dict -max_len=3000)
    ;;
arguments)
    printf '%s\0' $'a|b\n{ a(b: "{{ args.x }}") { c } }' $'a"}\n<<args.x>> {{args.x}} {{ args.y }}' $'TRUE\nquery { a(b: {{ args.x }}) }' | seeds
    ;;
duration)
    printf '%s\0' 1h30m -1.5s +300us 0 2562047h47m16.854775807s | seeds
    flags+=(-max_len=64)
    ;;
answer)
    jq -rj '.answers[].response.body | objects | .data | select(.) | tojson + "\u0000"' tests/data/oap/*/{exec_expression,read_metrics_values,read_others}.json | seeds
    flags+=(-max_len=8192)
    ;;
*)
    echo "error: no target \`$target\`" >&2
    exit 2
    ;;
esac

exec cargo +nightly fuzz run --fuzz-dir tests/fuzz "$target" -- "${flags[@]}" "$@"
