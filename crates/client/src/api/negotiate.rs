//! Which API version is spoken with an engine.
//!
//! `GET /_ping` names the newest version of the engine in its headers, in a tenth of the time of `GET /version`, which has the
//! engine start programs to ask them for theirs. `/version` is asked where the answer lacks a header, and where
//! an older version than the engine's newest is to be spoken: only it says which is the oldest.

use dfab_map::observed::EngineInfo;
use http::{HeaderMap, Method};
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::{ApiBackend, NEWEST_API, OLDEST_API, failure, request};
use crate::backend::Result;
use crate::engine_json;
use crate::error::{Cause, Error};

impl ApiBackend {
    /// Asks the engine, and fixes the version of all later requests.
    pub(super) async fn negotiate(&self) -> Result<EngineInfo> {
        let operation = "ask for the engine's version";
        let unreadable = |cause| self.error(operation, cause);
        let wanted = self.options.version;
        let pinged = match self.pinged(operation).await {
            Ok(headers) => of_headers(&headers),
            Err(Error { cause: Cause::Refused { .. }, .. }) => None,
            Err(error) => return Err(error),
        };
        let (mut info, oldest) = match pinged {
            Some(info) if wanted.unwrap_or(info.api_version.min(NEWEST_API)) == info.api_version => {
                (info, None)
            }
            _ => {
                let answer = self
                    .exchange(operation, Some(self.options.timeout), Method::GET, "/version", None)
                    .await?;
                let info = engine_json::engine_info(&answer)
                    .map_err(|error| unreadable(Cause::Answer(error.to_string())))?;
                let oldest = answer.get("MinAPIVersion").and_then(Value::as_str);
                (info, oldest.and_then(engine_json::api_version))
            }
        };
        info.api_version = negotiated(info.api_version, oldest, wanted).map_err(unreadable)?;
        self.transport.set_version(info.api_version);
        tracing::debug!(host = self.host, engine = info.engine_version, api = ?info.api_version, "negotiated");
        Ok(info)
    }

    /// Asks whether the engine answers, and returns the headers of what it says.
    pub(super) async fn pinged(&self, operation: &str) -> Result<HeaderMap> {
        let ping = request(Method::GET, "/_ping", None).map_err(|cause| self.error(operation, cause))?;
        let exchange = async {
            let (head, body) = self.answered(ping).await?.into_parts();
            // Read to its end, so that the connection can be used again.
            body.collect().await.map_err(failure::body)?;
            Ok(head.headers)
        };
        self.within(operation, Some(self.options.timeout), exchange).await
    }
}

/// Reads `Api-Version: 1.51` and `Server: Docker/28.5.2 (linux)`.
fn of_headers(headers: &HeaderMap) -> Option<EngineInfo> {
    let text = |name| headers.get(name)?.to_str().ok();
    let api_version = engine_json::api_version(text("api-version")?)?;
    let engine_version = text("server")?.strip_prefix("Docker/")?.split(' ').next()?.to_owned();
    Some(EngineInfo { api_version, engine_version, ..EngineInfo::default() })
}

/// Returns the version to speak with an engine that speaks `oldest` to `engine`.
fn negotiated(
    engine: (u32, u32),
    oldest: Option<(u32, u32)>,
    wanted: Option<(u32, u32)>,
) -> std::result::Result<(u32, u32), Cause> {
    let show = |(major, minor): (u32, u32)| format!("{major}.{minor}");
    let version = wanted.unwrap_or(engine.min(NEWEST_API));
    if version < OLDEST_API {
        let (version, floor) = (show(version), show(OLDEST_API));
        let text = match wanted {
            Some(_) => {
                format!("API version {version} is asked for, and {floor} is the oldest that dfab speaks")
            }
            None => format!(
                "the engine speaks API version {version}, and {floor} is the oldest that dfab speaks; \
                 Docker 19.03 or later is needed"
            ),
        };
        return Err(Cause::Unsupported(text));
    }
    if version > engine {
        let (version, engine) = (show(version), show(engine));
        return Err(Cause::Unsupported(format!(
            "API version {version} is asked for, and {engine} is the newest that the engine speaks"
        )));
    }
    if let Some(oldest) = oldest.filter(|oldest| version < *oldest) {
        let (version, oldest) = (show(version), show(oldest));
        return Err(Cause::Unsupported(format!(
            "{version} is the API version to use, and {oldest} is the oldest that the engine speaks"
        )));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_that_both_sides_know_is_spoken() {
        for (engine, oldest, wanted, expected) in [
            ((1, 41), Some((1, 12)), None, Ok((1, 41))),
            ((1, 60), Some((1, 44)), None, Ok(NEWEST_API)),
            ((1, 51), Some((1, 24)), Some((1, 41)), Ok((1, 41))),
            ((1, 39), None, None, Err("Docker 19.03 or later is needed")),
            ((1, 41), None, Some((1, 45)), Err("1.41 is the newest that the engine speaks")),
            ((1, 60), Some((1, 55)), None, Err("1.55 is the oldest that the engine speaks")),
        ] {
            match (negotiated(engine, oldest, wanted), expected) {
                (Ok(version), Ok(expected)) => assert_eq!(version, expected),
                (Err(cause), Err(part)) => assert!(cause.to_string().contains(part), "{cause}"),
                (result, expected) => panic!("{engine:?}: {result:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn headers_of_a_ping_name_both_versions_or_nothing() {
        for (api, server, expected) in [
            (Some("1.51"), Some("Docker/28.5.2+dfsg4 (linux)"), Some(((1, 51), "28.5.2+dfsg4"))),
            (Some("1.41"), Some("Docker/20.10.24+dfsg1 (linux)"), Some(((1, 41), "20.10.24+dfsg1"))),
            (Some("1.41"), Some("Libpod/4.3.1 (linux)"), None),
            (Some("1.41"), None, None),
            (Some("new"), Some("Docker/28.5.2"), None),
            (None, Some("Docker/28.5.2"), None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [("api-version", api), ("server", server)] {
                if let Some(value) = value {
                    headers.insert(name, value.parse().unwrap());
                }
            }
            let found = of_headers(&headers).map(|info| (info.api_version, info.engine_version));
            assert_eq!(found, expected.map(|(api, version)| (api, version.to_owned())), "{api:?} {server:?}");
        }
    }
}
