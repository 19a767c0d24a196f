//! TLS to an engine: from `tls` of a client, `docker_tls`, `docker_tls_verify` and `docker_cert_path` to
//! the files that are read (clients-tasks §1.2, §1.8).

use std::path::{Path, PathBuf};

use dfab_client::tls::{Check, Pem, TlsOptions};
use dfab_map::desired::Target;
use dfab_map::model::Tls;
use dfab_map::value::Value;
use indexmap::IndexMap;

use crate::endpoint::{Address, Endpoint};
use crate::failure::{Failure, Result};
use crate::settings::Settings;

/// What the environment of the `docker` program adds to settings that are not given.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `DOCKER_CERT_PATH`: a folder with `ca.pem`, `cert.pem` and `key.pem`.
    pub cert_path: Option<PathBuf>,
    /// `DOCKER_TLS_VERIFY` is set, and the engine is the one of `DOCKER_HOST`.
    pub verify: bool,
}

impl Environment {
    /// Reads it; `is_docker_host` says whether the engine is the one of `DOCKER_HOST`.
    pub fn read(is_docker_host: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            cert_path: set("DOCKER_CERT_PATH").map(PathBuf::from),
            verify: is_docker_host && set("DOCKER_TLS_VERIFY").is_some(),
        }
    }
}

/// Returns how a client's engine is spoken to over TLS; `None` is not at all.
///
/// The certificate is checked unless `verify` or `docker_tls_verify` is false. Files that are not named
/// are looked for in `docker_cert_path`, else `DOCKER_CERT_PATH`, else `~/.docker`; authorities then in
/// the system's list.
///
/// # Errors
///
/// A configuration failure for TLS on a socket, and for files that cannot be read.
pub fn options(
    target: &Target,
    settings: &Settings,
    endpoint: &Endpoint,
    environment: &Environment,
) -> Result<Option<TlsOptions>> {
    let implied = matches!(endpoint.address, Address::Tcp { tls: true, .. }) || environment.verify;
    let none = IndexMap::new();
    let entries = match &target.config.tls {
        Some(Tls::Enabled(false)) => return Ok(None),
        Some(Tls::Enabled(true)) => &none,
        Some(Tls::Settings(entries)) => entries,
        None if implied || settings.docker_tls.unwrap_or(settings.docker_tls_verify == Some(true)) => &none,
        None => return Ok(None),
    };
    let client = &target.name;
    let server = match &endpoint.address {
        Address::Tcp { host, .. } => host.clone(),
        Address::Unix(path) => {
            return Err(Failure::configuration(format!(
                "client `{client}`: TLS cannot be combined with the socket `{path}`"
            ))
            .hint("leave out `tls` and `docker_tls`, or name a TCP address in `base_url`"));
        }
    };
    let home = &settings.ssh.home;
    let files = Files {
        client: client.to_string(),
        entries,
        home,
        folder: settings
            .docker_cert_path
            .clone()
            .or_else(|| environment.cert_path.clone())
            .unwrap_or_else(|| home.join(".docker")),
        // What is named has to be there; what is only looked for may be missing.
        must_exist: settings.docker_cert_path.is_some(),
    };
    let check = files.check(&server, settings.docker_tls_verify)?;
    let authorities = match check {
        Check::Nothing => None,
        Check::Name(_) | Check::AnyName => match files.pem("ca_cert", "ca.pem")? {
            Some(pem) => Some(pem),
            None => Some(system_authorities(client)?),
        },
    };
    let own = match (files.pem("client_cert", "cert.pem")?, files.pem("client_key", "key.pem")?) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(Pem { file, .. }), None) => return Err(files.alone(&file, "client_key", "key.pem")),
        (None, Some(Pem { file, .. })) => return Err(files.alone(&file, "client_cert", "cert.pem")),
    };
    Ok(Some(TlsOptions { server, check, authorities, client: own }))
}

/// Makes a failure of what cannot be used.
pub fn unusable(client: &str, error: &dfab_client::tls::Unusable) -> Failure {
    Failure::configuration(format!("client `{client}`: TLS cannot be used")).because(error)
}

fn system_authorities(client: &dfab_map::names::ClientName) -> Result<Pem> {
    let file = openssl_probe::probe().cert_file;
    let read = file.and_then(|file| Some((std::fs::read(&file).ok()?, file)));
    let (data, file) = read.ok_or_else(|| {
        Failure::configuration(format!(
            "client `{client}`: there are no authorities to check the engine's certificate with"
        ))
        .hint("name the authority's certificate as `ca_cert` in the client's `tls`, or as `ca.pem` in `docker_cert_path`")
    })?;
    Ok(Pem { file: file.display().to_string(), data })
}

struct Files<'a> {
    client: String,
    entries: &'a IndexMap<String, Value>,
    home: &'a Path,
    folder: PathBuf,
    must_exist: bool,
}

impl Files<'_> {
    fn wrong(&self, key: &str, expected: &str) -> Failure {
        Failure::configuration(format!("client `{}`: `tls.{key}` must be {expected}", self.client))
    }

    fn check(&self, server: &str, verify: Option<bool>) -> Result<Check> {
        let verify = match self.entries.get("verify") {
            None | Some(Value::Null) => verify.unwrap_or(true),
            Some(Value::Bool(verify)) => *verify,
            Some(_) => return Err(self.wrong("verify", "true or false")),
        };
        if !verify {
            return Ok(Check::Nothing);
        }
        match self.entries.get("assert_hostname") {
            None | Some(Value::Null | Value::Bool(true)) => Ok(Check::Name(server.to_owned())),
            Some(Value::Bool(false)) => Ok(Check::AnyName),
            Some(Value::String(name)) if !name.is_empty() => Ok(Check::Name(name.clone())),
            Some(_) => Err(self.wrong("assert_hostname", "a host name, or false for any name")),
        }
    }

    /// Reads the file of `key`, else `name` in the folder.
    fn pem(&self, key: &str, name: &str) -> Result<Option<Pem>> {
        let (path, named) = match self.entries.get(key) {
            None | Some(Value::Null) => (self.folder.join(name), false),
            Some(Value::String(text)) if !text.is_empty() => match text.strip_prefix("~/") {
                Some(rest) => (self.home.join(rest), true),
                None => (PathBuf::from(text), true),
            },
            Some(_) => return Err(self.wrong(key, "the name of a file")),
        };
        match std::fs::read(&path) {
            Ok(data) => Ok(Some(Pem { file: path.display().to_string(), data })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => {
                if self.must_exist && key == "ca_cert" && !self.folder.is_dir() {
                    return Err(self.unreadable("docker_cert_path", &self.folder, &error));
                }
                Ok(None)
            }
            Err(error) => Err(self.unreadable(&format!("tls.{key}"), &path, &error)),
        }
    }

    fn unreadable(&self, setting: &str, path: &Path, error: &std::io::Error) -> Failure {
        let (client, path) = (&self.client, path.display());
        Failure::configuration(format!("client `{client}`: failed to read `{path}` (`{setting}`)"))
            .because(error)
    }

    fn alone(&self, file: &str, key: &str, name: &str) -> Failure {
        Failure::configuration(format!("client `{}`: `{file}` alone is of no use", self.client))
            .hint(format!("give `{key}` too, or put `{name}` beside it"))
    }
}

#[cfg(test)]
mod tests {
    use dfab_map::model::ClientConfig;
    use dfab_map::names::ClientName;

    use super::*;
    use crate::cli::options::Options;
    use crate::project::Host;

    /// `CHECK AUTHORITIES CLIENT`, `no TLS`, or the failure.
    fn resolved(set: &[&str], tls: Option<Tls>, url: &str, environment: &Environment) -> String {
        let mut variables = crate::project::Variables::for_tests("/no/home");
        set.iter().for_each(|text| variables.set(text).unwrap());
        let settings = Settings::resolve(&Options::default(), &variables).unwrap();
        let config = ClientConfig { tls, ..ClientConfig::default() };
        let target = Target { name: ClientName::default_client(), config, is_default: true };
        let endpoint = Endpoint::new(Some(Host::parse("h1").unwrap()), Some(url), None, None).unwrap();
        match options(&target, &settings, &endpoint, environment) {
            Ok(None) => "no TLS".to_owned(),
            Ok(Some(tls)) => {
                let name = |pem: &Pem| pem.file.rsplit('/').next().unwrap_or_default().to_owned();
                let own = tls
                    .client
                    .map_or("none".to_owned(), |(own, key)| format!("{}+{}", name(&own), name(&key)));
                format!("{:?} {} {own}", tls.check, tls.authorities.as_ref().map_or("none".to_owned(), name))
            }
            Err(failure) => [vec![failure.message], failure.causes].concat().join(": "),
        }
    }

    #[test]
    fn what_is_given_decides_about_checks_and_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        for name in ["ca.pem", "cert.pem", "key.pem", "own-ca.pem"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let half = tempfile::tempdir().unwrap();
        for name in ["ca.pem", "cert.pem"] {
            std::fs::write(half.path().join(name), "").unwrap();
        }
        let certs = format!("docker_cert_path={path}");
        let half_certs = format!("docker_cert_path={}", half.path().display());
        let entries = |entries: &[(&str, Value)]| {
            let entries = entries.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
            Some(Tls::Settings(entries.collect()))
        };
        let text = |text: &str| Value::String(text.to_owned());
        let ca = format!("{path}/own-ca.pem");
        let none = Environment::default();
        let of_docker = Environment { cert_path: Some(folder.path().to_owned()), verify: true };
        let tcp = "tcp://10.0.0.5:2376";
        let cases = [
            (vec![], None, tcp, &none, "no TLS"),
            (vec!["docker_tls=false", "docker_tls_verify=true"], None, tcp, &none, "no TLS"),
            (
                vec!["docker_tls=true", &*certs],
                None,
                tcp,
                &none,
                "Name(\"10.0.0.5\") ca.pem cert.pem+key.pem",
            ),
            (
                vec!["docker_tls_verify=true", &*certs],
                None,
                tcp,
                &none,
                "Name(\"10.0.0.5\") ca.pem cert.pem+key.pem",
            ),
            (
                vec!["docker_tls=true", "docker_tls_verify=false", &*certs],
                None,
                tcp,
                &none,
                "Nothing none cert.pem+key.pem",
            ),
            (
                vec![&*certs],
                None,
                "https://10.0.0.5:2376",
                &none,
                "Name(\"10.0.0.5\") ca.pem cert.pem+key.pem",
            ),
            (vec![&*certs], Some(Tls::Enabled(false)), "https://10.0.0.5:2376", &none, "no TLS"),
            (
                vec![&*certs],
                Some(Tls::Enabled(true)),
                tcp,
                &none,
                "Name(\"10.0.0.5\") ca.pem cert.pem+key.pem",
            ),
            (vec![], None, tcp, &of_docker, "Name(\"10.0.0.5\") ca.pem cert.pem+key.pem"),
            (
                vec![&*certs],
                entries(&[("ca_cert", text(&ca)), ("assert_hostname", text("e1"))]),
                tcp,
                &none,
                "Name(\"e1\") own-ca.pem cert.pem+key.pem",
            ),
            (
                vec![&*certs],
                entries(&[("assert_hostname", Value::Bool(false))]),
                tcp,
                &none,
                "AnyName ca.pem cert.pem+key.pem",
            ),
            (
                vec![&*certs],
                entries(&[("verify", text("maybe"))]),
                tcp,
                &none,
                "client `__default__`: `tls.verify` must be true or false",
            ),
            (
                vec![],
                entries(&[("ca_cert", text("/no/such.pem"))]),
                tcp,
                &none,
                "client `__default__`: failed to read `/no/such.pem` (`tls.ca_cert`): No such file or directory (os error 2)",
            ),
            (
                vec!["docker_tls=true"],
                None,
                "/var/run/docker.sock",
                &none,
                "client `__default__`: TLS cannot be combined with the socket `/var/run/docker.sock`",
            ),
        ];
        for (set, tls, url, environment, expected) in cases {
            assert_eq!(resolved(&set, tls.clone(), url, environment), expected, "{set:?} {tls:?} {url}");
        }
        let alone = resolved(&["docker_tls=true", &half_certs], None, tcp, &none);
        assert!(alone.ends_with("cert.pem` alone is of no use"), "{alone}");
    }
}
