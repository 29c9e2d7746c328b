//! Arguments into the template of a query, so that none can change the query's shape.
//!
//! The template is lexed, not the result: whether a placeholder stands in a string, in a comment or in neither is decided by
//! what the author wrote, and a value that would lead a lexer elsewhere is refused.

use super::lexer::{Escape, Place, continues_name, is_name, is_number};
use super::{MAX_BYTES, shown};
use crate::domain::args::{self, Arguments, Piece};
use crate::domain::fault::Fault;

/// What stands for a value that was refused, so that the rest of the template is looked at all the same.
const HARMLESS: &str = "x";

/// Renders `template`; the result may still be no query at all.
pub(super) fn render(template: &str, args: &Arguments) -> Result<String, Vec<Fault>> {
    let pieces = args::pieces(template).map_err(|fault| vec![fault])?;
    if let Some((name, written)) = sole_placeholder(&pieces) {
        return whole(name, written, args);
    }
    let mut renderer = Renderer::default();
    let mut pieces = pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        match piece {
            Piece::Text(text) => renderer.text(text),
            Piece::Placeholder { name, written } => match args.value_for(name, written) {
                Ok(value) => renderer.value(name, value, glues(pieces.peek().copied())),
                Err(fault) => renderer.unresolved(fault),
            },
        }
        if renderer.out.len() > MAX_BYTES {
            renderer.faults.push(too_large());
            break;
        }
    }
    if renderer.faults.is_empty() {
        Ok(renderer.out)
    } else {
        Err(renderer.faults)
    }
}

/// The fault of a query over [`MAX_BYTES`].
pub(super) fn too_large() -> Fault {
    Fault::new(
        "",
        format!("the rendered query is larger than {MAX_BYTES} bytes"),
    )
}

/// The name in a template that is nothing but one placeholder, and how it is written: its caller writes the whole query.
fn sole_placeholder<'a>(pieces: &[Piece<'a>]) -> Option<(&'a str, &'a str)> {
    let mut sole = None;
    for piece in pieces {
        match piece {
            Piece::Text(text) if text.trim().is_empty() => {}
            Piece::Placeholder { name, written } if sole.is_none() => {
                sole = Some((*name, *written));
            }
            Piece::Text(_) | Piece::Placeholder { .. } => return None,
        }
    }
    sole
}

fn whole(name: &str, written: &str, args: &Arguments) -> Result<String, Vec<Fault>> {
    match args.value_for(name, written) {
        Ok(query) if query.len() > MAX_BYTES => Err(vec![too_large()]),
        Ok(query) => Ok(query.to_owned()),
        Err(fault) => Err(vec![fault]),
    }
}

/// Whether a value would grow together with what follows it.
fn glues(next: Option<&Piece<'_>>) -> bool {
    match next {
        Some(Piece::Text(text)) => text.starts_with(continues_name),
        Some(Piece::Placeholder { .. }) => true,
        None => false,
    }
}

#[derive(Debug)]
struct Renderer {
    out: String,
    faults: Vec<Fault>,
    place: Place,
    /// The line of the template, from 1.
    line: usize,
    /// Whether a value was the last thing written.
    after_value: bool,
    /// Whether the last token was `...`.
    after_spread: bool,
    /// Where the content of the string at hand begins in `out`.
    string_start: usize,
    /// Whether only white space stands before us in a line of a block string.
    line_is_blank: bool,
}

impl Default for Renderer {
    fn default() -> Self {
        Self {
            out: String::new(),
            faults: Vec::new(),
            place: Place::Between,
            line: 1,
            after_value: false,
            after_spread: false,
            string_start: 0,
            line_is_blank: true,
        }
    }
}

impl Renderer {
    fn text(&mut self, text: &str) {
        if self.after_value && self.place == Place::Block && self.joins_quotes(text) {
            self.refuse("a value before it ends in a quote or a backslash, which would join the quote that follows".to_owned());
        }
        let mut rest = text;
        while !rest.is_empty() {
            let before = self.place;
            let lexeme = self.place.step(rest);
            rest = &rest[lexeme.len()..];
            self.follow(before, lexeme, rest);
            self.out.push_str(lexeme);
            if before == Place::Between && self.place != Place::Between {
                self.string_start = self.out.len();
            }
        }
        self.after_value &= text.is_empty();
    }

    /// Keeps track of what the place alone doesn't tell.
    fn follow(&mut self, before: Place, lexeme: &str, rest: &str) {
        if lexeme == "\n" {
            self.line += 1;
        }
        match (before, self.place) {
            (Place::Between, Place::Between) => match lexeme {
                "..." => self.after_spread = true,
                " " | "\t" | "\n" | "\r" | "," | "\u{feff}" => {}
                _ => self.after_spread = false,
            },
            (Place::Between, Place::Block) => self.line_is_blank = true,
            (Place::Block, Place::Block) => match lexeme {
                "\n" | "\r" => self.line_is_blank = true,
                _ => self.line_is_blank &= lexeme.chars().all(char::is_whitespace),
            },
            // An empty value makes `"` out of `"x"`, which must not meet a third quote.
            (Place::Quoted(_), Place::Between)
                if self.out.len() == self.string_start
                    && self.after_value
                    && rest.starts_with('"') =>
            {
                self.refuse(
                    "an empty value is followed by two quotes: put a space between the strings"
                        .to_owned(),
                );
            }
            (
                Place::Between | Place::Comment | Place::Quoted(_) | Place::Block,
                Place::Between | Place::Comment | Place::Quoted(_) | Place::Block,
            ) => {}
        }
        self.after_value = false;
    }

    fn value(&mut self, name: &str, value: &str, glued_after: bool) {
        // Much larger than it can grow to, and not worth reading through.
        if value.len() > MAX_BYTES {
            self.refuse(format!(
                "{} for the argument `{name}` is more than a query can hold ({MAX_BYTES} bytes)",
                shown(value)
            ));
            return;
        }
        let written = match self.place {
            Place::Between => self.token(name, value, glued_after),
            Place::Comment => Ok(value.replace(char::is_control, " ")),
            Place::Quoted(escape) => quoted(name, value, escape),
            Place::Block => self.block(name, value),
        };
        match written {
            Ok(written) => {
                self.out.push_str(&written);
                self.after_value = true;
                self.after_spread &= self.place == Place::Comment;
                self.line_is_blank = false;
            }
            Err(message) => self.refuse(message),
        }
    }

    fn token(&self, name: &str, value: &str, glued_after: bool) -> Result<String, String> {
        if !is_name(value) && !is_number(value) {
            return Err(format!(
                "{} for the argument `{name}` is not a single GraphQL name, number, boolean or enum value: outside of a string nothing else is accepted",
                shown(value)
            ));
        }
        let glued = glued_after || self.out.ends_with(continues_name);
        if glued && !value.chars().all(continues_name) {
            return Err(format!(
                "{} for the argument `{name}` does not fit into the name that it is a part of",
                shown(value)
            ));
        }
        if self.after_spread && value == "on" {
            return Err(format!(
                "`on` for the argument `{name}` is no name of a fragment"
            ));
        }
        Ok(value.to_owned())
    }

    fn block(&self, name: &str, value: &str) -> Result<String, String> {
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(format!(
                "{} for the argument `{name}` has a line break or a control character, which a block string would not keep: use a `\"…\"` string",
                shown(value)
            ));
        }
        if self.line_is_blank && value.chars().next().is_none_or(char::is_whitespace) {
            return Err(format!(
                "{} for the argument `{name}` is empty or begins with a space where the line of a block string begins, which would not be kept: use a `\"…\"` string",
                shown(value)
            ));
        }
        let written = args::in_block(value);
        if self.joins_quotes(&written) {
            return Err(format!(
                "{} for the argument `{name}` begins with a quote, which would join the one before it: use a `\"…\"` string",
                shown(value)
            ));
        }
        Ok(written)
    }

    /// Whether what is written and `next` would make a delimiter of a block string where they meet.
    fn joins_quotes(&self, next: &str) -> bool {
        self.out.ends_with(['"', '\\']) && next.starts_with('"')
    }

    fn refuse(&mut self, message: String) {
        self.unresolved(Fault::new("", message));
    }

    fn unresolved(&mut self, fault: Fault) {
        let message = if self.line > 1 {
            format!("line {}: {}", self.line, fault.message)
        } else {
            fault.message
        };
        self.faults.push(Fault { message, ..fault });
        self.out.push_str(HARMLESS);
        self.after_value = false;
    }
}

/// `value` as a part of a `"…"`.
fn quoted(name: &str, value: &str, escape: Escape) -> Result<String, String> {
    if escape != Escape::None {
        return Err(format!(
            "the placeholder of `{name}` stands within an escape sequence"
        ));
    }
    Ok(args::in_quotes(value))
}
