//! Who may do what: bearer tokens and their scopes, and on a loopback address nobody from elsewhere.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serde_json::Value;
use subtle::ConstantTimeEq;

use super::App;
use super::problem::{Kind, Problem};
use crate::documents;
use crate::domain::fault::shown;

/// The shortest token that is taken: shorter ones can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// What a token allows. Each scope has those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// To look at everything.
    Read,
    /// To start, change and end runs, and to measure.
    Run,
    /// To change templates, and to delete.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Run, Self::Admin];

    /// Its name in a file of tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Who may do what.
#[derive(Clone, Debug)]
pub enum Access {
    /// Everybody everything: the operator says that the network takes care of it.
    Open,
    /// Everybody on this machine everything, and no page in a browser that comes from elsewhere.
    Loopback,
    /// Whoever has a token what its scope allows.
    Tokens(Arc<Tokens>),
}

impl Access {
    /// Who a caller with `token` is, if that caller may do what `scope` says.
    pub fn allows(&self, token: Option<&str>, scope: Scope) -> Result<Caller, Problem> {
        let tokens = match self {
            Self::Open | Self::Loopback => return Ok(Caller::default()),
            Self::Tokens(tokens) => tokens,
        };
        let Some(token) = token else {
            let problem = Problem::new(
                Kind::Unauthorized,
                "a token is needed: send the header `authorization: Bearer TOKEN`",
            );
            return Err(problem.challenge("Bearer realm=\"skygate\""));
        };
        let Some(holder) = tokens.find(token) else {
            let problem = Problem::new(Kind::Unauthorized, "nobody has this token");
            return Err(problem.challenge("Bearer realm=\"skygate\", error=\"invalid_token\""));
        };
        if holder.scope < scope {
            return Err(Problem::new(
                Kind::Forbidden,
                format!(
                    "the token `{}` has the scope `{}`, and this takes `{}`",
                    holder.name,
                    holder.scope.name(),
                    scope.name()
                ),
            )
            .challenge("Bearer realm=\"skygate\", error=\"insufficient_scope\""));
        }
        Ok(Caller(holder.name))
    }

    /// Refuses what a page from elsewhere makes a browser on this machine send. A name that leads here for a moment, and a form that is sent across, need no token.
    pub(super) fn refuse_strangers(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
        match self {
            Self::Open | Self::Tokens(_) => return Ok(()),
            Self::Loopback => {}
        }
        let host = headers
            .get(HOST)
            .map(|host| host.to_str().unwrap_or_default());
        let host = host.or_else(|| uri.authority().map(Authority::as_str));
        if let Some(host) = host.filter(|host| !is_here(host)) {
            return Err(Problem::new(
                Kind::Misdirected,
                format!(
                    "this service listens on loopback and is not {}; call it `localhost`, or start it with --tokens FILE or --open",
                    shown(host)
                ),
            ));
        }
        let origin = headers
            .get(ORIGIN)
            .map(|it| it.to_str().unwrap_or_default());
        let is_strange = |origin: &&str| {
            let authority = origin.split_once("://").map(|(_, authority)| authority);
            !authority.is_some_and(is_here)
        };
        match origin.filter(is_strange) {
            None => Ok(()),
            Some(origin) => Err(Problem::new(
                Kind::Forbidden,
                format!(
                    "a page from {} sent this; without tokens only pages of this machine are heard",
                    shown(origin)
                ),
            )),
        }
    }
}

/// Whether `authority`, a host and perhaps a port, means this machine.
fn is_here(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Who makes a request: the name of the token; empty where none is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller(Arc<str>);

impl Caller {
    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Lets a request through whose caller may do what the scope says.
pub(super) async fn authorize(
    State((app, scope)): State<(Arc<App>, Scope)>,
    mut request: Request,
) -> Result<Request, Problem> {
    let caller = app.access.allows(bearer(request.headers()), scope)?;
    if !caller.0.is_empty() {
        request.extensions_mut().insert(caller);
    }
    Ok(request)
}

/// The token in `authorization: Bearer TOKEN`.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The tokens that there are; they can be replaced while they are in use.
pub struct Tokens {
    known: RwLock<Vec<Holder>>,
}

/// Says who, never what.
impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let names = known.iter().map(|holder| (&holder.name, holder.scope));
        f.debug_map().entries(names).finish()
    }
}

/// Who has a token. The token itself is kept nowhere.
#[derive(Clone)]
struct Holder {
    name: Arc<str>,
    scope: Scope,
    digest: [u8; SHA256_OUTPUT_LEN],
}

/// Why a file of tokens can't be used. Never shows a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokensError {
    /// Neither lines nor a list.
    #[error(
        "expected lines of `NAME SCOPE TOKEN`, or a YAML list of objects with `name`, `scope` and `token` or `sha256`"
    )]
    Unreadable,
    /// Nobody could get in.
    #[error("there is no token in it")]
    Empty,
    /// One entry is wrong.
    #[error("entry {number}: {wrong}")]
    Entry {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        wrong: &'static str,
    },
}

impl Tokens {
    /// Reads a file of tokens: lines of a name, a scope and a token or `sha256:` and its digest in hexadecimal digits, or the same as a YAML list.
    pub fn parse(text: &str) -> Result<Self, TokensError> {
        let lines = || {
            let lines = text.lines().map(str::trim);
            lines.filter(|line| !line.is_empty() && !line.starts_with('#'))
        };
        let is_list = lines()
            .next()
            .is_some_and(|line| line.starts_with(['-', '[']) || line == "---");
        let written: Vec<Written> = if is_list {
            listed(text)?
        } else {
            lines().map(Written::of_line).collect()
        };
        let mut known: Vec<Holder> = Vec::with_capacity(written.len());
        for (i, written) in written.into_iter().enumerate() {
            let number = i + 1;
            let holder = written
                .holder()
                .map_err(|wrong| TokensError::Entry { number, wrong })?;
            if known.iter().any(|other| other.name == holder.name) {
                let wrong = "its name is given twice";
                return Err(TokensError::Entry { number, wrong });
            }
            known.push(holder);
        }
        if known.is_empty() {
            return Err(TokensError::Empty);
        }
        Ok(Self {
            known: RwLock::new(known),
        })
    }

    /// Has the tokens of `other` instead from now on.
    pub fn replace(&self, other: Self) {
        let other = other.known.into_inner();
        *self.known.write().unwrap_or_else(PoisonError::into_inner) =
            other.unwrap_or_else(PoisonError::into_inner);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.len()
    }

    /// Who has `token`. Digests are compared, each of them to its end, so that the time it takes tells nothing.
    fn find(&self, token: &str) -> Option<Holder> {
        let given = digest(&SHA256, token.as_bytes());
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = None;
        for holder in known.iter() {
            if bool::from(holder.digest.as_slice().ct_eq(given.as_ref())) {
                found = Some(holder.clone());
            }
        }
        found
    }
}

/// An entry as somebody wrote it.
#[derive(Default)]
struct Written {
    name: String,
    scope: String,
    token: Option<String>,
    sha256: Option<String>,
    /// Whether there is more that nobody asked for.
    has_more: bool,
}

impl Written {
    fn of_line(line: &str) -> Self {
        let mut words = line.split_whitespace().map(str::to_owned);
        let (name, scope) = (words.next(), words.next());
        let secret = words.next();
        let digest = secret
            .as_deref()
            .and_then(|secret| secret.strip_prefix("sha256:"))
            .map(str::to_owned);
        Self {
            name: name.unwrap_or_default(),
            scope: scope.unwrap_or_default(),
            token: secret.filter(|_| digest.is_none()),
            sha256: digest,
            has_more: words.next().is_some(),
        }
    }

    fn of_value(value: &Value) -> Option<Self> {
        let mut written = Self::default();
        for (field, value) in value.as_object()? {
            let text = value.as_str().map(str::to_owned);
            match field.as_str() {
                "name" => written.name = text.unwrap_or_default(),
                "scope" => written.scope = text.unwrap_or_default(),
                "token" => written.token = Some(text.unwrap_or_default()),
                "sha256" => written.sha256 = Some(text.unwrap_or_default()),
                _ => written.has_more = true,
            }
        }
        Some(written)
    }

    fn holder(self) -> Result<Holder, &'static str> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(is_plain) {
            return Err("expected a name of up to 64 letters, digits and `-_.@`");
        }
        let scope = Scope::named(&self.scope)
            .ok_or("expected the scope `read`, `run` or `admin` after the name")?;
        if self.has_more {
            return Err("has more than a name, a scope and a token");
        }
        let digest = match (self.token, self.sha256) {
            (Some(token), None) if token.starts_with("CHANGE-ME") => {
                return Err("its token is that of an example: put one of your own in its place");
            }
            (Some(token), None) if token.len() < SHORTEST_TOKEN => {
                return Err("its token is shorter than 16 bytes, and could be guessed");
            }
            (Some(token), None) => {
                let digest = digest(&SHA256, token.as_bytes());
                digest.as_ref().try_into().ok()
            }
            (None, Some(digits)) => of_hex(&digits),
            (None, None) | (Some(_), Some(_)) => {
                return Err("expected either a token or its SHA-256");
            }
        };
        Ok(Holder {
            name: self.name.into(),
            scope,
            digest: digest.ok_or("expected 64 hexadecimal digits as SHA-256")?,
        })
    }
}

fn listed(text: &str) -> Result<Vec<Written>, TokensError> {
    // What is wrong with the text is not told: it may show a token.
    let value = documents::one(text.as_bytes()).map_err(|_| TokensError::Unreadable)?;
    let items = value.as_array().ok_or(TokensError::Unreadable)?;
    let written: Option<Vec<Written>> = items.iter().map(Written::of_value).collect();
    written.ok_or(TokensError::Unreadable)
}

fn of_hex(digits: &str) -> Option<[u8; SHA256_OUTPUT_LEN]> {
    let mut bytes = [0; SHA256_OUTPUT_LEN];
    let digits = digits.as_bytes();
    if digits.len() != 2 * bytes.len() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef";
    const DIGEST: &str = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";

    fn scopes(text: &str) -> Result<Option<(String, Scope)>, TokensError> {
        let tokens = Tokens::parse(text)?;
        Ok(tokens
            .find(TOKEN)
            .map(|holder| (holder.name.to_string(), holder.scope)))
    }

    #[test]
    fn lines_and_lists() {
        let ci = Ok(Some(("ci".to_owned(), Scope::Run)));
        for text in [
            format!("# who may\n\nci run {TOKEN}\nroot admin fedcba9876543210\n"),
            format!("ci run sha256:{DIGEST}"),
            format!("- {{name: ci, scope: run, token: {TOKEN}}}\n"),
            format!("---\n- name: ci\n  scope: run\n  sha256: {DIGEST}\n"),
            format!(r#"[{{"name": "ci", "scope": "run", "token": "{TOKEN}"}}]"#),
        ] {
            assert_eq!(scopes(&text), ci, "{text}");
        }
        assert_eq!(scopes("x read fedcba9876543210"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_told_without_the_token() {
        let check = |text: &str, expected: &str| {
            let error = scopes(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        };
        check("", "no token in it");
        check(
            "ci run CHANGE-ME-pipelines",
            "entry 1: its token is that of an example",
        );
        check("ci run hunter2", "entry 1: its token is shorter");
        check("ci run", "entry 1: expected either a token");
        check(
            "ci root hunter2hunter2hunter2",
            "entry 1: expected the scope",
        );
        check("ci run hunter2hunter2hunter2 x", "entry 1: has more");
        check("ci run sha256:hunter2", "entry 1: expected 64");
        check(
            "ci run hunter2hunter2hunter2\nci read hunter2hunter2hunter3",
            "entry 2: its name is given twice",
        );
        check("- hunter2hunter2hunter2", "expected lines of");
        check("- {name: ci, token: hunter2", "expected lines of");
        check(
            "- {name: ci, scope: run, token: hunter2hunter2hunter2, x: 1}",
            "entry 1: has more",
        );
    }

    #[test]
    fn a_scope_has_those_before_it() {
        let tokens = Tokens::parse(&format!("ci run {TOKEN}")).unwrap();
        let access = Access::Tokens(Arc::new(tokens));
        let kind = |token, scope| access.allows(token, scope).map_err(|it| it.kind());
        assert_eq!(kind(Some(TOKEN), Scope::Read).unwrap().name(), "ci");
        assert_eq!(kind(Some(TOKEN), Scope::Run).unwrap().name(), "ci");
        assert_eq!(kind(Some(TOKEN), Scope::Admin), Err(Kind::Forbidden));
        assert_eq!(kind(Some("x"), Scope::Read), Err(Kind::Unauthorized));
        assert_eq!(kind(None, Scope::Read), Err(Kind::Unauthorized));
        assert!(!format!("{access:?}").contains(TOKEN));
    }

    #[test]
    fn this_machine_and_no_other() {
        for here in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1:8480",
            "127.9.9.9",
            "[::1]:8480",
        ] {
            assert!(is_here(here), "{here}");
        }
        for elsewhere in [
            "evil.example",
            "localhost.evil.example:80",
            "10.0.0.1",
            "",
            "a b",
            "null",
        ] {
            assert!(!is_here(elsewhere), "{elsewhere}");
        }
    }
}
