//! HTTP as an OAP speaks it: which path, which method, which body gets which answer.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Generation;
use super::graphql::Query;

/// One HTTP request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// `POST`.
    pub method: &'a str,
    /// `/graphql`, with or without a query string.
    pub path: &'a str,
    /// The header of that name.
    pub content_type: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// A GraphQL request as every client sends it.
    pub fn graphql(body: &'a [u8]) -> Self {
        Self {
            method: "POST",
            path: "/graphql",
            content_type: Some("application/json"),
            body,
        }
    }
}

/// One HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header `content-type`.
    pub content_type: &'static str,
    /// The header `location`, for a redirect.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// When it is sent.
    pub pace: Pace,
}

/// When an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As soon as it is there.
    AtOnce,
    /// After so long on the simulator's clock.
    After(Duration),
    /// Half as late again as anyone waits by default, however fast the clock runs.
    TooLate,
    /// Not at all.
    Never,
}

impl Reply {
    /// The body as JSON; `None` where it isn't.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    pub(super) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type,
            location: None,
            body: body.into(),
            pace: Pace::AtOnce,
        }
    }

    pub(super) fn of_json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    /// What a proxy says whose upstream doesn't answer.
    pub(super) fn refusal(status: u16) -> Self {
        Self::new(status, "text/plain", "no healthy upstream")
    }

    /// HTTP 200, and nothing that an OAP would say.
    pub(super) fn garbage() -> Self {
        Self::new(200, "text/html", "<html><body>It works!</body></html>")
    }

    /// HTTP 200 with a JSON text of `bytes` bytes, at least two.
    pub(super) fn huge(bytes: usize) -> Self {
        let mut body = vec![b' '; bytes.max(2)];
        body[0] = b'"';
        *body.last_mut().expect("it has at least two bytes") = b'"';
        Self::new(200, "application/json", body)
    }

    pub(super) fn redirect(to: &str) -> Self {
        Self {
            location: Some(to.to_owned()),
            ..Self::new(307, "text/plain", "")
        }
    }

    #[must_use]
    pub(super) fn later(self, by: Duration) -> Self {
        let pace = match self.pace {
            Pace::AtOnce if by.is_zero() => Pace::AtOnce,
            Pace::AtOnce => Pace::After(by),
            Pace::After(already) => Pace::After(already.saturating_add(by)),
            Pace::TooLate => Pace::TooLate,
            Pace::Never => Pace::Never,
        };
        Self { pace, ..self }
    }

    /// The same for nobody who waits as long as one does by default.
    #[must_use]
    pub(super) fn too_late(self) -> Self {
        let pace = match self.pace {
            Pace::AtOnce | Pace::After(_) | Pace::TooLate => Pace::TooLate,
            Pace::Never => Pace::Never,
        };
        Self { pace, ..self }
    }
}

/// A body that asks something in GraphQL.
#[derive(Debug)]
pub(super) struct Question {
    text: String,
    operation: Option<String>,
    variables: Option<Map<String, Value>>,
}

impl Question {
    pub(super) fn query(&self) -> Query<'_> {
        Query {
            text: &self.text,
            operation: self.operation.as_deref(),
            variables: self.variables.as_ref(),
        }
    }
}

/// The question in a request; the error is the answer to a request that has none.
pub(super) fn question(request: &Request<'_>, generation: Generation) -> Result<Question, Reply> {
    let path = request.path.split('?').next().unwrap_or("");
    match (path, request.method) {
        ("/graphql", "POST") => {}
        ("/graphql", _) => return Err(described(405, "Method Not Allowed")),
        ("/healthcheck", "GET") if generation.serves_status() => {
            return Err(Reply::new(200, "text/plain; charset=utf-8", "200 OK"));
        }
        ("/status/config/ttl", "GET") if generation.serves_status() => {
            return Err(Reply::new(200, "application/json; charset=utf-8", TTL));
        }
        _ => return Err(described(404, "Not Found")),
    }

    let kind = request.content_type.unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    let is_json = kind == "application/json" || kind.ends_with("+json");
    if !is_json && kind != "application/graphql" {
        return Err(plain(
            415,
            "Unsupported media type. Only JSON compatible types and application/graphql are supported.",
        ));
    }
    if request.body.is_empty() {
        return Err(plain(400, "Missing request body"));
    }
    let text = String::from_utf8_lossy(request.body);
    if !is_json {
        return Ok(Question {
            text: text.into_owned(),
            operation: None,
            variables: None,
        });
    }

    let Ok(Value::Object(mut body)) = serde_json::from_str(&text) else {
        return Err(plain(
            400,
            &format!("Failed to parse a JSON document: {text}"),
        ));
    };
    let Some(Value::String(query)) = body.remove("query").filter(|query| query != "") else {
        return Err(plain(400, "query is missing"));
    };
    let operation = body.get("operationName").and_then(Value::as_str);
    Ok(Question {
        text: query,
        operation: operation.map(str::to_owned),
        variables: match body.remove("variables") {
            Some(Value::Object(variables)) => Some(variables),
            _ => None,
        },
    })
}

/// The default retention of a 10.4, in days.
const TTL: &str = r#"{"metrics":{"minute":7,"hour":7,"day":7,"coldMinute":-1,"coldHour":-1,"coldDay":-1},"records":{"normal":3,"trace":3,"zipkinTrace":3,"log":3,"browserErrorLog":3,"coldNormal":-1,"coldTrace":-1,"coldZipkinTrace":-1,"coldLog":-1,"coldBrowserErrorLog":-1}}"#;

fn plain(status: u16, text: &str) -> Reply {
    Reply::new(status, "text/plain", text)
}

/// A page of the HTTP server itself.
fn described(status: u16, description: &str) -> Reply {
    let text = format!("Status: {status}\nDescription: {description}\n");
    Reply::new(status, "text/plain; charset=utf-8", text)
}
