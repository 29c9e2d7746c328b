#!/usr/bin/env bash
# Conditions here and in Go, side by side: nanoseconds of one evaluation of the seed's condition from parsed JSON.
# Go's figures are the best of three runs; ours are medians.
set -euo pipefail
cd "$(dirname "$0")/../.."

go=$(cd tests/bench/go-expr && go run . -test.benchtime="${BENCHTIME:-500ms}")
ours=$(cargo bench --locked --quiet -- conditions)

awk '
    # "├─ 60    1.2 µs  │ … │ 1.3 µs │ …": the third column is the median.
    function nanoseconds(text,   parts) {
        split(text, parts, " ")
        return parts[1] * (parts[2] == "ns" ? 1 : parts[2] == "µs" ? 1e3 : parts[2] == "ms" ? 1e6 : 1e9)
    }
    $1 ~ /^go-/ { go[$1, $2, $3] = $4; next }
    $0 ~ /─ [a-z_]+ / { of = $0; sub(/.*─ /, "", of); sub(/ .*/, "", of); next }
    of != "" && /─ [0-9]+ / {
        line = $0; sub(/.*─ /, "", line)
        points = line; sub(/ .*/, "", points)
        split(line, columns, "│")
        here[of, points] = nanoseconds(columns[3])
    }
    function rows(title, theirs, mine,   p) {
        print title
        for (p = 1; p <= 3; p++) {
            points = sizes[p]
            printf "  %4d points %12.0f %12.0f %8.1f\n", points, go[theirs, points], here[mine, points], go[theirs, points] / here[mine, points]
        }
    }
    END {
        split("4 60 1440", sizes)
        printf "%-13s %12s %12s %8s\n", "ns", "Go", "Skygate", "times"
        rows("compiled before, numbers", "go-precompiled" SUBSEP "numbers", "holds_argos")
        rows("compiled before, texts", "go-precompiled" SUBSEP "texts", "holds_argos_texts")
        rows("compiled each time, as Argo does", "go-as-argo" SUBSEP "numbers", "parse_and_hold_argos")
        rows("the same in the short form, compiled before", "go-precompiled" SUBSEP "numbers", "holds_short")
        rows("the same in CEL, compiled before", "go-precompiled" SUBSEP "numbers", "holds_cel")
    }
' <(printf '%s\n' "$go") <(printf '%s\n' "$ours")
