//! HTTPS with certificates made here: a CA of our own, a client certificate, and what is said where one is missing.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::serve::Listener;
use futures_util::FutureExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use skygate::domain::reading::{ErrorClass, Reading};
use skygate::oap::{ClientCertificate, Options, Tls};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::stub::{Seen, Stub, client, client_of, failure, modern, read_seed};

/// An authority, and what it has signed.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).expect("it can be made");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("it can be made"))
                .expect("it can be made"),
        )
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("it can be made");
        let params = CertificateParams::new([name.to_owned()]).expect("it can be made");
        (
            params.signed_by(&key, &self.0).expect("it can be made"),
            key,
        )
    }

    fn client_certificate(&self) -> ClientCertificate {
        let (certificate, key) = self.sign("skygate");
        ClientCertificate {
            certificate: certificate.pem().into_bytes(),
            key: key.serialize_pem().into_bytes(),
        }
    }
}

/// Hands out connections whose handshake succeeded, and passes over the others.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, from) = self.listener.accept().await.expect("a connection");
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, from);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// A modern OAP on HTTPS for `name`, which asks clients for a certificate of `clients` if that is given.
async fn serve(authority: &Authority, name: &str, clients: Option<&Authority>) -> Stub {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let (certificate, key) = authority.sign(name);
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("it can be made");
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.0.der().clone()).expect("it can be made");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            config.with_client_cert_verifier(verifier.build().expect("it can be made"))
        }
    };
    let config = config
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("it can be made");
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("it can be made");
    let url = format!(
        "https://127.0.0.1:{}",
        listener.local_addr().expect("it can be made").port()
    );
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Stub::serve(
        TlsListener { listener, acceptor },
        url,
        Arc::new(|seen: Seen| async move { modern(&seen) }.boxed()),
    )
}

async fn read(stub: &Stub, tls: Tls) -> Reading {
    let options = Options {
        tls,
        ..Options::default()
    };
    read_seed(&client_of(&stub.url, options), &stub.url).await
}

fn check_refused(reading: &Reading, expected: &str) {
    let (class, text) = failure(reading);
    assert_eq!(class, ErrorClass::Refused, "{text}");
    assert!(
        text.starts_with("no TLS connection to `OAP`: ") && text.contains(expected),
        "{text}"
    );
}

#[tokio::test]
async fn a_ca_of_our_own_is_trusted_once_it_is_given() {
    let authority = Authority::new();
    let stub = serve(&authority, "127.0.0.1", None).await;
    let trusting = |pem| Tls {
        ca_bundle: Some(pem),
        ..Tls::default()
    };

    let reading = read(&stub, trusting(authority.pem())).await;
    assert!(reading.answer.is_ok(), "{reading:?}");

    check_refused(
        &read(&stub, trusting(Authority::new().pem())).await,
        "; give the CA bundle that its certificate comes from",
    );

    let reading = read(
        &stub,
        Tls {
            insecure: true,
            ..Tls::default()
        },
    )
    .await;
    assert!(reading.answer.is_ok(), "{reading:?}");
}

#[tokio::test]
async fn a_certificate_of_another_name_is_not_trusted() {
    let authority = Authority::new();
    let stub = serve(&authority, "oap.example", None).await;
    let tls = Tls {
        ca_bundle: Some(authority.pem()),
        ..Tls::default()
    };
    check_refused(
        &read(&stub, tls).await,
        "; give the address under a name that its certificate is for",
    );
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_one_is_asked_for() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let stub = serve(&authority, "127.0.0.1", Some(&clients)).await;
    let tls = |client| Tls {
        ca_bundle: Some(authority.pem()),
        client,
        insecure: false,
    };

    let reading = read(&stub, tls(Some(clients.client_certificate()))).await;
    assert!(reading.answer.is_ok(), "{reading:?}");

    for wrong in [None, Some(authority.client_certificate())] {
        check_refused(
            &read(&stub, tls(wrong)).await,
            "; it may want a client certificate, or another one",
        );
    }

    // Only the template names it.
    let options = Options {
        tls: tls(Some(clients.client_certificate())),
        ..Options::default()
    };
    check_refused(
        &read_seed(&client(options), &stub.url).await,
        "the credentials that were given were not sent there",
    );
}

#[tokio::test]
async fn plain_http_behind_https_is_recognised() {
    let plain = Stub::modern(|_| None).await;
    let mut reading = read_seed(
        &client(Options {
            tls: Tls {
                insecure: true,
                ..Tls::default()
            },
            ..Options::default()
        }),
        &plain.url.replace("http:", "https:"),
    )
    .await;
    check_refused(&reading, "; it doesn't seem to speak TLS, so try `http://`");

    let authority = Authority::new();
    let secure = serve(&authority, "127.0.0.1", None).await;
    reading = read_seed(
        &client(Options::default()),
        &secure.url.replace("https:", "http:"),
    )
    .await;
    assert_eq!(failure(&reading).0, ErrorClass::Unreachable, "{reading:?}");
}
