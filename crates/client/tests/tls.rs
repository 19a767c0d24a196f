//! TLS to an engine, played by a server that asks for certificates as `dockerd --tlsverify` does.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test does")]

#[path = "common/certificates.rs"]
mod certificates;

use std::pin::Pin;
use std::sync::Arc;

use certificates::{Pair, authority, signed};
use dfab_client::tls::{Check, Pem, TlsOptions, Unusable};
use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector, TlsConnector};
use openssl::ssl::{Ssl, SslAcceptor, SslMethod, SslVerifyMode, SslVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const VERSION: &str = r#"{"Version":"20.10.0","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#;

/// How the server behaves.
struct Server {
    pair: Pair,
    /// Clients must have a certificate of this authority.
    clients: Option<Pair>,
    version: SslVersion,
    plain: bool,
}

/// Answers every connection once; returns its port.
async fn serve(server: Server) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_max_proto_version(Some(server.version)).unwrap();
    acceptor.set_certificate(&server.pair.certificate).unwrap();
    acceptor.set_private_key(&server.pair.key).unwrap();
    if let Some(clients) = &server.clients {
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        acceptor.cert_store_mut().add_cert(clients.certificate.clone()).unwrap();
    }
    let acceptor = acceptor.build();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            if server.plain {
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
                continue;
            }
            let ssl = Ssl::new(acceptor.context()).unwrap();
            let mut stream = tokio_openssl::SslStream::new(ssl, stream).unwrap();
            if Pin::new(&mut stream).accept().await.is_ok() {
                let _ = stream.read(&mut request).await;
                let length = VERSION.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{VERSION}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
            let _ = stream.shutdown().await;
        }
    });
    port
}

fn pem(file: &str, data: Vec<u8>) -> Pem {
    Pem { file: file.to_owned(), data }
}

fn files(pair: &Pair) -> (Pem, Pem) {
    (pem("cert.pem", pair.certificate_pem()), pem("key.pem", pair.key_pem()))
}

/// The engine's version, or the chain of errors.
async fn asked(port: u16, options: TlsOptions) -> String {
    let inner = Arc::new(LocalConnector::tcp("127.0.0.1", port).named("web1"));
    let connector = TlsConnector::new(inner, options).unwrap();
    let backend = ApiBackend::new(Arc::new(connector), ApiOptions::default());
    match backend.engine_info().await {
        Ok(info) => info.engine_version,
        Err(error) => {
            assert!(error.is_unreachable(), "{error:?}");
            let source = error.connector_error().map(|error| {
                let below = std::error::Error::source(error).map(|source| format!(" ({source:?})"));
                format!("{error}{}", below.unwrap_or_default())
            });
            source.unwrap_or_else(|| format!("{error}: {:?}", error.cause))
        }
    }
}

#[tokio::test]
async fn every_refusal_says_what_is_wrong() {
    let name = || Check::Name("127.0.0.1".to_owned());
    let good = &["engine.test", "127.0.0.1"];
    let until = |end: &str| format!("the TLS certificate of `web1` (engine) {end}");
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let ours = authority("our authority");
        let other = authority("other authority");
        let client = signed(&ours, "operator", &[], (0, 10));
        let expired_client = signed(&ours, "operator", &[], (-10, -5));
        let stranger = signed(&other, "stranger", &[], (0, 10));
        // (what, names in it, validity, asks for a client, check, trusts, client, expected)
        let cases = [
            ("right", &good[..], (0, 10), true, name(), &ours, Some(&client), "20.10.0".to_owned()),
            ("no client wanted", good, (0, 10), false, name(), &ours, None, "20.10.0".to_owned()),
            (
                "by name",
                good,
                (0, 10),
                true,
                Check::Name("engine.test".into()),
                &ours,
                Some(&client),
                "20.10.0".to_owned(),
            ),
            (
                "any name",
                &["x.test"],
                (0, 10),
                true,
                Check::AnyName,
                &ours,
                Some(&client),
                "20.10.0".to_owned(),
            ),
            (
                "nothing checked",
                &["x.test"],
                (-10, -5),
                true,
                Check::Nothing,
                &other,
                Some(&client),
                "20.10.0".to_owned(),
            ),
            (
                "wrong authority",
                good,
                (0, 10),
                true,
                name(),
                &other,
                Some(&client),
                until("is not signed by an authority in `ca.pem`"),
            ),
            (
                "wrong name",
                &["x.test", "10.0.0.1"],
                (0, 10),
                true,
                name(),
                &ours,
                Some(&client),
                "the TLS certificate of `web1` is not for `127.0.0.1`, but for `x.test`, `10.0.0.1`"
                    .to_owned(),
            ),
            ("expired", good, (-10, -5), true, name(), &ours, Some(&client), until("was valid until ")),
            ("too early", good, (5, 10), true, name(), &ours, Some(&client), until("is valid from ")),
            (
                "no client",
                good,
                (0, 10),
                true,
                name(),
                &ours,
                None,
                "`web1` wants a TLS client certificate: ".to_owned(),
            ),
            (
                "expired client",
                good,
                (0, 10),
                true,
                name(),
                &ours,
                Some(&expired_client),
                "`web1` does not accept the TLS client certificate in `cert.pem`: ".to_owned(),
            ),
            (
                "strange client",
                good,
                (0, 10),
                true,
                name(),
                &ours,
                Some(&stranger),
                "`web1` does not accept the TLS client certificate in `cert.pem`: ".to_owned(),
            ),
        ];
        for (what, names, validity, asks, check, trusts, client, expected) in cases {
            let clients = asks.then(|| Pair { certificate: ours.certificate.clone(), key: ours.key.clone() });
            let pair = signed(&ours, "engine", names, validity);
            let port = serve(Server { pair, clients, version, plain: false }).await;
            let authorities = Some(pem("ca.pem", trusts.certificate_pem()));
            let server = "127.0.0.1".to_owned();
            let found =
                asked(port, TlsOptions { server, check, authorities, client: client.map(files) }).await;
            assert!(found.starts_with(&expected), "{what} ({version:?}): {found}");
        }
    }
}

#[tokio::test]
async fn a_port_without_tls_is_told() {
    let ours = authority("our authority");
    let pair = signed(&ours, "engine", &["127.0.0.1"], (0, 10));
    let authorities = Some(pem("ca.pem", ours.certificate_pem()));
    let port = serve(Server { pair, clients: None, version: SslVersion::TLS1_3, plain: true }).await;
    let server = "127.0.0.1".to_owned();
    let options = TlsOptions { check: Check::Name(server.clone()), server, authorities, client: None };
    assert_eq!(asked(port, options).await, "`web1` does not speak TLS on this port");
}

#[test]
fn files_that_are_of_no_use_are_named() {
    let ours = authority("our authority");
    let (one, two) = (signed(&ours, "one", &[], (0, 1)), signed(&ours, "two", &[], (0, 1)));
    let trusted = || Some(pem("ca.pem", ours.certificate_pem()));
    let locked =
        one.key.private_key_to_pem_pkcs8_passphrase(openssl::symm::Cipher::aes_128_cbc(), b"x").unwrap();
    let client =
        |certificate: Vec<u8>, key: Vec<u8>| Some((pem("cert.pem", certificate), pem("key.pem", key)));
    for (authorities, client, expected) in [
        (None, None, "there are no authorities to check the engine's certificate with"),
        (Some(pem("ca.pem", b"nothing".to_vec())), None, "there is no certificate in PEM form in `ca.pem`"),
        (
            trusted(),
            client(b"x".to_vec(), one.key_pem()),
            "there is no certificate in PEM form in `cert.pem`",
        ),
        (
            trusted(),
            client(one.certificate_pem(), b"x".to_vec()),
            "there is no private key in PEM form in `key.pem`",
        ),
        (
            trusted(),
            client(one.certificate_pem(), locked),
            "the private key has a passphrase, which is not supported: `key.pem`",
        ),
        (
            trusted(),
            client(one.certificate_pem(), two.key_pem()),
            "the private key in `key.pem` is not the one of the certificate in `cert.pem`",
        ),
    ] {
        let options = TlsOptions { server: "e".into(), check: Check::Name("e".into()), authorities, client };
        let made = TlsConnector::new(Arc::new(LocalConnector::tcp("127.0.0.1", 1)), options);
        let unusable: Unusable = made.map(drop).unwrap_err();
        assert_eq!(unusable.to_string(), expected);
    }
}
