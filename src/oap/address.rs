//! Where OAPs are: addresses, and whom a template means by its `address` or `oap`.

use std::collections::BTreeMap;

use http::HeaderValue;
use reqwest::Url;

use super::error::OapError;
use super::options::{Auth, Secret};
use crate::domain::plan::Server;

/// An OAP's address: `http` or `https`, a host, perhaps a port and a context path; `/graphql` comes after it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// Without credentials, query, fragment and the slash at the end.
    base: String,
    auth: Auth,
    /// Whether the user named it, beside whatever a template says: our own credentials go there and nowhere else.
    is_ours: bool,
}

/// Why a text is no address. Credentials in it are left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No URL of HTTP.
    #[error(
        "`{0}` is no `http` or `https` URL; an OAP's address looks like `http://oap.istio-system:12800`"
    )]
    NotHttp(String),
    /// It has a `?` or a `#`.
    #[error(
        "the address `{0}` has a query or a fragment; it is the URL before `/graphql` and nothing else"
    )]
    TooMuch(String),
    /// Credentials that no header can carry.
    #[error("the credentials in the address `{0}` have a character that HTTP doesn't allow")]
    Credentials(String),
}

impl Address {
    /// Reads an address as a template or a person writes it. Credentials in it become [`Auth::Basic`] and are never shown.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let not_http = || AddressError::NotHttp(without_credentials(text));
        let mut url = Url::parse(text).map_err(|_| not_http())?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(not_http());
        }
        let auth = auth_of(&url);
        // Neither can fail on a URL with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        let base = url.as_str().trim_end_matches('/').to_owned();
        if url.query().is_some() || url.fragment().is_some() {
            let end = base.find(['?', '#']).unwrap_or(base.len());
            return Err(AddressError::TooMuch(base[..end].to_owned()));
        }
        let auth = auth.ok_or_else(|| AddressError::Credentials(base.clone()))?;
        Ok(Self {
            base,
            auth,
            is_ours: false,
        })
    }

    /// The address as people may see it.
    pub fn shown(&self) -> &str {
        &self.base
    }

    pub(super) fn graphql(&self) -> String {
        format!("{}/graphql", self.base)
    }

    pub(super) fn is_tls(&self) -> bool {
        self.base.starts_with("https:")
    }

    /// `Authorization` for credentials in the address itself.
    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        self.auth.header().ok().flatten()
    }

    pub(super) fn auth(&self) -> &Auth {
        &self.auth
    }

    /// Whether the credentials of [`super::Options`] may go there.
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    fn ours(self) -> Self {
        Self {
            is_ours: true,
            ..self
        }
    }
}

/// The credentials of `url`; `None` where no header can carry them.
fn auth_of(url: &Url) -> Option<Auth> {
    if url.username().is_empty() && url.password().is_none() {
        return Some(Auth::None);
    }
    let auth = Auth::Basic {
        user: percent_decoded(url.username())?,
        password: Secret::new(percent_decoded(url.password().unwrap_or_default())?),
    };
    auth.header().is_ok().then_some(auth)
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        decoded.push(u8::try_from(value).ok()?);
    }
    String::from_utf8(decoded).ok()
}

/// What a template calls a server, as people may see it.
pub(super) fn shown(server: &Server) -> String {
    match server {
        Server::Named(name) => name.clone(),
        Server::Address(text) => {
            Address::parse(text).map_or_else(|_| without_credentials(text), |it| it.base)
        }
    }
}

/// `text` from its last `@` on: what stands before it in an address that can't be parsed may be a password.
fn without_credentials(text: &str) -> String {
    let shown = text.rsplit('@').next().unwrap_or(text);
    shown.chars().take(200).collect()
}

/// Whom a template means by its `address` or `oap`.
///
/// The addresses in it are the user's own. Whoever else a template names is asked without the credentials of [`super::Options`]:
/// a template may come from someone who should not get hold of them.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    named: BTreeMap<String, Address>,
    instead: BTreeMap<String, Address>,
    only: Option<Address>,
    /// Whether nobody else is called.
    is_closed: bool,
}

impl Directory {
    /// `oap: name` means `address`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>, address: Address) -> Self {
        self.named.insert(name.into(), address.ours());
        self
    }

    /// `address` is called where a template says `written`.
    #[must_use]
    pub fn instead_of(mut self, written: &Address, address: Address) -> Self {
        self.instead.insert(written.base.clone(), address.ours());
        self
    }

    /// `address` is called whatever a template says.
    #[must_use]
    pub fn only(mut self, address: Address) -> Self {
        self.only = Some(address.ours());
        self
    }

    /// Nobody is called but those that are named here, each with the credentials that it has here: whatever else a template names is refused.
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.is_closed = true;
        self
    }

    /// The address that `server` means.
    pub fn find(&self, server: &Server) -> Result<Address, OapError> {
        if let Some(address) = &self.only {
            return Ok(address.clone());
        }
        match server {
            Server::Named(name) => self
                .named
                .get(name)
                .cloned()
                .ok_or_else(|| self.unknown(name)),
            Server::Address(text) => self.at(Address::parse(text)?),
        }
    }

    fn at(&self, address: Address) -> Result<Address, OapError> {
        if let Some(instead) = self.instead.get(&address.base) {
            return Ok(instead.clone());
        }
        let mut ours = self.named.values().chain(self.instead.values());
        match ours.find(|it| it.base == address.base) {
            Some(ours) if self.is_closed => Ok(ours.clone()),
            None if self.is_closed => Err(OapError::NotNamed {
                asked: format!("`{}`", address.base),
                known: self.known(),
                flag: format!("NAME={}", address.base),
            }),
            Some(_) => Ok(address.ours()),
            None => Ok(address),
        }
    }

    fn unknown(&self, name: &str) -> OapError {
        let known = self.known();
        if self.is_closed {
            let name = shown_name(name);
            return OapError::NotNamed {
                asked: format!("an OAP `{name}`"),
                known,
                flag: format!("{name}=URL"),
            };
        }
        OapError::UnknownName {
            name: name.to_owned(),
            known,
        }
    }

    fn known(&self) -> String {
        let names: Vec<String> = self.named.keys().map(|name| format!("`{name}`")).collect();
        if names.is_empty() {
            "none is named".to_owned()
        } else {
            format!("named are {}", names.join(", "))
        }
    }
}

/// A name as a message shows it, cut where it is long.
fn shown_name(name: &str) -> String {
    crate::domain::fault::shown(name)
        .trim_matches('`')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = Address::parse(text).map_or_else(
            |error| error.to_string(),
            |address| {
                let header = address.authorization();
                let auth = header.map(|it| format!(" {}", it.to_str().unwrap()));
                format!("{}{}", address.graphql(), auth.unwrap_or_default())
            },
        );
        assert_eq!(got, expected, "{text}");
    }

    #[test]
    fn an_address_is_the_url_before_graphql() {
        check(
            "http://oap.istio-system:12800",
            "http://oap.istio-system:12800/graphql",
        );
        check("http://oap:12800/", "http://oap:12800/graphql");
        check(" HTTP://OAP:80/sky//", "http://oap/sky/graphql");
        check("https://[::1]:8443/a/b", "https://[::1]:8443/a/b/graphql");
    }

    #[test]
    fn credentials_move_into_the_header() {
        check(
            "http://jane:s3cret@oap",
            "http://oap/graphql Basic amFuZTpzM2NyZXQ=",
        );
        check(
            "http://jane:a%40b%2Fc@oap",
            "http://oap/graphql Basic amFuZTphQGIvYw==",
        );
        check("http://:token@oap", "http://oap/graphql Basic OnRva2Vu");
        let address = Address::parse("http://jane:s3cret@oap").unwrap();
        assert!(!format!("{address:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_credentials() {
        let no = |shown: &str| {
            format!(
                "`{shown}` is no `http` or `https` URL; an OAP's address looks like `http://oap.istio-system:12800`"
            )
        };
        check("oap:12800", &no("oap:12800"));
        check("oap", &no("oap"));
        check("", &no(""));
        check("file:///etc/passwd", &no("file:///etc/passwd"));
        check("ftp://jane:s3cret@oap", &no("oap"));
        check("jane:s3cret@oap:12800", &no("oap:12800"));
        check("http://", &no("http://"));
        check(
            "http://jane:s3cret@oap/x?token=s3cret",
            "the address `http://oap/x` has a query or a fragment; it is the URL before `/graphql` and nothing else",
        );
        check(
            "http://jane:%FF@oap",
            "the credentials in the address `http://oap` have a character that HTTP doesn't allow",
        );
    }

    #[test]
    fn a_directory_says_whom_a_template_means() {
        let address = |text: &str| Address::parse(text).unwrap();
        let directory = Directory::default()
            .name("production", address("http://a:12800"))
            .instead_of(
                &address("http://oap.istio-system:12800/"),
                address("http://b"),
            );
        let find = |server| {
            directory
                .find(&server)
                .map_or_else(|error| error.to_string(), |it| it.shown().to_owned())
        };
        assert_eq!(find(Server::Named("production".into())), "http://a:12800");
        assert_eq!(
            find(Server::Address("http://oap.istio-system:12800".into())),
            "http://b"
        );
        assert_eq!(find(Server::Address("http://c/".into())), "http://c");
        assert_eq!(
            find(Server::Named("prod".into())),
            "no OAP is known by the name `prod` (named are `production`); name it as `NAME=URL`, or give its `address`"
        );
        let only = directory.clone().only(address("http://d"));
        assert_eq!(
            only.find(&Server::Named("x".into())).unwrap().shown(),
            "http://d"
        );
    }

    #[test]
    fn a_closed_directory_calls_nobody_else() {
        let address = |text: &str| Address::parse(text).unwrap();
        let directory = Directory::default()
            .name("production", address("http://jane:s3cret@a:12800"))
            .instead_of(
                &address("http://oap.istio-system:12800"),
                address("http://b"),
            )
            .closed();
        let find = |server| {
            directory.find(&server).map_or_else(
                |error| error.to_string(),
                |it| {
                    let header = it.authorization();
                    let auth = header.map(|it| format!(" {}", it.to_str().unwrap()));
                    format!("{}{}", it.shown(), auth.unwrap_or_default())
                },
            )
        };
        let basic = "http://a:12800 Basic amFuZTpzM2NyZXQ=";
        assert_eq!(find(Server::Named("production".into())), basic);
        assert_eq!(find(Server::Address("http://a:12800/".into())), basic);
        // Whatever credentials a template has for it: the operator's are sent.
        assert_eq!(find(Server::Address("http://eve:x@a:12800".into())), basic);
        assert_eq!(
            find(Server::Address("http://oap.istio-system:12800".into())),
            "http://b"
        );
        assert_eq!(
            find(Server::Address("http://u:p@169.254.169.254/".into())),
            "this service may not call `http://169.254.169.254` (named are `production`); its operator can let it: serve --oap NAME=http://169.254.169.254"
        );
        assert_eq!(
            find(Server::Named("prod".into())),
            "this service may not call an OAP `prod` (named are `production`); its operator can let it: serve --oap prod=URL"
        );
    }
}
