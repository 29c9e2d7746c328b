//! Reads files of manifests: YAML or JSON text, several documents in one.
//!
//! Only the text is dealt with here: syntax, duplicate keys, sizes. What the documents say is [`crate::domain::spec`]'s to judge.
//! Values are what Kubernetes would see: merge keys (`<<`) are merged, keys that are numbers become texts, `1.0` is a 1.

mod rollouts;
mod value;

use std::cell::Cell;
use std::fmt;

use serde::Deserializer;
use serde_json::Value;

use crate::domain::fault::{Fault, Faults, shown};
use crate::domain::nearest::nearest;
use crate::domain::spec::{API_VERSION, Kind, Template};

pub use rollouts::rollouts;

/// The largest text that is read: 4 MiB, more than a cluster would store of one object.
pub const LONGEST_TEXT: usize = 4 << 20;

/// The most brackets that may be open at once; twice of what any document can nest, as those within texts count too.
const DEEPEST: usize = 256;

/// What a text holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Documents {
    /// The templates, in order, each with the faults of its form.
    pub templates: Vec<Template>,
    /// The manifest of each of them.
    pub manifests: Vec<Value>,
    /// What was passed over, one line each: documents of other kinds.
    pub notes: Vec<String>,
    /// What is wrong with the text itself, or with documents that are no templates.
    pub faults: Vec<Fault>,
}

impl Documents {
    /// Reads `text`: YAML or JSON, with `kind: List` taken apart. Never fails as a whole: what could be read is there beside the faults.
    pub fn read(text: &[u8]) -> Self {
        let mut documents = Self::default();
        let parsed = parse(text);
        let several = parsed.values.len() > 1 || parsed.faults.iter().any(|(i, _)| *i > 0);
        let place_of = |i: usize| {
            if several {
                format!("document {}", i + 1)
            } else {
                String::new()
            }
        };
        documents.faults.extend(
            parsed
                .faults
                .into_iter()
                .map(|(i, fault)| placed(fault, &place_of(i))),
        );
        for (i, value) in parsed.values.iter().enumerate() {
            documents.add(value, &place_of(i));
        }
        documents
    }

    /// Every fault: of the text and of the form of each template, with the template's name where there are several.
    pub fn all_faults(&self) -> Vec<Fault> {
        let several = self.templates.len() > 1;
        let of_templates = self.templates.iter().flat_map(|template| {
            let place = if several {
                template.label()
            } else {
                String::new()
            };
            let faults = template.faults().iter().cloned();
            faults.map(move |fault| placed(fault, &place))
        });
        self.faults.iter().cloned().chain(of_templates).collect()
    }

    fn add(&mut self, document: &Value, place: &str) {
        if document.is_null() {
            return;
        }
        let text = |field: &str| document.get(field).and_then(Value::as_str);
        let Some(kind) = text("kind") else {
            let fault = if document.is_object() {
                Fault::new(place, "names no `kind`: `AnalysisTemplate` is expected")
            } else {
                Fault::new(place, "is no manifest: an object with a `kind` is expected")
            };
            self.faults.push(fault);
            return;
        };
        if let Some(kind) = Kind::named(kind) {
            self.templates.push(Template::read(kind, document));
            self.manifests.push(document.clone());
            return;
        }
        if let Some(items) = items_of_list(kind, document) {
            for (i, item) in items.iter().enumerate() {
                let part = Fault::new(format!("items[{i}]"), "");
                self.add(item, &placed(part, place).path);
            }
            return;
        }
        let kinds = [Kind::Namespaced, Kind::Cluster].map(Kind::name);
        if text("apiVersion") == Some(API_VERSION)
            && let Some(meant) = nearest(kind, kinds)
        {
            self.faults.push(
                Fault::new(place, format!("is of the unknown kind {}", shown(kind)))
                    .hint(format!("did you mean `{meant}`?")),
            );
            return;
        }
        let name = document
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .map_or(String::new(), |name| format!(" {}", shown(name)));
        self.notes.push(format!(
            "passed over {}{name}: it is no AnalysisTemplate",
            shown(kind).trim_matches('`')
        ));
    }
}

/// The only document of `text`, YAML or JSON; null where it holds none.
pub fn one(text: &[u8]) -> Result<Value, Faults> {
    let mut parsed = parse(text);
    let mut faults: Vec<Fault> = parsed.faults.into_iter().map(|(_, fault)| fault).collect();
    if parsed.values.len() > 1 && faults.is_empty() {
        let found = parsed.values.len();
        faults.push(Fault::new(
            "",
            format!("holds {found} documents; one was expected"),
        ));
    }
    let first = parsed.values.drain(..).next();
    Faults::none_or(faults, first.unwrap_or_default())
}

fn items_of_list<'v>(kind: &str, document: &'v Value) -> Option<&'v Vec<Value>> {
    let is_list = matches!(
        kind,
        "List" | "AnalysisTemplateList" | "ClusterAnalysisTemplateList"
    );
    let items = document.get("items")?.as_array()?;
    is_list.then_some(items)
}

/// `fault`, if need be with the document that it is in.
fn placed(fault: Fault, place: &str) -> Fault {
    let path = match (place, fault.path.as_str()) {
        ("", path) => path.to_owned(),
        (place, "") => place.to_owned(),
        (place, path) => format!("{place}:{path}"),
    };
    Fault { path, ..fault }
}

/// The documents of a text, and what is wrong with which of them.
#[derive(Default)]
struct Parsed {
    values: Vec<Value>,
    faults: Vec<(usize, Fault)>,
}

impl Parsed {
    fn refused(fault: Fault) -> Self {
        Self {
            faults: vec![(0, fault)],
            ..Self::default()
        }
    }

    /// Reads one more document; nothing follows one that is malformed.
    fn add<'de, D>(
        &mut self,
        language: &str,
        left: &Cell<usize>,
        document: D,
    ) -> Result<(), D::Error>
    where
        D: Deserializer<'de>,
        D::Error: fmt::Display,
    {
        let i = self.values.len();
        let read = value::read(document, left, language == YAML);
        self.faults
            .extend(read.faults.into_iter().map(|fault| (i, fault)));
        match read.value {
            Ok(value) => {
                self.values.push(value);
                Ok(())
            }
            Err(error) => {
                let path = read.path;
                let message = error.to_string();
                let message = message
                    .strip_prefix(&format!("{path}: "))
                    .unwrap_or(&message);
                let message = format!("malformed {language}: {message}");
                self.faults.push((i, Fault::new(path, message)));
                Err(error)
            }
        }
    }
}

const JSON: &str = "JSON";
const YAML: &str = "YAML";

fn parse(text: &[u8]) -> Parsed {
    if text.len() > LONGEST_TEXT {
        let found = text.len();
        return Parsed::refused(Fault::new(
            "",
            format!("the text has {found} bytes; at most {LONGEST_TEXT} are read"),
        ));
    }
    let text = match std::str::from_utf8(text) {
        Ok(text) => text.trim_start_matches('\u{feff}'),
        Err(error) => {
            let at = error.valid_up_to() + 1;
            return Parsed::refused(Fault::new(
                "",
                format!("is no UTF-8 text: byte {at} is none of it"),
            ));
        }
    };
    if !text.trim_start().starts_with(['{', '[']) {
        return parse_yaml(text);
    }
    match parse_json(text) {
        (parsed, Ok(())) => parsed,
        // It may still be YAML in braces.
        (parsed, Err(_)) => match parse_yaml(text) {
            as_yaml if as_yaml.faults.is_empty() => as_yaml,
            _ => parsed,
        },
    }
}

fn parse_json(text: &str) -> (Parsed, Result<(), serde_json::Error>) {
    let left = Cell::new(value::MOST_VALUES);
    let mut parsed = Parsed::default();
    let mut deserializer = serde_json::Deserializer::from_str(text);
    while deserializer.end().is_err() {
        if let Err(error) = parsed.add(JSON, &left, &mut deserializer) {
            return (parsed, Err(error));
        }
    }
    (parsed, Ok(()))
}

fn parse_yaml(text: &str) -> Parsed {
    if let Err(fault) = refuse_deep_nesting(text) {
        return Parsed::refused(fault);
    }
    let left = Cell::new(value::MOST_VALUES);
    let mut parsed = Parsed::default();
    for document in serde_norway::Deserializer::from_str(text) {
        if parsed.add(YAML, &left, document).is_err() {
            break;
        }
    }
    parsed
}

/// Bounds the brackets that are open at once, whatever they mean: the time that the YAML scanner takes grows with their number at each token.
fn refuse_deep_nesting(text: &str) -> Result<(), Fault> {
    let mut depth = 0_usize;
    let mut line = 1_usize;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'\n' => line += 1,
            _ => {}
        }
        if depth > DEEPEST {
            return Err(Fault::new(
                "",
                format!("more than {DEEPEST} brackets are open at line {line}"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn one(text: &str) -> Value {
        let parsed = parse(text.as_bytes());
        assert_eq!(parsed.faults, []);
        assert_eq!(parsed.values.len(), 1, "{:?}", parsed.values);
        parsed.values[0].clone()
    }

    fn check(text: &str, expected: &str) {
        assert_eq!(one(text).to_string(), expected, "for {text}");
    }

    fn faults(text: &str) -> String {
        let faults: Vec<String> = Documents::read(text.as_bytes())
            .all_faults()
            .iter()
            .map(ToString::to_string)
            .collect();
        faults.join("\n")
    }

    #[test]
    fn values_are_what_kubernetes_would_see() {
        check(
            "a: 1\nb: 1.0\nc: 0.5\nd: \"1\"",
            r#"{"a":1,"b":1,"c":0.5,"d":"1"}"#,
        );
        check(
            "a: true\nb: ~\nc:\nd: null",
            r#"{"a":true,"b":null,"c":null,"d":null}"#,
        );
        check("1: x\ntrue: y", r#"{"1":"x","true":"y"}"#);
        check("a: 2026-11-23\nb: 0x10", r#"{"a":"2026-11-23","b":16}"#);
        check("a: &x [1, 2]\nb: *x", r#"{"a":[1,2],"b":[1,2]}"#);
        check(
            "base: &x {a: 1, b: 2}\nnew:\n  <<: *x\n  b: 3",
            r#"{"base":{"a":1,"b":2},"new":{"a":1,"b":3}}"#,
        );
        check("a: |\n  x\n  y\n", r#"{"a":"x\ny\n"}"#);
    }

    #[test]
    fn json_is_read_as_json() {
        check("{\"a\":\t1,\n\t\"b\": [1.0]}", r#"{"a":1,"b":[1.0]}"#);
        check("{a: 1}", r#"{"a":1}"#);
        assert_eq!(
            faults("{\"a\": 1,}"),
            "names no `kind`: `AnalysisTemplate` is expected"
        );
        assert_eq!(
            faults("{\"a\": 1"),
            "malformed JSON: EOF while parsing an object at line 1 column 7"
        );
        assert_eq!(
            faults("{\"a\": 1, \"a\": 2}"),
            "a: is given twice\nnames no `kind`: `AnalysisTemplate` is expected"
        );
    }

    #[test]
    fn one_document() {
        let check = |text: &str, expected: &str| {
            let one = super::one(text.as_bytes());
            let shown = one.map_or_else(|faults| faults.to_string(), |value| value.to_string());
            assert_eq!(shown, expected, "for {text}");
        };
        check("a: 1", r#"{"a":1}"#);
        check(r#"{"a": 1}"#, r#"{"a":1}"#);
        check("", "null");
        check("a: 1\n---\na: 2", "holds 2 documents; one was expected");
        check("a: 1\na: 2", "a: is given twice");
    }

    #[test]
    fn malformed_yaml_is_placed() {
        let check = |text: &str, expected: &str| assert_eq!(faults(text), expected, "for {text}");
        check(
            "a: 1\nb: [1, 2\nc: 3\n",
            "b[2]: malformed YAML: did not find expected ',' or ']' at line 3 column 2, while parsing a flow sequence at line 2 column 4",
        );
        check("kind: Pod\na: [{b: 1, b: 2}]\n", "a[0].b: is given twice");
        check(
            "a: !secret x\n",
            "a: malformed YAML: tags (`!name`) are not supported at line 1 column 4",
        );
        check(
            "kind: Pod\na: .nan\n",
            "a: `NaN` is no number that JSON can hold",
        );
        check(
            "a: *nowhere\n",
            "a: malformed YAML: unknown anchor at line 1 column 4",
        );
        check(
            "kind: Pod\n---\na: \"x",
            "document 2:a: malformed YAML: found unexpected end of stream at line 3 column 6, while scanning a quoted scalar at line 3 column 4",
        );
    }

    #[test]
    fn texts_that_would_hurt_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            let alias = format!("*a{}", i - 1);
            writeln!(bomb, "a{i}: &a{i} [{}]", [alias.as_str(); 10].join(", ")).expect("a string");
        }
        assert_eq!(
            faults(&bomb),
            "a4[9][6][0][2]: malformed YAML: repetition limit exceeded"
        );
        assert_eq!(
            faults(&format!("a: {}", "[".repeat(1 << 20))),
            "more than 256 brackets are open at line 1"
        );
        assert_eq!(
            faults(&"- ".repeat(1 << 16)),
            "[0][0][0][0][0][0][0][0][0][0][0][0]…: malformed YAML: recursion limit exceeded at line 1 column 257"
        );
        assert_eq!(
            faults(&" ".repeat(LONGEST_TEXT + 1)),
            "the text has 4194305 bytes; at most 4194304 are read"
        );
        assert_eq!(
            Documents::read(b"a: \xff").faults[0].message,
            "is no UTF-8 text: byte 4 is none of it"
        );
    }
}
