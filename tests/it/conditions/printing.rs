//! A condition means the same however it is written: with every pair of parentheses, or with only those that it needs.

use proptest::prelude::*;
use serde_json::json;
use skygate::domain::condition::{Condition, Language};

use super::scope;

/// A condition as a tree.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(&'static str),
    Prefix(&'static str, Box<Self>),
    Infix(&'static str, Box<[Self; 2]>),
    Ternary(Box<[Self; 3]>),
    Member(Box<Self>, &'static str),
    Call(&'static str, Vec<Self>),
    Each(&'static str, Box<[Self; 2]>),
    List(Vec<Self>),
}

/// How tightly the operators bind, as Go's expr has it.
const PRECEDENCES: [(&str, u8); 21] = [
    ("||", 10),
    ("or", 10),
    ("&&", 15),
    ("and", 15),
    ("==", 20),
    ("!=", 20),
    ("<", 20),
    ("<=", 20),
    (">", 20),
    (">=", 20),
    ("in", 20),
    ("not in", 20),
    ("contains", 20),
    ("..", 25),
    ("+", 30),
    ("-", 30),
    ("*", 60),
    ("/", 60),
    ("%", 60),
    ("**", 100),
    ("??", 200),
];

fn precedence(operator: &str) -> u8 {
    let known = PRECEDENCES.iter().find(|(known, _)| *known == operator);
    known.expect("an operator").1
}

fn is_comparison(operator: &str) -> bool {
    matches!(operator, "<" | "<=" | ">" | ">=")
}

/// Everything in parentheses.
fn in_full(tree: &Tree) -> String {
    let list = |items: &[Tree]| items.iter().map(in_full).collect::<Vec<_>>().join(", ");
    match tree {
        Tree::Leaf(text) => (*text).to_owned(),
        Tree::Prefix(operator, inner) => format!("({operator} ({}))", in_full(inner)),
        Tree::Infix(operator, sides) => {
            format!(
                "(({}) {operator} ({}))",
                in_full(&sides[0]),
                in_full(&sides[1])
            )
        }
        Tree::Ternary(parts) => {
            let [condition, then, otherwise] = &**parts;
            let (condition, then) = (in_full(condition), in_full(then));
            format!("(({condition}) ? ({then}) : ({}))", in_full(otherwise))
        }
        Tree::Member(object, name) => format!("({}).{name}", in_full(object)),
        Tree::Call(function, arguments) => format!("{function}({})", list(arguments)),
        Tree::Each(function, parts) => {
            format!(
                "{function}({}, {{{}}})",
                in_full(&parts[0]),
                in_full(&parts[1])
            )
        }
        Tree::List(items) => format!("[{}]", list(items)),
    }
}

/// The fewest parentheses, other spellings, blanks where there need be none.
fn in_short(tree: &Tree) -> String {
    let list = |items: &[Tree]| items.iter().map(in_short).collect::<Vec<_>>().join(",\n");
    match tree {
        Tree::Leaf(text) => (*text).to_owned(),
        Tree::Prefix("not", inner) => format!("!{}", operand(inner, 50)),
        Tree::Prefix(operator, inner) => format!("{operator} {}", operand(inner, 90)),
        Tree::Infix(operator, sides) => {
            let own = precedence(operator);
            // Only the power binds to the right; comparisons in a row would be a chain.
            let is_chain = is_comparison(operator);
            let left = own + u8::from(*operator == "**" || is_chain);
            let right = own + u8::from(*operator != "**");
            let spelt = match *operator {
                "and" => "&&",
                "||" => "or",
                other => other,
            };
            let (left, right) = (operand(&sides[0], left), operand(&sides[1], right));
            format!("{left} /* … */ {spelt} {right}")
        }
        Tree::Ternary(parts) => {
            let [condition, then, otherwise] = &**parts;
            let (condition, then) = (operand(condition, 1), in_short(then));
            format!("{condition} ? {then}: {}", in_short(otherwise))
        }
        Tree::Member(object, name) => match &**object {
            // A number, a boolean and nil stand alone.
            Tree::Leaf(text) if !text.starts_with(['r', '[', '\'', '"']) => {
                format!("({text})[\"{name}\"]")
            }
            object => format!("{}[\"{name}\"]", operand(object, u8::MAX)),
        },
        Tree::Call(function, arguments) => match arguments.as_slice() {
            [first, rest @ ..] => {
                format!("({} | {function}({}))", operand(first, 1), list(rest))
            }
            [] => format!("{function}()"),
        },
        Tree::Each(function, parts) => {
            format!(
                "{function}({},{})",
                in_short(&parts[0]),
                in_short(&parts[1])
            )
        }
        Tree::List(items) => format!("[ {}, ]", list(items)),
    }
}

/// An operand of something that binds as tightly as `minimum`, in parentheses where it binds less.
fn operand(tree: &Tree, minimum: u8) -> String {
    let own = match tree {
        Tree::Leaf(_) | Tree::Member(..) | Tree::Call(..) | Tree::Each(..) | Tree::List(_) => {
            u8::MAX
        }
        // A sign or a negation takes what follows it into itself, and what is mixed with `??` stands in parentheses.
        Tree::Prefix(..) | Tree::Ternary(_) | Tree::Infix("??", _) => 0,
        Tree::Infix(operator, _) => precedence(operator),
    };
    if own >= minimum && own > 0 {
        in_short(tree)
    } else {
        format!("({})", in_short(tree))
    }
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaves = [
        "1",
        "0",
        "2.5",
        "'a'",
        "nil",
        "true",
        "false",
        "result",
        "result.n",
        "result.list",
        "result.text",
        "result.missing",
        "[1, 2]",
        "\"b\"",
        "9900",
    ];
    let leaf = proptest::sample::select(leaves.to_vec()).prop_map(Tree::Leaf);
    leaf.prop_recursive(5, 32, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let operators = PRECEDENCES.map(|(operator, _)| operator);
        let infix = proptest::sample::select(operators.to_vec());
        let prefix = proptest::sample::select(vec!["not", "-"]);
        let one = proptest::sample::select(vec!["len", "abs", "string", "type", "first", "int"]);
        let two = proptest::sample::select(vec!["max", "concat", "take", "get"]);
        let each = proptest::sample::select(vec!["all", "any", "filter", "map", "count"]);
        let inside = prop_oneof![
            inner.clone(),
            Just(Tree::Infix(
                ">",
                Box::new([Tree::Leaf("#"), Tree::Leaf("1")])
            ))
        ];
        prop_oneof![
            4 => (infix, inner.clone(), inner.clone())
                .prop_map(|(operator, l, r)| Tree::Infix(operator, Box::new([l, r]))),
            1 => (prefix, boxed()).prop_map(|(operator, inner)| Tree::Prefix(operator, inner)),
            1 => (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(a, b, c)| Tree::Ternary(Box::new([a, b, c]))),
            1 => boxed().prop_map(|object| Tree::Member(object, "n")),
            1 => (one, inner.clone()).prop_map(|(function, x)| Tree::Call(function, vec![x])),
            1 => (two, inner.clone(), inner.clone())
                .prop_map(|(function, x, y)| Tree::Call(function, vec![x, y])),
            1 => (each, inner.clone(), inside)
                .prop_map(|(function, x, y)| Tree::Each(function, Box::new([x, y]))),
            1 => proptest::collection::vec(inner, 1..3).prop_map(Tree::List),
        ]
    })
}

/// The outcome, without the place of an error, which is another one.
fn outcome(condition: &str) -> Result<bool, String> {
    let result = json!({"n": 5, "list": [3, 1, 2], "text": "abc"});
    Condition::parse_as(Language::Expr, condition)
        .and_then(|condition| condition.holds(&scope(&result, &[])))
        .map_err(|error| error.message)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parentheses_that_are_not_needed_change_nothing(tree in trees()) {
        let (full, short) = (in_full(&tree), in_short(&tree));
        // A value of each kind has its text, so that all of a tree counts.
        for around in ["X", "string(X) == \"5\"", "toJSON([X]) contains \"1\""] {
            let (full, short) = (around.replace('X', &full), around.replace('X', &short));
            let outcomes = (outcome(&full), outcome(&short));
            let too_deep = |outcome: &Result<bool, String>| {
                outcome.as_ref().is_err_and(|error| error.contains("nested more"))
            };
            if too_deep(&outcomes.0) || too_deep(&outcomes.1) {
                continue;
            }
            prop_assert_eq!(outcomes.0, outcomes.1, "{} and {}", full, short);
        }
    }
}
