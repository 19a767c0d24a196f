//! A registry on a host's own loopback address with one image, which stays half pulled for as long as a test wants.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use openssl::sha::sha256;
use serde_json::json;

use crate::Host;

/// Bytes of the image's only file, which cannot be compressed.
const SIZE: usize = 4 * 1024 * 1024;

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// The registry. It serves until the test's process ends.
pub struct SlowRegistry {
    /// The name of its image. Engines take registries on loopback addresses for insecure.
    pub image: String,
    shared: Arc<Shared>,
}

struct Shared {
    manifest: Vec<u8>,
    config: Vec<u8>,
    layer: Vec<u8>,
    half_sent: AtomicBool,
    released: AtomicBool,
}

impl SlowRegistry {
    /// Starts one.
    ///
    /// # Panics
    ///
    /// When the host's network cannot be entered.
    pub fn start(host: &Host<'_>) -> SlowRegistry {
        let listener = host.listen();
        let port = listener.local_addr().expect("a listener has an address").port();
        let shared = Arc::new(Shared::new());
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&serving);
                // An engine that goes away in the middle is what the tests are about.
                std::thread::spawn(move || drop(shared.serve(&stream)));
            }
        });
        SlowRegistry { image: format!("127.0.0.1:{port}/slow:latest"), shared }
    }

    /// Whether a pull has come half way.
    pub fn is_half_pulled(&self) -> bool {
        self.shared.half_sent.load(Ordering::Relaxed)
    }

    /// Lets pulls come to their end, those under way too.
    pub fn release(&self) {
        self.shared.released.store(true, Ordering::Relaxed);
    }

    /// Holds pulls from now on.
    pub fn hold(&self) {
        self.shared.half_sent.store(false, Ordering::Relaxed);
        self.shared.released.store(false, Ordering::Relaxed);
    }
}

impl Shared {
    fn new() -> Self {
        let mut number = 1_u32;
        let file = std::iter::repeat_with(|| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            number.to_be_bytes()[0]
        });
        let file: Vec<u8> = file.take(SIZE).collect();
        let mut header = tar::Header::new_gnu();
        header.set_size(SIZE as u64);
        header.set_mode(0o644);
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_data(&mut header, "file", file.as_slice()).expect("memory takes it");
        let archive = archive.into_inner().expect("memory takes it");
        let mut layer = GzEncoder::new(Vec::new(), Compression::fast());
        layer.write_all(&archive).expect("memory takes it");
        let layer = layer.finish().expect("memory takes it");
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(&archive)]},
            "history": [{"created_by": "test"}],
        })
        .to_string()
        .into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": config.len(), "digest": digest(&config)},
            "layers": [{"mediaType": LAYER, "size": layer.len(), "digest": digest(&layer)}],
        })
        .to_string()
        .into_bytes();
        let (half_sent, released) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { manifest, config, layer, half_sent, released }
    }

    /// Answers one request.
    fn serve(&self, mut stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
        let mut words = request.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (kind, body): (&str, &[u8]) = match path.rsplit_once('/') {
            Some(("/v2/slow/manifests", _)) => (MANIFEST, &self.manifest),
            Some(("/v2/slow/blobs", found)) if found == digest(&self.config) => (CONFIG, &self.config),
            Some(("/v2/slow/blobs", found)) if found == digest(&self.layer) => (LAYER, &self.layer),
            _ => ("application/json", b"{}"),
        };
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nDocker-Content-Digest: {}\r\n\
             Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n\r\n",
            body.len(),
            digest(body)
        )?;
        if method == "HEAD" {
            return Ok(());
        }
        let (first, rest) = if kind == LAYER { body.split_at(body.len() / 2) } else { (body, &b""[..]) };
        stream.write_all(first)?;
        if kind == LAYER {
            self.half_sent.store(true, Ordering::Relaxed);
            while !self.released.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        stream.write_all(rest)
    }
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = sha256(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
