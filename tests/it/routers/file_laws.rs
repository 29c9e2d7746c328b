//! Laws of the file router, over manifests in every form that the generator knows.

use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use serde::Deserialize;
use serde_json::Value;
use skygate::domain::routes::Weight;
use skygate::ports::{Shifted, TrafficRouter};

use super::{Manifest, subsets, traffic};

/// How a manifest is written.
#[derive(Clone, Debug)]
struct Form {
    is_list: bool,
    /// Whether sequences stand further in than their key.
    indents: bool,
    quote: &'static str,
    /// A comment before every so many lines, and behind each that can have one; 0: none.
    comments: usize,
    /// An empty line before every so many lines; 0: none.
    blank_lines: usize,
    line_end: &'static str,
    no_line_end: bool,
    annotations: u8,
    /// The way that each destination is written, and its weight.
    destinations: Vec<(u8, Option<u8>, &'static str)>,
    before: &'static str,
    after: &'static str,
}

fn form() -> impl Strategy<Value = Form> {
    let destination = (0..6_u8, proptest::option::of(0..=100_u8));
    let others = proptest::collection::vec(
        (destination.clone(), prop_oneof![Just("v1"), Just("v9")]),
        0..3,
    );
    let versions = (destination.clone(), destination);
    let destinations = (versions, others).prop_flat_map(|((stable, canary), others)| {
        let mut all = vec![
            (stable.0, stable.1, "stable"),
            (canary.0, canary.1, "canary"),
        ];
        all.extend(
            others
                .into_iter()
                .map(|((form, weight), subset)| (form, weight, subset)),
        );
        Just(all).prop_shuffle()
    });
    let neighbours = prop_oneof![
        Just(""),
        Just("kind: Deployment\nmetadata: {name: reviews}\nweight: 3\n---\n"),
        Just("# only a comment\n---\n"),
        Just("%YAML 1.2\n---\na: &a |+\n  text\n\nb: *a\n---\n"),
    ];
    let after = prop_oneof![
        Just(""),
        Just("---\nkind: ConfigMap\ndata: {a: 'b # c', \"d\": \"\\u00e9\"}\n"),
        Just("# the end\n"),
    ];
    (
        (
            any::<bool>(),
            any::<bool>(),
            prop_oneof![Just(""), Just("'"), Just("\"")],
        ),
        (
            0..4_usize,
            0..4_usize,
            prop_oneof![Just("\n"), Just("\r\n")],
            any::<bool>(),
        ),
        0..6_u8,
        destinations,
        (neighbours, after),
    )
        .prop_map(
            |(
                style,
                (comments, blank_lines, line_end, no_line_end),
                annotations,
                destinations,
                (before, after),
            )| Form {
                is_list: style.0,
                indents: style.1,
                quote: style.2,
                comments,
                blank_lines,
                line_end,
                no_line_end,
                annotations,
                destinations,
                before,
                after,
            },
        )
}

impl Form {
    fn text(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        let q = self.quote;
        let add = |lines: &mut Vec<String>, line: String| {
            if self.comments > 0 && lines.len().is_multiple_of(self.comments) {
                let indent = line.len() - line.trim_start().len();
                lines.push(format!("{}# - weight: 5, not really", " ".repeat(indent)));
            }
            if self.blank_lines > 0 && lines.len().is_multiple_of(self.blank_lines) {
                lines.push(String::new());
            }
            let is_scalar_line = line
                .trim_end()
                .ends_with(|c: char| c.is_ascii_alphanumeric());
            let comment = if self.comments > 0 && is_scalar_line {
                "  # why"
            } else {
                ""
            };
            lines.push(format!("{line}{comment}"));
        };
        add(
            &mut lines,
            format!("apiVersion: {q}networking.istio.io/v1{q}"),
        );
        add(&mut lines, "kind: VirtualService".to_owned());
        add(&mut lines, "metadata:".to_owned());
        add(&mut lines, format!("  name: {q}reviews{q}"));
        match self.annotations {
            0 => {}
            1 => add(&mut lines, "  annotations: {}".to_owned()),
            2 => add(&mut lines, "  annotations:".to_owned()),
            3 => add(&mut lines, "  annotations: {a: b}".to_owned()),
            4 => {
                add(&mut lines, "  annotations:".to_owned());
                add(
                    &mut lines,
                    "    skygate.io/fence: 'bookinfo/reviews-rollout=1,x/y=5'".to_owned(),
                );
                add(&mut lines, "    last: one".to_owned());
            }
            _ => {
                add(&mut lines, "  annotations:".to_owned());
                lines.push("    text: |".to_owned());
                lines.push("      # no comment".to_owned());
            }
        }
        add(&mut lines, "spec:".to_owned());
        add(&mut lines, "  http:".to_owned());
        let at = if self.indents { "    " } else { "  " };
        add(&mut lines, format!("{at}- route:"));
        let at = if self.indents { "        " } else { "    " };
        for (form, weight, subset) in &self.destinations {
            let target = format!("{{host: r, subset: {q}{subset}{q}}}");
            let weight = weight.map(|weight| format!("weight: {weight}"));
            match (form, weight) {
                (0, Some(weight)) => add(
                    &mut lines,
                    format!("{at}- {{destination: {target}, {weight}}}"),
                ),
                (0, None) => add(&mut lines, format!("{at}- {{destination: {target}}}")),
                (1, Some(weight)) => {
                    add(&mut lines, format!("{at}- {weight}"));
                    add(&mut lines, format!("{at}  destination: {target}"));
                }
                (2, Some(weight)) => {
                    add(&mut lines, format!("{at}-"));
                    add(&mut lines, format!("{at}  destination: {target}"));
                    add(&mut lines, format!("{at}  {weight}"));
                }
                (3, weight) => {
                    add(&mut lines, format!("{at}-   destination:"));
                    add(&mut lines, format!("{at}        host: r"));
                    add(&mut lines, format!("{at}        subset: {q}{subset}{q}"));
                    if let Some(weight) = weight {
                        add(&mut lines, format!("{at}    {weight}"));
                    }
                }
                (4, None) => {
                    add(&mut lines, format!("{at}- destination: {target}"));
                    add(&mut lines, format!("{at}  weight:"));
                }
                (_, weight) => {
                    add(&mut lines, format!("{at}- destination: {target}"));
                    if let Some(weight) = weight {
                        add(&mut lines, format!("{at}  {weight}"));
                    }
                }
            }
        }
        let mut text = if self.is_list {
            let mut text = String::from("apiVersion: v1\nkind: List\nitems:\n");
            for (i, line) in lines.iter().enumerate() {
                let lead = if i == 0 { "- " } else { "  " };
                text.push_str(format!("{lead}{line}").trim_end());
                text.push('\n');
            }
            text
        } else {
            lines.join("\n") + "\n"
        };
        text = format!("{}{text}{}", self.before, self.after);
        if self.no_line_end {
            text.truncate(text.trim_end().len());
        }
        text.replace('\n', self.line_end)
    }
}

/// A text without all that may change: weights, the fence, and what is empty without them.
fn without_ours(text: &str) -> Vec<String> {
    static OURS: LazyLock<Regex> = LazyLock::new(|| {
        let weight = "weight:( *[0-9]+)?";
        let fence = "skygate.io/fence: *(\"[^\"]*\"|'[^']*')";
        let annotations = format!(r"annotations:( *\{{({fence})?\}}| *$)");
        Regex::new(&format!("(?m)(, *)?({annotations}|{weight}|{fence})")).expect("an expression")
    });
    let lines = text.lines().map(|line| {
        let line = line.trim_end();
        (
            line.is_empty(),
            OURS.replace_all(line, "").trim_end().to_owned(),
        )
    });
    // A line that is left empty was ours; one that was empty is somebody's.
    lines
        .filter(|(was_empty, line)| *was_empty || !line.trim().is_empty())
        .map(|(_, line)| line)
        .collect()
}

/// The documents as another parser reads them.
fn documents(text: &str) -> Vec<Value> {
    serde_norway::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).expect("a document"))
        .collect()
}

/// The VirtualService among `documents`.
fn object(documents: &mut [Value]) -> &mut Value {
    let found = documents.iter_mut().find_map(|document| {
        let is_it = |value: &Value| value["kind"] == "VirtualService";
        if is_it(document) {
            return Some(document);
        }
        document.pointer_mut("/items/0").filter(|item| is_it(item))
    });
    found.expect("it is there")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// What comes out means what the rule says, reads as before in every other line, and is observed as it was set.
    #[test]
    fn only_weights_and_the_fence_change(form in form(), percent in 0..=100_u8) {
        let text = form.text();
        let manifest = Manifest::new(&text, traffic(subsets()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let shifted = runtime.block_on(manifest.set(percent, 2));
        prop_assert_eq!(shifted, Ok(Shifted::Written), "{}", text);
        let edited = manifest.text();

        let traffic = traffic(subsets());
        let weight = Weight::new(percent).expect("at most 100");
        let mut expected = documents(&text);
        let it = object(&mut expected);
        let change = traffic.change(it, &traffic.virtual_services[0], weight, 2).expect("it can be");
        change.apply(it);
        prop_assert_eq!(documents(&edited), expected, "{}\n=>\n{}", text, edited);

        let removed = change.edits.iter().any(|edit| edit.action == skygate::domain::routes::Action::Remove);
        if removed {
            // What went with a destination went as whole lines.
            let ours = ["weight", "skygate.io/fence", "annotations:"];
            let is_ours = |line: &str| ours.iter().any(|word| line.contains(word));
            let mut before = text.lines();
            for line in edited.lines().filter(|line| !line.trim().is_empty() && !is_ours(line)) {
                prop_assert!(before.any(|it| it == line), "{}\nin {}\n=>\n{}", line, text, edited);
            }
        } else {
            prop_assert_eq!(without_ours(&text), without_ours(&edited), "{}\n=>\n{}", text, edited);
        }
        let lone = edited.replace(form.line_end, "");
        prop_assert!(!lone.contains(['\r', '\n']), "{:?}", edited);

        let observed = runtime.block_on(manifest.router.observe()).expect("it can be read");
        prop_assert_eq!((observed.canary, observed.fence), (Some(weight), Some(2)));
        prop_assert_eq!(runtime.block_on(manifest.set(percent, 2)), Ok(Shifted::AsItWas));
    }
}
