//! What is sent, and what an answer says: `data`, or why there is none.

use std::collections::HashMap;

use http::StatusCode;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::OapError;
use super::transport::Exchange;
use crate::domain::reading::ErrorClass;

/// A GraphQL response.
#[derive(Deserialize)]
struct Envelope<T> {
    data: Option<T>,
    errors: Option<Vec<Complaint>>,
}

/// One of its `errors`.
#[derive(Deserialize)]
struct Complaint {
    #[serde(default)]
    message: String,
    #[serde(default)]
    extensions: HashMap<String, Value>,
}

/// A question as it is sent.
pub(super) fn written(body: &impl Serialize) -> String {
    serde_json::to_string(body)
        .expect("a body has string keys and no value that fails to serialise")
}

/// Takes `data` out of an answer.
///
/// An OAP answers 200 whether it could or couldn't, and 400 with GraphQL's `errors` where a query doesn't fit its schema;
/// `errors` win over whatever `data` came with them.
pub(super) fn open<T: DeserializeOwned>(server: &str, exchange: &Exchange) -> Result<T, OapError> {
    if exchange.status != StatusCode::OK {
        return Err(complaint_in(exchange).unwrap_or_else(|| OapError::status(server, exchange)));
    }
    let Ok(envelope) = serde_json::from_slice::<Envelope<T>>(&exchange.body) else {
        return Err(complaint_in(exchange).unwrap_or_else(|| not_graphql(server, exchange)));
    };
    match envelope.errors.as_deref() {
        Some(errors @ [_, ..]) => Err(explain(errors)),
        None | Some([]) => match envelope.data {
            Some(data) => Ok(data),
            None if is_graphql(exchange) => Err(OapError::NoResults),
            None => Err(not_graphql(server, exchange)),
        },
    }
}

/// The `errors` of a body whose `data`, if any, is of no interest.
fn complaint_in(exchange: &Exchange) -> Option<OapError> {
    let envelope: Envelope<IgnoredAny> = serde_json::from_slice(&exchange.body).ok()?;
    let errors = envelope.errors.filter(|errors| !errors.is_empty())?;
    Some(explain(&errors))
}

/// Whether the body has a `data` at all: `{"status": "UP"}` is JSON too.
fn is_graphql(exchange: &Exchange) -> bool {
    let body: Result<Value, _> = serde_json::from_slice(&exchange.body);
    body.is_ok_and(|body| body.get("data").is_some())
}

fn not_graphql(server: &str, exchange: &Exchange) -> OapError {
    let start = exchange
        .body
        .iter()
        .find(|byte| !byte.is_ascii_whitespace());
    let is_page = exchange.content_type.contains("html") || start == Some(&b'<');
    let (what, hint) = if is_page {
        (
            "a page".to_owned(),
            "a login page, perhaps: give credentials for the gateway in front of the OAP, or the OAP's own address (its UI has another port)",
        )
    } else if exchange.body.is_empty() {
        ("nothing".to_owned(), "is that an OAP's HTTP port (12800)?")
    } else {
        let kind = if exchange.content_type.is_empty() {
            "something without a content type"
        } else {
            &exchange.content_type
        };
        let hint = if has_key_of_graphql(&exchange.body) {
            "it begins like an OAP's and cannot be read: something on the way may have cut or changed it"
        } else {
            "is that an OAP's HTTP port (12800)?"
        };
        (format!("{kind}{}", exchange.said()), hint)
    };
    OapError::NotGraphql {
        server: server.to_owned(),
        what,
        hint,
    }
}

/// Whether a body that is no response of GraphQL's has a part of one: it was cut, it has a number out of range, its `errors` are no list.
fn has_key_of_graphql(body: &[u8]) -> bool {
    let has = |key: &[u8]| body.windows(key.len()).any(|part| part == key);
    body.trim_ascii_start().starts_with(b"{") && (has(b"\"data\"") || has(b"\"errors\""))
}

/// The first error in words that help; how many more there are.
fn explain(errors: &[Complaint]) -> OapError {
    let Some(first) = errors.first() else {
        return OapError::NoResults;
    };
    let text = cleaned(&first.message);
    if let Some((field, on)) = undefined_field(&first.message) {
        return OapError::UndefinedField {
            field,
            on,
            version: None,
        };
    }
    let classification = first
        .extensions
        .get("classification")
        .and_then(Value::as_str);
    let is_failed_fetch = classification == Some("DataFetchingException")
        || first.message.starts_with("Exception while fetching data");
    let (class, mut text) = if is_failed_fetch {
        failed_fetch(text)
    } else {
        (
            ErrorClass::BadQuery,
            format!("the OAP refuses the query: {text}"),
        )
    };
    if errors.len() > 1 {
        text = format!("{text} (and {} more errors)", errors.len() - 1);
    }
    OapError::Graphql { class, text }
}

/// Explains why a field could not be fetched.
fn failed_fetch(text: &str) -> (ErrorClass, String) {
    let has = |part: &str| text.contains(part);
    if has("can't exceed 500") {
        return (
            ErrorClass::BadQuery,
            format!(
                "the window doesn't suit the OAP: at most 500 steps may lie between its start and its end, and it says the same of a start after the end: {text}"
            ),
        );
    }
    if has("time zone offset transition") {
        return (
            ErrorClass::BadQuery,
            format!(
                "the window touches a minute that the OAP's zone skipped when its clocks went forward: {text}; this passes"
            ),
        );
    }
    if has("Invalid format") {
        return (
            ErrorClass::BadQuery,
            format!(
                "the OAP can't read a time in the query, whose form depends on its step: {text}; take `$duration`, which always fits"
            ),
        );
    }
    if has("Bad value for type") || text == "null" {
        return (
            ErrorClass::WrongKindOfMetric,
            format!(
                "the OAP's storage could not read the metric ({text}), as when a labelled metric is read by `readMetricsValues`; use `expression` with labels, as in `service_percentile{{p='99'}}`, or `readLabeledMetricsValues`"
            ),
        );
    }
    let lower = text.to_ascii_lowercase();
    let storage = [
        "connection",
        "unavailable",
        "timed out",
        "timeout",
        "refused",
    ];
    if storage.iter().any(|word| lower.contains(word)) {
        return (
            ErrorClass::Unreachable,
            format!("the OAP could not reach its storage: {text}; its log says more"),
        );
    }
    (
        ErrorClass::BadQuery,
        format!("the OAP failed to read what the query asks for: {text}"),
    )
}

/// The message without what only Java programmers need: `Exception while fetching data (/x) : org.apache.….SomeException: `.
fn cleaned(message: &str) -> &str {
    let text = message
        .strip_prefix("Exception while fetching data (")
        .and_then(|rest| rest.split_once(") : "))
        .map_or(message, |(_, text)| text);
    match text.split_once(": ") {
        Some((class, rest)) if is_java_class(class) && !rest.is_empty() => rest.trim(),
        _ => text.trim(),
    }
}

fn is_java_class(text: &str) -> bool {
    text.contains('.')
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '$' | '_'))
        && (text.ends_with("Exception") || text.ends_with("Error"))
}

/// The field and the type in `… Field 'x' in type 'Y' is undefined`.
fn undefined_field(message: &str) -> Option<(String, String)> {
    let rest = message.split_once("Field '")?.1;
    let (field, rest) = rest.split_once('\'')?;
    let on = rest.strip_prefix(" in type '")?.split_once('\'')?.0;
    Some((field.to_owned(), on.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_lose_what_only_java_programmers_need() {
        let check = |message, expected| assert_eq!(cleaned(message), expected);
        check(
            "Exception while fetching data (/service_apdex) : java.lang.IllegalArgumentException: Invalid format: \"x\" is malformed",
            "Invalid format: \"x\" is malformed",
        );
        check(
            "Exception while fetching data (/a/b) : Duration data error, the range",
            "Duration data error, the range",
        );
        check("Exception while fetching data (/a) : null", "null");
        check(
            "Exception while fetching data (/a) : a.b.NullPointerException: ",
            "a.b.NullPointerException:",
        );
        check("Invalid syntax: at line 1", "Invalid syntax: at line 1");
    }

    #[test]
    fn an_undefined_field_is_named() {
        let check = |message, expected: Option<(&str, &str)>| {
            let got = undefined_field(message);
            let got = got
                .as_ref()
                .map(|(field, on)| (field.as_str(), on.as_str()));
            assert_eq!(got, expected);
        };
        check(
            "Validation error (FieldUndefined@[a/values/isEmptyValue]) : Field 'isEmptyValue' in type 'KVInt' is undefined",
            Some(("isEmptyValue", "KVInt")),
        );
        check(
            "Validation error (UnknownArgument@[version]) : Unknown field argument 'x'",
            None,
        );
    }
}
