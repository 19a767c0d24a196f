//! Image archives on this machine: written and read as streams, with a checksum (clients-tasks §8.9).
//!
//! The network, and compressing and the disk, are busy at the same time; a few blocks lie between them, never
//! the image. How an archive travels and how it is stored are independent of each other. A file gets its name
//! when it is whole.

mod compression;
mod read;
mod write;

pub use self::compression::Compression;
pub use self::read::{Stored, open};
pub use self::write::{Failed, write};

/// Bytes in one step.
const BLOCK: usize = 256 << 10;

/// Blocks between the network and the disk.
const BETWEEN: usize = 8;

/// A file that was written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Bytes of the file, compressed where it is.
    pub bytes: u64,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
}

/// Makes the system give small pages of memory to this process from now on.
///
/// The allocator asks for huge ones. Blocks that go from one thread to another touch a little of many of them, and a
/// transfer then holds 55 MiB where it needs 20.
pub fn take_small_pages() {
    // A system that does not know this has no huge pages to give.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
