//! No condition in CEL panics, overflows the stack or takes long: each is tried with the stack of a worker, in a debug build.

use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;

const STACK: usize = 2 * 1024 * 1024;

/// Parses, evaluates, explains and drops; the message of whatever error there is.
fn survive(source: &str) -> Option<String> {
    let (mut result, series) = apdex();
    result["many"] = (0..1440).collect();
    result["text"] = "x".repeat(100_000).into();
    let scope = scope(&result, &series);
    let condition = match Condition::parse_as(Language::Cel, source) {
        Ok(condition) => condition,
        Err(error) => {
            assert!(!error.shown_in(source).is_empty());
            return Some(error.message);
        }
    };
    let outcome = condition.holds(&scope);
    let reason = condition.reason(&scope);
    assert!(
        !reason.text.contains('\n'),
        "a reason is one line: {:?}",
        reason.text
    );
    assert!(!format!("{:?}", condition.clone()).is_empty());
    outcome.err().map(|error| error.message)
}

fn on_a_small_stack<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::Builder::new().stack_size(STACK).spawn(work);
    thread.expect("a thread").join().expect("the work survives")
}

fn shapes() -> [(&'static str, &'static str, &'static str); 40] {
    [
        ("(", "1", ")"),
        ("(", "true", ")"),
        ("[", "1", "]"),
        ("{'a':", "1", "}"),
        ("!", "true", ""),
        ("-", "x", ""),
        ("!(", "true", ")"),
        ("1 + (", "1", ")"),
        ("size(", "'a'", ")"),
        ("dyn(", "true", ")"),
        ("default(", "true", ", true)"),
        ("[1][", "0", "]"),
        ("[1].all(a, ", "true", ")"),
        ("[1].exists_one(a, ", "true", ")"),
        ("[1].map(a, ", "1", ")"),
        ("[[1].exists(a, ", "true", ")].all(b, b)"),
        ("", "[1]", ".map(a, a)"),
        ("", "[1]", ".filter(a, a > 0)"),
        ("", "[1]", " + [1]"),
        ("", "optional.of(1)", ".optMap(a, a)"),
        ("", "result.?x", ".optFlatMap(a, optional.of(a))"),
        ("", "result", ".a"),
        ("", "result", ".?a"),
        ("", "result", "[0]"),
        ("", "result", "['a']"),
        ("", "1", " + 1"),
        ("", "'a'", " + 'a'"),
        ("", "1", " < 1"),
        ("", "1", " in [1]"),
        ("", "true", " == true"),
        ("", "true", " && true"),
        ("", "result.a", " && result.a"),
        ("", "true", " || true"),
        ("true ? ", "1", " : 2"),
        ("true ? 1 : ", "2", ""),
        ("", "true", " ? true : false"),
        ("", "result.text", ".contains('a')"),
        ("has(", "result.a", ")"),
        ("f(", "1", ")"),
        ("a{b: ", "1", "}"),
    ]
}

#[test]
fn nesting_and_chains_are_bounded() {
    let shapes = shapes();
    on_a_small_stack(move || {
        for (open, inner, close) in shapes {
            for times in [
                5, 20, 24, 30, 40, 47, 48, 49, 64, 90, 100, 200, 400, 1_000, 40_000,
            ] {
                for end in ["", " == 1", ".size() > 0"] {
                    let source =
                        format!("{}{inner}{}{end}", open.repeat(times), close.repeat(times));
                    survive(&source);
                }
            }
        }
    });
}

#[test]
fn a_long_conjunction_is_no_deep_tree() {
    let check = |part: &str, joint: &str, times: usize, expected: Result<bool, &str>| {
        let source = vec![part; times].join(joint);
        let outcome = on_a_small_stack(move || holds(&source, &json!({"a": true})));
        assert_eq!(
            outcome.map_err(|error| error.message),
            expected.map_err(str::to_owned),
            "{part}{joint}"
        );
    };
    check("result.a", " && ", 150, Ok(true));
    check("!result.a", "||", 150, Ok(false));
    check("true", " == ", 60, Ok(true));
    check("true", " == ", 150, Err("nested more than 100 deep"));
}

#[test]
fn limits_say_which_they_are() {
    let check = |source: &str, expected: &str| {
        let owned = source.to_owned();
        let message = on_a_small_stack(move || survive(&owned));
        assert_eq!(message.as_deref(), Some(expected), "{source:.80}");
    };
    let steps = "step budget exceeded: more than 1,000,000 steps";
    let size = "memory budget exceeded: more than 1,000,000 elements or bytes";
    check(
        &" ".repeat(3_000),
        "the condition has 3000 bytes, more than 2048",
    );
    check(
        &format!("{}1{}", "(".repeat(60), ")".repeat(60)),
        "more than 48 brackets open at once",
    );
    check(&"!".repeat(600), "more than 512 operators and members");
    check(
        "result.many.all(a, result.many.all(b, a + b >= 0.0))",
        steps,
    );
    // An error that is overlooked is still one, where a limit made it.
    check(
        "result.many.all(a, result.many.all(b, a + b >= 0.0)) || true",
        steps,
    );
    check(
        "result.many.all(a, !result.many.all(b, a + b >= 0.0) || true)",
        steps,
    );
    check(
        "default(result.many.map(a, result.many.map(b, a + b)), []) == []",
        steps,
    );
    check("result.many.all(a, result.many == result.many)", steps);
    check("result.many.all(a, !(a in result.many) || true)", steps);
    check("result.many.all(a, result.text == result.text)", steps);
    check("[result.text].all(t, result.many.all(a, t == t))", steps);
    check("result.many.all(a, !result.text.matches('(x*)*y'))", steps);
    check("result.many.all(a, !'b'.matches('a' + string(a)))", steps);
    check(
        "result.many.all(a, string(bytes(result.text)).contains('x'))",
        steps,
    );
    check(
        &format!("['ab']{} != []", ".map(a, a + a)".repeat(40)),
        size,
    );
    check(&format!("[[1]]{} != []", ".map(a, a + a)".repeat(40)), size);
    check(
        &format!("[result.text + 'x'].map(a, [{}a]) != []", "a, ".repeat(300)),
        size,
    );
    check("result.many.map(a, result.text + 'x') != []", size);
    check("result.many.map(a, bytes(result.text)) != []", size);
    check(
        "result.many.map(a, optional.of(result.text + 'x')) != []",
        size,
    );
    check(
        "[result.text + 'x'].all(t, result.many.map(a, {'t': t}) != [])",
        steps,
    );
    // Shared lists are small however often they are in each other, but not to compare.
    let shared = format!("[1]{}", ".map(a, [a, a])".repeat(22));
    check(&format!("{shared} == {shared}"), steps);
    check(
        "result.text.matches('(\\\\pL{100}){100}')",
        "error parsing regexp: `(\\pL{100}){100}` needs more than 131072 bytes",
    );
}

#[test]
fn what_a_metric_needs_is_within_the_limits() {
    let (mut result, series) = apdex();
    result["many"] = (0..1440).collect();
    let check = |source: &str| {
        let condition = Condition::parse_as(Language::Cel, source).expect(source);
        assert_eq!(
            condition.holds(&scope(&result, &series)),
            Ok(true),
            "{source}"
        );
    };
    check("result.many.map(a, a * 2.0).filter(b, b > 10.0).all(c, c < 10000.0)");
    check("result.many.all(a, a >= 0.0 && a < 1440.0 && a != 0.5 && (a > 1.0 || a <= 1.0))");
    check("result.many.map(a, string(a) + 'x').exists(t, t == '7x')");
    check("result.many.filter(a, values.exists(v, v > a + 9000.0)).size() < 1440");
}

const TOKENS: [&str; 74] = [
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "?",
    ".?",
    "[?",
    ".",
    "||",
    "&&",
    "!",
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
    "0",
    "1",
    "2.5",
    "7u",
    "-1",
    "9223372036854775807",
    "1e308",
    "'a'",
    "\"b\"",
    "'''c'''",
    "r'\\d'",
    "b'x'",
    "'",
    "null",
    "true",
    "false",
    "result",
    "values",
    "series['service_apdex']",
    ".value",
    ".service_apdex",
    ".all(x,",
    ".exists(x,",
    ".map(x,",
    ".filter(x,",
    ".optMap(x,",
    ".size()",
    ".matches('a')",
    "x",
    "size(",
    "double(",
    "has(",
    "asFloat(",
    "default(",
    "isNil(",
    "timestamp(",
    "duration(",
    "optional.of(",
    "type(",
    "dyn(",
    "@range",
    "`",
    "#",
    "//",
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
        "0.0",
        "-1",
        "2u",
        "'a'",
        "'9611'",
        "null",
        "true",
        "result",
        "result.service_apdex",
        "result.missing",
        "values",
        "series",
        "[1, 2]",
        "{'a': 1}",
        "x",
        "result.many",
        "result.text",
        "1e308",
        "9223372036854775807",
        "b'z'",
        "'['",
        "duration('1h')",
        "timestamp(0)",
        "double",
        "optional.none()",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(6, 40, 3, |inner| {
        let operator = proptest::sample::select(vec![
            "+", "-", "*", "/", "%", "==", "!=", "<", ">=", "in", "&&", "||",
        ]);
        let unary = proptest::sample::select(vec![
            "size",
            "int",
            "uint",
            "double",
            "string",
            "bytes",
            "bool",
            "type",
            "dyn",
            "asFloat",
            "asInt",
            "isNaN",
            "isInf",
            "isNil",
            "optional.of",
            "timestamp",
            "duration",
            "!",
            "-",
        ]);
        let each = proptest::sample::select(vec![
            "all",
            "exists",
            "exists_one",
            "filter",
            "map",
            "optMap",
        ]);
        let method =
            proptest::sample::select(vec!["contains", "startsWith", "matches", "orValue", "or"]);
        prop_oneof![
            (inner.clone(), operator, inner.clone())
                .prop_map(|(l, o, r)| format!("({l}) {o} ({r})")),
            (unary, inner.clone()).prop_map(|(f, x)| format!("{f}({x})")),
            (each, inner.clone(), inner.clone()).prop_map(|(f, x, y)| format!("({x}).{f}(x, {y})")),
            (method, inner.clone(), inner.clone()).prop_map(|(f, x, y)| format!("({x}).{f}({y})")),
            (inner.clone(), inner.clone()).prop_map(|(x, y)| format!("default({x}, {y})")),
            (inner.clone(), inner.clone()).prop_map(|(x, y)| format!("({x})[{y}]")),
            (inner.clone(), inner.clone()).prop_map(|(x, y)| format!("[{x}, {y}]")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(x, y, z)| format!("({x}) ? ({y}) : ({z})")),
            inner.prop_map(|x| format!("[0].exists(x, {x})")),
        ]
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn survives_each(sources: impl Strategy<Value = String>) {
    let mut runner = proptest::test_runner::TestRunner::new(config(256));
    let outcome = runner.run(&sources, |source| {
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
    proptest!(config(64), |(source in grown())| {
        prop_assert_eq!(survive(&source), survive(&source));
    });
}
