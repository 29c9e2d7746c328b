//! Regular expressions in Go's syntax, bounded in size.

use regex::{Regex, RegexBuilder};

use super::gotext::append;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub(in crate::domain) struct Pattern(Regex);

/// What a compiled pattern may take, in bytes; what a cache of its states may take while it is used.
const MAX_SIZE: usize = 1 << 17;
const MAX_CACHE: usize = 1 << 20;

impl Pattern {
    /// Compiles `source`, or says what is wrong with it.
    pub(in crate::domain) fn compile(source: &str) -> Result<Self, String> {
        let translated = from_go(source)
            .map_err(|reason| format!("error parsing regexp: {reason}: `{source}`"))?;
        RegexBuilder::new(&translated)
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
/// as is a `{` that repeats nothing. What Go refuses and the crate takes is refused here.
fn from_go(source: &str) -> Result<String, &'static str> {
    let mut translated = String::with_capacity(source.len());
    let mut rest = source;
    let mut in_class = false;
    let mut repetition = Repetition::None;
    while let Some(c) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix("\\Q").filter(|_| !in_class) {
            let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            translated.push_str(&regex::escape(literal));
            rest = after;
            continue;
        }
        let (piece, after) = rest.split_at(match c {
            '\\' => length_of_escape(rest),
            '{' if !in_class && repeated(&rest[1..]).is_some() => {
                rest.find('}').map_or(rest.len(), |end| end + 1)
            }
            _ => c.len_utf8(),
        });
        if !in_class {
            repetition = repetition.then(piece)?;
        }
        rest = after;
        match piece {
            "\\d" => translated.push_str("[0-9]"),
            "\\D" => translated.push_str("[^0-9]"),
            "\\w" => translated.push_str("[0-9A-Za-z_]"),
            "\\W" => translated.push_str("[^0-9A-Za-z_]"),
            "\\s" => translated.push_str("[\\t\\n\\f\\r ]"),
            "\\S" => translated.push_str("[^\\t\\n\\f\\r ]"),
            "\\b" if !in_class => translated.push_str("(?-u:\\b)"),
            "\\u" | "\\U" => return Err("invalid escape sequence"),
            "\\<" | "\\>" => translated.push_str(&piece[1..]),
            "[" if in_class && !after.starts_with(':') => translated.push_str("\\["),
            "[" if in_class => {
                let end = after.find(":]").map_or(after.len(), |end| end + 2);
                translated.push('[');
                translated.push_str(&after[..end]);
                rest = &after[end..];
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
            }
            "]" if in_class => {
                in_class = false;
                translated.push(']');
            }
            "{" if !in_class => translated.push_str("\\{"),
            "&" | "~" if in_class => {
                translated.push('\\');
                translated.push_str(piece);
            }
            "(" if !in_class && has_unknown_flags(after) => {
                return Err("invalid or unsupported Perl syntax");
            }
            _ => match octal(piece) {
                Some(code) => append(&mut translated, format_args!("\\x{{{code:x}}}")),
                None => translated.push_str(piece),
            },
        }
    }
    Ok(translated)
}

/// What has been repeated how, just before.
#[derive(Clone, Copy)]
enum Repetition {
    None,
    /// `a*`: a `?` may follow.
    Greedy,
    /// `a*?`
    Lazy,
}

impl Repetition {
    /// After one more piece, before which stands what `self` says.
    fn then(self, piece: &str) -> Result<Self, &'static str> {
        let most = match piece {
            "*" | "+" | "?" => Some(0),
            _ => piece.strip_prefix('{').and_then(repeated),
        };
        let Some(most) = most else {
            return Ok(Self::None);
        };
        if most > 1_000 {
            return Err("invalid repeat count");
        }
        match self {
            Self::None => Ok(Self::Greedy),
            Self::Greedy if piece == "?" => Ok(Self::Lazy),
            Self::Greedy | Self::Lazy => Err("invalid nested repetition operator"),
        }
    }
}

/// The length of the escape that `text` begins with: `\d`, `\pL`, `\x{1f}`, `\101`.
fn length_of_escape(text: &str) -> usize {
    let after = &text[1..];
    let octal = after.bytes().take(3).take_while(|byte| is_octal(*byte));
    let octal = octal.count();
    match after.chars().next() {
        Some('p' | 'P' | 'x') if after[1..].starts_with('{') => {
            text.find('}').map_or(text.len(), |end| end + 1)
        }
        Some('0') => 1 + octal,
        // One digit alone refers to a group, which neither has.
        Some('1'..='7') if octal > 1 => 1 + octal,
        Some(c) => 1 + c.len_utf8(),
        None => 1,
    }
}

/// The code that `\101` is.
fn octal(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix('\\')?;
    let is_code = digits.starts_with('0') || digits.len() > 1;
    u32::from_str_radix(digits, 8).ok().filter(|_| is_code)
}

fn is_octal(byte: u8) -> bool {
    (b'0'..=b'7').contains(&byte)
}

/// Whether a group begins with flags that Go doesn't have, as `(?x)`.
fn has_unknown_flags(after: &str) -> bool {
    let Some(flags) = after.strip_prefix('?') else {
        return false;
    };
    let end = flags.find([':', ')', '<']).unwrap_or(flags.len());
    let is_name = flags[end..].starts_with('<');
    !is_name && !flags[..end].chars().all(|flag| "imsU-".contains(flag))
}

/// How often at most, where `3}`, `3,}` or `3,5}` follows a brace; another brace is just that to Go.
fn repeated(after: &str) -> Option<usize> {
    let (inside, _) = after.split_once('}')?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    let number = |text: &str| -> Option<usize> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(usize::MAX))
    };
    let least = number(least)?;
    match most {
        "" => Some(least),
        most => Some(least.max(number(most)?)),
    }
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
        check("^\\141\\0$", "a\0", true);
        check("^\\p{Lu}\\x{e9}", "Aé", true);
        check("^(?:a{2}?|b+?)(?P<c>c)$", "aac", true);
        check("^\\<b\\>$", "<b>", true);
    }

    #[test]
    fn patterns_are_refused_when_malformed_or_large() {
        let check = |pattern: &str, expected: &str| {
            assert_eq!(Pattern::compile(pattern).unwrap_err(), expected);
        };
        check(
            "\\u0061",
            "error parsing regexp: invalid escape sequence: `\\u0061`",
        );
        check(
            "a++",
            "error parsing regexp: invalid nested repetition operator: `a++`",
        );
        check(
            "a{1001}",
            "error parsing regexp: invalid repeat count: `a{1001}`",
        );
        check(
            "(?x)a",
            "error parsing regexp: invalid or unsupported Perl syntax: `(?x)a`",
        );
        check("[", "error parsing regexp: unclosed character class: `[`");
        check(
            "(?:(?:a{100}){100}){100}",
            "error parsing regexp: `(?:(?:a{100}){100}){100}` needs more than 131072 bytes",
        );
    }
}
