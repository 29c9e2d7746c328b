//! Replacements in a text, and the places that they go to.

use std::ops::Range;

use super::edit::unclear;
use super::tree::Refusal;
use crate::domain::routes::FENCE_ANNOTATION;

/// The value of a new entry.
pub(super) enum Inserted<'a> {
    /// As it is.
    Plain(&'a str),
    /// A mapping with the fence's annotation alone, whose value this is.
    Annotations(&'a str),
}

impl Inserted<'_> {
    pub(super) fn flow(&self, key: &str, is_json: bool) -> String {
        let key = if is_json {
            format!("\"{key}\"")
        } else {
            key.to_owned()
        };
        match self {
            Self::Plain(value) => format!("{key}: {value}"),
            Self::Annotations(value) => {
                let entry = Inserted::Plain(value).flow(FENCE_ANNOTATION, is_json);
                format!("{key}: {{{entry}}}")
            }
        }
    }

    /// As lines of a block mapping, without the last one's end.
    pub(super) fn block(&self, key: &str, indent: &str, line_end: &str) -> String {
        match self {
            Self::Plain(value) => format!("{indent}{key}: {value}"),
            Self::Annotations(value) => {
                format!("{indent}{key}:{line_end}{indent}  {FENCE_ANNOTATION}: {value}")
            }
        }
    }
}

/// Replacements in a text.
pub(super) struct Patches<'t> {
    text: &'t str,
    /// How the text ends its lines.
    pub(super) line_end: &'static str,
    all: Vec<(Range<usize>, String)>,
}

impl<'t> Patches<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let first = text.find('\n').map(|at| &text[..at]);
        let is_windows = first.is_some_and(|line| line.ends_with('\r'));
        Self {
            text,
            line_end: if is_windows { "\r\n" } else { "\n" },
            all: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, range: Range<usize>, text: String) {
        let patch = (range, text);
        // One place that stands for several is edited once.
        if !self.all.contains(&patch) {
            self.all.push(patch);
        }
    }

    pub(super) fn apply(mut self) -> Result<String, Refusal> {
        self.all.sort_by_key(|(range, _)| (range.start, range.end));
        let mut edited = String::with_capacity(self.text.len() + 256);
        let mut at = 0;
        for (range, text) in &self.all {
            if range.start < at {
                let line = self.text[..range.start].matches('\n').count() + 1;
                return Err(unclear(line));
            }
            edited.push_str(&self.text[at..range.start]);
            edited.push_str(text);
            at = range.end;
        }
        edited.push_str(&self.text[at..]);
        Ok(edited)
    }
}

/// The first dash in `range` that isn't within a comment.
pub(super) fn find_dash(text: &str, range: Range<usize>) -> Option<usize> {
    let mut is_comment = false;
    let mut previous = ' ';
    for (i, c) in text[range.clone()].char_indices() {
        match c {
            '\n' => is_comment = false,
            '#' if previous.is_whitespace() => is_comment = true,
            '-' if !is_comment && previous.is_whitespace() => return Some(range.start + i),
            _ => {}
        }
        previous = c;
    }
    None
}

/// Where the line that `at` is in ends, its line end not included.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
    if text[at..end].ends_with('\r') {
        end - 1
    } else {
        end
    }
}

/// The white space that the line of `at` begins with.
pub(super) fn indent_of(text: &str, at: usize) -> &str {
    let begin = text[..at].rfind('\n').map_or(0, |begin| begin + 1);
    let line = &text[begin..at];
    &line[..line.len() - line.trim_start().len()]
}
