//! Runs as bytes, each saved state written once however many ask for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use crate::domain::run::{Run, RunId};
use crate::secrets::without_url_credentials;
use crate::wire;

/// So many bytes of written runs are kept of each generation.
const KEPT: usize = 16 << 20;

/// What a written run costs besides its body: the run itself, more or less.
const OVERHEAD: usize = 4 << 10;

/// The saved states that somebody has asked for, as they are sent.
///
/// Two generations bound it without any bookkeeping by age: what is asked for moves to the young one, and once that is full
/// the old one is dropped and the young one gets old.
#[derive(Debug, Default)]
pub(super) struct Renderings {
    // A std mutex: it is held for moments, never while anything is written.
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    young: HashMap<RunId, Arc<Rendering>>,
    old: HashMap<RunId, Arc<Rendering>>,
    /// Of the young ones.
    bytes: usize,
}

/// One saved state of a run.
#[derive(Debug)]
pub(super) struct Rendering {
    run: Arc<Run>,
    written: OnceLock<Written>,
}

/// A text, and what tells it from others.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) body: Bytes,
    pub(super) tag: HeaderValue,
}

impl Renderings {
    /// `run` as it is sent. Whoever asks for the same state gets the same bytes.
    pub(super) fn of(&self, run: &Arc<Run>) -> Written {
        let rendering = self.place(run);
        let mut is_new = false;
        let written = rendering.written.get_or_init(|| {
            is_new = true;
            Written::of(&wire::AnalysisRun::new(&rendering.run))
        });
        if is_new {
            self.kept().grow(written.body.len() + OVERHEAD);
        }
        written.clone()
    }

    fn place(&self, run: &Arc<Run>) -> Arc<Rendering> {
        let mut kept = self.kept();
        let is_it = |it: &Arc<Rendering>| Arc::ptr_eq(&it.run, run);
        if let Some(found) = kept.young.get(&run.id).filter(|it| is_it(it)) {
            return Arc::clone(found);
        }
        let found = kept.old.remove(&run.id).filter(is_it);
        let found = found.unwrap_or_else(|| {
            Arc::new(Rendering {
                run: Arc::clone(run),
                written: OnceLock::new(),
            })
        });
        if let Some(written) = found.written.get() {
            let bytes = written.body.len() + OVERHEAD;
            kept.grow(bytes);
        }
        kept.young.insert(run.id.clone(), Arc::clone(&found));
        found
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn grow(&mut self, bytes: usize) {
        self.bytes += bytes;
        if self.bytes > KEPT {
            self.old = std::mem::take(&mut self.young);
            self.bytes = 0;
        }
    }
}

impl Written {
    /// `value` as compact JSON, without credentials that an address in it may have.
    pub(super) fn of(value: &impl Serialize) -> Self {
        // Texts and numbers with plain keys: nothing in it can't be written.
        let text = serde_json::to_string(value).unwrap_or_default();
        let text = match without_url_credentials(&text) {
            std::borrow::Cow::Borrowed(_) => text,
            std::borrow::Cow::Owned(without) => without,
        };
        let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let tag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&digest.as_ref()[..15]));
        Self {
            body: Bytes::from(text),
            tag: HeaderValue::try_from(tag).expect("letters and digits in quotes"),
        }
    }

    /// No text, and what tells the one that is not written from others.
    pub(super) fn tagged(tag: HeaderValue) -> Self {
        Self {
            body: Bytes::new(),
            tag,
        }
    }

    /// An answer of this text.
    pub(super) fn answer(&self, status: StatusCode) -> Response {
        let mut response = Response::new(Body::from(self.body.clone()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(ETAG, self.tag.clone());
        response
    }

    /// The same, or 304 for whoever has it.
    pub(super) fn unless_known(&self, headers: &HeaderMap) -> Response {
        if !self.is_known(headers) {
            return self.answer(StatusCode::OK);
        }
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().insert(ETAG, self.tag.clone());
        response
    }

    /// Whether a caller says that it has this text.
    pub(super) fn is_known(&self, headers: &HeaderMap) -> bool {
        let given = headers.get_all(IF_NONE_MATCH).iter();
        let own = self.tag.as_bytes();
        given
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == own)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn is_known(given: &str) -> bool {
        let mut written = Written::of(&json!({"a": 1}));
        written.tag = HeaderValue::from_static("\"abc\"");
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, HeaderValue::try_from(given).unwrap());
        written.is_known(&headers)
    }

    #[test]
    fn a_tag_is_found_among_others() {
        for given in ["\"abc\"", "W/\"abc\"", "\"x\", \"abc\"", "*"] {
            assert!(is_known(given), "{given}");
        }
        for given in ["abc", "\"ab\"", "", "\"x\""] {
            assert!(!is_known(given), "{given}");
        }
    }

    #[test]
    fn the_same_text_has_the_same_tag_and_no_credentials() {
        let written = Written::of(&json!({"address": "http://jane:s3cret@oap"}));
        assert_eq!(written.body, r#"{"address":"http://*****@oap"}"#);
        assert_eq!(
            written.tag,
            Written::of(&json!({"address": "http://*****@oap"})).tag
        );
    }
}
