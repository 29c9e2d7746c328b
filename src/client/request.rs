//! What lists are asked for, and how they come.

use jiff::Timestamp;
use serde_json::Value;

/// Which runs somebody wants to see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this namespace.
    pub namespace: Option<String>,
    /// Only those that were asked for by this template.
    pub template: Option<String>,
    /// Only those in one of these phases.
    pub phases: Vec<String>,
    /// Only those with all of these labels, as `name=value`.
    pub labels: Vec<String>,
    /// Only those that were not over before this moment.
    pub from: Option<Timestamp>,
    /// Only those created before this moment.
    pub to: Option<Timestamp>,
    /// At most so many on a page.
    pub limit: Option<usize>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl Filter {
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let Self {
            namespace,
            template,
            phases,
            labels,
            from,
            to,
            limit,
            cursor,
        } = self.clone();
        let one = |name, value: Option<String>| value.map(|value| (name, value)).into_iter();
        let all = |name, values: Vec<String>| values.into_iter().map(move |value| (name, value));
        one("namespace", namespace)
            .chain(one("template", template))
            .chain(all("phase", phases))
            .chain(all("label", labels))
            .chain(one("from", from.map(|at| at.to_string())))
            .chain(one("to", to.map(|at| at.to_string())))
            .chain(one("limit", limit.map(|limit| limit.to_string())))
            .chain(one("cursor", cursor))
    }
}

/// A part of a list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its rows.
    pub items: Vec<Value>,
    /// Where the list goes on; `None`: that was all.
    pub next: Option<String>,
}

impl Page {
    pub(super) fn read(document: &Value) -> Option<Self> {
        let items = document.get("items")?.as_array()?.clone();
        let next = match document.get("next") {
            None | Some(Value::Null) => None,
            Some(next) => Some(next.as_str()?.to_owned()),
        };
        Some(Self { items, next })
    }
}
