//! Waiting for a health check (`--wait-healthy`).

use std::sync::Arc;
use std::time::Duration;

use super::Run;
use crate::backend::{Backend, Health, Result};
use crate::error::{Cause, Error};

/// Time between two looks. Engines themselves check every 30 seconds by default.
const BETWEEN: Duration = Duration::from_millis(250);

impl Run<'_> {
    pub(super) async fn wait_healthy(
        &self,
        backend: &Arc<dyn Backend>,
        name: &str,
        timeout: Option<Duration>,
    ) -> Result<()> {
        let failed = |cause| {
            let operation = format!("wait until container `{name}` is healthy");
            Error { operation, host: backend.host().to_owned(), cause }
        };
        let healthy = async {
            loop {
                let wrong = match backend.container_health(name).await? {
                    Health::Healthy => return Ok(()),
                    Health::Starting => {
                        tokio::time::sleep(BETWEEN).await;
                        continue;
                    }
                    Health::Unhealthy => "its health check fails",
                    Health::Ended => "it has ended",
                    Health::Unchecked => "it has no health check",
                };
                return Err(failed(Cause::Input(wrong.into())));
            }
        };
        let limit = async {
            match timeout {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = healthy => result,
            () = limit => Err(failed(Cause::Timeout(timeout.unwrap_or_default()))),
            () = self.options.cancel.cancelled() => Err(failed(Cause::Cancelled)),
        }
    }
}
