//! Regular expressions in Go's syntax, bounded in size.

use regex::{Regex, RegexBuilder};

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(in crate::domain) struct Pattern(Regex);

/// What a compiled pattern may take, in bytes; what a cache of its states may take while it is used.
const MAX_SIZE: usize = 1 << 17;
const MAX_CACHE: usize = 1 << 20;

impl Pattern {
    /// Compiles `source`, or says what is wrong with it.
    pub(in crate::domain) fn compile(source: &str) -> Result<Self, String> {
        RegexBuilder::new(&from_go(source))
            .size_limit(MAX_SIZE)
            .dfa_size_limit(MAX_CACHE)
            .nest_limit(32)
            .build()
            .map(Self)
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(limit) => {
                    format!("error parsing regexp: `{source}` needs more than {limit} bytes")
                }
                error => {
                    let text = error.to_string();
                    let reason = text.lines().last().unwrap_or_default();
                    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                    format!("error parsing regexp: {reason}: `{source}`")
                }
            })
    }

    pub(in crate::domain) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// Go's classes are ASCII, its `\Q…\E` quotes, and a `[`, `&` or `~` within a class is just that character,
/// as is a `{` that repeats nothing.
fn from_go(source: &str) -> String {
    let mut translated = String::with_capacity(source.len());
    let mut rest = source;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix("\\Q").filter(|_| !in_class) {
            let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            translated.push_str(&regex::escape(literal));
            rest = after;
            continue;
        }
        let taken = if c == '\\' {
            c.len_utf8() + rest[1..].chars().next().map_or(0, char::len_utf8)
        } else {
            c.len_utf8()
        };
        let (piece, after) = rest.split_at(taken);
        match piece {
            "\\d" => translated.push_str("[0-9]"),
            "\\D" => translated.push_str("[^0-9]"),
            "\\w" => translated.push_str("[0-9A-Za-z_]"),
            "\\W" => translated.push_str("[^0-9A-Za-z_]"),
            "\\s" => translated.push_str("[\\t\\n\\f\\r ]"),
            "\\S" => translated.push_str("[^\\t\\n\\f\\r ]"),
            "\\b" if !in_class => translated.push_str("(?-u:\\b)"),
            "[" if in_class && !after.starts_with(':') => translated.push_str("\\["),
            "[" if in_class => {
                let end = after.find(":]").map_or(after.len(), |end| end + 2);
                translated.push('[');
                translated.push_str(&after[..end]);
                rest = &after[end..];
                continue;
            }
            "[" => {
                in_class = true;
                translated.push('[');
                let negated = after.strip_prefix('^');
                if negated.is_some() {
                    translated.push('^');
                }
                // A `]` that comes first is a member.
                let members = negated.unwrap_or(after);
                let literal = members.strip_prefix(']');
                if literal.is_some() {
                    translated.push_str("\\]");
                }
                rest = literal.unwrap_or(members);
                continue;
            }
            "]" if in_class => {
                in_class = false;
                translated.push(']');
            }
            "{" if !in_class && !is_repetition(after) => translated.push_str("\\{"),
            "&" | "~" if in_class => {
                translated.push('\\');
                translated.push_str(piece);
            }
            _ => translated.push_str(piece),
        }
        rest = after;
    }
    translated
}

/// Whether `3}`, `3,}` or `3,5}` follows a brace; another brace is just that to Go.
fn is_repetition(after: &str) -> bool {
    let Some((inside, _)) = after.split_once('}') else {
        return false;
    };
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_go() {
        let check = |pattern: &str, text: &str, expected: bool| {
            let pattern = Pattern::compile(pattern).unwrap();
            assert_eq!(pattern.is_match(text), expected, "{pattern:?} on {text:?}");
        };
        check("^\\d+$", "123", true);
        check("^\\d+$", "١٢٣", false);
        check("^[\\w.]+$", "a.b_9", true);
        check("^[\\W]$", "é", true);
        check("[[a]", "[", true);
        check("[]a]", "]", true);
        check("[^]a]", "]", false);
        check("[[:alpha:]]", "x", true);
        check("[&~]+$", "&~", true);
        check("^\\Qa.b\\E$", "a.b", true);
        check("^\\Qa.b\\E$", "axb", false);
        check("\\bv2\\b", "reviews-v2", true);
        check("(?i)HELLO", "hello", true);
        check("{v2}", "a{v2}", true);
        check("^a{2}$", "aa", true);
        check("^a{,2}$", "a{,2}", true);
    }

    #[test]
    fn patterns_are_refused_when_malformed_or_large() {
        let check = |pattern: &str, expected: &str| {
            assert_eq!(Pattern::compile(pattern).unwrap_err(), expected);
        };
        check("[", "error parsing regexp: unclosed character class: `[`");
        check(
            "a{100}{100}{100}",
            "error parsing regexp: `a{100}{100}{100}` needs more than 131072 bytes",
        );
    }
}
