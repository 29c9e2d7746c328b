//! A manifest's text as a tree that knows where in the text each node stands.
//!
//! JSON is read as the YAML that it is.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle, Tag, options};
use serde_json::{Map, Number, Value};

use crate::domain::fault::shown;

/// The most values that one text may come to, those that aliases repeat counted each time.
const MOST_VALUES: usize = 1 << 20;

/// Why a text can't be read, as a lower-case fragment.
pub(super) type Refusal = String;

/// A node by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(usize);

/// A text taken apart.
#[derive(Debug)]
pub(super) struct Tree<'t> {
    pub(super) text: &'t str,
    nodes: Vec<Node>,
    anchors: HashMap<usize, NodeId>,
    /// The root of each document.
    pub(super) documents: Vec<NodeId>,
}

#[derive(Debug)]
pub(super) struct Node {
    /// Where its content stands; of a block collection, only where it begins.
    pub(super) span: Range<usize>,
    /// Where it begins, anchor and tag included.
    pub(super) begin: usize,
    /// Where the last thing in it ends: a scalar, an alias, the closing bracket.
    pub(super) end: usize,
    /// The column that it begins in, in characters.
    pub(super) column: usize,
    /// The line that it begins in, counted from 1.
    pub(super) line: usize,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar {
        text: String,
        /// Whether it is a text whatever it says: quoted, a block, or tagged so.
        is_text: bool,
    },
    Sequence {
        is_flow: bool,
        items: Vec<NodeId>,
    },
    Mapping {
        is_flow: bool,
        entries: Vec<(NodeId, NodeId)>,
    },
    Alias(NodeId),
}

/// A collection that is still open.
struct Open {
    id: NodeId,
    /// A mapping's key that waits for its value.
    key: Option<NodeId>,
}

impl<'t> Tree<'t> {
    pub(super) fn read(text: &'t str) -> Result<Self, Refusal> {
        let mut tree = Self {
            text,
            nodes: Vec::new(),
            anchors: HashMap::new(),
            documents: Vec::new(),
        };
        let mut open: Vec<Open> = Vec::new();
        let options = options! { emit_anchor_events: true, emit_comments: false };
        for next in Parser::new_from_str_with_options(text, options) {
            let (event, span) = next.map_err(|error| format!("can't be read: {error}"))?;
            let at = span
                .byte_range()
                .ok_or("can't be read: a place in it is missing")?;
            match event {
                Event::UnresolvedAlias(name) => {
                    return Err(format!("has no anchor {}", shown(&name)));
                }
                Event::Anchor(_, _) => {
                    // It follows the node that it belongs to, and stands before it.
                    if let Some(node) = tree.nodes.last_mut() {
                        node.begin = node.begin.min(at.start);
                    }
                }
                Event::Alias(target) => {
                    let target = *tree.anchors.get(&target).ok_or("has an alias to nothing")?;
                    if open.iter().any(|collection| collection.id == target) {
                        let line = span.start.line();
                        return Err(format!("holds itself by an alias, at line {line}"));
                    }
                    tree.add(&mut open, &span, at, Content::Alias(target))?;
                }
                Event::Scalar(value, style, anchor, tag) => {
                    let mut at = at;
                    if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                        // The scanner looks for more text in the next line's indentation.
                        at.end = text[..at.end].trim_end_matches(' ').len();
                    }
                    let content = scalar(&value, style, tag.as_deref());
                    tree.anchor(anchor);
                    tree.add(&mut open, &span, at, content)?;
                }
                Event::SequenceStart(style, anchor, _) => {
                    let is_flow = style == StructureStyle::Flow;
                    let items = Vec::new();
                    tree.anchor(anchor);
                    let id = NodeId(tree.nodes.len());
                    tree.add(&mut open, &span, at, Content::Sequence { is_flow, items })?;
                    open.push(Open { id, key: None });
                }
                Event::MappingStart(style, anchor, _) => {
                    let is_flow = style == StructureStyle::Flow;
                    let entries = Vec::new();
                    tree.anchor(anchor);
                    let id = NodeId(tree.nodes.len());
                    tree.add(&mut open, &span, at, Content::Mapping { is_flow, entries })?;
                    open.push(Open { id, key: None });
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let closed = open
                        .pop()
                        .ok_or("can't be read: it closes what isn't open")?;
                    tree.close(closed.id, at.end);
                    if let Some(parent) = open.last() {
                        let end = tree.node(closed.id).end;
                        let parent = &mut tree.nodes[parent.id.0];
                        parent.end = parent.end.max(end);
                    }
                }
                // Documents' and the stream's own marks. Comments are not asked for.
                _ => {}
            }
        }
        Ok(tree)
    }

    fn anchor(&mut self, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, NodeId(self.nodes.len()));
        }
    }

    fn add(
        &mut self,
        open: &mut [Open],
        span: &Span,
        at: Range<usize>,
        content: Content,
    ) -> Result<(), Refusal> {
        let id = NodeId(self.nodes.len());
        let tag = span.tag_start().and_then(|tag| tag.byte_offset());
        self.nodes.push(Node {
            begin: at.start.min(tag.unwrap_or(at.start)),
            end: at.end,
            span: at.clone(),
            column: span.start.col(),
            line: span.start.line(),
            content,
        });
        let Some(parent) = open.last_mut() else {
            self.documents.push(id);
            return Ok(());
        };
        let place = &mut self.nodes[parent.id.0];
        place.end = place.end.max(at.end);
        match &mut place.content {
            Content::Sequence { items, .. } => items.push(id),
            Content::Mapping { entries, .. } => match parent.key.take() {
                None => parent.key = Some(id),
                Some(key) => entries.push((key, id)),
            },
            Content::Scalar { .. } | Content::Alias(_) => {
                return Err("can't be read: a scalar holds something".to_owned());
            }
        }
        Ok(())
    }

    /// A flow collection ends with its bracket, a block collection with the last thing in it.
    fn close(&mut self, id: NodeId, end: usize) {
        let node = &mut self.nodes[id.0];
        if let Content::Sequence { is_flow: true, .. } | Content::Mapping { is_flow: true, .. } =
            node.content
        {
            node.end = end;
            node.span.end = end;
        }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The node that `id` stands for: itself, or what its alias names.
    pub(super) fn resolve(&self, mut id: NodeId) -> NodeId {
        // An alias names an earlier node, which is complete, so this ends, and so does whatever goes down from there.
        while let Content::Alias(target) = self.node(id).content {
            id = target;
        }
        id
    }

    /// A mapping's own entry: the key's node and the value's, aliases not followed.
    pub(super) fn entry(&self, mapping: NodeId, key: &str) -> Option<(NodeId, NodeId)> {
        let Content::Mapping { entries, .. } = &self.node(self.resolve(mapping)).content else {
            return None;
        };
        let is_it = |id: NodeId| match &self.node(self.resolve(id)).content {
            Content::Scalar { text, .. } => text == key,
            _ => false,
        };
        entries.iter().copied().find(|(name, _)| is_it(*name))
    }

    /// What a mapping holds under `key`, in its own entries or in those that `<<` merges.
    pub(super) fn get(&self, mapping: NodeId, key: &str) -> Option<NodeId> {
        if let Some((_, value)) = self.entry(mapping, key) {
            return Some(value);
        }
        let (_, merged) = self.entry(mapping, "<<")?;
        match &self.node(self.resolve(merged)).content {
            // The depth of a text is bounded, and an alias names what is complete.
            Content::Mapping { .. } => self.get(merged, key),
            Content::Sequence { items, .. } => items
                .iter()
                .find_map(|item| self.entry(*item, key))
                .map(|(_, value)| value),
            Content::Scalar { .. } | Content::Alias(_) => None,
        }
    }

    /// A sequence's items.
    pub(super) fn items(&self, sequence: NodeId) -> &[NodeId] {
        match &self.node(self.resolve(sequence)).content {
            Content::Sequence { items, .. } => items,
            _ => &[],
        }
    }

    /// All documents as values.
    pub(super) fn values(&self) -> Result<Vec<Value>, Refusal> {
        let mut left = MOST_VALUES;
        self.documents
            .iter()
            .map(|id| self.value(*id, &mut left))
            .collect()
    }

    fn value(&self, id: NodeId, left: &mut usize) -> Result<Value, Refusal> {
        let id = self.resolve(id);
        *left = left.checked_sub(1).ok_or_else(|| {
            format!("has more than {MOST_VALUES} values, counting those that aliases repeat")
        })?;
        match &self.node(id).content {
            Content::Scalar { text, is_text, .. } if *is_text => Ok(Value::from(text.as_str())),
            Content::Scalar { text, .. } => Ok(plain(text)),
            Content::Sequence { items, .. } => items
                .iter()
                .map(|item| self.value(*item, left))
                .collect::<Result<Vec<_>, _>>()
                .map(Value::from),
            Content::Mapping { entries, .. } => self.map(entries, left).map(Value::Object),
            Content::Alias(_) => Ok(Value::Null),
        }
    }

    fn map(
        &self,
        entries: &[(NodeId, NodeId)],
        left: &mut usize,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut map = Map::new();
        let mut merged = Vec::new();
        for (key, value) in entries {
            let name = match self.value(*key, left)? {
                Value::String(name) => name,
                other => other.to_string(),
            };
            let value = self.value(*value, left)?;
            match (name.as_str(), value) {
                ("<<", Value::Object(others)) => merged.push(others),
                ("<<", Value::Array(others)) => {
                    merged.extend(others.into_iter().filter_map(|other| match other {
                        Value::Object(other) => Some(other),
                        _ => None,
                    }));
                }
                (_, value) => {
                    if map.insert(name.clone(), value).is_some() {
                        let line = self.node(*key).line;
                        return Err(format!("gives {} twice, at line {line}", shown(&name)));
                    }
                }
            }
        }
        for (name, value) in merged.into_iter().flatten() {
            map.entry(name).or_insert(value);
        }
        Ok(map)
    }
}

fn scalar(value: &str, style: ScalarStyle, tag: Option<&Tag>) -> Content {
    let is_plain = style == ScalarStyle::Plain;
    let is_tagged_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
    Content::Scalar {
        text: value.to_owned(),
        is_text: !is_plain || is_tagged_text,
    }
}

/// What a plain scalar means.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    // What begins with a zero is octal to some and decimal to others: a text is what nobody mistakes for either.
    let is_ambiguous = digits.len() > 1 && digits.starts_with('0') && !digits.contains('.');
    let begins = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let is_numeric = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    if is_ambiguous || !begins || !is_numeric {
        return Value::from(text);
    }
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    if let Ok(whole) = unsigned.parse::<i64>() {
        return whole.into();
    }
    if let Ok(whole) = unsigned.parse::<u64>() {
        return whole.into();
    }
    let float = unsigned.parse().ok().and_then(Number::from_f64);
    float.map_or_else(|| Value::from(text), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(text: &str) -> Result<Vec<Value>, Refusal> {
        Tree::read(text)?.values()
    }

    #[test]
    fn texts_mean_what_a_cluster_would_read() {
        let check = |text: &str, expected: Value| {
            assert_eq!(values(text), Ok(vec![expected]), "{text}");
        };
        check(
            "{a: 1, b: '1', c: !!str 1, d: ~, e: yes, f: 0x1, g: 1.5, h: -3, i: 007}",
            json!({"a": 1, "b": "1", "c": "1", "d": null, "e": "yes", "f": "0x1", "g": 1.5, "h": -3, "i": "007"}),
        );
        check(
            "a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\nd: {<<: [*a, {x: 3, z: 4}], x: 5}\n",
            json!({"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}, "d": {"x": 5, "z": 4}}),
        );
        check(
            "{\n\t\"a\": [1, {}],\n\t\"b\": \"\\/x\"\n}",
            json!({"a": [1, {}], "b": "/x"}),
        );
        assert_eq!(
            values("a: 1\n---\n---\nb\n"),
            Ok(vec![json!({"a": 1}), Value::Null, json!("b")])
        );
    }

    #[test]
    fn texts_that_would_hurt_are_refused() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..9 {
            use std::fmt::Write as _;
            let alias = format!("*a{}", i - 1);
            writeln!(bomb, "a{i}: &a{i} [{}]", [alias.as_str(); 10].join(", ")).unwrap();
        }
        let check = |text: &str, expected: &str| {
            let refused = values(text).unwrap_err();
            assert!(refused.contains(expected), "{refused}");
        };
        check(&bomb, "counting those that aliases repeat");
        check("a: 1\nb: {c: 1, c: 2}\n", "gives `c` twice, at line 2");
        check("a: &a [*a]\n", "holds itself");
        check(&"[".repeat(1 << 16), "can't be read");
    }
}
