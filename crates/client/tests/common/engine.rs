//! The real engine that live tests use, where the environment names one.

use std::sync::Arc;

use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector};
use dfab_map::image::ImageName;

/// The engine whose socket `DFAB_LIVE_ENGINE` names; without it the calling test says that it is skipped.
pub fn engine() -> Option<Arc<dyn Backend>> {
    let Ok(socket) = std::env::var("DFAB_LIVE_ENGINE") else {
        println!("skipped: DFAB_LIVE_ENGINE does not name an engine's socket");
        return None;
    };
    Some(Arc::new(ApiBackend::new(Arc::new(LocalConnector::unix(socket)), ApiOptions::default())))
}

/// An image's name, the tag `latest` where it has none.
pub fn image(name: &str) -> ImageName {
    ImageName::expand(name, None, None).unwrap()
}
