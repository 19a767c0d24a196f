//! Work that is done on the engine's host, so that only its compressed result travels (clients-tasks §6).
//!
//! Each utility is one script in one channel. What it needs on the way, files and containers, is removed by
//! the script itself, however it ends: also when the session is closed under it. Results stream to this side
//! while they are made; nothing is uploaded, and no file is left to be fetched.

mod destination;
mod repack;
mod scripts;

pub use destination::{Copies, Outside};

use std::fs::File;
use std::sync::Arc;

use dfab_client::backend::Result;
use dfab_client::error::Cause;
use dfab_client::transfer::Reader;
use tokio::io::DuplexStream;
use tokio_util::io::SyncIoBridge;

use crate::backend::CliBackend;
use crate::command::{self, Built};
use crate::host::token;
use crate::transfers::ended;
use destination::Plan;
use repack::Strip;

/// Bytes that may wait between the channel and the file.
const BUFFER: usize = 1 << 20;

/// A program that compresses what is on its way from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compressor {
    /// `gzip`
    Gzip,
    /// `zstd`
    Zstd,
}

/// What is done with a stream on its way to a file.
#[derive(Clone, Copy, Debug)]
enum Delivery {
    /// Written as it comes.
    AsItIs,
    /// A gzip-compressed tar archive whose members get other names.
    Renamed(Strip),
}

impl CliBackend {
    /// Writes a file or folder of a container to `file`, as a tar archive with gzip. With `contents_only` the
    /// members of a folder stand at the archive's top, hidden ones included. Returns the number of members.
    ///
    /// Mirrors `docker cp NAME:PATH -`, compressed on the host; clients-tasks §6.1.
    ///
    /// # Errors
    ///
    /// Not found for an absent container or path; [`Cause::Input`] for a name that is none, and when `file`
    /// cannot be written. `file` may hold a part after any error.
    pub async fn copy_resource(
        &self,
        container: &str,
        resource: &str,
        contents_only: bool,
        file: File,
    ) -> Result<u64> {
        let operation = format!("copy `{resource}` from container `{container}`");
        let checked = destination::checked(container)
            .and_then(|()| destination::resource(resource))
            .map_err(|cause| self.error(&operation, cause))?;
        let command = self.built(&operation, command::copy_from(container, &checked))?;
        let token = token();
        let script = scripts::compressed(&command, Compressor::Gzip, &self.host.options, &token);
        let strip = if contents_only { Strip::FirstFolder } else { Strip::Nothing };
        self.delivered(&operation, script, token, file, Delivery::Renamed(strip)).await
    }

    /// Copies files and folders of a container into a folder of the engine's host.
    ///
    /// Folders of one destination are merged, in the order of `copies`. Mirrors `docker cp`; clients-tasks
    /// §6.2.
    ///
    /// # Errors
    ///
    /// Not found for an absent container or path; [`Cause::Input`] for a destination outside of the folder.
    pub async fn copy_resources(&self, container: &str, copies: &Copies, folder: &str) -> Result<()> {
        let operation = format!("copy from container `{container}` to `{folder}`");
        let plan = self.plan(&operation, container, copies)?;
        if !folder.starts_with('/') {
            let text = format!("the folder `{folder}` is not an absolute path on the host");
            return Err(self.error(operation, Cause::Input(text)));
        }
        let token = token();
        let script = scripts::copy_resources(&plan, folder, &self.host.options, &token);
        let finished = self.host.script(&script, &token, |_| {}).await;
        self.succeeded(&operation, false, finished).map(drop)
    }

    /// Writes files and folders of a container to `file`, arranged as by [`CliBackend::copy_resources`], as a
    /// tar archive with gzip. Returns the number of members. Mirrors clients-tasks §6.3.
    ///
    /// # Errors
    ///
    /// As [`CliBackend::copy_resources`] and [`CliBackend::copy_resource`].
    pub async fn isolate_and_get(&self, container: &str, copies: &Copies, file: File) -> Result<u64> {
        let operation = format!("copy from container `{container}`");
        let plan = self.plan(&operation, container, copies)?;
        let token = token();
        let script = scripts::isolate_and_get(&plan, &self.host.options, &token);
        self.delivered(&operation, script, token, file, Delivery::Renamed(Strip::Dot)).await
    }

    /// Makes an image of files and folders of a container, arranged as by [`CliBackend::copy_resources`]. It
    /// has no configuration. Mirrors `docker import`; clients-tasks §6.4.
    ///
    /// # Errors
    ///
    /// As [`CliBackend::copy_resources`].
    pub async fn isolate_to_image(&self, container: &str, copies: &Copies, image: &str) -> Result<()> {
        let operation = format!("make image `{image}` of container `{container}`");
        let plan = self.plan(&operation, container, copies)?;
        destination::checked(image).map_err(|cause| self.error(&operation, cause))?;
        let token = token();
        let script = scripts::isolate_to_image(&plan, image, &self.host.options, &token);
        let finished = self.host.script(&script, &token, |_| {}).await;
        self.succeeded(&operation, false, finished).map(drop)
    }

    /// Writes an image with its layers to `file`, as a tar archive with gzip. Mirrors `docker save`, compressed
    /// on the host; clients-tasks §6.5.
    ///
    /// # Errors
    ///
    /// Not found for an absent image. `file` may hold a part after any error.
    pub async fn save_compressed(&self, image: &str, file: File) -> Result<u64> {
        let operation = format!("save image `{image}`");
        destination::checked(image).map_err(|cause| self.error(&operation, cause))?;
        let command = self.built(&operation, command::save(&[image]))?;
        let token = token();
        let script = scripts::compressed(&command, Compressor::Gzip, &self.host.options, &token);
        self.delivered(&operation, script, token, file, Delivery::AsItIs).await
    }

    /// Returns an image with its layers as a tar stream, compressed on the host: for links that are slower than
    /// the compressor. Mirrors `docker save`, in a pipe to `gzip` or `zstd` at its fastest level.
    ///
    /// # Errors
    ///
    /// Not found for an absent image. The stream's error for a failure after its beginning.
    pub async fn save_stream(&self, image: &str, compressor: Compressor) -> Result<Reader> {
        let operation = format!("save image `{image}`");
        destination::checked(image).map_err(|cause| self.error(&operation, cause))?;
        let command = self.built(&operation, command::save(&[image]))?;
        let token = token();
        let script = scripts::compressed(&command, compressor, &self.host.options, &token);
        let host = Arc::clone(&self.host);
        let run = |mut sink| async move { host.script_into(&script, &token, &mut sink).await };
        self.streamed(operation, run).await
    }

    /// Makes one layer of an image, as `destination`: a container of it is run once with `no_op` in place of
    /// its program, and its file system imported. The configuration is lost. Returns what is to be warned of.
    ///
    /// Mirrors `docker export` and `docker import`; clients-tasks §6.6, §7.1.
    ///
    /// # Errors
    ///
    /// Not found for an absent image; [`Cause::Refused`] where the image has no program `no_op`.
    pub async fn flatten_image(
        &self,
        image: &str,
        destination: &str,
        no_op: &[String],
    ) -> Result<Vec<String>> {
        let operation = format!("flatten image `{image}`");
        let checked = destination::checked(image).and_then(|()| destination::checked(destination));
        checked.map_err(|cause| self.error(&operation, cause))?;
        if no_op.is_empty() {
            let text = "a command that does nothing is needed (`no_op_cmd`)".to_owned();
            return Err(self.error(operation, Cause::Input(text)));
        }
        let token = token();
        let script = scripts::flatten_image(image, destination, no_op, &self.host.options, &token);
        let finished = self.host.script(&script, &token, |_| {}).await;
        let finished = self.succeeded(&operation, false, finished)?;
        let lines = String::from_utf8_lossy(&finished.stdout).into_owned();
        Ok(lines.lines().filter_map(|line| line.strip_prefix("warning: ")).map(str::to_owned).collect())
    }

    fn plan(&self, operation: &str, container: &str, copies: &Copies) -> Result<Plan> {
        let plan = destination::checked(container).and_then(|()| Plan::new(container, copies));
        let plan = plan.map_err(|cause| self.error(operation, cause))?;
        for copy in &plan.copies {
            self.built(operation, Built::Ok(copy.command.clone()))?;
        }
        Ok(plan)
    }

    /// Runs a script and writes its output to `file`, on a thread of its own.
    async fn delivered(
        &self,
        operation: &str,
        script: String,
        token: String,
        file: File,
        delivery: Delivery,
    ) -> Result<u64> {
        let (mut sink, data) = tokio::io::duplex(BUFFER);
        let host = Arc::clone(&self.host);
        let run = async move {
            let result = host.script_into(&script, &token, &mut sink).await;
            // Its end is the end of the archive, which the other side waits for.
            drop(sink);
            result
        };
        let written = tokio::task::spawn_blocking(move || write(data, file, delivery));
        let (result, written) = tokio::join!(run, written);
        // What the command says comes first: a part of an archive is only its consequence.
        ended(&self.host, operation, &[], result)?;
        written.expect("writing does not panic").map_err(|error| {
            self.error(operation, Cause::Input(format!("the archive cannot be written: {error}")))
        })
    }
}

fn write(data: DuplexStream, file: File, delivery: Delivery) -> std::io::Result<u64> {
    let mut data = SyncIoBridge::new(data);
    let mut file = file;
    let count = match delivery {
        Delivery::AsItIs => std::io::copy(&mut data, &mut file)?,
        Delivery::Renamed(strip) => {
            let mut encoder = flate2::GzBuilder::new().write(&mut file, flate2::Compression::default());
            let count = repack::renamed(flate2::read::GzDecoder::new(&mut data), &mut encoder, strip)?;
            encoder.finish()?;
            // What pads the archive is read too: the other side waits for somebody to take it.
            std::io::copy(&mut data, &mut std::io::sink())?;
            count
        }
    };
    file.sync_data()?;
    Ok(count)
}
