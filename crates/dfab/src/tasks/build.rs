//! `docker.build`: an image from a folder, a Dockerfile or an archive (clients-tasks §4.4, §4.5, §5.9).

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dfab_client::build::{
    BuildRequest, Compression, ContextOptions, DockerContext, Error, Metadata, build_from_context,
};
use dfab_client::error::Cause;
use dfab_client::transfer::{BuildLimits, BuildOptions, Progress};
use futures_util::FutureExt;
use serde_json::json;

use super::engine_failure;
use crate::cli::Arguments;
use crate::console::transfer::{Transfer, watched};
use crate::failure::{Failure, Result};
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::report::Report;
use crate::run::Run;

const BOOL: ParameterKind = ParameterKind::Bool;
const LIST: ParameterKind = ParameterKind::List;
const TEXT: ParameterKind = ParameterKind::Text;

/// The table entries.
pub const TASKS: &[Task] = &[Task {
    namespace: "docker",
    name: "build",
    aliases: &[],
    about: "Build an image.",
    help: "PATH is a folder with a Dockerfile, a Dockerfile alone, or a packed context (tar, plain or compressed). A folder is \
           packed while it is sent, without what its `.dockerignore` names. A build argument without `=` takes its value from \
           the environment; no value is shown, nor is it on a command line of the host, except names that the docker program \
           itself acts on, such as `https_proxy`, with `--backend cli`.",
    parameters: &[&[
        Parameter::required("tag", "name of the image, with its tag"),
        Parameter::optional("path", TEXT, ".", "folder, Dockerfile or packed context on this machine"),
        Parameter::keyword("add_latest_tag", BOOL, "false", "also tag the image `latest`"),
        Parameter::keyword("add_tags", LIST, "", "further tags in the same repository"),
        Parameter::keyword("dockerfile", TEXT, "Dockerfile", "path of the Dockerfile in the context"),
        Parameter::keyword("buildargs", LIST, "", "build arguments, NAME=VALUE or NAME"),
        Parameter::keyword("labels", LIST, "", "labels, NAME=VALUE"),
        Parameter::keyword("target", TEXT, "the last one", "stage to build"),
        Parameter::keyword("nocache", BOOL, "false", "use no layers of earlier builds"),
        Parameter::keyword("pull", BOOL, "false", "pull newer base images"),
        Parameter::keyword("rm", BOOL, "true", "remove intermediate containers after a success"),
        Parameter::keyword("forcerm", BOOL, "false", "remove intermediate containers in any case"),
        Parameter::keyword("quiet", BOOL, "false", "show no build output"),
        Parameter::keyword("cache_from", LIST, "", "images whose layers may be used"),
        Parameter::keyword("network_mode", TEXT, "default", "network of RUN"),
        Parameter::keyword("extra_hosts", LIST, "", "lines of /etc/hosts during the build, NAME:ADDRESS"),
        Parameter::keyword("platform", TEXT, "the engine's", "platform of the image"),
        Parameter::keyword(
            "container_limits",
            LIST,
            "",
            "memory, memswap, cpushares, cpusetcpus: NAME=VALUE",
        ),
        Parameter::keyword("timeout", ParameterKind::Integer, "none", "seconds that the build may take"),
        Parameter::keyword(
            "fixed_times",
            BOOL,
            "false",
            "pack files as root's, of 1970: equal from every checkout",
        ),
    ]],
    words: None,
    scope: Scope::EachHost,
    run: |run, arguments| build(run, arguments).boxed_local(),
}];

async fn build(run: &Run, arguments: &Arguments) -> Result<Report> {
    let request = request(arguments, &|name| std::env::var(name).ok())?;
    let tag = request.options.tag.clone();
    let given = arguments.text("path").filter(|path| !path.is_empty()).unwrap_or(".");
    let path = run.directory.join(run.variables.expand_home(given));
    let metadata = if arguments.flag("fixed_times") { Metadata::Fixed } else { Metadata::AsOnDisk };
    let dockerfile = request.options.dockerfile.clone();
    let packed = tokio::task::spawn_blocking(move || context(&path, dockerfile.as_deref(), metadata)).await;
    let context = packed.expect("packing does not panic").map_err(|error| {
        let mut failure =
            Failure::usage(format!("there is nothing to build from in `{given}`")).because(&error);
        if matches!(error, Error::WithoutDockerfile) {
            failure = failure.hint("`--dockerfile PATH` names another file than `Dockerfile`");
        }
        failure
    })?;
    let row = |id: Option<&str>, names: &[String]| json!({"host": run.host_text(), "image": tag, "id": id, "tags": names});
    if run.options.dry_run {
        run.result_line(&format!("would build {tag} from {given}"));
        let rows = Some(vec![row(None, &[])]);
        return Ok(Report { rows, would_change: true, ..Report::done("docker.build") });
    }
    let backend = run.backend().await?;
    let transfer = Transfer::new(&run.console, run.host_text(), &format!("build {tag}"));
    // Steps begin when the engine has all of the context.
    let builds = AtomicBool::new(false);
    let progress = |progress: Progress| {
        builds.store(true, Ordering::Relaxed);
        let Progress::Line(line) = &progress else { return transfer.progress(&progress) };
        if !line.trim().is_empty() {
            run.console.progress_line(run.host_text(), &format!("docker: {line}"));
            transfer.step(line);
        }
    };
    let tell = |transfer: &Transfer<'_>| {
        let bytes = context.taken();
        if bytes > 0 && !builds.load(Ordering::Relaxed) {
            transfer.sent(bytes);
        }
    };
    let building = build_from_context(backend.as_ref(), &context, &request, &progress);
    let built = watched(&transfer, tell, building).await;
    drop(transfer);
    let built = built.map_err(|error| {
        let mut failure = engine_failure(&error);
        if matches!(error.cause, Cause::Timeout(limit) if Some(limit) == request.options.timeout) {
            failure.hints = vec!["give it more time: `--timeout SECONDS`".to_owned()];
        }
        failure
    })?;
    let id = built.image_id.as_deref();
    let names = [std::slice::from_ref(&tag), &built.added_names].concat();
    run.result_line(&format!("built {} ({})", names.join(", "), id.unwrap_or("no ID")));
    Ok(Report { rows: Some(vec![row(id, &built.added_names)]), ..Report::done("docker.build") })
}

/// Makes the context of what a path names.
fn context(
    path: &Path,
    dockerfile: Option<&str>,
    metadata: Metadata,
) -> std::result::Result<DockerContext, Error> {
    let options = ContextOptions { compression: Compression::Gzip, metadata };
    if path.is_dir() {
        return DockerContext::of_folder(path, dockerfile, &options);
    }
    let mut context = DockerContext::new(options);
    if is_archive(path).map_err(|source| Error::Read { path: path.to_owned(), source })? {
        context.add_archive(path)?;
    } else {
        context.add(path, Some(dockerfile.unwrap_or("Dockerfile")))?;
    }
    context.finalize();
    Ok(context)
}

/// Tells a tar archive, plain or compressed, from a text.
fn is_archive(path: &Path) -> std::io::Result<bool> {
    use std::io::Read as _;
    let mut start = Vec::new();
    std::fs::File::open(PathBuf::from(path))?.take(512).read_to_end(&mut start)?;
    let packed: [&[u8]; 4] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    Ok(packed.iter().any(|magic| start.starts_with(magic)) || start.get(257..262) == Some(b"ustar"))
}

fn request(arguments: &Arguments, environment: &dyn Fn(&str) -> Option<String>) -> Result<BuildRequest> {
    let text = |name: &str| arguments.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let list = |name: &str| arguments.list(name).to_vec();
    let tag = text("tag").unwrap_or_default();
    if tag.is_empty() {
        return Err(Failure::usage("the image needs a name (argument `tag`)"));
    }
    let pairs = |name: &'static str| {
        list(name).into_iter().map(move |pair| match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), Some(value.to_owned()))),
            None if !pair.is_empty() => Ok((pair, None)),
            _ => Err(Failure::usage(format!("`{pair}` is no NAME=VALUE (argument `{name}`)"))),
        })
    };
    let mut options = BuildOptions {
        tag,
        dockerfile: text("dockerfile"),
        nocache: arguments.flag("nocache"),
        pull: arguments.flag("pull"),
        quiet: arguments.flag("quiet"),
        rm: arguments.boolean("rm").unwrap_or(true),
        forcerm: arguments.flag("forcerm"),
        cache_from: list("cache_from"),
        target: text("target"),
        network_mode: text("network_mode"),
        extra_hosts: list("extra_hosts"),
        platform: text("platform"),
        ..BuildOptions::default()
    };
    for pair in pairs("buildargs") {
        let (name, value) = pair?;
        let value = match value {
            Some(value) => value,
            None => environment(&name).ok_or_else(|| {
                Failure::usage(format!(
                    "the build argument `{name}` has no value, and is not in the environment"
                ))
                .hint(format!("write `{name}=` for an empty one"))
            })?,
        };
        options.buildargs.insert(name, value);
    }
    for pair in pairs("labels") {
        let (name, value) = pair?;
        options.labels.insert(name, value.unwrap_or_default());
    }
    for pair in pairs("container_limits") {
        let (name, value) = pair?;
        set_limit(&mut options.limits, &name, value.as_deref().unwrap_or_default())?;
    }
    if let Some(host) = options.extra_hosts.iter().find(|host| !host.contains(':')) {
        return Err(Failure::usage(format!("`{host}` is no NAME:ADDRESS (argument `extra_hosts`)")));
    }
    if let Some(seconds) = arguments.integer("timeout") {
        let limit = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0);
        let limit = limit.ok_or_else(|| {
            Failure::usage(format!("`{seconds}` is no number of seconds (argument `timeout`)"))
        })?;
        options.timeout = Some(Duration::from_secs(limit));
    }
    let (add_tags, add_latest_tag) = (list("add_tags"), arguments.flag("add_latest_tag"));
    Ok(BuildRequest { options, add_tags, add_latest_tag })
}

fn set_limit(limits: &mut BuildLimits, name: &str, value: &str) -> Result<()> {
    let number = || {
        value.parse::<i64>().map(Some).map_err(|error| {
            Failure::usage(format!("`{name}={value}` is no limit (argument `container_limits`)"))
                .because(&error)
        })
    };
    match name {
        "memory" => limits.memory = number()?,
        "memswap" => limits.memory_swap = number()?,
        "cpushares" => limits.cpu_shares = number()?,
        "cpusetcpus" => limits.cpuset_cpus = Some(value.to_owned()),
        other => {
            return Err(Failure::usage(format!("there is no limit `{other}` (argument `container_limits`)"))
                .hint("limits are memory, memswap (bytes), cpushares and cpusetcpus"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::chain;

    #[test]
    fn a_context_is_a_folder_a_dockerfile_or_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("folder")).unwrap();
        for name in ["folder/Dockerfile", "folder/a", "Other"] {
            std::fs::write(at(name), "FROM busybox\n").unwrap();
        }
        let members = |path: &str, dockerfile: Option<&str>| {
            let context =
                context(&at(path), dockerfile, Metadata::AsOnDisk).map_err(|error| chain(&error).join(": "));
            context.map(|context| context.members().unwrap().join(" "))
        };
        assert_eq!(members("folder", None), Ok("Dockerfile a".to_owned()));
        assert_eq!(members("folder", Some("a")), Ok("Dockerfile a".to_owned()));
        assert_eq!(members("Other", None), Ok("Dockerfile".to_owned()));
        let packed = context(&at("folder"), None, Metadata::AsOnDisk).unwrap();
        packed.save(at("packed.tar.gz")).unwrap();
        assert_eq!(members("packed.tar.gz", None), Ok("Dockerfile a".to_owned()));
        assert!(members("folder", Some("none")).unwrap_err().contains("without a dockerfile"));
        assert!(members("none", None).unwrap_err().contains("No such file"));
    }
}
