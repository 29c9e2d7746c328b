//! What handlers take out of a request. Whatever is refused is refused as a [`Problem`].

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use jiff::Timestamp;
use serde_json::Value;

use super::App;
use super::problem::{Kind, Problem};
use crate::documents;
use crate::domain::duration::{DURATION_HINT, GoDuration};
use crate::domain::fault::{Fault, Faults, listed, shown};
use crate::domain::nearest::nearest;
use crate::domain::run::RunId;

/// The longest body of a request that is no file of templates: 1 MiB.
const LONGEST_BODY: usize = 1 << 20;

/// The longest body of a hook, 64 KiB: its token may stand within, so that anybody's is read. Flagger's are below 4 KiB.
const LONGEST_HOOK: usize = 64 << 10;

/// The most parameters that are read.
const MOST_PARAMETERS: usize = 100;

/// The run that a path names.
#[derive(Debug)]
pub(super) struct Id(pub(super) RunId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(id) = path.map_err(|_| not_utf8())?;
        Ok(Self(RunId(id)))
    }
}

/// The namespace and the name that a path names.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((namespace, name)) = path.map_err(|_| not_utf8())?;
        Ok(Self { namespace, name })
    }
}

/// The one name that a path has.
#[derive(Debug)]
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(name)| Self(name)).map_err(|_| not_utf8())
    }
}

fn not_utf8() -> Problem {
    Problem::new(Kind::Malformed, "the path is no UTF-8 text")
}

/// A body that is one document, YAML or JSON; null where there is none.
#[derive(Debug)]
pub(super) struct Document(pub(super) Value);

impl FromRequest<Arc<App>> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let bytes = text(app, request, LONGEST_BODY).await?;
        documents::one(&bytes).map(Self).map_err(Problem::malformed)
    }
}

/// A body as it came, up to the same length.
#[derive(Debug)]
pub(super) struct Unread(pub(super) Bytes);

impl FromRequest<Arc<App>> for Unread {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        text(app, request, LONGEST_HOOK).await.map(Self)
    }
}

/// A body that is a file of manifests, unread.
#[derive(Debug)]
pub(super) struct Manifests(pub(super) Bytes);

impl FromRequest<Arc<App>> for Manifests {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        text(app, request, documents::LONGEST_TEXT).await.map(Self)
    }
}

async fn text(app: &App, request: Request, longest: usize) -> Result<Bytes, Problem> {
    refuse_other_forms(request.headers())?;
    let too_large = || {
        Problem::new(
            Kind::TooLarge,
            format!("the body is longer than {longest} bytes"),
        )
    };
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let body = request.into_body();
    let least = announced.unwrap_or_else(|| body.size_hint().lower());
    if usize::try_from(least).map_or(true, |least| least > longest) {
        return Err(too_large());
    }
    let within = app.settings.body_within;
    let read = tokio::time::timeout(within, axum::body::to_bytes(body, longest)).await;
    match read {
        Err(_) => Err(Problem::new(
            Kind::TimedOut,
            format!("the body did not arrive within {within:?}"),
        )),
        Ok(Err(error)) if is_too_large(&error) => Err(too_large()),
        Ok(Err(_)) => Err(Problem::new(
            Kind::Malformed,
            "the body broke off before its end",
        )),
        Ok(Ok(bytes)) => Ok(bytes),
    }
}

fn is_too_large(error: &axum::Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if cause.to_string() == "length limit exceeded" {
            return true;
        }
        next = cause.source();
    }
    false
}

/// JSON and YAML are told apart by looking. `curl` says that anything is a form unless it is told otherwise.
fn refuse_other_forms(headers: &HeaderMap) -> Result<(), Problem> {
    const READ: [&str; 9] = [
        "application/json",
        "application/merge-patch+json",
        "application/yaml",
        "application/x-yaml",
        "text/yaml",
        "text/x-yaml",
        "text/plain",
        "application/octet-stream",
        "application/x-www-form-urlencoded",
    ];
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let given = String::from_utf8_lossy(given.as_bytes());
    let kind = given.split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    if READ.contains(&kind.as_str()) || kind.ends_with("+json") || kind.ends_with("+yaml") {
        return Ok(());
    }
    Err(Problem::new(
        Kind::UnsupportedMediaType,
        format!(
            "the body is {}; `application/json` or `application/yaml` was expected",
            shown(&kind)
        ),
    ))
}

/// The names and values in the query of a URL. Bytes that are no text are refused, not replaced.
pub(super) fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Problem> {
    let unreadable = |why: &str| {
        let detail = format!("the query of the URL {why}");
        Problem::new(Kind::Malformed, detail)
    };
    let query = uri.query().unwrap_or_default();
    if std::str::from_utf8(&unescaped(query)).is_err() {
        return Err(unreadable("is no UTF-8 text"));
    }
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    pairs
        .map(|Query(pairs)| pairs)
        .map_err(|_| unreadable("cannot be read"))
}

/// The bytes that a query stands for. What is no escape stands for itself, as everywhere on the web.
fn unescaped(query: &str) -> Vec<u8> {
    let hex = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        let byte = escaped.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    bytes
}

/// The parameters of a query: each is asked for by name, and what nobody asked for is refused.
#[derive(Debug)]
pub(super) struct Parameters {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Result<Self, Problem> {
        let left = pairs(uri)?;
        if left.len() > MOST_PARAMETERS {
            return Err(Problem::new(
                Kind::Malformed,
                format!("the URL has more than {MOST_PARAMETERS} parameters"),
            ));
        }
        Ok(Self {
            left,
            known: Vec::new(),
            faults: Vec::new(),
        })
    }

    /// All values of a parameter; empty ones don't count.
    pub(super) fn all(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let (found, left) = std::mem::take(&mut self.left)
            .into_iter()
            .partition(|(given, _)| given == name);
        self.left = left;
        let found: Vec<(String, String)> = found;
        let values = found.into_iter().map(|(_, value)| value);
        values.filter(|value| !value.is_empty()).collect()
    }

    /// The value of a parameter.
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let mut values = self.all(name);
        if values.len() > 1 {
            self.fault(name, "is given twice".to_owned());
        }
        values.pop()
    }

    /// Where a page goes on, as `read` understands what callers hand back of it.
    pub(super) fn cursor<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let text = self.text("cursor")?;
        let place = read(&text);
        if place.is_none() {
            self.fault(
                "cursor",
                format!(
                    "expected what an earlier page had as `next`, found {}",
                    shown(&text)
                ),
            );
        }
        place
    }

    /// A moment: RFC 3339, or a number since 1970, of milliseconds as Grafana has them or of seconds.
    pub(super) fn moment(&mut self, name: &'static str) -> Option<Timestamp> {
        let text = self.text(name)?;
        let since_1970 = text.parse().ok().map(since_1970);
        let moment = since_1970.unwrap_or_else(|| text.parse().ok());
        if moment.is_none() {
            self.fault(
                name,
                format!(
                    "expected a moment such as 2026-11-23T09:12:00Z, or milliseconds or seconds since 1970, found {}",
                    shown(&text)
                ),
            );
        }
        moment
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        range: std::ops::RangeInclusive<usize>,
    ) -> Option<usize> {
        let text = self.text(name)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            self.fault(
                name,
                format!(
                    "expected a number from {} to {}, found {}",
                    range.start(),
                    range.end(),
                    shown(&text)
                ),
            );
        }
        number
    }

    /// A Go duration, or plain seconds.
    pub(super) fn span(&mut self, name: &'static str) -> Option<Duration> {
        let text = self.text(name)?;
        let seconds = text.parse().ok().map(Duration::from_secs);
        let span = seconds.or_else(|| GoDuration::parse(&text).ok()?.to_std());
        if span.is_none() {
            let message = format!("expected a duration, found {}", shown(&text));
            self.faults
                .push(Fault::new(name, message).hint(DURATION_HINT));
        }
        span
    }

    pub(super) fn fault(&mut self, name: &str, message: String) {
        self.faults.push(Fault::new(name, message));
    }

    /// `value` where nothing was wrong.
    pub(super) fn done<T>(self, value: T) -> Result<T, Problem> {
        let Self {
            left,
            known,
            mut faults,
        } = self;
        for (name, _) in left {
            let fault = Fault::new(
                shown(&name).trim_matches('`'),
                format!(
                    "unknown parameter; known here: {}",
                    listed(known.iter().copied())
                ),
            );
            faults.push(match nearest(&name, known.iter().copied()) {
                Some(meant) => fault.hint(format!("did you mean `{meant}`?")),
                None => fault,
            });
        }
        Faults::none_or(faults, value).map_err(Problem::malformed)
    }
}

/// The moment so long after the beginning of 1970. As seconds the smaller numbers reach beyond the year 5000, as milliseconds
/// hardly into 1973, so nobody means the other.
fn since_1970(number: i64) -> Option<Timestamp> {
    const FEWEST_MILLISECONDS: u64 = 100_000_000_000;
    if number.unsigned_abs() < FEWEST_MILLISECONDS {
        Timestamp::from_second(number).ok()
    } else {
        Timestamp::from_millisecond(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        let uri: Uri = format!("/x?{query}").parse().unwrap();
        Parameters::of(&uri).unwrap()
    }

    #[test]
    fn a_query_is_text() {
        let read = |query: &str| pairs(&format!("/x?{query}").parse().unwrap());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            read("a=%C3%A4&b=1+2").unwrap(),
            [pair("a", "ä"), pair("b", "1 2")]
        );
        assert_eq!(read("a=%&b=%zz&c=%4").unwrap()[1], pair("b", "%zz"));
        assert_eq!(read("").unwrap(), []);
        for query in ["a=%ff", "%C3=%A4", "a=%C3&b=%A4"] {
            let problem = read(query).unwrap_err();
            assert!(
                problem.line().contains("no UTF-8 text"),
                "{query}: {problem:?}"
            );
        }
    }

    #[test]
    fn parameters_are_read_by_name() {
        let mut given = parameters(
            "from=1700000000000&to=2026-11-23T09:12:00Z&wait=30s&limit=7&label=a%3D1&label=b%3D2&name=",
        );
        assert_eq!(given.moment("from").unwrap().as_second(), 1_700_000_000);
        assert!(given.moment("to").is_some());
        assert_eq!(given.span("wait"), Some(Duration::from_secs(30)));
        assert_eq!(given.number("limit", 1..=10), Some(7));
        assert_eq!(given.all("label"), ["a=1", "b=2"]);
        assert_eq!(given.text("name"), None);
        assert!(given.done(()).is_ok());
    }

    #[test]
    fn seconds_are_told_from_milliseconds() {
        let check = |text: &str, expected: Option<&str>| {
            let moment = parameters(&format!("from={text}")).moment("from");
            let expected = expected.map(|expected| expected.parse().unwrap());
            assert_eq!(moment, expected, "{text}");
        };
        let moment = Some("2026-11-23T09:12:00Z");
        check("1795425120", moment);
        check("1795425120000", moment);
        check("2026-11-23T10:12:00%2B01:00", moment);
        check("0", Some("1970-01-01T00:00:00Z"));
        check("-60", Some("1969-12-31T23:59:00Z"));
        // Microseconds are neither.
        check("1795425120000000", None);
        check("99999999999999999999", None);
        check("1795425120.5", None);
    }

    #[test]
    fn what_is_wrong_with_parameters_is_told_at_once() {
        let mut given = parameters("from=x&limit=0&wait=-1s&phase=a&phase=b&namspace=x");
        given.moment("from");
        given.number("limit", 1..=10);
        given.span("wait");
        given.text("phase");
        given.text("namespace");
        let problem = given.done(()).unwrap_err();
        assert_eq!(problem.kind(), Kind::Malformed);
        let shown = format!("{problem:?}");
        for expected in [
            "expected a moment",
            "expected a number from 1 to 10, found `0`",
            "expected a duration, found `-1s`",
            "is given twice",
            "did you mean `namespace`?",
        ] {
            assert!(shown.contains(expected), "{expected} in {shown}");
        }
    }
}
