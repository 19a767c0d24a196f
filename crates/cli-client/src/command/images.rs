//! Images and registries: `pull`, `push`, `build`, `save`, `load`, `login` and what else there is.

use dfab_client::error::Cause;
use dfab_client::registry::TOKEN_USER;
use dfab_client::transfer::BuildOptions;
use dfab_tunnel::Secret;

use super::environment::is_harmless;
use super::words::{Words, name};
use super::{Built, Command, Login};

/// `docker images`, one JSON object a line, tags and digests included.
pub fn list_images() -> Command {
    let mut words = Words::new("images");
    words.flag("no-trunc", true).flag("digests", true).flag("format", "{{json .}}");
    Command::query("list images", words)
}

/// `docker images --quiet [--all] [REPOSITORY[:TAG]]`, then `docker inspect` of them: a JSON array in
/// which an image stands once for each of its tags.
pub fn image_details(all: bool, name: Option<&str>) -> Built {
    let mut words = Words::new("images");
    words.flag("no-trunc", true).flag("quiet", true);
    if all {
        words.flag("all", true);
    }
    if let Some(name) = name {
        words.positional(name)?;
    }
    let mut details = Words::new("inspect");
    details.flag("type", "image");
    Ok(Command { then: Some(details.0), ..Command::query("list images", words) })
}

/// `docker inspect --type=image NAME…`: a JSON array.
pub fn inspect_images(images: &[&str]) -> Built {
    let mut words = Words::new("inspect");
    words.flag("type", "image");
    for image in images {
        words.positional(image)?;
    }
    Ok(Command::query(format!("inspect image `{}`", images.join("`, `")), words))
}

/// `docker history IMAGE`, one JSON object a line, the newest layer first, with sizes in bytes.
pub fn history(image: &str) -> Built {
    let mut words = Words::new("history");
    words.flag("no-trunc", true).flag("human", false).flag("format", "{{json .}}").positional(image)?;
    Ok(Command::query(format!("ask for the history of image `{image}`"), words))
}

/// `docker pull IMAGE`. With `login`, the credentials are valid for this command only.
pub fn pull(image: &str, login: Option<Login>) -> Built {
    let mut words = Words::new("pull");
    words.positional(image)?;
    Ok(Command { login, ..Command::action(format!("pull image `{image}`"), words).long() })
}

/// `docker pull --all-tags=true REPOSITORY`, likewise.
pub fn pull_all_tags(repository: &str, login: Option<Login>) -> Built {
    let mut words = Words::new("pull");
    words.flag("all-tags", true).positional(repository)?;
    Ok(Command { login, ..Command::action(format!("pull all tags of `{repository}`"), words).long() })
}

/// `docker push IMAGE`, likewise.
pub fn push(image: &str, login: Option<Login>) -> Built {
    let mut words = Words::new("push");
    words.positional(image)?;
    Ok(Command { login, ..Command::action(format!("push image `{image}`"), words).long() })
}

/// `docker tag IMAGE TARGET`.
pub fn tag(image: &str, target: &str) -> Built {
    let mut words = Words::new("tag");
    words.positional(image)?.positional(target)?;
    Ok(Command::action(format!("tag image `{image}` as `{target}`"), words))
}

/// `docker rmi [--force=true] [--no-prune=true] IMAGE`.
pub fn remove_image(image: &str, force: bool, no_prune: bool) -> Built {
    let mut words = Words::new("rmi");
    if force {
        words.flag("force", true);
    }
    if no_prune {
        words.flag("no-prune", true);
    }
    words.positional(image)?;
    Ok(Command::action(format!("remove image `{image}`"), words).long())
}

/// `docker login --username=USER --password-stdin [REGISTRY]`; the password goes to standard input
/// (clients-tasks §5.8). The login stays on the host, as with the program itself.
///
/// # Errors
///
/// [`Cause::Input`] without a user name, where the program would ask for one, and for a password
/// with a line break, which it would cut. [`Cause::Unsupported`] for an identity token: the program takes
/// those from its configuration only, where each pull and push with credentials of its own puts it.
pub fn login(registry: Option<&str>, username: &str, password: &Secret) -> Built {
    if username.is_empty() {
        return Err(Cause::Input("a registry login needs a user name".to_owned()));
    }
    if username == TOKEN_USER {
        return Err(Cause::Unsupported(
            "`docker login` takes no identity token; pull and push use it without a login".to_owned(),
        ));
    }
    if password.reveal().contains(['\n', '\r']) {
        return Err(Cause::Input("a registry password with a line break cannot be sent".to_owned()));
    }
    let mut words = Words::new("login");
    words.flag("username", username).word("--password-stdin");
    if let Some(registry) = registry {
        words.positional(registry)?;
    }
    let operation = format!("log in to {}", registry.unwrap_or("Docker index"));
    Ok(Command { input: Some(password.clone()), ..Command::action(operation, words).long() })
}

/// `docker logout [REGISTRY]`.
pub fn logout(registry: Option<&str>) -> Built {
    let mut words = Words::new("logout");
    if let Some(registry) = registry {
        words.positional(registry)?;
    }
    Ok(Command::action(format!("log out of {}", registry.unwrap_or("Docker index")), words))
}

/// `docker save IMAGE…`: a tar stream on standard output.
pub fn save(images: &[&str]) -> Built {
    let mut words = Words::new("save");
    for image in images {
        words.positional(image)?;
    }
    Ok(Command::query(format!("save image `{}`", images.join("`, `")), words).long())
}

/// `docker load`: reads a tar stream, plain or compressed, from standard input.
pub fn load() -> Command {
    Command::action("load an image", Words::new("load")).long()
}

/// `docker import [--change=TEXT]… [--message=TEXT] - [IMAGE]`: reads the tar stream of a file
/// system from standard input; the output is the image ID.
pub fn import(image: Option<&str>, changes: &[&str], message: Option<&str>) -> Built {
    let mut words = Words::new("import");
    words.each("change", changes).each("message", message).word("-");
    if let Some(image) = image {
        words.positional(image)?;
    }
    Ok(Command::action(format!("import image `{}`", image.unwrap_or("(without a name)")), words).long())
}

/// `docker build [flags] -`: reads a context (tar, plain or compressed) from standard input.
///
/// Build arguments are named by `--build-arg=NAME`, and their values are in the environment of the program,
/// off its command line. Names that a shell cannot set, or that the program acts on (`http_proxy`, `PATH`),
/// stand there with their values.
pub fn build(options: &BuildOptions) -> Built {
    let mut words = Words::new("build");
    words.flag("tag", name(&options.tag)?);
    words.each("file", &options.dockerfile);
    let mut exported = Vec::new();
    for (name, value) in &options.buildargs {
        if is_harmless(name) {
            words.flag("build-arg", name);
            exported.push((name.clone(), Secret::new(value.clone())));
        } else {
            words.flag("build-arg", format_args!("{name}={value}"));
        }
    }
    words.entries("label", &options.labels);
    words.each("cache-from", &options.cache_from);
    words.each("target", &options.target);
    words.each("network", &options.network_mode);
    words.each("add-host", &options.extra_hosts);
    words.each("platform", &options.platform);
    let limits = &options.limits;
    words.each("memory", limits.memory).each("memory-swap", limits.memory_swap);
    words.each("cpu-shares", limits.cpu_shares).each("cpuset-cpus", &limits.cpuset_cpus);
    words.flag("rm", options.rm);
    for (flag, is_set) in [
        ("force-rm", options.forcerm),
        ("no-cache", options.nocache),
        ("pull", options.pull),
        ("quiet", options.quiet),
    ] {
        if is_set {
            words.flag(flag, true);
        }
    }
    words.word("-");
    // Builders write their log to either output.
    let merged = !options.quiet;
    let command = Command::action(format!("build image `{}`", options.tag), words).long();
    let before = match options.timeout {
        Some(timeout) => {
            let seconds = timeout.as_secs().max(1).to_string();
            ["timeout", "-s", "INT", &seconds].map(str::to_owned).to_vec()
        }
        None => Vec::new(),
    };
    Ok(Command { exported, merged, before, ..command })
}
