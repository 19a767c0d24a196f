//! Registries as engines tell of them: what went wrong there, and where logins come from.
//!
//! Engines hand a registry's answers on as text. It is read in one function, [`problem`].

use std::fmt;

use async_trait::async_trait;
use dfab_map::image::ImageName;
use dfab_map::model::Auth;

use crate::error::{Cause, Error, Source};

/// Finds logins for registries.
#[async_trait]
pub trait Credentials: fmt::Debug + Send + Sync {
    /// Returns the login for a registry, its host; `None` is Docker Hub. No login is no error.
    ///
    /// A user named [`TOKEN_USER`] has an identity token for a password.
    ///
    /// # Errors
    ///
    /// Whatever explains best why it cannot be told.
    async fn find(&self, registry: Option<&str>) -> Result<Option<Auth>, Source>;
}

/// Returns the login that was given for an image's registry, else the one that is found.
///
/// # Errors
///
/// [`Cause::Input`] with what the credentials say.
pub async fn login_for(
    credentials: Option<&dyn Credentials>,
    image: &ImageName,
    given: Option<&Auth>,
) -> Result<Option<Auth>, Cause> {
    let Some(credentials) = credentials.filter(|_| given.is_none()) else { return Ok(given.cloned()) };
    credentials.find(image.registry()).await.map_err(|error| Cause::Input(said(error.as_ref())))
}

/// An error with its causes, in one line.
fn said(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}

/// The user name that stands for an identity token, as credential helpers have it.
pub const TOKEN_USER: &str = "<token>";

/// What is wrong at a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It has no such repository, tag or digest; or the engine has no such image to push.
    NotFound,
    /// It does not accept the login, wants one, or forbids this.
    NotAllowed,
    /// Its certificate is not trusted, or it speaks no TLS.
    Certificate,
    /// The engine does not reach it.
    NoRoute,
}

/// Parts of messages of engines 20.10 to 28.5 and of Docker's registry; the first that is found counts.
const MESSAGES: &[(&str, Problem)] = &[
    ("x509: ", Problem::Certificate),
    ("failed to verify certificate", Problem::Certificate),
    ("server gave http response to https client", Problem::Certificate),
    ("tls: ", Problem::Certificate),
    ("remote error: tls", Problem::Certificate),
    ("connection refused", Problem::NoRoute),
    ("no route to host", Problem::NoRoute),
    ("network is unreachable", Problem::NoRoute),
    ("no such host", Problem::NoRoute),
    ("server misbehaving", Problem::NoRoute),
    ("temporary failure in name resolution", Problem::NoRoute),
    ("i/o timeout", Problem::NoRoute),
    ("tls handshake timeout", Problem::NoRoute),
    ("context deadline exceeded", Problem::NoRoute),
    ("client.timeout exceeded", Problem::NoRoute),
    ("request canceled while waiting for connection", Problem::NoRoute),
    ("connection reset by peer", Problem::NoRoute),
    // Docker Hub says the same of both; without a login nothing more can be known.
    ("pull access denied", Problem::NotFound),
    ("unauthorized", Problem::NotAllowed),
    ("authentication required", Problem::NotAllowed),
    ("no basic auth credentials", Problem::NotAllowed),
    ("incorrect username or password", Problem::NotAllowed),
    ("denied", Problem::NotAllowed),
    ("status: 403", Problem::NotAllowed),
    ("manifest unknown", Problem::NotFound),
    ("name unknown", Problem::NotFound),
    ("not found", Problem::NotFound),
    ("does not exist", Problem::NotFound),
];

/// Tells what is wrong at the registry when a pull, push or login has failed; `None` when the failure is
/// none of a registry's, or is not known.
pub fn problem(error: &Error) -> Option<Problem> {
    let about_registry =
        ["pull image", "push image", "log in"].iter().any(|start| error.operation.starts_with(start));
    let Cause::Refused { message, .. } = &error.cause else { return None };
    let message = message.to_lowercase();
    // `tls handshake timeout` is about the way, not about the certificate.
    let found = MESSAGES.iter().filter(|(part, _)| message.contains(part)).map(|(_, problem)| *problem);
    let is_timeout = message.contains("tls handshake timeout");
    about_registry
        .then(|| if is_timeout { Some(Problem::NoRoute) } else { found.into_iter().next() })
        .flatten()
}

impl Problem {
    /// Returns what to do about it.
    pub fn hint(self) -> &'static str {
        match self {
            Self::NotFound => {
                "check the image's name and tag; a repository that needs a login looks as if it were missing"
            }
            Self::NotAllowed => {
                "check the login: `dfab docker.login REGISTRY --username USER`, `docker_registry_user` and \
                 `docker_registry_password`, the client's `auth_configs`, or ~/.docker/config.json"
            }
            Self::Certificate => {
                "put the authority's certificate to /etc/docker/certs.d/REGISTRY/ca.crt on the engine's host, or name \
                 the registry under `insecure-registries` in its daemon.json"
            }
            Self::NoRoute => {
                "check that the registry runs, and that the engine's host reaches it: name, port, proxy, firewall"
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::NotAllowed => "not allowed",
            Self::Certificate => "the registry's certificate is not trusted",
            Self::NoRoute => "the engine does not reach the registry",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(operation: &str, message: &str) -> Option<Problem> {
        problem(&Error {
            operation: operation.to_owned(),
            host: "h".to_owned(),
            cause: Cause::Refused { status: 500, message: message.to_owned() },
        })
    }

    #[test]
    fn what_is_wrong_at_a_registry_is_told_apart() {
        use Problem::{Certificate, NoRoute, NotAllowed, NotFound};
        for (message, expected) in [
            ("manifest for r.example/none:1 not found: manifest unknown: manifest unknown", Some(NotFound)),
            (
                "pull access denied for none, repository does not exist or may require 'docker login': denied: \
              requested access to the resource is denied",
                Some(NotFound),
            ),
            ("An image does not exist locally with the tag: r.example/none", Some(NotFound)),
            ("Get \"http://r.example:5000/v2/a/manifests/1\": no basic auth credentials", Some(NotAllowed)),
            (
                "login attempt to http://r.example:5000/v2/ failed with status: 401 Unauthorized",
                Some(NotAllowed),
            ),
            ("unauthorized: authentication required", Some(NotAllowed)),
            ("denied: requested access to the resource is denied", Some(NotAllowed)),
            (
                "Get \"https://r.example:5443/v2/\": x509: certificate signed by unknown authority",
                Some(Certificate),
            ),
            (
                "Get \"https://r/v2/\": tls: failed to verify certificate: x509: certificate has expired",
                Some(Certificate),
            ),
            ("Get \"https://r/v2/\": http: server gave HTTP response to HTTPS client", Some(Certificate)),
            ("Get \"https://r/v2/\": dial tcp 10.0.0.1:443: connect: connection refused", Some(NoRoute)),
            ("Get \"https://r/v2/\": dial tcp: lookup r on 10.0.0.53:53: no such host", Some(NoRoute)),
            (
                "Get \"https://r/v2/\": dial tcp 203.0.113.1:443: connect: network is unreachable",
                Some(NoRoute),
            ),
            ("Get \"https://r/v2/\": net/http: TLS handshake timeout", Some(NoRoute)),
            ("toomanyrequests: slow down", None),
        ] {
            assert_eq!(told("pull image `x`", message), expected, "{message}");
        }
        assert_eq!(told("start container `x`", "connection refused"), None);
    }
}
