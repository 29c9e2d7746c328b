//! Just enough of GraphQL's lexical grammar to know, at any byte of a text, whether it stands in a string, a comment or neither.

/// Where a byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Neither in a string nor in a comment.
    Between,
    /// After a `#`, up to the end of the line.
    Comment,
    /// In a `"…"`.
    Quoted(Escape),
    /// In a `"""…"""`.
    Block,
}

/// How much of an escape sequence of a `"…"` is still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// None is open.
    None,
    /// The character after the backslash.
    Character,
    /// So many hexadecimal digits of a `\uXXXX`.
    Digits(u8),
}

impl Place {
    /// Takes the next lexeme off the front of `rest`, which must not be empty, and moves on.
    /// Lexemes are delimiters (`"""`, `\"""`, `...`) and single characters.
    pub(super) fn step<'a>(&mut self, rest: &'a str) -> &'a str {
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let (next, length) = match *self {
            Self::Between => between(rest, first),
            Self::Comment if rest.starts_with(['\n', '\r']) => (Self::Between, first),
            Self::Comment => (Self::Comment, first),
            Self::Quoted(escape) => (quoted(rest, escape), first),
            Self::Block if rest.starts_with(r#"\""""#) => (Self::Block, 4),
            Self::Block if rest.starts_with(r#"""""#) => (Self::Between, 3),
            Self::Block => (Self::Block, first),
        };
        *self = next;
        &rest[..length]
    }
}

fn between(rest: &str, first: usize) -> (Place, usize) {
    if rest.starts_with(r#"""""#) {
        (Place::Block, 3)
    } else if rest.starts_with('"') {
        (Place::Quoted(Escape::None), 1)
    } else if rest.starts_with('#') {
        (Place::Comment, 1)
    } else if rest.starts_with("...") {
        (Place::Between, 3)
    } else {
        (Place::Between, first)
    }
}

fn quoted(rest: &str, escape: Escape) -> Place {
    let character = rest.chars().next().unwrap_or('"');
    match escape {
        Escape::Character if character == 'u' => Place::Quoted(Escape::Digits(4)),
        Escape::Character => Place::Quoted(Escape::None),
        Escape::Digits(left @ 2..) if character.is_ascii_hexdigit() => {
            Place::Quoted(Escape::Digits(left - 1))
        }
        Escape::Digits(_) if character.is_ascii_hexdigit() => Place::Quoted(Escape::None),
        // An escape that is cut short ends with its string: the parser will say so.
        Escape::None | Escape::Digits(_) => match character {
            '"' => Place::Between,
            '\\' => Place::Quoted(Escape::Character),
            _ => Place::Quoted(Escape::None),
        },
    }
}

/// Whether a character may stand within a GraphQL name, after its first character.
pub(super) fn continues_name(character: char) -> bool {
    character == '_' || character.is_ascii_alphanumeric()
}

/// Whether `text` is exactly one GraphQL name; `true`, `false`, `null` and the values of enums are names too.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| continues_name(first) && !first.is_ascii_digit())
        && text.chars().all(continues_name)
}

/// Whether `text` is exactly one GraphQL number.
pub(super) fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter per byte: `.` between, `c` comment, `q` quoted, `b` block; the place *after* the lexeme that the byte belongs to.
    fn places(text: &str) -> String {
        let mut place = Place::Between;
        let mut rest = text;
        let mut places = String::new();
        while !rest.is_empty() {
            let lexeme = place.step(rest);
            let letter = match place {
                Place::Between => ".",
                Place::Comment => "c",
                Place::Quoted(_) => "q",
                Place::Block => "b",
            };
            places.push_str(&letter.repeat(lexeme.len()));
            rest = &rest[lexeme.len()..];
        }
        places
    }

    #[test]
    fn strings_and_comments_are_told_apart() {
        let check = |text, expected| assert_eq!(places(text), expected, "{text}");
        check(r#"a "b" c"#, "..qq...");
        check(r#""""#, "q.");
        check(r#""\"" b"#, "qqq...");
        check(r#""\\" b"#, "qqq...");
        check(r#""\u0022""#, "qqqqqqq.");
        check(r#""\u00" b"#, "qqqqq...");
        check("#\"\na", "cc..");
        check("#\"\ra", "cc..");
        check(r##""#" a"##, "qq...");
        check(r#""""a" b""" c"#, "bbbbbbb.....");
        check(r#""""\""" a""" b"#, "bbbbbbbbb.....");
        check(r#""""\\""""#, "bbbbbbbb");
        check(r#"["" """a"""]"#, ".q..bbbb....");
    }

    #[test]
    fn tokens() {
        for name in ["a", "_", "MINUTE", "true", "a1"] {
            assert!(is_name(name), "{name}");
        }
        for text in ["", "1a", "a b", "a-b", "é", "$a", "a\n", "{"] {
            assert!(!is_name(text), "{text}");
        }
        for number in ["0", "-1", "12", "1.5", "-0.5", "1e3", "1.5E-3", "1e+3"] {
            assert!(is_number(number), "{number}");
        }
        for text in [
            "", "-", "01", "1.", ".5", "1e", "+1", "1_0", "1 ", "0x1", "1.5.5", "1e3e3",
        ] {
            assert!(!is_number(text), "{text}");
        }
    }
}
