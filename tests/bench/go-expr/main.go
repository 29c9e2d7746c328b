// What the seed's condition costs in Go: the figures that `just bench-peers` holds ours against.
//
// `go run . [-test.benchtime=1s]` prints a line a case: how it is done, the form of the values, the points, and the nanoseconds of one evaluation.
// "go-precompiled" compiles once and evaluates often; "go-as-argo" does both each time, as Argo Rollouts does.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

// The condition of tests/data/seed/analysis.yaml.
const seed = "all(result.service_apdex.values.values, {asFloat(.value) >= 9900})"

func main() {
	testing.Init()
	flag.Parse()
	for _, form := range []string{"numbers", "texts"} {
		for _, points := range []int{4, 60, 1440} {
			result := parsed(form, points)
			prepared := environment(result)
			program := compiled(prepared)
			measure("go-precompiled", form, points, func() bool {
				return holds(program, prepared)
			})
			measure("go-as-argo", form, points, func() bool {
				environment := environment(result)
				return holds(compiled(environment), environment)
			})
		}
	}
}

// The best of three, so that the comparison is fair to Go on a busy machine.
func measure(name, form string, points int, evaluate func() bool) {
	best := math.Inf(1)
	for range 3 {
		measured := testing.Benchmark(func(b *testing.B) {
			for i := 0; i < b.N; i++ {
				if !evaluate() {
					b.Fatal("the condition does not hold")
				}
			}
		})
		best = min(best, float64(measured.T.Nanoseconds())/float64(measured.N))
	}
	fmt.Printf("%s %s %d %.0f\n", name, form, points, best)
}

// An answer with so many points, as encoding/json reads it.
func parsed(form string, points int) any {
	list := make([]string, points)
	for i := range list {
		value := strconv.Itoa(9900 + i%100)
		if form == "texts" {
			value = strconv.Quote(value)
		}
		list[i] = `{"value": ` + value + `}`
	}
	text := `{"service_apdex": {"label": null, "values": {"values": [` + strings.Join(list, ",") + `]}}}`
	var result any
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		log.Fatal(err)
	}
	return result
}

// The names that Argo Rollouts gives to a condition.
func environment(result any) map[string]any {
	return map[string]any{
		"result":  result,
		"asFloat": asFloat,
		"asInt":   func(value any) int { return int(asFloat(value)) },
		"isNaN":   math.IsNaN,
		"isInf":   func(value float64) bool { return math.IsInf(value, 0) },
		"isNil":   func(any) bool { return result == nil },
		"default": func(_, other any) any {
			if result == nil {
				return other
			}
			return result
		},
	}
}

func asFloat(value any) float64 {
	switch value := value.(type) {
	case float64:
		return value
	case string:
		number, err := strconv.ParseFloat(value, 64)
		if err != nil {
			panic(err)
		}
		return number
	default:
		panic(errors.New("asFloat() not supported on this type"))
	}
}

func compiled(environment map[string]any) *vm.Program {
	program, err := expr.Compile(seed, expr.Env(environment))
	if err != nil {
		log.Fatal(err)
	}
	return program
}

func holds(program *vm.Program, environment map[string]any) bool {
	output, err := expr.Run(program, environment)
	if err != nil {
		log.Fatal(err)
	}
	value, isBool := output.(bool)
	return isBool && value
}
