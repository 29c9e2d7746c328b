//! How an OAP is called: credentials, TLS, limits.

use std::fmt;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, Identity, redirect};

use super::address::Address;
use super::error::OapError;
use crate::domain::args::Masker;

/// How OAPs are called. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` count as they do for other tools.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long one request may take, its answer included.
    pub timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub response_cap: usize,
    /// How many requests one OAP gets at the same time. An OAP answers queries on as many threads as it has processors, and its UI needs some.
    pub concurrency: usize,
    /// Who we are to the OAPs of a [`super::Directory`], and to no other. Credentials within an address go before these.
    pub auth: Auth,
    /// Headers sent with every request to the OAPs of a [`super::Directory`], for gateways.
    pub headers: Vec<(String, Secret)>,
    /// What `https` takes.
    pub tls: Tls,
    /// The `User-Agent`.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            response_cap: 8 << 20,
            concurrency: 4,
            auth: Auth::None,
            headers: Vec::new(),
            tls: Tls::default(),
            user_agent: concat!("skygate/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Who we are to an OAP, or to the gateway in front of it: an OAP itself asks nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Auth {
    /// Nobody.
    #[default]
    None,
    /// `Authorization: Basic …`.
    Basic {
        /// The user.
        user: String,
        /// The user's password.
        password: Secret,
    },
    /// `Authorization: Bearer …`.
    Bearer(Secret),
}

impl Auth {
    fn secret(&self) -> Option<&Secret> {
        match self {
            Self::None => None,
            Self::Basic { password: it, .. } | Self::Bearer(it) => Some(it),
        }
    }

    /// The header's value, marked as sensitive.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, OptionsError> {
        let text = match self {
            Self::None => return Ok(None),
            Self::Basic { user, password } => {
                use base64::Engine;
                let pair = format!("{user}:{}", password.reveal());
                let pair = base64::engine::general_purpose::STANDARD.encode(pair);
                format!("Basic {pair}")
            }
            Self::Bearer(token) => format!("Bearer {}", token.reveal()),
        };
        sensitive(&text)
            .map(Some)
            .ok_or_else(|| OptionsError::Header(AUTHORIZATION.to_string()))
    }
}

/// What `https` takes.
#[derive(Clone, Default)]
pub struct Tls {
    /// PEM certificates that are trusted in addition to the system's.
    pub ca_bundle: Option<Vec<u8>>,
    /// Our own certificate, for gateways that ask for one; shown to the OAPs of a [`super::Directory`] alone.
    pub client: Option<ClientCertificate>,
    /// Trust any certificate of any name.
    pub insecure: bool,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca_bundle", &self.ca_bundle.is_some())
            .field("client", &self.client.is_some())
            .field("insecure", &self.insecure)
            .finish()
    }
}

/// A certificate of ours with its key, both PEM.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The certificate, then those that lead to its root.
    pub certificate: Vec<u8>,
    /// The private key: PKCS#8, PKCS#1 or SEC1.
    pub key: Vec<u8>,
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientCertificate")
    }
}

/// A text that nobody is shown.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Keeps `text` from sight.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("*****")
    }
}

/// Why options can't be used. Never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// No header can carry this name or this value.
    #[error(
        "`{0}` can't be sent as a header: its name or its value has a character that HTTP doesn't allow, a line break perhaps"
    )]
    Header(String),
    /// No certificate in it.
    #[error("the CA bundle holds no PEM certificate")]
    CaBundle,
    /// No certificate and key in it.
    #[error("the client certificate and its key are not a PEM certificate and a PEM private key")]
    ClientCertificate,
    /// One of the limits is zero.
    #[error("{0} is 0; give at least 1")]
    Zero(&'static str),
}

/// Options that were found to be usable.
pub(super) struct Checked {
    pub(super) options: Options,
    headers: HeaderMap,
    roots: Vec<Certificate>,
    identity: Option<Identity>,
}

impl Checked {
    pub(super) fn new(options: Options) -> Result<Self, OptionsError> {
        for (name, is_zero) in [
            ("the timeout", options.timeout.is_zero()),
            ("the cap of a response", options.response_cap == 0),
            ("the number of requests at a time", options.concurrency == 0),
        ] {
            if is_zero {
                return Err(OptionsError::Zero(name));
            }
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &options.headers {
            let unfit = || OptionsError::Header(name.clone());
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit())?,
                sensitive(value.reveal()).ok_or_else(unfit)?,
            );
        }
        if let Some(value) = options.auth.header()? {
            headers.insert(AUTHORIZATION, value);
        }

        let roots = match &options.tls.ca_bundle {
            None => Vec::new(),
            Some(pem) => Certificate::from_pem_bundle(pem)
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or(OptionsError::CaBundle)?,
        };
        let identity = options.tls.client.as_ref().map(|client| {
            let pem = [client.certificate.as_slice(), b"\n", client.key.as_slice()].concat();
            Identity::from_pem(&pem).map_err(|_| OptionsError::ClientCertificate)
        });
        Ok(Self {
            headers,
            roots,
            identity: identity.transpose()?,
            options,
        })
    }

    /// Hides our credentials in texts that a server wrote: some repeat what they were sent.
    pub(super) fn masker(&self, address: &Address) -> Masker {
        let headers = self.options.headers.iter().map(|(_, value)| value);
        let auth = [&self.options.auth, address.auth()];
        let secrets = auth.into_iter().filter_map(Auth::secret).chain(headers);
        Masker::new(secrets.map(|it| it.reveal().to_owned()))
    }

    /// What is sent with every question to `address`: our credentials where they may go there, and those within the address before them.
    pub(super) fn headers(&self, address: &Address) -> HeaderMap {
        let mut headers = if address.is_ours() {
            self.headers.clone()
        } else {
            HeaderMap::new()
        };
        if let Some(authorization) = address.authorization() {
            headers.insert(AUTHORIZATION, authorization);
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers
    }

    /// Whether there are credentials that don't go to `address`.
    pub(super) fn withholds(&self, address: &Address) -> bool {
        !address.is_ours() && (!self.headers.is_empty() || self.identity.is_some())
    }

    /// A client for `http`. It needs no certificates, and a machine without any can still use it.
    pub(super) fn plain_client(&self) -> Result<Client, OapError> {
        self.client(|builder| builder.tls_certs_only([]))
    }

    /// A client for `https`: the system's roots and ours. It shows our certificate only to an OAP that is `ours`.
    pub(super) fn tls_client(&self, ours: bool) -> Result<Client, OapError> {
        self.client(|mut builder| {
            builder = builder
                .tls_certs_merge(self.roots.iter().cloned())
                .tls_danger_accept_invalid_certs(self.options.tls.insecure);
            match self.identity.as_ref().filter(|_| ours) {
                Some(identity) => builder.identity(identity.clone()),
                None => builder,
            }
        })
    }

    /// Redirects are not followed, not even on the same host: an OAP sends none, and a gateway that does wants another address to be given.
    fn client(
        &self,
        tls: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder,
    ) -> Result<Client, OapError> {
        install_crypto();
        let builder = Client::builder()
            .user_agent(self.options.user_agent.as_str())
            .redirect(redirect::Policy::none())
            .connect_timeout(self.options.timeout.min(CONNECT_WITHIN));
        tls(builder)
            .build()
            .map_err(|error| OapError::client(&error))
    }
}

/// A host that drops packets should leave time for a second try.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Makes ring the process's one provider of cryptography. Fails only where one is installed already, which is as well.
fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(change: impl FnOnce(&mut Options), expected: &str) {
        let mut options = Options::default();
        change(&mut options);
        let got = Checked::new(options).map_or_else(|error| error.to_string(), |_| "fine".into());
        assert_eq!(got, expected);
    }

    #[test]
    fn options_are_checked_before_anything_is_sent() {
        check(|_| {}, "fine");
        check(
            |it| it.concurrency = 0,
            "the number of requests at a time is 0; give at least 1",
        );
        check(
            |it| it.headers = vec![("X-Tenant".into(), Secret::new("a\nb"))],
            "`X-Tenant` can't be sent as a header: its name or its value has a character that HTTP doesn't allow, a line break perhaps",
        );
        check(
            |it| it.auth = Auth::Bearer(Secret::new("to\nken")),
            "`authorization` can't be sent as a header: its name or its value has a character that HTTP doesn't allow, a line break perhaps",
        );
        check(
            |it| it.tls.ca_bundle = Some(b"not PEM".to_vec()),
            "the CA bundle holds no PEM certificate",
        );
        check(
            |it| {
                it.tls.client = Some(ClientCertificate {
                    certificate: b"-".to_vec(),
                    key: b"-".to_vec(),
                });
            },
            "the client certificate and its key are not a PEM certificate and a PEM private key",
        );
    }

    #[test]
    fn secrets_are_not_in_debug_output() {
        let options = Options {
            auth: Auth::Basic {
                user: "jane".into(),
                password: Secret::new("hunter2"),
            },
            headers: vec![("X-Key".into(), Secret::new("hunter2"))],
            tls: Tls {
                client: Some(ClientCertificate {
                    certificate: b"hunter2".to_vec(),
                    key: b"hunter2".to_vec(),
                }),
                ca_bundle: None,
                insecure: true,
            },
            ..Options::default()
        };
        let shown = format!("{options:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains("104, 117, 110"), "{shown}");
        assert!(shown.contains("X-Key") && shown.contains("jane"), "{shown}");
    }
}
