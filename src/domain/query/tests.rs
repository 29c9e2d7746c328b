use std::fmt::Write;

use graphql_parser::query::{
    Definition, OperationDefinition, Selection as Item, Value, parse_query,
};
use proptest::prelude::*;

use super::*;

const SEED: &str = r#"query queryData($duration: Duration!) {
  service_apdex: readMetricsValues(
    condition: { name: "service_apdex", entity: { scope: Service, serviceName: "{{ args.service-name }}", normal: true } },
    duration: $duration) {
      label values { values { value } }
    }
}"#;

fn args(values: &[(&str, &str)]) -> Arguments {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    values.iter().map(owned).collect()
}

fn rendered(template: &str, value: &str) -> Result<String, String> {
    match Query::render(template, &args(&[("x", value)])) {
        Ok(query) => Ok(query.text().to_owned()),
        Err(faults) => Err(faults
            .iter()
            .map(|fault| fault.message.as_str())
            .collect::<Vec<_>>()
            .join(" | ")),
    }
}

#[test]
fn the_seeds_query_is_rendered_and_understood() {
    let service = "canary|reviews|bookinfo|cp-cluster-1|-";
    let query = Query::render(SEED, &args(&[("service-name", service)])).unwrap();
    assert_eq!(
        query.text(),
        SEED.replace("{{ args.service-name }}", service)
    );
    assert!(query.uses_duration());
    let [read] = query.reads() else {
        panic!("{:?}", query.reads());
    };
    assert_eq!(read.key, "service_apdex");
    assert_eq!(read.field, ReadField::ReadMetricsValues);
    assert_eq!(read.metric.as_deref(), Some("service_apdex"));
    assert!(read.in_window);
    let entity = read.entity.as_ref().unwrap();
    assert_eq!(entity.scope.as_deref(), Some("Service"));
    assert_eq!(entity.service_name.as_deref(), Some(service));
    assert_eq!(entity.normal, Some(true));
}

#[test]
fn a_value_in_a_string_is_escaped() {
    let check = |value: &str, expected: &str| {
        let template = r#"{ findService(serviceName: "a{{ args.x }}b") { id } }"#;
        let expected = template.replace("{{ args.x }}", expected);
        assert_eq!(rendered(template, value), Ok(expected), "{value:?}");
    };
    check("", "");
    check("plain|é 🦀", "plain|é 🦀");
    check(r#"a"b"#, r#"a\"b"#);
    check(r"a\b", r"a\\b");
    check("a\nb\r\tc", r"a\nb\r\tc");
    check("\u{0}\u{8}\u{7f}", r"\u0000\u0008\u007F");
    check(
        r#"", normal: true } } ) } mutation { a("#,
        r#"\", normal: true } } ) } mutation { a("#,
    );
    check("{{ args.y }}", "{{ args.y }}");
}

#[test]
fn a_value_elsewhere_is_a_single_token() {
    let template = "{ listServices(layer: {{ args.x }}) { id } }";
    for value in ["GENERAL", "true", "null", "1", "-1.5", "1e3"] {
        assert_eq!(
            rendered(template, value),
            Ok(template.replace("{{ args.x }}", value))
        );
    }
    let check = |value: &str, given: &str| {
        let expected = format!(
            "{given} for the argument `x` is not a single GraphQL name, number, boolean or enum value: outside of a string nothing else is accepted"
        );
        assert_eq!(rendered(template, value), Err(expected));
    };
    check("", "an empty value");
    check("a b", "`a b`");
    check("a) { id } b(c: 1", "`a) { id } b(c: 1`");
    check("\"a\"", "`\"a\"`");
    check("a\n", "a text of 2 bytes");
    check("$duration", "`$duration`");
    check("{}", "`{}`");
    check("[1]", "`[1]`");
    check("a # ", "`a # `");
    check("é", "`é`");
}

#[test]
fn a_value_that_is_a_part_of_a_name_stays_one() {
    let template = "{ service_{{ args.x }}: version }";
    assert_eq!(
        rendered(template, "apdex"),
        Ok("{ service_apdex: version }".to_owned())
    );
    assert_eq!(
        rendered(template, "99"),
        Ok("{ service_99: version }".to_owned())
    );
    assert_eq!(
        rendered(template, "-1"),
        Err("`-1` for the argument `x` does not fit into the name that it is a part of".to_owned())
    );
    let two = "{ a(b: {{ args.x }}{{ args.x }}) }";
    assert!(rendered(two, "-1").is_err());
    assert_eq!(rendered(two, "c"), Ok("{ a(b: cc) }".to_owned()));
}

#[test]
fn a_spread_stays_a_spread() {
    let template = "query { ... {{ args.x }} Query { version } } fragment a on Query { version }";
    assert!(rendered(template, "a").is_ok());
    assert_eq!(
        rendered(template, "on"),
        Err("`on` for the argument `x` is no name of a fragment".to_owned())
    );
}

#[test]
fn a_comment_does_not_end_a_spread() {
    let template = "query { ... # {{ args.x }}\n {{ args.x }} Query { version } }";
    let expected = "line 2: `on` for the argument `x` is no name of a fragment".to_owned();
    assert_eq!(rendered(template, "on"), Err(expected));
}

#[test]
fn a_value_in_a_block_string_arrives_or_is_refused() {
    let template = "{ findService(serviceName: \"\"\"\n  a {{ args.x }}\n  b\"\"\") { id } }";
    let check = |value: &str, expected: Option<&str>| {
        let expected = expected.map(|text| template.replace("{{ args.x }}", text));
        assert_eq!(rendered(template, value).ok(), expected, "{value:?}");
    };
    check("plain", Some("plain"));
    check("", Some(""));
    check(r"a\b", Some(r"a\b"));
    check("a\"b\"\"c", Some("a\"b\"\"c"));
    check("a\"\"\"b", Some("a\\\"\"\"b"));
    check("a\nb", None);
    check("a\u{0}b", None);

    let closing = "{ findService(serviceName: \"\"\"{{ args.x }}\"\"\") { id } }";
    for (value, accepted) in [
        ("a", true),
        ("a\"", false),
        ("\"a", false),
        ("a\\", false),
        ("", false),
        (" a", false),
        ("a ", true),
    ] {
        assert_eq!(rendered(closing, value).is_ok(), accepted, "{value:?}");
    }
}

#[test]
fn a_value_in_a_comment_stays_there() {
    let template = "{ version # {{ args.x }}\n}";
    assert_eq!(
        rendered(template, "a \" {"),
        Ok("{ version # a \" {\n}".to_owned())
    );
    assert_eq!(
        rendered(template, "a\n} mutation { b\r"),
        Ok("{ version # a } mutation { b \n}".to_owned())
    );
}

#[test]
fn an_escape_sequence_is_not_finished_by_a_value() {
    for template in [
        r#"{ a(b: "\{{ args.x }}") }"#,
        r#"{ a(b: "\u{{ args.x }}") }"#,
        r#"{ a(b: "\u00{{ args.x }}") }"#,
    ] {
        let expected = "the placeholder of `x` stands within an escape sequence".to_owned();
        assert_eq!(rendered(template, "22"), Err(expected), "{template}");
    }
}

#[test]
fn an_empty_value_makes_no_block_string() {
    let template = r#"{ a(b: ["{{ args.x }}""c"]) }"#;
    assert!(rendered(template, "d").is_ok());
    assert!(rendered(template, "").is_err());
}

#[test]
fn a_query_that_is_one_argument_is_that_argument() {
    let check = |template: &str, value: &str, expected: Result<&str, &str>| {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(rendered(template, value), expected);
    };
    check(" {{ args.x }}\n", "{ version }", Ok("{ version }"));
    check(
        "<< args.x >>",
        "mutation { a }",
        Err("a mutation is never sent: only a query is"),
    );
    check(
        "{{ args.y }}",
        "{ version }",
        Err("failed to resolve {{ args.y }}: no argument is named `y`; the template declares `x`"),
    );
}

#[test]
fn every_fault_of_a_template_is_reported() {
    let found = rendered(
        "{ a(b: {{ args.x }}, c: {{ args.y }})\n  d(e: {{ args.x }}) }",
        "1 2",
    )
    .unwrap_err();
    let faults: Vec<&str> = found.split(" | ").collect();
    assert_eq!(faults.len(), 3, "{found}");
    assert!(
        faults[1].contains("no argument is named `y`")
            && faults[2].starts_with("line 2: `1 2` for"),
        "{found}"
    );
}

#[test]
fn what_is_no_single_query_is_refused() {
    let check = |text: &str, expected: &str| {
        let faults = Query::parse(text.to_owned()).unwrap_err();
        assert_eq!(faults[0].message, expected, "{text}");
    };
    check("", "the query is empty");
    check(" \n", "the query is empty");
    check(
        "mutation { a }",
        "a mutation is never sent: only a query is",
    );
    check(
        "subscription { a }",
        "a subscription is never sent: only a query is",
    );
    check(
        "query A { a } query B { b }",
        "the query has several operations; one is sent, and nothing says which",
    );
    check(
        "fragment A on Query { a }",
        "the query has fragments but no operation",
    );
    check(
        "{ ...A } fragment A on Query { ...B } fragment B on Query { a { ...A } }",
        "the fragment `A` contains itself",
    );
    check("{ ...A }", "no fragment is named `A`");
    check(
        "{ a } fragment A on Query { b } fragment A on Query { c }",
        "the fragment `A` is defined twice",
    );
    check(
        "query($service: String!) { a(b: $service) }",
        "nothing fills in the variable `$service`",
    );
    check(
        "{ a(b: $duration) }",
        "the query uses `$duration` without declaring it",
    );
    check(
        "{ a @include(if: $b) }",
        "the query uses `$b` without declaring it",
    );
    check(
        "query($duration: String!) { a(b: $duration) }",
        "`$duration` is filled in as a `Duration`, and declared as `String!`",
    );
    check(
        &"{".repeat(10_000),
        "the query nests brackets more than 32 deep",
    );
    check(
        &"{ a ".repeat(10_000),
        "the query nests brackets more than 32 deep",
    );
    check(
        &format!("{{ a(b: {} }}", "[".repeat(10_000)),
        "the query nests brackets more than 32 deep",
    );
    check(
        &"#".repeat(MAX_BYTES + 1),
        "the rendered query is larger than 65536 bytes",
    );
    check(
        "{ a(b: \"\"\"\n\u{a0}x\n\u{3000}y\"\"\") }",
        "a block string is indented with something else than spaces and tabs",
    );
}

#[test]
fn a_syntax_error_says_where() {
    let fault = Query::parse("query {\n  a(\n}".to_owned())
        .unwrap_err()
        .remove(0);
    assert!(
        fault
            .message
            .starts_with("the query doesn't parse at line 3, column 1: "),
        "{fault}"
    );
    assert!(!fault.message.contains('\n'), "{fault}");
}

#[test]
fn variables_that_nobody_fills_in_may_have_a_default() {
    let query = Query::parse(
        r#"query($duration: Duration!, $name: String = "service_cpm", $service: String) {
            readMetricsValue(condition: { name: $name, entity: { scope: All, serviceName: $service } }, duration: $duration)
        }"#
        .to_owned(),
    )
    .unwrap();
    assert_eq!(query.reads()[0].metric.as_deref(), Some("service_cpm"));
    assert_eq!(query.reads()[0].entity.as_ref().unwrap().service_name, None);
}

#[test]
fn a_query_without_a_duration_is_known_as_such() {
    assert!(
        !Query::parse("query($duration: Duration) { version }".to_owned())
            .unwrap()
            .uses_duration()
    );
    assert!(
        !Query::parse("{ version }".to_owned())
            .unwrap()
            .uses_duration()
    );
}

#[test]
fn an_incomplete_entity_is_found_before_anything_is_sent() {
    let check = |entity: &str, expected: Option<&str>| {
        let text = format!(
            "query($duration: Duration!) {{ apdex: readMetricsValues(condition: {{ name: \"service_apdex\", entity: {entity} }}, duration: $duration) {{ values {{ values {{ value }} }} }} }}"
        );
        let fault = Query::parse(text)
            .err()
            .map(|faults| faults[0].message.clone());
        assert_eq!(fault.as_deref(), expected, "{entity}");
    };
    check(
        r#"{ scope: Service, serviceName: "a", normal: true }"#,
        None,
    );
    check(r#"{ serviceName: "a", normal: true }"#, None);
    check(
        r#"{ scope: Service, serviceName: "a" }"#,
        Some("`apdex`: an entity of the scope `Service` needs `normal`"),
    );
    check(
        r#"{ scope: Service, serviceName: "a", normal: null }"#,
        Some("`apdex`: an entity of the scope `Service` needs `normal`"),
    );
    check(
        r#"{ serviceName: "a" }"#,
        Some("`apdex`: the entity needs `normal`"),
    );
    check(
        r#"{ scope: Servise, serviceName: "a", normal: true }"#,
        Some("`apdex`: no scope is named `Servise`"),
    );

    let ranking = r#"query($duration: Duration!) { execExpression(expression: "top_n(service_cpm,3,des)", entity: { scope: Service, normal: true }, duration: $duration) { type } }"#;
    assert!(Query::parse(ranking.to_owned()).is_ok());
}

#[test]
fn reads_are_found_through_aliases_and_fragments() {
    let text = r#"
        query($duration: Duration!) {
            version
            ...canary
            ... on Query { p: readLabeledMetricsValues(condition: { name: "service_percentile", entity: { scope: All } }, labels: ["0"], duration: $duration) { label } }
            fixed: readMetricsValue(condition: { name: "service_sla", entity: { scope: All } }, duration: { start: "2026-11-23", end: "2026-11-23", step: DAY })
        }
        fragment canary on Query { c: readMetricsValues(condition: { name: "service_cpm", entity: { scope: All } }, duration: $duration) { ...points } }
        fragment points on MetricsValues { values { values { value } } }
    "#;
    let query = Query::parse(text.to_owned()).unwrap();
    let reads: Vec<_> = query
        .reads()
        .iter()
        .map(|read| {
            (
                read.key.as_str(),
                read.field,
                read.metric.as_deref().unwrap(),
                read.in_window,
            )
        })
        .collect();
    assert_eq!(
        reads,
        [
            ("c", ReadField::ReadMetricsValues, "service_cpm", true),
            (
                "p",
                ReadField::ReadLabeledMetricsValues,
                "service_percentile",
                true
            ),
            ("fixed", ReadField::ReadMetricsValue, "service_sla", false),
        ]
    );
}

const BOTH: Extras = Extras {
    id: true,
    is_empty_value: true,
};

fn asking(selected: &str, extras: Extras) -> String {
    let before = "query($duration: Duration!) { a: readMetricsValues(condition: { name: \"m\", entity: { scope: All } }, duration: $duration) ";
    let text = format!("{before}{selected}");
    let query = Query::parse(text).unwrap();
    query
        .asking(extras)
        .0
        .strip_prefix(before)
        .unwrap()
        .to_owned()
}

#[test]
fn points_are_asked_for_more_and_the_rest_stays_as_written() {
    let check = |selected: &str, expected: &str| assert_eq!(asking(selected, BOTH), expected);
    check(
        "{ label values { values { value } } } }",
        "{ label values { values { value  skygate_id: id skygate_isEmptyValue: isEmptyValue } } } }",
    );
    check(
        "{values{values{value # the points\n}}} # {}\n}",
        "{values{values{value # the points\n skygate_id: id skygate_isEmptyValue: isEmptyValue }}} # {}\n}",
    );
    check(
        "{ values { values { id value } } } }",
        "{ values { values { id value  skygate_isEmptyValue: isEmptyValue } } } }",
    );
    check(
        "{ values { values { i: id value e: isEmptyValue } } } }",
        "{ values { values { i: id value e: isEmptyValue } } } }",
    );
    // An alias that hides another field is not that field.
    check(
        "{ values { values { id: value isEmptyValue } } } }",
        "{ values { values { id: value isEmptyValue  skygate_id: id } } } }",
    );
    check(
        "{ values { values { skygate_id: value isEmptyValue } } } }",
        "{ values { values { skygate_id: value isEmptyValue  skygate_id_: id } } } }",
    );
    check("{ label } }", "{ label } }");
}

#[test]
fn points_are_found_through_fragments_and_merged_fields() {
    let check = |selected: &str, expected: &str| assert_eq!(asking(selected, BOTH), expected);
    check(
        "{ values { ...v } } } fragment v on IntValues { values { ...p } } fragment p on KVInt { value }",
        "{ values { ...v } } } fragment v on IntValues { values { ...p  skygate_id: id skygate_isEmptyValue: isEmptyValue } } fragment p on KVInt { value }",
    );
    check(
        "{ values { values { value } } values { values { id isEmptyValue } } } }",
        "{ values { values { value } } values { values { id isEmptyValue } } } }",
    );
    check(
        "{ x: values { y: values { ... on KVInt { value } } } } b: readNullableMetricsValue(condition: { name: \"m\", entity: { scope: All } }, duration: $duration) { value } }",
        "{ x: values { y: values { ... on KVInt { value }  skygate_id: id skygate_isEmptyValue: isEmptyValue } } } b: readNullableMetricsValue(condition: { name: \"m\", entity: { scope: All } }, duration: $duration) { value  skygate_isEmptyValue: isEmptyValue } }",
    );
}

#[test]
fn an_older_server_is_asked_for_what_it_has() {
    let check = |extras, expected| {
        assert_eq!(
            asking("{ values { values { value } } } }", extras),
            expected
        );
    };
    check(Extras::default(), "{ values { values { value } } } }");
    check(
        Extras {
            id: true,
            is_empty_value: false,
        },
        "{ values { values { value  skygate_id: id } } } }",
    );
}

#[test]
fn fragments_within_fragments_do_not_multiply() {
    let mut text = "{ ...f0 }".to_owned();
    for level in 0..20 {
        let spreads = format!(
            "a{level}: x {{ ...f{0} }} b{level}: x {{ ...f{0} }} ",
            level + 1
        )
        .repeat(10);
        write!(text, " fragment f{level} on X {{ {spreads} }}").unwrap();
    }
    text.push_str(" fragment f20 on X { y }");
    assert!(Query::parse(text).is_ok());

    let wide = |name: &str, next: &str| {
        let field = |i| format!("{name}{i}:x{{...{next}}}");
        let fields = (0..900).map(field).collect::<Vec<_>>().concat();
        format!(" fragment {name} on X {{{fields}}}")
    };
    let text = format!(
        "{{ ...a }}{}{}{} fragment d on X {{ y }}",
        wide("a", "b"),
        wide("b", "c"),
        wide("c", "d")
    );
    let faults = Query::parse(text).unwrap_err();
    assert_eq!(
        faults[0].message,
        "the query selects more than 3000 fields, which no OAP answers"
    );
}

#[test]
fn a_long_chain_of_fragments_needs_no_deep_stack() {
    let mut text = "{ ...f0 }".to_owned();
    for level in 0..31 {
        let (open, close) = ("... { ".repeat(30), " }".repeat(30));
        let next = level + 1;
        write!(
            text,
            " fragment f{level} on X {{ {open}...f{next}{close} }}"
        )
        .unwrap();
    }
    text.push_str(" fragment f31 on X { y }");
    assert!(Query::parse(text).is_ok());
}

#[test]
fn a_megabyte_of_argument_fails_cleanly() {
    let large = "\"{(\\\n".repeat(200_000);
    let templates = [
        SEED.replace("service-name", "x"),
        "{ a(b: {{ args.x }}) }".to_owned(),
        "{ a } # {{ args.x }}".to_owned(),
    ];
    for template in templates {
        let message = rendered(&template, &large).unwrap_err();
        assert!(
            message.contains("a text of 1000000 bytes for the argument `x`"),
            "{message}"
        );
    }
    assert_eq!(
        rendered("{{ args.x }}", &large),
        Err("the rendered query is larger than 65536 bytes".to_owned())
    );
}

/// Templates with one placeholder, each with a harmless value.
const TEMPLATES: [(&str, &str); 12] = [
    (r#"{ a(b: "{{ args.x }}") { c } }"#, "x"),
    (
        r#"{ a(b: "p {{ args.x }} s", c: ["é\\{{ args.x }}\n"]) { c } }"#,
        "x",
    ),
    (r#"{ a(b: ["" "{{ args.x }}" ""]) }"#, "x"),
    ("{ a(b: \"\"\"{{ args.x }}\"\"\") }", "x"),
    (
        "{ a(b: \"\"\"\n    p {{ args.x }}\n      s \\\"\"\" \"{{ args.x }}\"\n  {{ args.x }}\n\"\"\") }",
        "x",
    ),
    ("{ a(b: \"\"\"p\\{{ args.x }}{{ args.x }}\"\"\") }", "x"),
    ("{ a(b: {{ args.x }}) { c } }", "x"),
    ("{ a(b: p_{{ args.x }}, c: {{ args.x }}) { d } }", "x"),
    (
        "{ {{ args.x }}: a(b: {{ args.x }}{{ args.x }}) @{{ args.x }} { d } }",
        "x",
    ),
    ("{ a # {{ args.x }} \"\n }", "x"),
    ("query q($v: Int = 1) { a(b: -{{ args.x }}, c: $v) }", "1"),
    (
        "{ ...{{ args.x }} ... on A { b } } fragment x on A { e }",
        "x",
    ),
];

/// A document without the text of its leaves.
fn shape(text: &str) -> Vec<String> {
    fn value(of: &Value<'_, String>, out: &mut Vec<String>) {
        match of {
            Value::List(items) => {
                out.push(format!("list of {}", items.len()));
                for item in items {
                    value(item, out);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    out.push(format!("field {name}"));
                    value(field, out);
                }
            }
            Value::String(_) => out.push("a string".to_owned()),
            Value::Variable(name) => out.push(format!("${name}")),
            Value::Int(_) | Value::Float(_) | Value::Boolean(_) | Value::Null | Value::Enum(_) => {
                out.push("a token".to_owned());
            }
        }
    }
    fn set(of: &graphql_parser::query::SelectionSet<'_, String>, out: &mut Vec<String>) {
        for item in &of.items {
            match item {
                Item::Field(field) => {
                    out.push(format!(
                        "{} {} @{} {{",
                        field.alias.is_some(),
                        field.arguments.len(),
                        field.directives.len()
                    ));
                    for (name, argument) in &field.arguments {
                        out.push(format!("{name}:"));
                        value(argument, out);
                    }
                    set(&field.selection_set, out);
                    out.push("}".to_owned());
                }
                Item::FragmentSpread(_) => out.push("...".to_owned()),
                Item::InlineFragment(fragment) => {
                    out.push(format!("... {:?} {{", fragment.type_condition));
                    set(&fragment.selection_set, out);
                    out.push("}".to_owned());
                }
            }
        }
    }
    let document = parse_query::<String>(text).unwrap();
    let mut out = Vec::new();
    for definition in &document.definitions {
        match definition {
            Definition::Operation(OperationDefinition::SelectionSet(of)) => set(of, &mut out),
            Definition::Operation(OperationDefinition::Query(query)) => {
                out.push(format!("query of {}", query.variable_definitions.len()));
                set(&query.selection_set, &mut out);
            }
            Definition::Operation(other) => out.push(format!("{other:?}")),
            Definition::Fragment(fragment) => {
                out.push(format!("fragment {:?}", fragment.type_condition));
                set(&fragment.selection_set, &mut out);
            }
        }
    }
    out
}

/// The strings of a document, in order.
fn strings(text: &str) -> Vec<String> {
    fn value(of: &Value<'_, String>, out: &mut Vec<String>) {
        match of {
            Value::List(items) => items.iter().for_each(|item| value(item, out)),
            Value::Object(fields) => fields.values().for_each(|field| value(field, out)),
            Value::String(text) => out.push(text.clone()),
            _ => {}
        }
    }
    let document = parse_query::<String>(text).unwrap();
    let mut out = Vec::new();
    for definition in &document.definitions {
        let Definition::Operation(OperationDefinition::SelectionSet(set)) = definition else {
            continue;
        };
        for item in &set.items {
            if let Item::Field(field) = item {
                for (_, argument) in &field.arguments {
                    value(argument, &mut out);
                }
            }
        }
    }
    out
}

/// Values that an attacker, or bad luck, would choose.
fn hostile() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        Just("\"".to_owned()),
        Just("\"\"\"".to_owned()),
        Just("\\".to_owned()),
        Just("\\\"\"\"".to_owned()),
        Just("\\u0022".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        Just(" ".to_owned()),
        Just("}".to_owned()),
        Just("{ a }".to_owned()),
        Just("#".to_owned()),
        Just("on".to_owned()),
        Just("-1".to_owned()),
        Just("1.5".to_owned()),
        Just("$v".to_owned()),
        Just("...".to_owned()),
        Just("{{ args.x }}".to_owned()),
        Just("\u{3000}".to_owned()),
        Just("\u{2028}".to_owned()),
        "[a-z_0-9]{1,3}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(fragment, 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn no_argument_changes_the_shape_of_a_query(value in hostile()) {
        for (template, harmless) in TEMPLATES {
            let expected = rendered(template, harmless).unwrap();
            // Rendering decides; a document that isn't a query any more (a fragment that nothing defines) is refused after it.
            let Ok(text) = render::render(template, &args(&[("x", &value)])) else { continue };
            if parse_query::<String>(&text).is_err() {
                prop_assert!(Query::parse(text).is_err());
                continue;
            }
            prop_assert_eq!(shape(&text), shape(&expected), "{}", template);
        }
    }

    #[test]
    fn a_value_in_a_string_arrives_as_it_is(value in hostile()) {
        for (template, harmless) in &TEMPLATES[..6] {
            let expected = strings(&rendered(template, harmless).unwrap());
            let Ok(text) = rendered(template, &value) else { continue };
            let expected: Vec<String> = expected.iter().map(|text| text.replace(harmless, &value)).collect();
            prop_assert_eq!(strings(&text), expected, "{}", template);
        }
    }

    #[test]
    fn a_quoted_string_takes_any_value(value in any::<String>()) {
        let (template, _) = TEMPLATES[0];
        prop_assert_eq!(strings(&rendered(template, &value).unwrap()), vec![value]);
    }

    #[test]
    fn no_text_makes_the_check_panic(text in hostile_query()) {
        if let Ok(query) = Query::parse(text) {
            let (more, _) = query.asking(BOTH);
            prop_assert!(Query::parse(more).is_ok());
        }
    }
}

/// Texts made of what queries are made of.
fn hostile_query() -> impl Strategy<Value = String> {
    const PARTS: [&str; 28] = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "\"",
        "\"\"\"",
        "\\",
        "#",
        "\n",
        " ",
        ":",
        "$",
        "...",
        "on",
        "query",
        "fragment",
        "a",
        "readMetricsValues",
        "values",
        "value",
        "1",
        "1.5e3",
        "-",
        "@",
        "\u{a0}",
        "{ a: readMetricsValues { values { values { value } } } }",
    ];
    proptest::collection::vec(proptest::sample::select(&PARTS[..]), 0..24)
        .prop_map(|parts| parts.join(" "))
}
