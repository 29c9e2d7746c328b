//! Which service is asked, and how.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Certificate, Client, Url, redirect};

use super::error::ClientError;

/// A service and the way to it. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count as they do for other tools.
#[derive(Clone, Debug)]
pub struct Options {
    /// The service's URL: what comes before `/api/v1`.
    pub url: String,
    /// What proves who we are.
    pub token: Option<Token>,
    /// PEM certificates that are trusted in addition to the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// How long one request may take, its answer included; one that waits for news may take that much longer.
    pub timeout: Duration,
    /// For how long something that may pass is asked again.
    pub patience: Duration,
    /// The largest answer that is read, in bytes.
    pub response_cap: usize,
    /// Who is told, once, when the service is away and asked again.
    pub absence: Option<Absence>,
}

/// Hears that a service is away, and why, before it is asked again.
#[derive(Clone)]
pub struct Absence(Arc<dyn Fn(&ClientError) + Send + Sync>);

impl Absence {
    /// Has `hear` hear of it.
    pub fn new(hear: impl Fn(&ClientError) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    pub(super) fn tell(&self, why: &ClientError) {
        (self.0)(why);
    }
}

impl fmt::Debug for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Absence")
    }
}

impl Options {
    /// The defaults for the service at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            token: None,
            ca_bundle: None,
            timeout: Duration::from_secs(30),
            patience: Duration::from_mins(1),
            response_cap: 64 << 20,
            absence: None,
        }
    }
}

/// A bearer token, which nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Keeps `text` from sight.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("*****")
    }
}

/// Why options can't be used. Never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// No URL of HTTP.
    #[error(
        "`{0}` is no `http` or `https` URL; a service's looks like `http://skygate.canaries:8080`"
    )]
    NotHttp(String),
    /// It has a `?` or a `#`.
    #[error(
        "the URL `{0}` has a query or a fragment; it is what comes before `/api/v1` and nothing else"
    )]
    TooMuch(String),
    /// It has a user or a password.
    #[error("the URL `{0}` names a user; a service wants a token, and never within its URL")]
    User(String),
    /// No header can carry it.
    #[error(
        "the token has a character that HTTP doesn't allow, a line break or a blank perhaps; one line was expected"
    )]
    Token,
    /// No certificate in it.
    #[error("the CA bundle holds no PEM certificate")]
    CaBundle,
    /// No HTTP client could be built.
    #[error(
        "no HTTPS client can be built here: {0}; where a machine has no CA certificates, give a CA bundle"
    )]
    Client(String),
}

/// A host that drops packets should leave time for a second try.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Options that were found to be usable.
pub(super) struct Checked {
    pub(super) url: Url,
    /// The URL as people may see it.
    pub(super) shown: String,
    pub(super) headers: HeaderMap,
    pub(super) http: Client,
}

impl Checked {
    pub(super) fn new(options: &Options) -> Result<Self, OptionsError> {
        let url = url(&options.url)?;
        let mut headers = HeaderMap::new();
        if let Some(Token(token)) = &options.token {
            let is_plain = !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.ok().filter(|_| is_plain).ok_or(OptionsError::Token)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self {
            http: http(options, url.scheme() == "https")?,
            shown: url.as_str().trim_end_matches('/').to_owned(),
            headers,
            url,
        })
    }
}

fn url(text: &str) -> Result<Url, OptionsError> {
    let text = text.trim();
    // What stands before the last `@` of something that can't be parsed may be a password.
    let shown = || {
        let shown = text.rsplit('@').next().unwrap_or(text);
        shown.chars().take(200).collect::<String>()
    };
    let url = Url::parse(text).map_err(|_| OptionsError::NotHttp(shown()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(OptionsError::NotHttp(shown()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(OptionsError::User(shown()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        let shown = shown();
        let end = shown.find(['?', '#']).unwrap_or(shown.len());
        return Err(OptionsError::TooMuch(shown[..end].to_owned()));
    }
    Ok(url)
}

/// Redirects are not followed: a request and its token shall not end up elsewhere.
fn http(options: &Options, is_tls: bool) -> Result<Client, OptionsError> {
    // Fails only where a provider is installed already, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("skygate/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .connect_timeout(options.timeout.min(CONNECT_WITHIN));
    let roots = match &options.ca_bundle {
        None => Vec::new(),
        Some(pem) => Certificate::from_pem_bundle(pem)
            .ok()
            .filter(|roots| !roots.is_empty())
            .ok_or(OptionsError::CaBundle)?,
    };
    // Without TLS no certificates are needed, and a machine without any can still ask.
    let builder = if is_tls {
        builder.tls_certs_merge(roots)
    } else {
        builder.tls_certs_only([])
    };
    builder
        .build()
        .map_err(|error| OptionsError::Client(super::error::innermost(&error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Options), expected: &str) {
        let mut options = Options::new("http://skygate:8080");
        change(&mut options);
        let got = Checked::new(&options).map_or_else(|error| error.to_string(), |it| it.shown);
        assert_eq!(got, expected);
    }

    #[test]
    fn options_are_checked_before_anything_is_sent() {
        check(|_| {}, "http://skygate:8080");
        check(|it| it.url = " https://gw/a/b/ ".into(), "https://gw/a/b");
        check(
            |it| it.url = "skygate:8080".into(),
            "`skygate:8080` is no `http` or `https` URL; a service's looks like `http://skygate.canaries:8080`",
        );
        check(
            |it| it.url = "http://jane:s3cret@skygate".into(),
            "the URL `skygate` names a user; a service wants a token, and never within its URL",
        );
        check(
            |it| it.url = "http://skygate/?token=s3cret".into(),
            "the URL `http://skygate/` has a query or a fragment; it is what comes before `/api/v1` and nothing else",
        );
        for token in ["a\nb", "", "a b", "é"] {
            check(
                |it| it.token = Some(Token::new(token)),
                "the token has a character that HTTP doesn't allow, a line break or a blank perhaps; one line was expected",
            );
        }
        check(
            |it| it.ca_bundle = Some(b"not PEM".to_vec()),
            "the CA bundle holds no PEM certificate",
        );
    }

    #[test]
    fn a_token_is_not_in_debug_output() {
        let mut options = Options::new("http://a");
        options.token = Some(Token::new("hunter2"));
        assert!(!format!("{options:?}").contains("hunter2"));
        let checked = Checked::new(&options).unwrap();
        assert!(!format!("{:?}", checked.headers).contains("hunter2"));
    }
}
