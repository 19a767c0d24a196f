//! The real engines that live tests use, where the environment names some.

use std::sync::Arc;

use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector};
use dfab_map::image::ImageName;
use tokio::sync::{Mutex, MutexGuard};

/// Tests of one program share the engines, and some look at everything that is there.
static TURN: Mutex<()> = Mutex::const_new(());

/// The engines of a test, which has them for itself.
pub struct Engines {
    all: Vec<Arc<dyn Backend>>,
    _turn: MutexGuard<'static, ()>,
}

impl Engines {
    /// The engines whose sockets `DFAB_LIVE_ENGINES` names, separated by commas; `cargo xtask integration` names one
    /// of each generation. Without it the calling test says that it is skipped.
    pub async fn take() -> Self {
        let sockets = std::env::var("DFAB_LIVE_ENGINES").unwrap_or_default();
        let sockets: Vec<&str> = sockets.split(',').filter(|socket| !socket.is_empty()).collect();
        if sockets.is_empty() {
            println!("skipped: DFAB_LIVE_ENGINES does not name an engine's socket");
        }
        let engine = |socket: &&str| -> Arc<dyn Backend> {
            Arc::new(ApiBackend::new(Arc::new(LocalConnector::unix(*socket)), ApiOptions::default()))
        };
        Self { all: sockets.iter().map(engine).collect(), _turn: TURN.lock().await }
    }

    /// The engines, in the order of the variable.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Backend>> {
        self.all.iter()
    }
}

/// An image's name, the tag `latest` where it has none.
pub fn image(name: &str) -> ImageName {
    ImageName::expand(name, None, None).unwrap()
}
