//! Edits a manifest's text: weights and the fence's annotation, and not a byte else.
//!
//! What an edit comes to is read again and compared with what it should come to: anchors can make one place of a text stand for several,
//! and a text that can't be edited without touching more is refused.

use serde_json::Value;

use super::patch::{Inserted, Patches, find_dash, indent_of, line_end};
use super::tree::{Content, NodeId, Refusal, Tree};
use crate::domain::routes::{Action, Change, FENCE_ANNOTATION, ObjectName, Place, Weight};

/// An object in a text.
#[derive(Debug)]
pub(super) struct Found {
    node: NodeId,
    /// Which document.
    document: usize,
    /// Where in it, as a JSON pointer: empty, or the way through lists.
    pointer: String,
    /// The line that it begins in.
    pub(super) line: usize,
    /// The object itself.
    pub(super) value: Value,
}

/// A text with the objects in it.
#[derive(Debug)]
pub(super) struct Manifest<'t> {
    tree: Tree<'t>,
    values: Vec<Value>,
}

impl<'t> Manifest<'t> {
    pub(super) fn read(text: &'t str) -> Result<Self, Refusal> {
        let tree = Tree::read(text)?;
        let values = tree.values()?;
        Ok(Self { tree, values })
    }

    /// Istio's objects of that kind and name, in all documents and lists. One that says no namespace is in any.
    pub(super) fn find(&self, kind: &str, name: &ObjectName) -> Vec<Found> {
        let mut found = Vec::new();
        for (document, value) in self.values.iter().enumerate() {
            let root = self.tree.documents[document];
            self.search(root, value, document, String::new(), &mut found);
        }
        found.retain(|it| {
            let text = |pointer: &str| it.value.pointer(pointer).and_then(Value::as_str);
            let group = text("/apiVersion").and_then(|version| version.split('/').next());
            group == Some("networking.istio.io")
                && text("/kind") == Some(kind)
                && text("/metadata/name") == Some(&name.name)
                && text("/metadata/namespace").is_none_or(|it| it == name.namespace)
        });
        found
    }

    fn search(
        &self,
        node: NodeId,
        value: &Value,
        document: usize,
        pointer: String,
        found: &mut Vec<Found>,
    ) {
        let kind = value.get("kind").and_then(Value::as_str);
        let items = value.get("items").and_then(Value::as_array);
        if let (Some(items), Some(list)) = (items, self.tree.get(node, "items"))
            && kind.is_some_and(|kind| kind.ends_with("List"))
        {
            let nodes = self.tree.items(list);
            for (i, (node, item)) in nodes.iter().zip(items).enumerate() {
                let pointer = format!("{pointer}/items/{i}");
                self.search(*node, item, document, pointer, found);
            }
            return;
        }
        found.push(Found {
            node,
            document,
            pointer,
            line: self.tree.node(node).line,
            value: value.clone(),
        });
    }

    /// The text with `change` done to the object `found`, and nothing else changed.
    pub(super) fn edit(&self, found: &Found, change: &Change) -> Result<String, Refusal> {
        let mut patches = Patches::new(self.tree.text);
        for edit in &change.edits {
            match edit.action {
                Action::Weigh(weight) => {
                    self.weigh(&mut patches, found.node, edit.place, weight)?;
                }
                Action::Remove => self.remove(&mut patches, found.node, edit.place)?,
            }
        }
        if let Some(annotation) = &change.annotation {
            self.annotate(&mut patches, found.node, annotation)?;
        }
        let edited = patches.apply()?;
        self.check(found, change, &edited)?;
        Ok(edited)
    }

    /// Whether `edited` says what it should: the same documents, with `change` done to one object of them.
    fn check(&self, found: &Found, change: &Change, edited: &str) -> Result<(), Refusal> {
        let mut expected = self.values.clone();
        let object = expected[found.document].pointer_mut(&found.pointer);
        change.apply(object.ok_or_else(|| unclear(found.line))?);
        let is_so = Tree::read(edited)
            .and_then(|tree| tree.values())
            .is_ok_and(|values| values == expected);
        let was_json = serde_json::from_str::<serde::de::IgnoredAny>(self.tree.text).is_ok();
        let is_json = || serde_json::from_str::<serde::de::IgnoredAny>(edited).is_ok();
        if is_so && (!was_json || is_json()) {
            return Ok(());
        }
        Err(unclear(found.line))
    }

    fn at(&self, object: NodeId, place: Place) -> Option<(NodeId, NodeId, NodeId)> {
        let spec = self.tree.get(object, "spec")?;
        let routes = self.tree.get(spec, place.protocol.name())?;
        let route = *self.tree.items(routes).get(place.route)?;
        let list = self.tree.get(route, "route")?;
        let destination = *self.tree.items(list).get(place.destination)?;
        Some((route, list, destination))
    }

    fn weigh(
        &self,
        patches: &mut Patches<'_>,
        object: NodeId,
        place: Place,
        weight: Weight,
    ) -> Result<(), Refusal> {
        let line = self.tree.node(object).line;
        let (_, _, destination) = self.at(object, place).ok_or_else(|| unclear(line))?;
        match self.tree.entry(destination, "weight") {
            Some((key, value)) => self.replace(patches, key, value, &weight.to_string()),
            None => self.insert(
                patches,
                destination,
                "weight",
                &Inserted::Plain(&weight.to_string()),
            ),
        }
    }

    /// Puts `text` where the value of an entry stands.
    fn replace(
        &self,
        patches: &mut Patches<'_>,
        key: NodeId,
        value: NodeId,
        text: &str,
    ) -> Result<(), Refusal> {
        let node = self.tree.node(value);
        if !node.span.is_empty() {
            patches.add(node.span.clone(), text.to_owned());
            return Ok(());
        }
        // Nothing stands there: behind the key's colon, then.
        let after = self.tree.node(key).end;
        let rest = &self.tree.text[after..];
        let colon = rest.find(':').ok_or_else(|| unclear(node.line))?;
        let at = after + colon + 1;
        patches.add(at..at, format!(" {text}"));
        Ok(())
    }

    /// Adds an entry at the end of a mapping, as its other entries stand.
    fn insert(
        &self,
        patches: &mut Patches<'_>,
        mapping: NodeId,
        key: &str,
        value: &Inserted<'_>,
    ) -> Result<(), Refusal> {
        let text = self.tree.text;
        let node = self.tree.node(self.tree.resolve(mapping));
        let Content::Mapping { is_flow, entries } = &node.content else {
            return Err(unclear(node.line));
        };
        let first = entries.first().map(|(key, _)| self.tree.node(*key));
        if *is_flow {
            let entry = value.flow(key, self.is_json_like(first, node.span.start));
            let Some(first) = first else {
                patches.add(node.span.clone(), format!("{{{entry}}}"));
                return Ok(());
            };
            let last = entries
                .last()
                .map_or(first.end, |(_, value)| self.tree.node(*value).end);
            let separator = if first.line > node.line {
                format!(",{}{}", patches.line_end, indent_of(text, first.begin))
            } else {
                ", ".to_owned()
            };
            patches.add(last..last, format!("{separator}{entry}"));
            return Ok(());
        }
        let first = first.ok_or_else(|| unclear(node.line))?;
        let indent = " ".repeat(first.column);
        let lines = value.block(key, &indent, patches.line_end);
        let is_at_line = node.end > 0 && text[..node.end].ends_with('\n');
        if is_at_line {
            // A block scalar ends with its last line.
            patches.add(node.end..node.end, format!("{lines}{}", patches.line_end));
        } else {
            let at = line_end(text, node.end);
            patches.add(at..at, format!("{}{lines}", patches.line_end));
        }
        Ok(())
    }

    /// Whether keys stand in double quotes here, as JSON wants them.
    fn is_json_like(&self, first: Option<&super::tree::Node>, bracket: usize) -> bool {
        match first {
            Some(first) => self.tree.text[first.span.clone()].starts_with('"'),
            // An empty `{}`: the key before it tells.
            None => self.tree.text[..bracket].trim_end().ends_with("\":"),
        }
    }

    /// Takes a destination out of its list.
    fn remove(
        &self,
        patches: &mut Patches<'_>,
        object: NodeId,
        place: Place,
    ) -> Result<(), Refusal> {
        let text = self.tree.text;
        let line = self.tree.node(object).line;
        let (route, list, _) = self.at(object, place).ok_or_else(|| unclear(line))?;
        let sequence = self.tree.node(self.tree.resolve(list));
        let Content::Sequence { is_flow, items } = &sequence.content else {
            return Err(unclear(line));
        };
        let i = place.destination;
        let node = self.tree.node(items[i]);
        if *is_flow {
            let range = match items.get(i + 1) {
                Some(next) => node.begin..self.tree.node(*next).begin,
                None if i > 0 => self.tree.node(items[i - 1]).end..node.end,
                None => node.begin..node.end,
            };
            patches.add(range, String::new());
            return Ok(());
        }
        // The dash stands somewhere between what comes before the item and the item, perhaps below a comment.
        let before = match i.checked_sub(1) {
            Some(previous) => self.tree.node(items[previous]).end,
            None => match self.tree.entry(route, "route") {
                Some((key, _)) => self.tree.node(key).end,
                None => return Err(unclear(line)),
            },
        };
        let dash = find_dash(text, before..node.begin).ok_or_else(|| unclear(node.line))?;
        let begin = text[..dash].rfind('\n').map_or(0, |at| at + 1);
        if !text[begin..dash].trim().is_empty() {
            return Err(unclear(node.line));
        }
        let end = if text[..node.end].ends_with('\n') {
            node.end
        } else {
            let end = line_end(text, node.end);
            end + text[end..].find('\n').map_or(0, |at| at + 1)
        };
        patches.add(begin..end, String::new());
        Ok(())
    }

    fn annotate(
        &self,
        patches: &mut Patches<'_>,
        object: NodeId,
        annotation: &str,
    ) -> Result<(), Refusal> {
        let line = self.tree.node(object).line;
        let metadata = self.tree.get(object, "metadata");
        let metadata = metadata.ok_or_else(|| unclear(line))?;
        let quoted = format!("\"{annotation}\"");
        let Some((key, annotations)) = self.tree.entry(metadata, "annotations") else {
            let value = Inserted::Annotations(&quoted);
            return self.insert(patches, metadata, "annotations", &value);
        };
        match &self.tree.node(self.tree.resolve(annotations)).content {
            Content::Mapping { .. } => match self.tree.entry(annotations, FENCE_ANNOTATION) {
                Some((key, value)) => self.replace(patches, key, value, &quoted),
                None => self.insert(
                    patches,
                    annotations,
                    FENCE_ANNOTATION,
                    &Inserted::Plain(&quoted),
                ),
            },
            // `annotations:` and nothing, or `null`.
            Content::Scalar { .. } => {
                let key_node = self.tree.node(key);
                let is_json = self.tree.text[key_node.span.clone()].starts_with('"');
                let entry = Inserted::Plain(&quoted).flow(FENCE_ANNOTATION, is_json);
                self.replace(patches, key, annotations, &format!("{{{entry}}}"))
            }
            Content::Sequence { .. } | Content::Alias(_) => Err(unclear(line)),
        }
    }
}

pub(super) fn unclear(line: usize) -> Refusal {
    format!(
        "can't be edited without touching more than weights, in the object at line {line}: anchors share what has to change, or it stands in a form that is too unusual; write it out plainly"
    )
}
