//! Why there is no encrypted connection, in words that say what to change.

use std::sync::Arc;

use openssl::nid::Nid;
use openssl::x509::{X509Ref, X509StoreContextRef, X509VerifyResult};

/// Files and settings that make no TLS connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// A file without a certificate.
    #[error("there is no certificate in PEM form in `{file}`")]
    Certificate {
        /// The file.
        file: String,
    },
    /// A file without a key, or with a locked one.
    #[error("{} `{file}`", if *locked { "the private key has a passphrase, which is not supported:" } else { "there is no private key in PEM form in" })]
    Key {
        /// The file.
        file: String,
        /// It has a passphrase.
        locked: bool,
    },
    /// The key is not the certificate's.
    #[error("the private key in `{key}` is not the one of the certificate in `{certificate}`")]
    OtherKey {
        /// The certificate's file.
        certificate: String,
        /// The key's file.
        key: String,
    },
    /// The certificate is to be checked, and nobody is trusted.
    #[error("there are no authorities to check the engine's certificate with")]
    NoAuthorities,
    /// The library has failed.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
}

/// Why there is no encrypted connection.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The engine's certificate is of no authority that is trusted.
    #[error("the TLS certificate of `{host}` ({subject}) is not signed by an authority in {file}")]
    Authority {
        /// The engine.
        host: String,
        /// Subject of the certificate.
        subject: String,
        /// Where the authorities were read.
        file: String,
    },
    /// The engine's certificate is for other names.
    #[error("the TLS certificate of `{host}` is not for `{name}`, but for {names}")]
    Name {
        /// The engine.
        host: String,
        /// The name that was expected.
        name: String,
        /// The names that are in it.
        names: String,
    },
    /// A certificate is not valid today.
    #[error("the TLS certificate of `{host}` ({subject}) {when}")]
    Expired {
        /// The engine.
        host: String,
        /// Subject of the certificate.
        subject: String,
        /// `was valid until …`
        when: String,
    },
    /// Something else is wrong with the certificate.
    #[error("the TLS certificate of `{host}` ({subject}) is refused: {reason}")]
    Certificate {
        /// The engine.
        host: String,
        /// Subject of the certificate.
        subject: String,
        /// What the library says.
        reason: String,
    },
    /// The engine does not accept our certificate, or wants one.
    #[error("{}{}", wants(.host, .client.as_deref()), hung_up_or(.said.as_deref()))]
    ClientRefused {
        /// The engine.
        host: String,
        /// File of our certificate.
        client: Option<String>,
        /// The engine's alert; `None` where it hung up before its first answer.
        said: Option<String>,
    },
    /// What answers does not speak TLS.
    #[error("`{host}` does not speak TLS on this port")]
    NoTls {
        /// The engine.
        host: String,
    },
    /// The connection broke in the handshake.
    #[error("the connection to `{host}` broke during the TLS handshake")]
    Broken {
        /// The engine.
        host: String,
        /// What the system said.
        #[source]
        source: Option<Arc<std::io::Error>>,
    },
    /// Both sides do not agree on how to speak.
    #[error("the TLS handshake with `{host}` failed: {message}")]
    Protocol {
        /// The engine.
        host: String,
        /// What the library says.
        message: String,
    },
}

fn wants(host: &str, client: Option<&str>) -> String {
    match client {
        None => format!("`{host}` wants a TLS client certificate"),
        Some(file) => format!("`{host}` does not accept the TLS client certificate in `{file}`"),
    }
}

fn hung_up_or(alert: Option<&str>) -> String {
    match alert {
        Some(alert) => format!(": {alert}"),
        None => ": it hung up before its first answer".to_owned(),
    }
}

impl Error {
    /// Returns what to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Authority { .. } => {
                "name the authority's certificate as `ca_cert` in the client's `tls`, or as `ca.pem` in \
                 `docker_cert_path`"
            }
            Self::Name { .. } => {
                "reach the engine by a name of its certificate, or give that name as `assert_hostname` in the client's \
                 `tls`"
            }
            Self::Expired { .. } => {
                "renew the certificate on the engine's host, and check this machine's clock"
            }
            Self::ClientRefused { client: None, .. } => {
                "give `client_cert` and `client_key` in the client's `tls`, or put `cert.pem` and `key.pem` into \
                 `docker_cert_path`"
            }
            Self::ClientRefused { .. } => {
                "give a certificate that the authority of `dockerd --tlscacert` has signed and that is valid today"
            }
            Self::NoTls { .. } => {
                "leave out `tls`, or name the port that dockerd serves with TLS, usually 2376"
            }
            Self::Broken { .. } | Self::Protocol { .. } | Self::Certificate { .. } => {
                "check the engine's log and its `--tls…` options"
            }
        }
    }

    pub(super) fn handshake(host: &str, error: &openssl::ssl::Error) -> Self {
        let host = host.to_owned();
        let stack = error.ssl_error().map(|stack| stack.errors().to_vec()).unwrap_or_default();
        let reason = stack.iter().find_map(|error| error.reason()).unwrap_or_default();
        if ["wrong version number", "http request", "unknown protocol", "packet length too long"]
            .contains(&reason)
        {
            return Self::NoTls { host };
        }
        if reason.is_empty() || reason == "unexpected eof while reading" {
            let kind = error.io_error().map(|error| std::io::Error::new(error.kind(), error.to_string()));
            return Self::Broken { host, source: kind.map(Arc::new) };
        }
        Self::Protocol { host, message: reason.to_owned() }
    }
}

/// Returns the alert by which the other side refuses us, in its words: `certificate required`.
pub(super) fn alert(error: &openssl::ssl::Error) -> Option<String> {
    let stack = error.ssl_error()?;
    stack.errors().iter().find_map(|error| {
        let (_, alert) = error.reason()?.split_once(" alert ")?;
        // Others are about the protocol, not about who we are.
        let ours = ["certificate", "unknown ca", "access denied", "handshake failure"];
        ours.iter().any(|part| alert.contains(part)).then(|| alert.to_owned())
    })
}

/// What was found wrong with a certificate, and what is in it.
#[derive(Debug)]
pub(super) struct Seen {
    result: X509VerifyResult,
    subject: String,
    names: Vec<String>,
    validity: (String, String),
}

impl Seen {
    pub(super) fn new(context: &X509StoreContextRef) -> Self {
        let certificate = context.current_cert();
        let validity = certificate
            .map(|found| (found.not_before().to_string(), found.not_after().to_string()))
            .unwrap_or_default();
        // An engine may send its authority too, and that one is what is not trusted; people know the
        // engine's own certificate.
        let own = context.chain().and_then(|chain| chain.get(0)).or(certificate);
        Self {
            result: context.error(),
            subject: own.map(subject).unwrap_or_default(),
            names: own.map(names).unwrap_or_default(),
            validity,
        }
    }
}

fn subject(certificate: &X509Ref) -> String {
    let mut entries = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    let name = entries.next().and_then(|entry| entry.data().to_string().ok());
    name.unwrap_or_else(|| "without a name".to_owned())
}

/// The names and addresses that a certificate is for.
fn names(certificate: &X509Ref) -> Vec<String> {
    let mut names = Vec::new();
    for name in certificate.subject_alt_names().iter().flatten() {
        if let Some(name) = name.dnsname() {
            names.push(name.to_owned());
        } else if let Some(address) = name.ipaddress() {
            names.push(match *address {
                [a, b, c, d] => std::net::Ipv4Addr::new(a, b, c, d).to_string(),
                _ => <[u8; 16]>::try_from(address)
                    .map_or_else(|_| "?".to_owned(), |bytes| std::net::Ipv6Addr::from(bytes).to_string()),
            });
        }
    }
    names
}

/// Makes an error of what was found wrong with a certificate.
pub(super) fn refused_certificate(host: &str, name: &str, file: Option<&str>, seen: Seen) -> Error {
    // X509_V_ERR_… of OpenSSL's x509_vfy.h.
    const NOT_YET: i32 = 9;
    const EXPIRED: i32 = 10;
    const NO_ISSUER: [i32; 4] = [2, 20, 21, 27];
    const SELF_SIGNED: [i32; 2] = [18, 19];
    const OTHER_NAME: [i32; 2] = [62, 64];
    let Seen { result, subject, names, validity } = seen;
    let host = host.to_owned();
    match result.as_raw() {
        EXPIRED => Error::Expired { host, subject, when: format!("was valid until {}", validity.1) },
        NOT_YET => Error::Expired { host, subject, when: format!("is valid from {} on", validity.0) },
        code if NO_ISSUER.contains(&code) || SELF_SIGNED.contains(&code) => {
            let file = file.map_or_else(|| "the system's list".to_owned(), |file| format!("`{file}`"));
            Error::Authority { host, subject, file }
        }
        code if OTHER_NAME.contains(&code) => {
            let names = if names.is_empty() {
                "no name at all".to_owned()
            } else {
                names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            };
            Error::Name { host, name: name.to_owned(), names }
        }
        _ => Error::Certificate { host, subject, reason: result.error_string().to_owned() },
    }
}
