//! Text to tokens, as Go's expr cuts them.

use std::borrow::Cow;
use std::fmt;

use super::ast::Span;
use crate::domain::condition::ConditionError;

#[derive(Clone, Debug)]
pub(super) struct Token<'s> {
    pub(super) kind: TokenKind<'s>,
    pub(super) span: Span,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenKind<'s> {
    Number(&'s str),
    Text(Cow<'s, str>),
    Name(&'s str),
    /// Punctuation, and the words that are operators.
    Operator(&'s str),
    Bracket(&'s str),
    End,
}

/// As Go's expr names tokens in its messages.
impl fmt::Display for TokenKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(text) => write!(f, "Number({text:?})"),
            Self::Text(text) if text.is_empty() => f.write_str("String"),
            Self::Text(text) => write!(f, "String({text:?})"),
            Self::Name(text) => write!(f, "Identifier({text:?})"),
            Self::Operator(text) => write!(f, "Operator({text:?})"),
            Self::Bracket(text) => write!(f, "Bracket({text:?})"),
            Self::End => f.write_str("EOF"),
        }
    }
}

const WORD_OPERATORS: [&str; 11] = [
    "not",
    "in",
    "or",
    "and",
    "matches",
    "contains",
    "startsWith",
    "endsWith",
    "let",
    "if",
    "else",
];

/// The tokens of `source`; the last one is always [`TokenKind::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<Token<'_>>, ConditionError> {
    let mut lexer = Lexer { source, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.next()?;
        let is_end = token.kind == TokenKind::End;
        tokens.push(token);
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'s> {
    source: &'s str,
    at: usize,
}

impl<'s> Lexer<'s> {
    fn next(&mut self) -> Result<Token<'s>, ConditionError> {
        self.skip_blanks()?;
        let start = self.at;
        let kind = self.kind()?;
        Ok(Token {
            kind,
            span: Span {
                start,
                end: self.at,
            },
        })
    }

    fn kind(&mut self) -> Result<TokenKind<'s>, ConditionError> {
        let start = self.at;
        let Some(first) = self.peek() else {
            return Ok(TokenKind::End);
        };
        match first {
            '\'' | '"' => return self.quoted(first),
            '`' => return self.raw(),
            'b' | 'B' if self.rest()[1..].starts_with(['\'', '"']) => {
                return Err(ConditionError::new(
                    start,
                    "literals of bytes are not supported",
                ));
            }
            '0'..='9' => return self.number(),
            '.' if self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                return self.number();
            }
            _ if is_word(first) => return Ok(self.word()),
            '(' | '[' | '{' | ')' | ']' | '}' => {
                self.at += 1;
                return Ok(TokenKind::Bracket(&self.source[start..self.at]));
            }
            _ => {}
        }
        self.at += first.len_utf8();
        match first {
            '?' => self.accept(".?"),
            '|' => self.accept("|"),
            ':' => self.accept(":"),
            '.' => self.accept("."),
            '&' | '!' | '=' | '*' | '<' | '>' => self.accept("&=*"),
            ',' | ';' | '%' | '+' | '-' | '^' | '/' | '#' => {}
            _ => {
                return Err(ConditionError::new(
                    start,
                    format!("unrecognized character: `{first}`"),
                ));
            }
        }
        Ok(TokenKind::Operator(&self.source[start..self.at]))
    }

    fn skip_blanks(&mut self) -> Result<(), ConditionError> {
        loop {
            let rest = self.rest();
            if let Some(comment) = rest.strip_prefix("//") {
                self.at += 2 + comment
                    .find('\n')
                    .map_or(comment.len(), |newline| newline + 1);
            } else if let Some(comment) = rest.strip_prefix("/*") {
                let end = comment
                    .find("*/")
                    .ok_or_else(|| ConditionError::new(self.at, "unclosed comment"))?;
                self.at += 2 + end + 2;
            } else if rest.starts_with(char::is_whitespace) {
                self.at += rest.len() - rest.trim_start().len();
            } else {
                return Ok(());
            }
        }
    }

    fn word(&mut self) -> TokenKind<'s> {
        let start = self.at;
        self.at += self
            .rest()
            .find(|c| !is_word(c))
            .unwrap_or(self.rest().len());
        let word = &self.source[start..self.at];
        if WORD_OPERATORS.contains(&word) {
            TokenKind::Operator(word)
        } else {
            TokenKind::Name(word)
        }
    }

    fn number(&mut self) -> Result<TokenKind<'s>, ConditionError> {
        let start = self.at;
        let digits: fn(char) -> bool = match self.rest().as_bytes() {
            [b'0', b'x' | b'X', ..] => |c| c.is_ascii_hexdigit() || c == '_',
            [b'0', b'o' | b'O', ..] => |c| c.is_digit(8) || c == '_',
            [b'0', b'b' | b'B', ..] => |c| c.is_digit(2) || c == '_',
            _ => |c| c.is_ascii_digit() || c == '_',
        };
        let is_prefixed = self.rest().starts_with('0')
            && self.rest()[1..].starts_with(['x', 'X', 'o', 'O', 'b', 'B']);
        if is_prefixed {
            self.at += 2;
        }
        self.skip(digits);
        // `1..3` is a range, not two halves of a number.
        if self.rest().starts_with('.') && !self.rest().starts_with("..") {
            self.at += 1;
            self.skip(digits);
        }
        if self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            self.accept("+-");
            self.skip(digits);
        }
        if let Some(next) = self.peek().filter(|&c| is_word(c)) {
            self.at += next.len_utf8();
            let text = &self.source[start..self.at];
            return Err(ConditionError::new(
                start,
                format!("bad number syntax: {text:?}"),
            ));
        }
        Ok(TokenKind::Number(&self.source[start..self.at]))
    }

    /// A text in single or double quotes.
    fn quoted(&mut self, quote: char) -> Result<TokenKind<'s>, ConditionError> {
        let start = self.at;
        self.at += 1;
        let plain = self
            .rest()
            .find(['\\', '\n', '\r', quote])
            .unwrap_or(self.rest().len());
        if self.rest()[plain..].starts_with(quote) {
            let text = &self.rest()[..plain];
            self.at += plain + 1;
            return Ok(TokenKind::Text(Cow::Borrowed(text)));
        }
        let mut text = String::new();
        loop {
            match self.bump() {
                Some(c) if c == quote => return Ok(TokenKind::Text(Cow::Owned(text))),
                Some('\n') | None => {
                    return Err(ConditionError::new(start, "literal not terminated"));
                }
                Some('\\') => text.push(self.escape(quote)?),
                Some('\r') => {
                    // Go makes every line end a newline.
                    if self.rest().starts_with('\n') {
                        return Err(ConditionError::new(start, "literal not terminated"));
                    }
                    text.push('\n');
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, quote: char) -> Result<char, ConditionError> {
        let at = self.at - 1;
        let invalid = || {
            ConditionError::new(at, "invalid char escape")
                .hint("a literal in backticks takes backslashes as they are")
        };
        let code = match self.bump().ok_or_else(invalid)? {
            'a' => 0x07,
            'b' => 0x08,
            'f' => 0x0c,
            'n' => u32::from('\n'),
            'r' => u32::from('\r'),
            't' => u32::from('\t'),
            'v' => 0x0b,
            '\\' => u32::from('\\'),
            c if c == quote => u32::from(quote),
            'x' => self.digits(16, 2).ok_or_else(invalid)?,
            'u' if self.rest().starts_with('{') => self.braced_digits().ok_or_else(invalid)?,
            'u' => self.digits(16, 4).ok_or_else(invalid)?,
            'U' => self.digits(16, 8).ok_or_else(invalid)?,
            '0'..='3' => {
                self.at -= 1;
                self.digits(8, 3).ok_or_else(invalid)?
            }
            _ => return Err(invalid()),
        };
        match code {
            // Half of a surrogate pair is no character; Go writes the replacement for it.
            0xd800..=0xdfff => Ok(char::REPLACEMENT_CHARACTER),
            _ => char::from_u32(code).ok_or_else(invalid),
        }
    }

    fn digits(&mut self, base: u32, count: usize) -> Option<u32> {
        let digits = self.rest().get(..count)?;
        if !digits.chars().all(|c| c.is_digit(base)) {
            return None;
        }
        self.at += count;
        u32::from_str_radix(digits, base).ok()
    }

    fn braced_digits(&mut self) -> Option<u32> {
        let (digits, _) = self.rest()[1..].split_once('}')?;
        let well_formed =
            (1..=6).contains(&digits.len()) && digits.chars().all(|c| c.is_ascii_hexdigit());
        if !well_formed {
            return None;
        }
        self.at += digits.len() + 2;
        u32::from_str_radix(digits, 16).ok()
    }

    /// A text in backticks; two of them stand for one.
    fn raw(&mut self) -> Result<TokenKind<'s>, ConditionError> {
        let start = self.at;
        self.at += 1;
        let mut end = self.at;
        loop {
            let Some(tick) = self.source[end..].find('`') else {
                return Err(ConditionError::new(start, "literal not terminated"));
            };
            end += tick + 1;
            if !self.source[end..].starts_with('`') {
                break;
            }
            end += 1;
        }
        let text = &self.source[self.at..end - 1];
        self.at = end;
        Ok(TokenKind::Text(if text.contains('`') {
            Cow::Owned(text.replace("``", "`"))
        } else {
            Cow::Borrowed(text)
        }))
    }

    fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip(&mut self, wanted: fn(char) -> bool) {
        self.at += self
            .rest()
            .find(|c| !wanted(c))
            .unwrap_or(self.rest().len());
    }

    /// Takes one more character where it is one of `valid`, all of them ASCII.
    fn accept(&mut self, valid: &str) {
        if self.peek().is_some_and(|c| valid.contains(c)) {
            self.at += 1;
        }
    }
}

/// Whether `c` can be part of a name.
pub(super) fn is_word(c: char) -> bool {
    c == '_' || c == '$' || c.is_alphanumeric()
}
