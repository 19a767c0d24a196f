//! `docker.login`, `pull`, `push`, `save_image`, `load_image`: images and registries
//! (clients-tasks §1.3, §4.6, §4.7, §8.9).

use std::time::Duration;

use dfab_cli_client::Compressor;
use dfab_client::Backend;
use dfab_client::backend::PullProgress;
use dfab_client::transfer::{Progress, Reader};
use dfab_map::desired::Target;
use dfab_map::image::ImageName;
use dfab_map::model::Auth;
use dfab_map::value::{Late, Value};
use futures_util::FutureExt;
use serde_json::json;

use super::engine_failure;
use crate::archive::{self, Compression, Stored};
use crate::cli::Arguments;
use crate::cli::options::BackendKind;
use crate::console::transfer::{Transfer, watched};
use crate::endpoint::{Address, DEFAULT_SOCKET, Endpoint};
use crate::failure::{Failure, Kind, Result};
use crate::link::{self, Direction, Tools};
use crate::machine::Machine;
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::report::Report;
use crate::run::Run;

const TEXT: ParameterKind = ParameterKind::Text;
const IMAGE: Parameter = Parameter::required("image", "name of the image, with a tag or digest");

/// The version of the Engine API from which on engines read archives that are compressed with zstd (23.0).
const READS_ZSTD: (u32, u32) = (1, 42);

/// Plain archives below this are sent before a link is measured.
const WORTH_MEASURING: u64 = 8 << 20;

/// The table entries.
pub const TASKS: &[Task] = &[
    Task {
        namespace: "docker",
        name: "load_image",
        aliases: &[],
        about: "Upload an image archive to the host.",
        help: "The archive is a tar file, plain or compressed, as `docker save` and `docker.save_image` write it. Over SSH a plain \
               one travels compressed where the link is slower than the compressor.",
        parameters: &[&[
            Parameter::required("filename", "archive on this machine"),
            Parameter::optional("timeout", ParameterKind::Integer, "120", "seconds that the upload may take"),
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| load_image(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "login",
        aliases: &[],
        about: "Check the login at a registry.",
        help: "What is not given comes from `docker_registry_repository`, `docker_registry_user` and \
               `docker_registry_password`; a password that is nowhere is asked for. Pulls and pushes use the same \
               values, and `auth_configs` of the client.",
        parameters: &[&[
            Parameter::optional(
                "registry",
                TEXT,
                "docker_registry_repository, else Docker Hub",
                "host of the registry",
            ),
            Parameter::keyword("username", TEXT, "docker_registry_user", "user name"),
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| login(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "pull",
        aliases: &[],
        about: "Pull an image.",
        help: "",
        parameters: &[&[IMAGE]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| pull(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "push",
        aliases: &[],
        about: "Push an image to its registry.",
        help: "",
        parameters: &[&[IMAGE]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| push(run, arguments).boxed_local(),
    },
    Task {
        namespace: "docker",
        name: "save_image",
        aliases: &[],
        about: "Download an image as a compressed archive.",
        help: "Runs on the first host only. `/` and `:` of the image's name are `_` in the file's. A file whose name ends \
               in `.tar` is not compressed, one in `.zst` with zstd, any other with gzip. However it is stored, over SSH \
               it travels compressed where the link is slower than the host's zstd or gzip.",
        parameters: &[&[
            IMAGE,
            Parameter::optional("filename", TEXT, "IMAGE.tar.gz", "file on this machine"),
        ]],
        words: None,
        scope: Scope::FirstHost,
        run: |run, arguments| save_image(run, arguments).boxed_local(),
    },
];

fn image_name(text: &str) -> Result<ImageName> {
    ImageName::expand(text, None, None).map_err(|error| Failure::usage(error.to_string()))
}

fn variable(run: &Run, name: &str) -> Option<String> {
    match run.variables.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

/// Returns the login for a registry: the client's `auth_configs`, else the registry variables when they
/// are for this registry, else what the `docker` program of this machine knows.
async fn auth(run: &Run, registry: Option<&str>) -> Result<Option<Auth>> {
    let target = run.target().await?;
    if let Some(auth) = target.config.auth_configs.get(registry.unwrap_or("docker.io")) {
        return auth.resolve(&run.variables).map(Some).map_err(|error| {
            let shown = registry.unwrap_or("Docker Hub");
            Failure::configuration(format!("the login for the registry {shown} has no value"))
                .because(&error)
                .hint("set the variable: `--set NAME=VALUE`, or `env:` of the project")
        });
    }
    let found = run.settings.credentials.login(registry).await;
    found.map_err(|error| {
        let shown = registry.unwrap_or("Docker Hub");
        Failure::configuration(format!("failed to find a login for the registry {shown}"))
            .because(&error)
            .hint("set `docker_registry_repository`, `docker_registry_user` and `docker_registry_password` instead")
    })
}

/// As [`auth`], where there must be one.
async fn found_auth(run: &Run, registry: Option<&str>) -> Result<Auth> {
    let shown = registry.unwrap_or("Docker Hub");
    auth(run, registry).await?.ok_or_else(|| {
        Failure::configuration(format!("no user is given for the registry {shown}"))
            .hint("give `--username`, set `docker_registry_user`, or name the registry in the client's `auth_configs`")
    })
}

/// The engine alone decides how a registry is spoken to (D-11).
fn warn_insecure(run: &Run) {
    if let Some(value) = run.variables.get("docker_registry_insecure")
        && !matches!(value, Value::Null | Value::Bool(false))
    {
        let text = "`docker_registry_insecure` has no effect: the engine decides, by `insecure-registries` in its \
                    daemon.json";
        run.console.warn(run.host_text(), text);
    }
}

async fn login(run: &Run, arguments: &Arguments) -> Result<Report> {
    let registry =
        arguments.text("registry").map(str::to_owned).or_else(|| variable(run, "docker_registry_repository"));
    let registry = registry.filter(|registry| !registry.is_empty());
    let shown = registry.as_deref().unwrap_or("Docker Hub");
    let username =
        arguments.text("username").map(str::to_owned).or_else(|| variable(run, "docker_registry_user"));
    if run.options.dry_run {
        if username.is_none() {
            found_auth(run, registry.as_deref()).await?;
        }
        run.result_line(&format!("would log in at {shown}"));
        let rows = vec![json!({"host": run.host_text(), "registry": registry, "ok": null})];
        // An engine checks a login and forgets it; the `docker` program keeps it on its host.
        let would_change = run.settings.backend == BackendKind::Cli;
        return Ok(Report { rows: Some(rows), would_change, ..Report::done("docker.login") });
    }
    let auth = match username {
        Some(username) => {
            let password = match variable(run, "docker_registry_password") {
                Some(password) => password,
                None => crate::prompt::secret(run, &format!("Password of {username} at {shown}: "))
                    .map_err(|failure| failure.hint("set `docker_registry_password`"))?
                    .reveal()
                    .to_owned(),
            };
            let email = variable(run, "docker_registry_mail");
            Auth { username: Late::Known(username), password: Late::Known(password), email }
        }
        None => found_auth(run, registry.as_deref()).await?,
    };
    warn_insecure(run);
    let backend = run.backend().await?;
    if !backend.login(registry.as_deref(), &auth).await.map_err(|error| engine_failure(&error))? {
        return Err(Failure::new(Kind::Engine, format!("the registry {shown} refuses the login"))
            .hint("check user name and password; a registry that locks accounts may have done so"));
    }
    run.result_line(&format!("Login at {shown} succeeded."));
    let rows = vec![json!({"host": run.host_text(), "registry": registry, "ok": true})];
    Ok(Report { rows: Some(rows), ..Report::done("docker.login") })
}

async fn pull(run: &Run, arguments: &Arguments) -> Result<Report> {
    let image = image_name(arguments.text("image").unwrap_or_default())?;
    let rows = vec![json!({"host": run.host_text(), "image": image.to_string()})];
    if run.options.dry_run {
        run.result_line(&format!("would pull {image}"));
        return Ok(Report { rows: Some(rows), would_change: true, ..Report::done("docker.pull") });
    }
    warn_insecure(run);
    let backend = run.backend().await?;
    let auth = auth(run, image.registry()).await?;
    let transfer = Transfer::new(&run.console, run.host_text(), &format!("pull {image}"));
    let progress = |progress: PullProgress| transfer.pull(&progress);
    let pulled = backend.pull_image(&image, auth.as_ref(), &progress).await;
    drop(transfer);
    pulled.map_err(|error| engine_failure(&error))?;
    run.result_line(&format!("pulled {image}"));
    Ok(Report { rows: Some(rows), ..Report::done("docker.pull") })
}

async fn push(run: &Run, arguments: &Arguments) -> Result<Report> {
    let image = image_name(arguments.text("image").unwrap_or_default())?;
    let rows = vec![json!({"host": run.host_text(), "image": image.to_string()})];
    if run.options.dry_run {
        run.result_line(&format!("would push {image}"));
        return Ok(Report { rows: Some(rows), would_change: true, ..Report::done("docker.push") });
    }
    warn_insecure(run);
    let backend = run.backend().await?;
    let auth = auth(run, image.registry()).await?;
    let transfer = Transfer::new(&run.console, run.host_text(), &format!("push {image}"));
    let progress = |progress: Progress| transfer.progress(&progress);
    let pushed = backend.push_image(&image, auth.as_ref(), &progress).await;
    drop(transfer);
    pushed.map_err(|error| engine_failure(&error))?;
    run.result_line(&format!("pushed {image}"));
    Ok(Report { rows: Some(rows), ..Report::done("docker.push") })
}

async fn save_image(run: &Run, arguments: &Arguments) -> Result<Report> {
    let image = arguments.text("image").unwrap_or_default();
    let name = match arguments.text("filename").filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => format!("{}.tar.gz", image.replace(['/', ':'], "_")),
    };
    let path = run.directory.join(run.variables.expand_home(&name));
    let rows = vec![json!({"host": run.host_text(), "image": image, "file": name})];
    if run.options.dry_run {
        run.result_line(&format!("would save {image} to {name}"));
        return Ok(Report { rows: Some(rows), would_change: true, ..Report::done("docker.save_image") });
    }
    archive::take_small_pages();
    let backend = run.backend().await?;
    let transfer = Transfer::new(&run.console, run.host_text(), &format!("save {image}"));
    let (stream, wire) = match compressed_save(run, backend.as_ref(), image).await? {
        Some(compressed) => compressed,
        None => {
            let stream = backend.save_image(image).await.map_err(|error| engine_failure(&error))?;
            (stream, Compression::None)
        }
    };
    let tell = |bytes: u64| transfer.bytes(bytes, None);
    let stored = Compression::of_name(&name);
    let saved = archive::write(stream, wire, &path, stored, &tell).await.map_err(|error| {
        let kind = if matches!(error, archive::Failed::File(_)) { Kind::Task } else { Kind::Connection };
        Failure::new(kind, format!("failed to save image `{image}` to `{name}`"))
            .because(&error)
            .hint("nothing is left of it; run the task again")
    })?;
    drop(transfer);
    run.result_line(&format!(
        "saved {image} to {name} ({})",
        told(&saved, Some(wire).filter(|wire| *wire != Compression::None))
    ));
    let rows = vec![json!({
        "host": run.host_text(), "image": image, "file": name, "bytes": saved.bytes, "sha256": saved.sha256,
        "sent_as": wire.to_string(),
    })];
    Ok(Report { rows: Some(rows), ..Report::done("docker.save_image") })
}

/// What is said of an archive that was transferred, and how where that is worth a word.
fn told(archive: &archive::Archive, wire: Option<Compression>) -> String {
    let sent = wire.map(|wire| match wire {
        Compression::None => ", sent without compression".to_owned(),
        wire => format!(", sent as {wire}"),
    });
    format!("{} MiB, sha256 {}{}", archive.bytes >> 20, archive.sha256, sent.unwrap_or_default())
}

/// Returns the host of a target that is reached over SSH and has its engine at the socket of its own, which is
/// the one that its `docker` program speaks to.
fn ssh_machine(run: &Run, target: &Target) -> Result<Option<Machine>> {
    match run.engines.endpoint(target)? {
        Endpoint { host: Some(host), address: Address::Unix(path) } if path == DEFAULT_SOCKET => {
            Ok(Some(Machine::new(Some(&host), &run.engines.sessions)))
        }
        _ => Ok(None),
    }
}

/// Opens an image's stream that the host compresses, where the link gains by that. Whatever stands in the way of
/// it is no failure: the image then travels as it is, and says itself what is wrong.
async fn compressed_save(
    run: &Run,
    backend: &dyn Backend,
    image: &str,
) -> Result<Option<(Reader, Compression)>> {
    let target = run.target().await?;
    let Some(machine) = ssh_machine(run, &target)? else { return Ok(None) };
    let is_there = async { backend.image_id(&image_name(image).ok()?).await.ok()? };
    if is_there.await.is_none() {
        return Ok(None);
    }
    let measured = async {
        let tools = Tools::of(&machine).await?;
        Ok::<_, Failure>(link::choose(link::measure(&machine, Direction::Down).await?, tools))
    };
    let wire = measured.await.unwrap_or(Compression::None);
    let compressor = match wire {
        Compression::None => return Ok(None),
        Compression::Gzip => Compressor::Gzip,
        Compression::Zstd => Compressor::Zstd,
    };
    let stream = run.engines.program(&target)?.save_stream(image, compressor).await;
    Ok(stream.ok().map(|stream| (stream, wire)))
}

/// Chooses how an archive travels to the engine; `None` is as it is stored.
async fn load_wire(run: &Run, backend: &dyn Backend, archive: &Stored) -> Result<Option<Compression>> {
    let Some(stored) = archive.compression else { return Ok(None) };
    let reads_zstd = match stored {
        Compression::Gzip => return Ok(None),
        Compression::Zstd | Compression::None => {
            let info = backend.engine_info().await.map_err(|error| engine_failure(&error))?;
            info.api_version >= READS_ZSTD
        }
    };
    if stored == Compression::Zstd && reads_zstd {
        return Ok(None);
    }
    let machine = ssh_machine(run, &run.target().await?)?;
    // What is compressed already says little of what would have to be sent.
    let is_worth_it = stored != Compression::None || archive.size >= WORTH_MEASURING;
    let Some(machine) = machine.filter(|_| is_worth_it) else {
        return Ok(Some(Compression::None));
    };
    let tools = Tools { gzip: true, zstd: reads_zstd };
    let rate = link::measure(&machine, Direction::Up).await;
    Ok(Some(rate.map_or(Compression::None, |rate| link::choose(rate, tools))))
}

async fn load_image(run: &Run, arguments: &Arguments) -> Result<Report> {
    let given = arguments.text("filename").unwrap_or_default();
    let seconds = arguments.integer("timeout");
    let path = |name: &str| run.directory.join(run.variables.expand_home(name));
    // `file:600` is documented for `file,600` (clients-tasks §8.1), unless there is a file of that name.
    let (name, colon_seconds) = match given.rsplit_once(':') {
        Some((name, number)) if !path(given).exists() => match number.parse::<i64>() {
            Ok(number) => (name, Some(number)),
            Err(_) => (given, None),
        },
        _ => (given, None),
    };
    let seconds = seconds.or(colon_seconds).unwrap_or(120);
    let limit = u64::try_from(seconds)
        .map_err(|_| Failure::usage(format!("`{seconds}` is no number of seconds (argument `timeout`)")))?;
    let archive = archive::open(path(name)).await.map_err(|error| {
        Failure::usage(format!("failed to read the image archive `{name}`")).because(&error)
    })?;
    let rows = vec![json!({"host": run.host_text(), "file": name})];
    if run.options.dry_run {
        run.result_line(&format!("would load {name}"));
        return Ok(Report { rows: Some(rows), would_change: true, ..Report::done("docker.load_image") });
    }
    archive::take_small_pages();
    let backend = run.backend().await?;
    let transfer = Transfer::new(&run.console, run.host_text(), &format!("load {name}"));
    let size = archive.size;
    let recode = load_wire(run, backend.as_ref(), &archive).await?;
    let (stored, wire) = (archive.compression, recode.or(archive.compression));
    let (stream, read) = archive.reader(recode);
    let progress = |progress: Progress| transfer.progress(&progress);
    let again = "the engine keeps no part of an image; run the task again";
    // The engine says nothing before it has the whole archive.
    let tell = |transfer: &Transfer<'_>| {
        let sent = read.bytes();
        if sent < size {
            transfer.bytes(sent, Some(size));
        }
    };
    let loading = watched(&transfer, tell, backend.load_image(stream, &progress));
    match tokio::time::timeout(Duration::from_secs(limit), loading).await {
        Ok(result) => result.map_err(|error| {
            let mut failure = engine_failure(&error);
            let how_far = format!("{} of {} MiB of `{name}` were sent", read.bytes() >> 20, size >> 20);
            failure.causes.insert(0, how_far);
            failure.hint(again)
        })?,
        Err(_) => {
            let how_far = format!("{} of {} MiB were sent", read.bytes() >> 20, size >> 20);
            return Err(Failure::new(
                Kind::Connection,
                format!("loading `{name}` took longer than {limit} s: {how_far}"),
            )
            .hint(format!("give it more time: `--timeout SECONDS`; {again}")));
        }
    }
    let loaded = read.archive();
    drop(transfer);
    run.result_line(&format!("loaded {name} ({})", told(&loaded, wire.filter(|_| wire != stored))));
    let rows = vec![json!({
        "host": run.host_text(), "file": name, "bytes": loaded.bytes, "sha256": loaded.sha256,
        "sent_as": wire.map(|wire| wire.to_string()),
    })];
    Ok(Report { rows: Some(rows), ..Report::done("docker.load_image") })
}
