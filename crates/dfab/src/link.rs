//! What an SSH connection gains by compression: how fast it is, and which compressors there are.
//!
//! An image travels compressed where the link is slower than the compressor. Below that the compressor would
//! be the narrow place, and both machines' processors are busy with SSH already.

use std::time::{Duration, Instant};

use crate::archive::Compression;
use crate::failure::Result;
use crate::machine::Machine;

/// Bytes that a compressor takes in a second on a slow server at least, at its fastest level.
const ZSTD: f64 = (100 << 20) as f64;
const GZIP: f64 = (25 << 20) as f64;

/// Bytes of a measurement: of a first one, and of a second one where the first was over too soon.
const SIZES: [usize; 2] = [128 << 10, 4 << 20];

/// What a measurement should take at least: much less is the connection's delay and not its width.
const LONG_ENOUGH: Duration = Duration::from_millis(100);

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the host to this machine.
    Down,
    /// From this machine to the host.
    Up,
}

/// The compressors that can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tools {
    /// gzip
    pub gzip: bool,
    /// zstd
    pub zstd: bool,
}

impl Tools {
    /// Asks a host which programs it has.
    ///
    /// # Errors
    ///
    /// When no command can be run there.
    pub async fn of(machine: &Machine) -> Result<Self> {
        // Through `sh`: a login shell may know other words.
        let line = "sh -c 'for p in gzip zstd; do command -v $p >/dev/null && echo $p; done'";
        let found = machine.run(line, b"").await?.stdout;
        let found = String::from_utf8_lossy(&found);
        let has = |name: &str| found.lines().any(|line| line.trim() == name);
        Ok(Self { gzip: has("gzip"), zstd: has("zstd") })
    }
}

/// Chooses how to compress on a link of so many bytes a second.
pub fn choose(bytes_per_second: f64, tools: Tools) -> Compression {
    if tools.zstd && bytes_per_second < ZSTD {
        Compression::Zstd
    } else if tools.gzip && bytes_per_second < GZIP {
        Compression::Gzip
    } else {
        Compression::None
    }
}

/// Measures how many bytes a second go to or come from a host, with at most 4 MiB of zeros.
///
/// # Errors
///
/// When no command can be run there.
pub async fn measure(machine: &Machine, direction: Direction) -> Result<f64> {
    // Opening a channel and starting a command is no part of the width.
    let started = Instant::now();
    machine.succeed("sh -c :", b"").await?;
    let idle = started.elapsed();
    let mut rate = f64::INFINITY;
    for size in SIZES {
        let started = Instant::now();
        match direction {
            Direction::Down => {
                machine.succeed(&format!("head -c {size} /dev/zero"), b"").await?;
            }
            Direction::Up => {
                machine.succeed("sh -c 'cat >/dev/null'", &vec![0; size]).await?;
            }
        }
        let took = started.elapsed().saturating_sub(idle);
        rate = size as f64 / took.as_secs_f64().max(1e-6);
        if took >= LONG_ENOUGH {
            break;
        }
    }
    Ok(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressor_is_used_where_the_link_is_slower_than_it() {
        const MIB: f64 = (1 << 20) as f64;
        let both = Tools { gzip: true, zstd: true };
        let gzip = Tools { gzip: true, zstd: false };
        for (mebibytes, tools, expected) in [
            (0.1, both, Compression::Zstd),
            (12.0, both, Compression::Zstd),
            (99.0, both, Compression::Zstd),
            (100.0, both, Compression::None),
            (1000.0, both, Compression::None),
            (12.0, gzip, Compression::Gzip),
            (25.0, gzip, Compression::None),
            (0.1, Tools::default(), Compression::None),
        ] {
            assert_eq!(choose(mebibytes * MIB, tools), expected, "{mebibytes} MiB/s, {tools:?}");
        }
    }

    #[tokio::test]
    async fn this_machine_is_measured_both_ways() {
        let here = Machine::here();
        for direction in [Direction::Down, Direction::Up] {
            let rate = measure(&here, direction).await.unwrap();
            assert!(rate > 0.0, "{direction:?} {rate}");
        }
        assert!(Tools::of(&here).await.unwrap().gzip);
    }
}
