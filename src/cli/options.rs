//! What several commands share: templates and their arguments, the OAP, the form of the output.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use crate::domain::duration::GoDuration;

/// Manifests, and whose they are.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct FileArgs {
    /// File of AnalysisTemplates or ClusterAnalysisTemplates, YAML or JSON; `-` is stdin; repeatable
    #[arg(
        short = 'f',
        long = "file",
        value_name = "FILE",
        env = "SKYGATE_FILE",
        required = true
    )]
    pub(super) files: Vec<PathBuf>,

    /// Namespace; without it the manifest's, else `default`
    #[arg(short = 'n', long, value_name = "NAMESPACE", env = "SKYGATE_NAMESPACE", value_parser = NonEmptyStringValueParser::new())]
    pub(super) namespace: Option<String>,
}

/// Which templates, with which arguments.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Template")]
pub(super) struct TemplateArgs {
    #[command(flatten)]
    pub(super) input: FileArgs,

    /// Value for an argument of the template; repeatable
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub(super) args: Vec<(String, String)>,

    /// Take only this template of the files; repeatable
    ///
    /// Without it all are taken that no other one nests, together as one analysis.
    #[arg(long = "template", value_name = "NAME")]
    pub(super) templates: Vec<String>,

    /// Folder of secrets, as DIR/NAMESPACE/NAME/KEY
    ///
    /// A variable SKYGATE_SECRET_NAME_KEY comes before it: capitals, and an underscore for whatever is no letter or digit.
    #[arg(long, value_name = "DIR", env = "SKYGATE_SECRETS")]
    pub(super) secrets: Option<PathBuf>,
}

/// Which OAP, and how to talk to it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "OAP")]
pub(super) struct OapArgs {
    /// OAP to ask, whatever the templates name; or NAME=URL for the one they call NAME; repeatable
    ///
    /// A plain URL is asked instead of every template's `address` or `oap`.
    /// NAME=URL says where `oap: NAME` is; NAME may also be an address as a template has it.
    /// Several may stand in one value with commas between them.
    /// Users, tokens, headers and client certificates go to the OAPs named here, never to one that only a template names.
    #[arg(long = "oap", value_name = "[NAME=]URL", env = "SKYGATE_OAP")]
    pub(super) servers: Vec<String>,

    /// User for basic authentication
    #[arg(
        long = "oap-user",
        value_name = "USER",
        env = "SKYGATE_OAP_USER",
        requires = "password_file"
    )]
    pub(super) user: Option<String>,

    /// File that holds the user's password
    #[arg(
        long = "oap-password-file",
        value_name = "FILE",
        env = "SKYGATE_OAP_PASSWORD_FILE",
        requires = "user"
    )]
    pub(super) password_file: Option<PathBuf>,

    /// File that holds a bearer token
    #[arg(
        long = "oap-token-file",
        value_name = "FILE",
        env = "SKYGATE_OAP_TOKEN_FILE",
        conflicts_with = "user"
    )]
    pub(super) token_file: Option<PathBuf>,

    /// Header to send along, its value from a file with `NAME: @FILE`; repeatable
    #[arg(long = "oap-header", value_name = "NAME: VALUE")]
    pub(super) headers: Vec<String>,

    /// PEM bundle of certificate authorities to trust besides the system's
    #[arg(long = "oap-ca", value_name = "FILE", env = "SKYGATE_OAP_CA")]
    pub(super) ca: Option<PathBuf>,

    /// Client certificate for mutual TLS, PEM
    #[arg(
        long = "oap-cert",
        value_name = "FILE",
        env = "SKYGATE_OAP_CERT",
        requires = "key"
    )]
    pub(super) cert: Option<PathBuf>,

    /// The client certificate's private key, PEM
    #[arg(
        long = "oap-key",
        value_name = "FILE",
        env = "SKYGATE_OAP_KEY",
        requires = "cert"
    )]
    pub(super) key: Option<PathBuf>,

    /// Accept any certificate: for a test bench, never for production
    #[arg(
        long = "oap-insecure",
        env = "SKYGATE_OAP_INSECURE",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub(super) insecure: bool,

    /// Time that one request may take
    #[arg(id = "oap_timeout", long = "oap-timeout", value_name = "DURATION", env = "SKYGATE_OAP_TIMEOUT", default_value = "30s", value_parser = positive_duration)]
    pub(super) timeout: Option<Duration>,

    /// Requests that an OAP may get at a time
    #[arg(long = "oap-concurrency", value_name = "N", env = "SKYGATE_OAP_CONCURRENCY", default_value = "4", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) concurrency: Option<u16>,
}

impl TemplateArgs {
    /// The files that are read.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &Path> {
        let files = self.input.files.iter().map(PathBuf::as_path);
        files.filter(|path| *path != Path::new("-"))
    }
}

impl OapArgs {
    /// The files that are read.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &Path> {
        let Self {
            password_file,
            token_file,
            headers,
            ca,
            cert,
            key,
            ..
        } = self;
        let of_headers = headers.iter().filter_map(|header| {
            let (_, value) = header.split_once(':')?;
            value.trim().strip_prefix('@').map(Path::new)
        });
        [password_file, token_file, ca, cert, key]
            .into_iter()
            .filter_map(Option::as_deref)
            .chain(of_headers)
    }

    /// The URL that is asked whatever a template says; the last one given wins.
    pub(super) fn anywhere(&self) -> Option<&str> {
        self.names_and_urls()
            .filter_map(|(name, url)| name.is_none().then_some(url))
            .last()
    }

    /// The names (or addresses in templates) and the URLs that they stand for.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &str)> {
        self.names_and_urls()
            .filter_map(|(name, url)| Some((name?, url)))
    }

    fn names_and_urls(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.servers
            .iter()
            .flat_map(|servers| separated(servers))
            .map(name_and_url)
    }
}

/// The servers in one value. A comma separates where an URL follows it: passwords may hold one.
fn separated(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.match_indices(',').map(|(at, _)| at).find(|at| {
            let next = &text[at + 1..];
            let next = next.split_once(',').map_or(next, |(next, _)| next);
            next.contains("http://") || next.contains("https://")
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(end.map_or(text, |end| &text[..end]))
    })
}

/// `[NAME=]URL`; the name may itself be an address, and a URL may hold `=`.
fn name_and_url(text: &str) -> (Option<&str>, &str) {
    let named = text
        .split_once("=http://")
        .map(|(name, _)| name.len())
        .or_else(|| text.split_once("=https://").map(|(name, _)| name.len()));
    match named {
        Some(end) if end > 0 => (Some(&text[..end]), &text[end + 1..]),
        _ => (None, text),
    }
}

/// The form of a result on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

/// `NAME=VALUE`; the value may be empty and may hold `=` itself.
pub(super) fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("NAME=VALUE was expected".to_owned()),
    }
}

/// A Go duration above zero, `90s` or `1h30m`.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    let parsed = GoDuration::parse(text)
        .map_err(|error| format!("{error}; a duration such as 30s, 5m or 1h30m was expected"))?;
    match parsed.to_std() {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration above zero was expected".to_owned()),
    }
}

/// A moment: RFC 3339, or how long ago as a Go duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// `2026-11-23T09:12:00Z`.
    At(Timestamp),
    /// `15m`.
    Ago(Duration),
}

impl When {
    /// The moment, as seen at `now`.
    pub(super) fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now.checked_sub(ago).unwrap_or(Timestamp::MIN),
        }
    }
}

/// Reads a [`When`].
pub(super) fn when(text: &str) -> Result<When, String> {
    if let Ok(at) = text.parse() {
        return Ok(When::At(at));
    }
    positive_duration(text).map(When::Ago).map_err(|_| {
        "a moment such as 2026-11-23T09:12:00Z, or how long ago such as 15m, was expected"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_may_hold_anything_after_the_first_equals_sign() {
        let check = |text, name: &str, value: &str| {
            assert_eq!(
                name_and_value(text),
                Ok((name.to_owned(), value.to_owned())),
                "{text}"
            );
        };
        check("a=b", "a", "b");
        check("a=", "a", "");
        check(
            "service-name=canary|reviews|bookinfo|cp-cluster-1|-",
            "service-name",
            "canary|reviews|bookinfo|cp-cluster-1|-",
        );
        check("a=b=c", "a", "b=c");
        assert!(name_and_value("a").is_err());
        assert!(name_and_value("=b").is_err());
    }

    #[test]
    fn servers_with_and_without_a_name() {
        let check = |text, name, url| assert_eq!(name_and_url(text), (name, url), "{text}");
        check("http://oap:12800", None, "http://oap:12800");
        check("http://oap:12800/?a=b", None, "http://oap:12800/?a=b");
        check("prod=https://oap:12800", Some("prod"), "https://oap:12800");
        check(
            "http://oap.istio-system:12800=http://localhost:12800",
            Some("http://oap.istio-system:12800"),
            "http://localhost:12800",
        );
        check("localhost", None, "localhost");
    }

    #[test]
    fn several_servers_in_one_value() {
        let check = |text, expected: &[&str]| {
            assert_eq!(separated(text).collect::<Vec<_>>(), expected, "{text}");
        };
        check("http://a", &["http://a"]);
        check("a=http://a,b=https://b", &["a=http://a", "b=https://b"]);
        check("http://u:p,w@a,http://b", &["http://u:p,w@a", "http://b"]);
        check("", &[""]);
    }

    #[test]
    fn moments() {
        let now: Timestamp = "2026-11-23T09:12:00Z".parse().unwrap();
        let check = |text, expected: &str| {
            assert_eq!(
                when(text).map(|w| w.resolve(now).to_string()),
                Ok(expected.to_owned())
            );
        };
        check("2026-11-23T08:00:00+01:00", "2026-11-23T07:00:00Z");
        check("15m", "2026-11-23T08:57:00Z");
        assert!(when("yesterday").is_err());
        assert!(when("0s").is_err());
    }
}
