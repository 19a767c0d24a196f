//! Logins for registries: the deployment variables `docker_registry_…`, then what the `docker` program
//! of this machine knows: `~/.docker/config.json` with its credential helpers (clients-tasks §1.3).

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Stdio;

use async_trait::async_trait;
use dfab_client::error::Source;
use dfab_client::registry::{Credentials, TOKEN_USER};
use dfab_map::model::Auth;
use dfab_map::value::{Late, Value};
use dfab_tunnel::Secret;
use serde::Deserialize;
use tokio::io::AsyncWriteExt;

use crate::project::Variables;

/// What stands for Docker Hub in the program's configuration.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Where logins are looked for.
#[derive(Clone, Debug)]
pub struct DockerCredentials {
    /// The login of the variables, and the registry that it is for; `None` is Docker Hub.
    variables: Option<(Option<String>, String, Secret, Option<String>)>,
    /// `config.json`.
    config: PathBuf,
    /// The folder of the helpers; `None` is the search path.
    helpers: Option<PathBuf>,
}

/// Why a login cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The file is none.
    #[error("failed to read the logins in `{}`: {why}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A helper did not answer.
    #[error("the credential helper `docker-credential-{name}` has no login for `{registry}`: {why}")]
    Helper {
        /// Its name.
        name: String,
        /// What it was asked for.
        registry: String,
        /// What it said.
        why: String,
    },
}

/// The parts of `config.json` that are read.
#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    auths: HashMap<String, Entry>,
    #[serde(default, rename = "credHelpers")]
    helpers: HashMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: String,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default, rename = "identitytoken")]
    token: String,
    email: Option<String>,
}

/// A helper's answer.
#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "Username")]
    username: String,
    #[serde(rename = "Secret")]
    secret: String,
}

impl DockerCredentials {
    /// Reads the variables. The file is read when a login is looked for.
    pub fn new(variables: &Variables) -> Self {
        let text = |name: &str| match variables.get(name)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.as_str().to_owned()),
            _ => None,
        };
        let login = text("docker_registry_user").zip(text("docker_registry_password"));
        let folder = std::env::var_os("DOCKER_CONFIG").filter(|path| !path.is_empty());
        let folder = folder.map_or_else(|| variables.expand_home("~/.docker"), PathBuf::from);
        Self {
            variables: login.map(|(user, password)| {
                let registry = text("docker_registry_repository").map(|name| host(&name).to_owned());
                (registry, user, Secret::new(password), text("docker_registry_mail"))
            }),
            config: folder.join("config.json"),
            helpers: None,
        }
    }

    /// Returns the login for a registry: that of the variables when they are for it, else what a helper
    /// for this registry, the general store, or the file itself has.
    ///
    /// # Errors
    ///
    /// [`Unknown`] for a file that is none, and a helper that fails.
    pub async fn login(&self, registry: Option<&str>) -> Result<Option<Auth>, Unknown> {
        let wanted = registry.map(host);
        if let Some((registry, user, password, email)) = &self.variables
            && registry.as_deref() == wanted
        {
            let mut auth = auth(user, password.reveal());
            auth.email.clone_from(email);
            return Ok(Some(auth));
        }
        let Some(config) = self.read()? else { return Ok(None) };
        let is_it = |key: &str| if is_hub(key) { wanted.is_none() } else { Some(host(key)) == wanted };
        let entry = config.auths.iter().find(|(key, _)| is_it(key));
        let helper = config.helpers.iter().find(|(key, _)| is_it(key)).map(|(_, name)| name);
        if let Some(name) = helper.or(Some(&config.store)).filter(|name| !name.is_empty()) {
            // The store has a login under the very name that it was given.
            let key = entry.map_or(wanted.unwrap_or(DOCKER_HUB), |(key, _)| key.as_str());
            return self.ask(name, key).await;
        }
        let Some((key, entry)) = entry else { return Ok(None) };
        self.entry(key, entry)
    }

    /// Asks a credential helper: `docker-credential-NAME get`, the registry on its standard input.
    async fn ask(&self, name: &str, registry: &str) -> Result<Option<Auth>, Unknown> {
        let failed =
            |why: String| Unknown::Helper { name: name.to_owned(), registry: registry.to_owned(), why };
        if name.contains(['/', '\0']) {
            return Err(failed("it is no name of a program".to_owned()));
        }
        let program = PathBuf::from(format!("docker-credential-{name}"));
        let program = self.helpers.as_ref().map_or(program.clone(), |folder| folder.join(&program));
        let mut child = tokio::process::Command::new(program)
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("it cannot be started: {error}")))?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read it says why by its status.
            let _ = stdin.write_all(format!("{registry}\n").as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            let said =
                [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).trim().to_owned());
            let said = said.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
            // The protocol has these words for "none", on standard output.
            if said.contains("credentials not found") {
                return Ok(None);
            }
            return Err(failed(if said.is_empty() { output.status.to_string() } else { said }));
        }
        // The answer is not shown: it is a password.
        let answer: Answer = serde_json::from_slice(&output.stdout)
            .map_err(|_| failed("its answer is not understood".to_owned()))?;
        Ok(Some(auth(&answer.username, &answer.secret)))
    }

    fn read(&self) -> Result<Option<Config>, Unknown> {
        let wrong = |why: String| Unknown::Config { file: self.config.clone(), why };
        match std::fs::read(&self.config) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| wrong(error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(wrong(error.to_string())),
        }
    }

    fn entry(&self, key: &str, entry: &Entry) -> Result<Option<Auth>, Unknown> {
        use base64::Engine as _;
        // What is wrong with it is not shown: it is a password.
        let wrong = || Unknown::Config {
            file: self.config.clone(),
            why: format!("`auth` of `{key}` is not the base64 of USER:PASSWORD"),
        };
        let mut found = if !entry.token.is_empty() {
            auth(TOKEN_USER, &entry.token)
        } else if entry.auth.is_empty() {
            if entry.username.is_empty() {
                return Ok(None);
            }
            auth(&entry.username, &entry.password)
        } else {
            let pair = base64::engine::general_purpose::STANDARD.decode(&entry.auth).map_err(|_| wrong())?;
            let pair = String::from_utf8(pair).map_err(|_| wrong())?;
            let (user, password) = pair.split_once(':').ok_or_else(wrong)?;
            // Docker pads with NUL bytes.
            auth(user, password.trim_end_matches('\0'))
        };
        found.email.clone_from(&entry.email);
        Ok(Some(found))
    }
}

#[async_trait]
impl Credentials for DockerCredentials {
    async fn find(&self, registry: Option<&str>) -> Result<Option<Auth>, Source> {
        Ok(self.login(registry).await?)
    }
}

fn auth(user: &str, password: &str) -> Auth {
    Auth { username: Late::Known(user.to_owned()), password: Late::Known(password.to_owned()), email: None }
}

/// The host of a registry, which may be written as a URL.
fn host(registry: &str) -> &str {
    let rest = registry.split_once("://").map_or(registry, |(_, rest)| rest);
    rest.split_once('/').map_or(rest, |(host, _)| host)
}

fn is_hub(key: &str) -> bool {
    matches!(host(key), "index.docker.io" | "docker.io" | "registry-1.docker.io")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn credentials(config: &str, set: &[&str]) -> (tempfile::TempDir, DockerCredentials) {
        let folder = tempfile::tempdir().unwrap();
        let mut variables = Variables::for_tests("/no/home");
        set.iter().for_each(|text| variables.set(text).unwrap());
        let mut credentials = DockerCredentials::new(&variables);
        credentials.config = folder.path().join("config.json");
        if !config.is_empty() {
            std::fs::write(&credentials.config, config).unwrap();
        }
        (folder, credentials)
    }

    async fn found(credentials: &DockerCredentials, registry: Option<&str>) -> String {
        match credentials.login(registry).await {
            Ok(None) => "none".to_owned(),
            Ok(Some(auth)) => {
                format!("{}:{}", auth.username.known().unwrap(), auth.password.known().unwrap())
            }
            Err(error) => error.to_string(),
        }
    }

    /// `dTpw` is `u:p`.
    const CONFIG: &str = r#"{"auths": {"r.example": {"auth": "dTpw"}, "https://url.example/v1/": {"auth": "dTpw"},
        "https://index.docker.io/v1/": {"username": "hub", "password": "h"}, "token.example": {"identitytoken": "t"},
        "broken.example": {"auth": "geheim"}, "empty.example": {}}, "HttpHeaders": {}}"#;

    #[tokio::test]
    async fn the_variables_win_for_their_registry_and_the_file_has_the_others() {
        let set = [
            "docker_registry_user=v",
            "docker_registry_password=w",
            "docker_registry_repository=https://r.example/v1/",
        ];
        for (set, config, registry, expected) in [
            (&set[..], CONFIG, Some("r.example"), "v:w"),
            (&set[..], CONFIG, Some("url.example"), "u:p"),
            (&set[..2], CONFIG, None, "v:w"),
            (&set[..2], CONFIG, Some("r.example"), "u:p"),
            (&set[..1], CONFIG, None, "hub:h"),
            (&[], CONFIG, Some("token.example"), "<token>:t"),
            (&[], CONFIG, Some("other.example"), "none"),
            (&[], CONFIG, Some("empty.example"), "none"),
            (&[], "", Some("r.example"), "none"),
        ] {
            let (_folder, credentials) = credentials(config, set);
            assert_eq!(found(&credentials, registry).await, expected, "{set:?} {registry:?}");
        }
        let (_folder, broken) = credentials(CONFIG, &[]);
        let said = found(&broken, Some("broken.example")).await;
        assert!(said.ends_with("`auth` of `broken.example` is not the base64 of USER:PASSWORD"), "{said}");
        let (_folder, broken) = credentials("{\"auths\": 5}", &[]);
        assert!(found(&broken, None).await.starts_with("failed to read the logins in"));
    }

    #[tokio::test]
    async fn helpers_are_asked_by_their_protocol() {
        let config = r#"{"credsStore": "store", "auths": {"https://r.example/v1/": {}}, "credHelpers": {"h.example": "absent", "p.example": "../x"}}"#;
        let (folder, mut credentials) = credentials(config, &[]);
        let helper = folder.path().join("docker-credential-store");
        let script = "#!/bin/sh\n[ \"$1\" = get ] || exit 2\nread -r r\ncase $r in\n\
            https://r.example/v1/) echo '{\"ServerURL\":\"r\",\"Username\":\"h\",\"Secret\":\"s\"}';;\n\
            none.example) echo 'credentials not found in native keychain'; exit 1;;\n\
            bad.example) echo geheim;;\n*) echo 'the store is locked'; exit 1;;\nesac\n";
        std::fs::write(&helper, script).unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
        credentials.helpers = Some(folder.path().to_owned());
        for (registry, expected) in [
            ("r.example", "h:s"),
            ("none.example", "none"),
            (
                "bad.example",
                "the credential helper `docker-credential-store` has no login for `bad.example`: its answer is not understood",
            ),
            (
                "other.example",
                "the credential helper `docker-credential-store` has no login for `other.example`: the store is locked",
            ),
            (
                "p.example",
                "the credential helper `docker-credential-../x` has no login for `p.example`: it is no name of a program",
            ),
            (
                "h.example",
                "the credential helper `docker-credential-absent` has no login for `h.example`: it cannot be started: No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!(found(&credentials, Some(registry)).await, expected, "{registry}");
        }
    }
}
