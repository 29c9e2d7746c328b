//! What is refused before the interpreter sees it: its parser and evaluator recurse, and a long chain overflows the stack.

use cel_interpreter::common::ast::IdedExpr;

use super::tree::visit;
use crate::domain::condition::ConditionError;

/// A source of more bytes is refused before it is looked at.
const MAX_SOURCE: usize = 2048;

/// So many brackets may be open at once.
const MAX_NESTING: usize = 48;

/// So many links may a chain have: `a.b`, `a[0]`, `a + b`. `&&` and `||` make no chain, the parser balances them.
const MAX_LINKS: usize = 512;

/// A tree is at most this high, loops counting with what the parser makes of them.
const MAX_HEIGHT: usize = 100;

/// Refuses a text that the parser could not take.
pub(super) fn check_text(source: &str) -> Result<(), ConditionError> {
    if source.len() > MAX_SOURCE {
        let message = format!(
            "the condition has {} bytes, more than {MAX_SOURCE}",
            source.len()
        );
        return Err(ConditionError::new(0, message));
    }
    let mut nesting = 0_usize;
    let mut links = 0;
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let at = source.len() - rest.len();
        let taken = match c {
            '"' | '\'' => quoted(rest, source[..at].ends_with(['r', 'R'])),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ => c.len_utf8(),
        };
        match c {
            '(' | '[' | '{' => nesting += 1,
            ')' | ']' | '}' => nesting = nesting.saturating_sub(1),
            _ => {}
        }
        if matches!(
            c,
            '.' | '[' | '+' | '-' | '*' | '/' | '%' | '<' | '>' | '=' | '!' | '?'
        ) {
            links += 1;
        }
        if nesting > MAX_NESTING {
            let message = format!("more than {MAX_NESTING} brackets open at once");
            return Err(ConditionError::new(at, message));
        }
        if links > MAX_LINKS {
            let message = format!("more than {MAX_LINKS} operators and members");
            return Err(ConditionError::new(at, message));
        }
        rest = &rest[taken..];
    }
    Ok(())
}

/// Refuses a tree that the evaluator could not walk.
pub(super) fn check_height(root: &IdedExpr) -> Result<(), ConditionError> {
    if height(root) > MAX_HEIGHT {
        let message = format!("nested more than {MAX_HEIGHT} deep");
        let error = ConditionError::new(0, message);
        return Err(error.hint("what `&&` and `||` join may be as long as it likes"));
    }
    Ok(())
}

fn height(node: &IdedExpr) -> usize {
    let mut below = 0;
    visit(node, &mut |child| below = below.max(height(child)));
    below + 1
}

/// How many bytes the text literal takes that `source` begins with. Where it is not closed, the parser will say so.
fn quoted(source: &str, is_raw: bool) -> usize {
    let quote = &source[..1];
    let triple = &quote.repeat(3);
    let end = if source.starts_with(triple) {
        triple
    } else {
        quote
    };
    let mut at = end.len();
    while let Some(c) = source[at..].chars().next() {
        if source[at..].starts_with(end) {
            return at + end.len();
        }
        at += c.len_utf8();
        if c == '\\' && !is_raw {
            at += source[at..].chars().next().map_or(0, char::len_utf8);
        }
    }
    source.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_texts_and_comments_is_no_nesting() {
        let check = |source: &str, expected: Option<usize>| {
            let at = check_text(source).err().map(|error| error.at);
            assert_eq!(at, expected, "{source:.60}");
        };
        let brackets = "(".repeat(60);
        check(&brackets, Some(48));
        check(&format!("'{brackets}'"), None);
        check(&format!("\"\"\"'\"{brackets}\"\"\""), None);
        check(&format!("'\\'{brackets}'"), None);
        check(&format!("r'\\'{brackets}"), Some(52));
        check(&format!("1 // {brackets}\n"), None);
        check(&format!("'é' + {brackets}"), Some(55));
        check(&"()".repeat(60), None);
        check(&"'".repeat(60), None);
    }
}
