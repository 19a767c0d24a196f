//! The dfab backend over the `docker` command line, local or over SSH.
//!
//! For hosts where nothing but a shell can be reached, or where people want to see the commands. It
//! implements [`dfab_client::Backend`] by the `docker` program of the engine's host, in a [`Shell`]:
//! [`LocalShell`] or [`RemoteShell`]. One suite of tests holds it to the same contract as the Engine API
//! backend, and both see the same state.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use dfab_cli_client::{CliBackend, CliOptions, LocalShell};
//! use dfab_client::Backend;
//!
//! # async fn run() -> Result<(), dfab_client::Error> {
//! let docker = CliBackend::new(Arc::new(LocalShell::new()), CliOptions::default());
//! // Calls that are made at the same time share a channel.
//! let (containers, networks) = tokio::try_join!(docker.list_containers(), docker.list_networks())?;
//! assert_eq!(docker.channels(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Layers
//!
//! [`command`] makes vectors of words of specifications, and knows no shell. `script` makes shell text
//! of commands, with the one quoting function of `dfab_tunnel`; `frame` reads what a script prints.
//! `host` runs scripts, `batch` collects calls into scripts. `parse` and `failure` turn output into
//! the JSON of the Engine API and into [`dfab_client::error::Cause`]; what that JSON means is known by
//! [`dfab_client::engine_json`] alone. This crate never decides what to do, and never prints.
//!
//! # Calls and command lines
//!
//! Every line may stand after sudo, a prefix, and with `-H` and `--tls…`; see [`CliOptions`].
//!
//! | call | command line |
//! |---|---|
//! | `engine_info`, `ping`, `information(Version)` | `docker version --format={{json .}}` |
//! | `unsupported_limits` | `docker info --format={{json .}}` |
//! | `list_containers` | `docker ps --all=true --quiet=true`, then `docker inspect --type=container --format=… ID…` |
//! | `information(Containers)` | `docker ps --format={{json .}}` |
//! | `list_networks`, `information(Networks)` | `docker network ls --quiet=true`, then `docker network inspect ID…` |
//! | `list_volumes`, `information(Volumes)` | `docker volume ls --quiet=true`, then `docker volume inspect NAME…` |
//! | `list_images` | `docker images --digests=true --format={{json .}}` |
//! | `information(Images)` | `docker images --quiet=true`, then `docker inspect --type=image ID…` |
//! | `image_id` | `docker inspect --type=image NAME` |
//! | `inspect_container`, `container_health` | `docker inspect --type=container NAME…`, one for all calls of a moment |
//! | `container_processes` | `docker top NAME -eo pid,user,args` |
//! | `create_container` | `docker create --pull=never --name=NAME --env-file=/dev/stdin … IMAGE …` |
//! | `start_container`, `stop_container` | `docker start NAME`, `docker stop --time=SECONDS NAME` |
//! | `kill_container` | `docker kill --signal=NAME NAME` |
//! | `wait_container` | `timeout -s INT SECONDS docker wait NAME` |
//! | `remove_container` | `docker rm --force=true --volumes=true NAME` |
//! | `update_container` | `docker update … NAME` |
//! | `container_logs` | `docker logs --timestamps=true --tail=N NAME` |
//! | `log_lines` | `docker logs --follow=true --since=TIME --until=TIME --timestamps=true --tail=N NAME` |
//! | `events` | `docker events --format={{json .}} --since=TIME --until=TIME --filter=NAME=VALUE` |
//! | `top` | `docker top NAME WORD…` |
//! | `exec` | `docker exec --detach --user=USER NAME WORD…` |
//! | `create_network`, `remove_network` | `docker network create … NAME`, `docker network rm NAME` |
//! | `connect_network` | `docker network connect --alias=… --ip=… NETWORK NAME` |
//! | `disconnect_network` | `docker network disconnect NETWORK NAME` |
//! | `network_endpoints`, `remove_endpoint` | `docker network inspect NETWORK`, `docker network disconnect --force=true NETWORK NAME` |
//! | `create_volume`, `remove_volume` | `docker volume create … NAME`, `docker volume rm NAME` |
//! | `prepare_volume_on_host` | `docker volume inspect --format={{.Mountpoint}} NAME`, `chown -R`, `chmod -R` |
//! | `pull_image` | `docker pull IMAGE`, with credentials in a configuration of its own |
//! | `login`, `push_image` | `docker login --username=USER --password-stdin REGISTRY`, `docker push IMAGE` |
//! | `build_image` | `docker build --tag=IMAGE … -`, the context on standard input |
//! | `tag_image`, `remove_image` | `docker tag IMAGE NAME`, `docker rmi IMAGE` |
//! | `save_image`, `load_image` | `docker save IMAGE`, `docker load` |
//! | `import_image`, `export_container` | `docker import - IMAGE`, `docker export NAME` |
//! | `copy_from_container`, `copy_to_container` | `docker cp NAME:PATH -`, `docker cp - NAME:PATH` |
//! | `unpause_container` | `docker unpause NAME` |
//! | `restart_container`, `rename_container` | `docker restart --time=SECONDS NAME`, `docker rename NAME NAME` |
//! | `commit_container` | `docker commit NAME IMAGE` |
//! | `image_history` | `docker history --no-trunc=true --human=false --format={{json .}} IMAGE` |
//!
//! [`CliBackend`] has further methods of its own, for flags that the trait has no words for: logout, inspection of
//! images, a commit with a message, `docker exec` with variables, a terminal or all capabilities, `docker ps`,
//! `docker images` and `docker network ls` with conditions, `docker pull --all-tags`, `docker rm --link`; and
//! utilities that work on the engine's host: [`copy_resource`](CliBackend::copy_resource),
//! [`copy_resources`](CliBackend::copy_resources), [`isolate_and_get`](CliBackend::isolate_and_get),
//! [`isolate_to_image`](CliBackend::isolate_to_image), [`save_compressed`](CliBackend::save_compressed),
//! [`save_stream`](CliBackend::save_stream),
//! [`flatten_image`](CliBackend::flatten_image).
//!
//! # What is different from the Engine API
//!
//! * The program takes one word as entry point, a health check as shell text, and "no network" as a
//!   network mode. What was meant is kept in the label `dfab.cli`, which every backend reads back
//!   ([`dfab_client::engine_json::Rewritten`]). A health check of words needs a shell in the image.
//! * A seccomp profile by its content, a mount's `CreateMountpoint` and the like have no flag, and are
//!   [`Unsupported`](dfab_client::error::Cause::Unsupported).
//! * Values of variables stay off the command line of `docker create`, which other users of the engine's
//!   host could read: they are a file of variables on standard input. One that does not fit a line of it
//!   (line breaks, 64 KiB) is exported in the script, and named by `--env=NAME`; with sudo also by
//!   `--preserve-env=NAME`, which a rule of sudoers for single commands allows with the tag `SETENV:`.
//!   Of those, names that are no shell identifiers, and names that programs act on (`IFS`, `DOCKER_…`,
//!   `LD_…`, `…_PROXY`), do stand on the command line, as do variables of which there are two of one
//!   name. Registry and sudo passwords never do. Build
//!   arguments take the same ways, but the file.
//!   A prefix that changes to a user who is neither root nor the caller cannot open standard input:
//!   such a host needs a session as that user.
//! * `docker` 23.0 to 27.1 itself drops `--device-read-bps` and its three siblings without a word
//!   (<https://github.com/docker/cli/issues/5321>): they are refused there as `Unsupported`.
//! * Identity tokens (the user name `<token>`) serve pulls and pushes; `docker login` takes none, and says so.
//! * The layers of a history have no `Tags`.
//! * A pull reports lines, not bytes, for that is what the program prints without a terminal.
//! * A call has no deadline of its own, apart from those that take one. A dead connection is noticed by
//!   the session; a command that was given up on a remote host goes on until it ends by itself.
//! * Results pass through files in a private folder on the engine's host (`$TMPDIR`, else `/tmp`), which
//!   is removed when a script ends.

pub mod command;

mod backend;
mod batch;
mod echo;
mod failure;
#[cfg(test)]
mod fake;
mod follow;
mod frame;
mod host;
mod more;
mod options;
mod parse;
mod script;
mod shell;
mod transfers;
mod utilities;

pub use backend::CliBackend;
pub use echo::Echo;
pub use failure::Unusable;
pub use frame::Finished;
pub use options::{CliOptions, EchoSink, Sudo, TlsFlags};
pub use shell::{Exit, LocalShell, RemoteShell, Running, Shell};
pub use utilities::{Compressor, Copies, Outside};

/// The example of the README is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
