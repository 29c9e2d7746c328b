//! Arguments, placeholders and secrets.
//!
//! A template's text holds placeholders, `{{ args.x }}` or `<< args.x >>`. The first spelling follows Argo Rollouts to the letter
//! (fasttemplate with `{{` and `}}`): the first opener pairs with the first closer after it, blanks at both ends of the inner text
//! don't count, nothing else is skipped, an opener without a closer is a fault, a lone closer is text, and values are never
//! rendered again. The second is ours, and a placeholder only where `args.` follows, so that `a << b` stays text.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::fault::{Fault, listed, shown};
use super::nearest::nearest;

/// The longest text that rendering may make.
pub const LONGEST_TEXT: usize = 1 << 20;

/// The values of a run's arguments, all resolved.
#[derive(Clone, Default)]
pub struct Arguments {
    values: BTreeMap<String, String>,
    secret: BTreeSet<String>,
    unresolved: BTreeSet<String>,
}

impl Arguments {
    /// The value of the argument `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Gives the argument `name` a value.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    /// Gives the argument `name` a value that nobody may see.
    pub fn set_secret(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        self.secret.insert(name.clone());
        self.set(name, value);
    }

    /// Records that `name` is declared and has no value. That is a fault of its own: texts that use it aren't reported again.
    pub fn set_unresolved(&mut self, name: impl Into<String>) {
        self.unresolved.insert(name.into());
    }

    /// The names of all arguments, those without a value too, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<&String> = self.values.keys().chain(&self.unresolved).collect();
        names.into_iter().map(String::as_str)
    }

    /// Whether the value of `name` is a secret.
    pub fn is_secret(&self, name: &str) -> bool {
        self.secret.contains(name)
    }

    /// What hides the secrets among the values.
    pub fn masker(&self) -> Masker {
        Masker::new(
            self.secret
                .iter()
                .filter_map(|name| self.values.get(name).cloned()),
        )
    }

    /// Whether `text` uses an argument that has no value, which has been reported already.
    pub fn leaves_unresolved(&self, text: &str) -> bool {
        !self.unresolved.is_empty()
            && scan(text).any(|token| match token {
                Token::Piece(Piece::Placeholder { name, .. }) => self.unresolved.contains(name),
                Token::Piece(Piece::Text(_)) | Token::Fault(_) => false,
            })
    }

    /// The value for a placeholder, or a fault that names it and what there is instead.
    pub fn value_for(&self, name: &str, written: &str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| {
            let fault = Fault::new(
                "",
                format!(
                    "failed to resolve {}: no argument is named {}; the template declares {}",
                    shown_placeholder(written),
                    shown(name),
                    listed(self.names()),
                ),
            );
            match nearest(name, self.names()) {
                Some(meant) => fault.hint(format!("did you mean {}?", shown(meant))),
                None => fault.hint("declare it under `args`"),
            }
        })
    }
}

impl FromIterator<(String, String)> for Arguments {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(iter: T) -> Self {
        Self {
            values: iter.into_iter().collect(),
            ..Self::default()
        }
    }
}

/// Shows no secret.
impl fmt::Debug for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.values.iter().map(|(name, value)| {
            let value = if self.is_secret(name) { MASK } else { value };
            (name, value)
        });
        f.debug_map().entries(values).finish()
    }
}

/// A part of a templated text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Text that stays as it is.
    Text(&'a str),
    /// A placeholder for an argument.
    Placeholder {
        /// The argument's name, without the `args.`.
        name: &'a str,
        /// As it is written, with its braces or angles.
        written: &'a str,
    },
}

/// Cuts `text` at its placeholders, `{{ args.x }}` and `<< args.x >>`; the first thing wrong with it is the error.
/// No piece is empty, and all of them in a row are `text`.
pub fn pieces(text: &str) -> Result<Vec<Piece<'_>>, Fault> {
    scan(text)
        .map(|token| match token {
            Token::Piece(piece) => Ok(piece),
            Token::Fault(fault) => Err(fault),
        })
        .collect()
}

/// Renders `text` with the values as they are; every placeholder that cannot be resolved is a fault.
/// With an argument whose missing value was reported already there is neither a text nor a further fault.
pub fn render(text: &str, args: &Arguments) -> Result<String, Vec<Fault>> {
    let mut rendered = String::with_capacity(text.len());
    let mut faults: Vec<Fault> = Vec::new();
    let mut missing: BTreeSet<&str> = BTreeSet::new();
    let mut is_complete = true;
    for token in scan(text) {
        if faults.len() >= MOST_FAULTS {
            break;
        }
        match token {
            Token::Piece(Piece::Text(text)) => rendered.push_str(text),
            Token::Piece(Piece::Placeholder { name, .. }) if args.unresolved.contains(name) => {
                is_complete = false;
            }
            Token::Piece(Piece::Placeholder { name, .. }) if missing.contains(name) => {}
            Token::Piece(Piece::Placeholder { name, written }) => {
                match args.value_for(name, written) {
                    Ok(value) => rendered.push_str(value),
                    Err(fault) => {
                        missing.insert(name);
                        faults.push(fault);
                    }
                }
            }
            Token::Fault(fault) if faults.contains(&fault) => {}
            Token::Fault(fault) => faults.push(fault),
        }
        if rendered.len() > LONGEST_TEXT {
            faults.push(Fault::new(
                "",
                format!("longer than {LONGEST_TEXT} bytes with its arguments put in"),
            ));
            break;
        }
    }
    if is_complete && faults.is_empty() {
        Ok(rendered)
    } else {
        Err(faults)
    }
}

/// So many different faults of one text are reported.
const MOST_FAULTS: usize = 20;

enum Token<'a> {
    Piece(Piece<'a>),
    Fault(Fault),
}

fn scan(text: &str) -> Scan<'_> {
    Scan {
        rest: text,
        pending: None,
    }
}

struct Scan<'a> {
    rest: &'a str,
    pending: Option<Token<'a>>,
}

impl<'a> Iterator for Scan<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if let Some(token) = self.pending.take() {
            return Some(token);
        }
        if self.rest.is_empty() {
            return None;
        }
        let Some((start, spelling)) = find_opener(self.rest) else {
            return Some(Token::Piece(Piece::Text(std::mem::take(&mut self.rest))));
        };
        let (text, opened) = self.rest.split_at(start);
        let token = if let Some(end) = opened.find(spelling.closer()) {
            let (written, rest) = opened.split_at(end + spelling.closer().len());
            self.rest = rest;
            placeholder(written)
        } else {
            self.rest = "";
            Token::Fault(unclosed(spelling, opened))
        };
        if text.is_empty() {
            return Some(token);
        }
        self.pending = Some(token);
        Some(Token::Piece(Piece::Text(text)))
    }
}

/// The two spellings of a placeholder.
#[derive(Clone, Copy)]
enum Spelling {
    Braces,
    Angles,
}

impl Spelling {
    fn closer(self) -> &'static str {
        match self {
            Self::Braces => "}}",
            Self::Angles => ">>",
        }
    }
}

/// The first place in `text` where a placeholder begins.
fn find_opener(text: &str) -> Option<(usize, Spelling)> {
    let mut from = 0;
    while let Some(found) = text[from..].find(['{', '<']) {
        let start = from + found;
        let opened = &text[start..];
        if opened.starts_with("{{") {
            return Some((start, Spelling::Braces));
        }
        let inner = opened.strip_prefix("<<").map(str::trim_start);
        if inner.is_some_and(|inner| inner.starts_with("args.")) {
            return Some((start, Spelling::Angles));
        }
        from = start + 1;
    }
    None
}

fn placeholder(written: &str) -> Token<'_> {
    let inner = written[2..written.len() - 2].trim();
    match inner.strip_prefix("args.") {
        Some(name) => Token::Piece(Piece::Placeholder { name, written }),
        None => Token::Fault(not_an_argument(inner, written)),
    }
}

fn not_an_argument(inner: &str, written: &str) -> Fault {
    let fault = Fault::new(
        "",
        format!(
            "failed to resolve {}: only arguments can be placed, as {{{{ args.NAME }}}}",
            shown_placeholder(written)
        ),
    );
    if inner.is_empty() || inner.contains(|c: char| !c.is_alphanumeric() && c != '-' && c != '_') {
        fault.hint("braces that are no placeholder need a blank between them: `{ {`")
    } else {
        fault.hint(format!(
            "did you mean {}?",
            shown(&format!("{{{{ args.{inner} }}}}"))
        ))
    }
}

fn unclosed(spelling: Spelling, opened: &str) -> Fault {
    Fault::new(
        "",
        format!(
            "cannot find the end tag `{}` for {}",
            spelling.closer(),
            shown(opened)
        ),
    )
    .hint("braces that are no placeholder need a blank between them: `{ {`")
}

/// A placeholder as a message shows it: as written, without backticks that it doesn't need, cut where it is long.
fn shown_placeholder(written: &str) -> String {
    shown(written).trim_matches('`').to_owned()
}

/// What stands where a secret was.
const MASK: &str = "*****";

/// Replaces secrets in whatever leaves the process: as they are, as a quoted text or a URL holds them, with their blanks on one line
/// or collapsed, and what is left of them before the `…` of a text that was cut.
///
/// Where secrets overlap in a text, all of what they cover is replaced, so that no part of a longer one stays visible.
#[derive(Clone, Default)]
pub struct Masker {
    secrets: Vec<String>,
}

impl Masker {
    /// A masker for these secrets; empty ones are ignored.
    pub fn new(secrets: impl IntoIterator<Item = String>) -> Self {
        let mut secrets: Vec<String> = secrets
            .into_iter()
            .filter(|secret| !secret.is_empty())
            .flat_map(variants)
            .collect();
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    /// `text` with every secret in it replaced by `*****`.
    pub fn mask(&self, text: &str) -> String {
        let mut covered: Vec<(usize, usize)> = self
            .secrets
            .iter()
            .flat_map(|secret| text.match_indices(secret.as_str()))
            .map(|(start, secret)| (start, start + secret.len()))
            .chain(self.cut_in(text))
            .collect();
        covered.sort_unstable();

        let mut masked = String::with_capacity(text.len());
        let mut done = 0;
        for (start, end) in covered {
            if start >= done {
                masked.push_str(&text[done..start]);
                masked.push_str(MASK);
            }
            done = done.max(end);
        }
        masked.push_str(&text[done..]);
        masked
    }

    /// Whether a secret is in `text`. Then nothing that is computed or quoted from it may be told: a part of a secret, or one in capitals,
    /// is not found any more.
    pub fn finds_in(&self, text: &str) -> bool {
        self.mask(text) != text
    }

    /// Where beginnings of secrets stand before a cut.
    fn cut_in<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (usize, usize)> + 'a {
        text.match_indices('…').filter_map(|(cut, _)| {
            let lengths = self.secrets.iter().filter_map(|secret| {
                (SHORTEST_PART..secret.len())
                    .rev()
                    .filter(|length| secret.is_char_boundary(*length))
                    .find(|length| text[..cut].ends_with(&secret[..*length]))
            });
            lengths.max().map(|length| (cut - length, cut))
        })
    }

    /// Whether there is nothing to mask.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }
}

/// Says how many, never which.
impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({} secrets)", self.secrets.len())
    }
}

/// So many bytes of a secret that was cut are hidden: fewer tell nothing, and are the end of many a word.
const SHORTEST_PART: usize = 4;

/// The ways in which `secret` may be written in a text that was made of it.
fn variants(secret: String) -> Vec<String> {
    let on_one_line = secret.replace(char::is_control, " ");
    let collapsed = secret.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut variants = vec![
        escaped(&secret),
        in_quotes(&secret),
        in_block(&secret),
        percent_encoded(&secret),
        shown(&secret).trim_matches('`').to_owned(),
    ];
    variants.extend([on_one_line, collapsed]);
    // A secret of nothing but blanks would hide every blank.
    variants.retain(|variant| !variant.trim().is_empty() && !variant.ends_with('…'));
    variants.push(secret);
    variants
}

/// `text` as it stands in any part of a URL, without a meaning of its own there: all but letters, digits and `-._~` as `%2F`.
pub(super) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes whatever is written to it");
        }
    }
    encoded
}

/// `text` as a query has it between the quotes of a string.
pub(super) fn in_quotes(text: &str) -> String {
    use std::fmt::Write;
    let mut written = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => written.push_str("\\\""),
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            '\r' => written.push_str("\\r"),
            '\t' => written.push_str("\\t"),
            control if control.is_control() => {
                write!(written, "\\u{:04X}", u32::from(control)).expect("a string takes any text");
            }
            other => written.push(other),
        }
    }
    written
}

/// `text` as a query has it in a block string.
pub(super) fn in_block(text: &str) -> String {
    text.replace(r#"""""#, r#"\""""#)
}

/// `secret` as it stands between the quotes of a JSON string.
fn escaped(secret: &str) -> String {
    let quoted = serde_json::Value::from(secret).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arguments(values: &[(&str, &str)]) -> Arguments {
        values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn check(text: &str, expected: &str) {
        let args = arguments(&[
            ("x", "1"),
            ("service-name", "a.b"),
            ("braces", "{{args.x}}"),
        ]);
        let rendered = match render(text, &args) {
            Ok(text) => text,
            Err(faults) => faults
                .iter()
                .map(|fault| format!("! {}", fault.message))
                .collect::<Vec<_>>()
                .join("\n"),
        };
        assert_eq!(rendered, expected, "for `{text}`");
    }

    #[test]
    fn both_spellings_are_rendered() {
        check("{{args.x}}-{{ args.x }}-{{\n args.x\t}}", "1-1-1");
        check("<<args.x>>-<< args.service-name >>", "1-a.b");
        check("{{args.braces}}<<args.x>>", "{{args.x}}1");
        check("", "");
    }

    #[test]
    fn other_angles_and_lone_braces_are_text() {
        check("a << b >> c", "a << b >> c");
        check("x <<< args.x >> < <<", "x <1 < <<");
        check("}} { {args.x} } <args.x>", "}} { {args.x} } <args.x>");
        check("<< arg.x >>", "<< arg.x >>");
    }

    #[test]
    fn the_first_opener_pairs_with_the_first_closer() {
        check(
            "{{{args.x}}}",
            "! failed to resolve {{{args.x}}: only arguments can be placed, as {{ args.NAME }}",
        );
        check("{{args.x}}}", "1}");
        check(
            "{{args.a {{args.x}}",
            "! failed to resolve {{args.a {{args.x}}: no argument is named `a {{args.x`; the template declares `braces`, `service-name`, `x`",
        );
        check(
            "{{ << args.x >> }}",
            "! failed to resolve {{ << args.x >> }}: only arguments can be placed, as {{ args.NAME }}",
        );
    }

    #[test]
    fn all_that_is_wrong_is_told_once() {
        check(
            "{{args.y}} {{args.y}} {{}} << args.z",
            "! failed to resolve {{args.y}}: no argument is named `y`; the template declares `braces`, `service-name`, `x`\n\
             ! failed to resolve {{}}: only arguments can be placed, as {{ args.NAME }}\n\
             ! cannot find the end tag `>>` for `<< args.z`",
        );
    }

    #[test]
    fn hints_lead_to_the_argument() {
        let hint = |text: &str| {
            let faults = render(text, &arguments(&[("latency", "1")])).unwrap_err();
            faults[0].hint.clone().unwrap_or_default()
        };
        assert_eq!(hint("{{args.latancy}}"), "did you mean `latency`?");
        assert_eq!(hint("{{latency}}"), "did you mean `{{ args.latency }}`?");
        assert_eq!(hint("{{args.q}}"), "declare it under `args`");
    }

    #[test]
    fn a_missing_value_is_not_told_twice() {
        let mut args = arguments(&[]);
        args.set_unresolved("x");
        assert_eq!(render("{{args.x}}", &args), Err(vec![]));
        assert!(args.leaves_unresolved("a <<args.x>>"));
        assert!(!args.leaves_unresolved("a"));
    }

    #[test]
    fn rendering_is_bounded() {
        let args = arguments(&[("x", &"a".repeat(100_000))]);
        let faults = render(&"{{args.x}}".repeat(100_000), &args).unwrap_err();
        assert_eq!(faults.len(), 1);
        assert!(faults[0].message.contains("1048576 bytes"));
        let faults = render(&"{{".repeat(500_000), &arguments(&[])).unwrap_err();
        assert!(faults[0].to_string().len() < 400);
    }

    #[test]
    fn openers_that_never_close_take_no_quadratic_time() {
        // Each would search the rest of a megabyte, a hundred thousand times.
        check(&"<< ".repeat(300_000), &"<< ".repeat(300_000));
        let many = format!("{}{{{{args.x}}}}", "<<".repeat(300_000));
        assert!(render(&many, &arguments(&[("x", "1")])).is_ok());
        let many = "{{args.x}}<<".repeat(50_000);
        assert!(render(&many, &arguments(&[("x", "1")])).is_ok());
    }

    #[test]
    fn secrets_are_masked() {
        let masker =
            Masker::new(["12345", "abc", "abcdef", "", "cdefgh", "a\"b\n"].map(str::to_owned));
        let check = |text: &str, expected: &str| assert_eq!(masker.mask(text), expected);
        check("x123456", "x*****6");
        check("abcdef abc", "***** *****");
        check("xabcdefghx", "x*****x");
        check(r#"{"q":"a\"b\n"}"#, r#"{"q":"*****"}"#);
        check("nothing", "nothing");
        check("", "");
    }

    #[test]
    fn a_secret_is_hidden_where_a_text_was_put_on_one_line_or_cut() {
        let masker = Masker::new(["first\nsecond\t third".to_owned(), "\n".to_owned()]);
        let check = |text: &str, expected: &str| assert_eq!(masker.mask(text), expected, "{text}");
        check("a first second  third b", "a ***** b");
        check("a first second third b", "a ***** b");
        check(r"a first\nsecond\t third b", "a ***** b");
        check("a first second th… b", "a *****… b");
        check("a firs…", "a *****…");
        check("a fir…", "a fir…");
        check("a firs b", "a firs b");
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut args = arguments(&[("x", "1")]);
        args.set_secret("token", "s3cret");
        assert_eq!(format!("{args:?}"), r#"{"token": "*****", "x": "1"}"#);
        assert_eq!(format!("{:?}", args.masker()), "Masker(1 secrets)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn pieces_in_a_row_are_the_text(text in "[a{}<> .args]{0,40}") {
            if let Ok(pieces) = pieces(&text) {
                let joined: String = pieces
                    .iter()
                    .map(|piece| match piece {
                        Piece::Text(text) => *text,
                        Piece::Placeholder { written, .. } => *written,
                    })
                    .collect();
                prop_assert_eq!(joined, text);
            }
        }

        #[test]
        fn rendering_leaves_no_placeholder(
            parts in proptest::collection::vec(("[a-z {}<>]{0,6}", prop::bool::ANY), 0..8),
            value in "[a-z0-9]{0,8}",
        ) {
            let text: String = parts
                .iter()
                .flat_map(|(text, braces)| {
                    [text.as_str(), if *braces { "{{ args.x }}" } else { "<<args.x>>" }]
                })
                .collect();
            if let Ok(rendered) = render(&text, &arguments(&[("x", &value)])) {
                prop_assert!(!rendered.contains("args.x"), "{}", rendered);
            }
        }

        #[test]
        fn no_secret_is_left(
            secrets in proptest::collection::vec("[ab\"\\\\]{1,5}", 1..4),
            noise in "[ab\"\\\\ ]{0,20}",
        ) {
            let masker = Masker::new(secrets.iter().cloned());
            let text = format!("{noise}{}{noise}", secrets.concat());
            let masked = masker.mask(&text);
            for secret in &secrets {
                prop_assert!(!masked.contains(secret.as_str()), "{} in {}", secret, masked);
            }
        }
    }
}
