//! No input may panic, overflow the stack, or take long: each is tried on a thread with the stack of a worker, in a debug build.

use std::thread;

use skygate::domain::condition::Condition;

use serde_json::{Value, json};

use super::{apdex, evaluate, scope};

pub(super) const STACK: usize = 2 * 1024 * 1024;

/// Parses, evaluates, explains, prints and drops; the message of whatever error there is.
pub(super) fn survive(source: &str) -> Option<String> {
    let (result, series) = apdex();
    let scope = scope(&result, &series);
    let condition = match Condition::parse(source) {
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

#[test]
fn nesting_is_bounded() {
    let around = |open: &str, inner: &str, close: &str, times: usize| {
        format!("{}{inner}{}", open.repeat(times), close.repeat(times))
    };
    on_a_small_stack(move || {
        let shapes = [
            ("(", "1", ")"),
            ("[", "1", "]"),
            ("{a:", "1", "}"),
            ("!", "true", ""),
            ("not ", "true", ""),
            ("-", "result", ""),
            ("+", "result", ""),
            ("1 ** ", "1", ""),
            ("1 + (", "1", ")"),
            ("len(", "'a'", ")"),
            ("max(1, ", "1", ")"),
            ("[1][", "0", "]"),
            ("any([1], {", "true", "})"),
            ("any([1], ", "true", ")"),
            (
                "all(result.service_apdex.values.values, any([.value], ",
                "# != nil",
                "))",
            ),
            ("reduce([1, 2], #acc + ", "1", ")"),
            ("true ? 1 : ", "2", ""),
            ("if true { 1 } else ", "{ 2 }", ""),
            ("if ", "true", " { true } else { false }"),
            ("let a = 1; (", "1", ")"),
            ("result?.", "a", ""),
            ("", "result", ".a"),
            ("", "result", "?.a"),
            ("", "result", "[0]"),
            ("", "result", "[1:]"),
            ("", "[1]", " | map(#)"),
            ("", "1", " + 1"),
            ("", "1", " < 1"),
            ("", "true", " && true"),
            ("", "result.a", " && result.a"),
            ("", "true", " or false"),
            ("", "nil", " ?? nil"),
            ("", "1", " in [1]"),
            ("", "1", "; 1"),
            ("", "true", " ? true : false"),
        ];
        for (open, inner, close) in shapes {
            for times in [5, 20, 30, 60, 63, 64, 65, 100, 300, 4_000, 40_000] {
                survive(&around(open, inner, close, times));
            }
        }
    });
}

#[test]
fn limits_say_which_they_are() {
    let check = |source: String, expected: &str| {
        let message = on_a_small_stack({
            let source = source.clone();
            move || survive(&source)
        });
        assert_eq!(message.as_deref(), Some(expected), "{source:.60}");
    };
    let steps = "step budget exceeded: more than 2,000,000 steps";
    let size = "memory budget exceeded: more than 1,000,000 elements or bytes";
    check(
        " ".repeat(5_000),
        "the condition has 5000 bytes, more than 4096",
    );
    check(
        format!("{}1{}", "(".repeat(100), ")".repeat(100)),
        "nested more than 64 deep",
    );
    check("len(1..99999999999) > 0".to_owned(), size);
    check("all(1..900000, {none(1..9, {# > 10})})".to_owned(), size);
    check("all(1..1000, {all(1..1000, {true})})".to_owned(), size);
    check(
        "let l = 1..1000; all(l, {all(l, {none(l, # > 1000)})})".to_owned(),
        steps,
    );
    check("len(repeat('ab', 999999)) > 0".to_owned(), size);
    check("reduce(1..60, {#acc + #acc}, 'ab') == ''".to_owned(), size);
    check(
        "reduce(1..1000, [#acc], 1) == nil".to_owned(),
        "lists and maps nested too deep",
    );
    check(
        "reduce(1..1000, {{a: #acc}}, 1) == nil".to_owned(),
        "lists and maps nested too deep",
    );
    check(
        "let s = repeat('a', 500000); all(1..100000, {s contains 'b'} == false)".to_owned(),
        "unexpected token Operator(\"==\")",
    );
    check(
        "let s = repeat('a', 500000); none(1..100000, {s contains 'b'})".to_owned(),
        steps,
    );
    check(
        "let s = repeat('a', 500000); none(1..100000, {s matches '(a*)*b'})".to_owned(),
        steps,
    );
    check(
        "none(1..100000, {'a' matches 'b' + string(#)})".to_owned(),
        steps,
    );
    check(
        "let l = map(1..2000, #); len(map(1..100, {uniq(l)})) > 0".to_owned(),
        steps,
    );
    // What costs more than it looks like is paid for.
    for costly in [
        "let l = repeat('é', 130000); trim(l, repeat('ũ', 130000) + 'é') == ''",
        "let l = repeat('é', 200000); none(1..600000, l < l)",
        "let l = repeat('é', 200000); none(1..600000, l < l < l)",
        "let l = repeat('x', 400000); all(1..300000, (date(l, l).Year() ?? 1) > -1)",
        "all(1..900000, date('2026-01-01T00:00:00Z').Year() > 0)",
        "all(1..900000, timezone('Europe/Zurich') != nil)",
        "let m = fromPairs(map(1..900, [string(#), #])); all(1..600000, m.x == nil)",
        "let m = fromPairs(map(1..600, [string(#), #])); all(1..600000, m == m)",
    ] {
        check(costly.to_owned(), steps);
    }
    check(
        "any(1..9, {now().Format(repeat('Monday', 90000)) == ''})".to_owned(),
        size,
    );
    // The same list in a list twice, and that again: small, and never gone through to its end.
    let shared = |part: &str, uses: &str| {
        let lets: Vec<String> = (1..48)
            .map(|level| {
                format!(
                    "let a{level} = {};",
                    part.replace('_', &format!("a{}", level - 1))
                )
            })
            .collect();
        format!(
            "let a0 = {}; {} {uses}",
            part.replace('_', "1"),
            lets.join(" ")
        )
    };
    for part in ["[_, _]", "{a: _, b: _}"] {
        for uses in [
            "a47 == a46",
            "a47 in [a46]",
            "all([a47], # == a47)",
            "len(uniq([a47, a46])) == 1",
        ] {
            check(shared(part, uses), steps);
        }
        for uses in ["toJSON(a47) == ''", "string(a47) == ''"] {
            check(shared(part, uses), size);
        }
    }
    check(
        "result.a matches '(\\\\pL{100}){100}'".to_owned(),
        "error parsing regexp: `(\\pL{100}){100}` needs more than 131072 bytes",
    );
}

/// What stands before `?:` is there once, however deep.
#[test]
fn a_tree_is_no_larger_than_its_source() {
    let condition = format!(
        "{}result{} == false",
        "(".repeat(60),
        " ?: result)".repeat(60)
    );
    let outcome = on_a_small_stack(move || evaluate(&condition, &json!(false)));
    assert_eq!(outcome, Ok(true));
}

/// NaN and values of several kinds are in no order, which sorting has to bear.
#[test]
fn whatever_is_sorted_is_survived() {
    let check = |condition: &str, result: &Value, expected: Result<bool, &str>| {
        let outcome = evaluate(condition, result).map_err(|error| error.message);
        assert_eq!(outcome, expected.map_err(str::to_owned), "{condition}");
    };
    let texts: Vec<String> = (0..60)
        .map(|number| match number % 7 {
            3 => "NaN".to_owned(),
            _ => (number * 37 % 41).to_string(),
        })
        .collect();
    let texts = json!(texts);
    check(
        "let s = sortBy(result, asFloat(#)); isNaN(asFloat(s[8])) && asFloat(s[9]) == 0 && asFloat(s[-1]) == 39",
        &texts,
        Ok(true),
    );
    check(
        "let s = sortBy(result, asFloat(#), 'desc'); asFloat(s[0]) == 39 && isNaN(asFloat(s[-1]))",
        &texts,
        Ok(true),
    );
    let mixed: Vec<Value> = (0..60)
        .map(|number| match number % 3 {
            0 => json!(number),
            1 => json!(number.to_string()),
            _ => json!(null),
        })
        .collect();
    let mixed = json!(mixed);
    let odd = "invalid operation: string < float64";
    check("sort(result) == []", &mixed, Err(odd));
    let odd = "invalid operation: float64 < string";
    check("sort(result, 'desc') == []", &mixed, Err(odd));
}

/// What an error quotes may be as long as the result.
#[test]
fn errors_are_no_longer_than_people_read() {
    let result = json!({"t": "x".repeat(100_000), ("y".repeat(100_000)): 1});
    for condition in [
        "asFloat(result.t) > 1",
        "asInt(result.t) > 1",
        "date(result.t).Year() > 1",
        "timezone(result.t) == nil",
        "sort([1, 2], result.t) == []",
        "result.missing.more > 1",
    ] {
        let error = evaluate(condition, &result).expect_err(condition);
        let told = error.message.len() + error.hint.map_or(0, |hint| hint.len());
        assert!(told < 1_000, "{told} bytes of {condition}");
    }
}

#[test]
fn a_long_chain_is_no_deep_tree() {
    let check = |part: &str, joint: &str, expected: Result<bool, &str>| {
        let source = vec![part; 300].join(joint);
        let outcome = on_a_small_stack(move || evaluate(&source, &json!({"a": true})));
        assert_eq!(
            outcome.map_err(|error| error.message),
            expected.map_err(str::to_owned),
            "{part}{joint}"
        );
    };
    check("result.a", " && ", Ok(true));
    check("!result.a", "||", Ok(false));
    check("1", " <= ", Ok(true));
    check("1", " + ", Err("nested more than 64 deep"));
}
