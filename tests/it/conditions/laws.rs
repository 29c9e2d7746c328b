//! What holds for every condition, on conditions that nobody would write.

use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::guard::{STACK, survive};

const TOKENS: [&str; 84] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    ":",
    "?",
    "?.",
    "??",
    ".",
    "..",
    "#",
    "#index",
    "#acc",
    "|",
    "||",
    "&&",
    "!",
    "not",
    "in",
    "=",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "**",
    "and",
    "or",
    "matches",
    "contains",
    "startsWith",
    "let x =",
    "x",
    "if",
    "else",
    "0",
    "1",
    "2.5",
    "-1",
    "9223372036854775807",
    "1e308",
    "'a'",
    "\"b\"",
    "`c`",
    "'",
    "nil",
    "true",
    "false",
    "result",
    "values",
    "series[\"service_apdex\"]",
    ".value",
    ".service_apdex",
    "all(",
    "any(",
    "count(",
    "map(",
    "filter(",
    "reduce(",
    "sortBy(",
    "groupBy(",
    "sum(",
    "len(",
    "asFloat(",
    "max(",
    "split(",
    "sort(",
    "repeat(",
    "fromJSON(",
    "take(",
    "$env",
    "/*",
    "é",
    "\u{0}",
];

fn soup() -> impl Strategy<Value = String> {
    let token = proptest::sample::select(TOKENS.to_vec());
    proptest::collection::vec(token, 0..40).prop_map(|tokens| tokens.join(" "))
}

/// Conditions that parse more often than not.
fn grown() -> impl Strategy<Value = String> {
    let leaf = proptest::sample::select(vec![
        "1",
        "0",
        "-1",
        "2.5",
        "'a'",
        "'9611'",
        "nil",
        "true",
        "result",
        "result.service_apdex",
        "values",
        "[1, 2]",
        "{a: 1}",
        "1..9",
        "#",
        ".value",
        "1e308",
        "9223372036854775807",
        "repeat('ab', 1000)",
        "'['",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 3, |inner| {
        let operator = proptest::sample::select(vec![
            "+", "-", "*", "/", "%", "**", "==", "<", ">=", "in", "not in", "&&", "or", "??", "..",
            "contains", "matches",
        ]);
        let unary = proptest::sample::select(vec![
            "len",
            "abs",
            "int",
            "float",
            "string",
            "asFloat",
            "asInt",
            "isNaN",
            "sort",
            "uniq",
            "flatten",
            "max",
            "mean",
            "median",
            "sum",
            "toJSON",
            "fromJSON",
            "keys",
            "values",
            "first",
            "last",
            "reverse",
            "upper",
            "bitnot",
            "duration",
            "date",
            "toPairs",
            "fromPairs",
            "not",
            "-",
            "toBase64",
            "fromBase64",
            "join",
        ]);
        let binary = proptest::sample::select(vec![
            "take",
            "get",
            "repeat",
            "split",
            "splitAfter",
            "concat",
            "min",
            "bitshl",
            "bitushr",
            "trim",
            "indexOf",
            "default",
        ]);
        let each = proptest::sample::select(vec![
            "all",
            "any",
            "none",
            "one",
            "filter",
            "map",
            "find",
            "findLastIndex",
            "count",
            "sum",
            "groupBy",
            "sortBy",
            "reduce",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(l, o, r)| format!("({l}) {o} ({r})")),
            (unary, inner.clone()).prop_map(|(f, x)| format!("{f}({x})")),
            (binary, inner.clone(), inner.clone()).prop_map(|(f, x, y)| format!("{f}({x}, {y})")),
            (each.clone(), inner.clone(), inner.clone())
                .prop_map(|(f, x, y)| format!("{f}({x}, {{{y}}})")),
            (each, inner.clone()).prop_map(|(f, x)| format!("{f}({x})")),
            (inner.clone(), inner.clone()).prop_map(|(x, y)| format!("({x})[{y}]")),
            (inner.clone(), inner.clone()).prop_map(|(x, y)| format!("({x})[{y}:]")),
            (inner.clone(), inner).prop_map(|(x, y)| format!("let v = {x}; v == {y}")),
        ]
    })
}

fn survives_each(sources: impl Strategy<Value = String>) {
    let config = ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let outcome = proptest::test_runner::TestRunner::new(config).run(&sources, |source| {
        let source: Arc<str> = source.into();
        let work = Arc::clone(&source);
        let thread = thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || survive(&work));
        let joined = thread.expect("a thread").join();
        prop_assert!(joined.is_ok(), "panicked on {source}");
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

#[test]
fn soups_of_tokens_are_survived() {
    survives_each(soup());
}

#[test]
fn soups_of_characters_are_survived() {
    survives_each(".{0,60}");
}

#[test]
fn grown_conditions_are_survived() {
    survives_each(grown());
}

#[test]
fn an_evaluation_depends_on_its_input_alone() {
    proptest!(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() }, |(source in grown())| {
        prop_assert_eq!(survive(&source), survive(&source));
    });
}
