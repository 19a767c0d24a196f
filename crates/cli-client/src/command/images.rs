//! Images and registries: `pull`, `push`, `build`, `save`, `load`, `login` and what else there is.

use std::time::Duration;

use dfab_client::error::Cause;
use dfab_tunnel::Secret;

use super::words::{Words, name};
use super::{Built, Command, Login};

/// `docker images`, one JSON object a line, tags and digests included.
pub fn list_images() -> Command {
    let mut words = Words::new("images");
    words.flag("no-trunc", true).flag("digests", true).flag("format", "{{json .}}");
    Command::query("list images", words)
}

/// `docker images --quiet [--all]`, then `docker inspect` of them: a JSON array in which an image
/// stands once for each of its tags.
pub fn image_details(all: bool) -> Command {
    let mut words = Words::new("images");
    words.flag("no-trunc", true).flag("quiet", true);
    if all {
        words.flag("all", true);
    }
    let mut details = Words::new("inspect");
    details.flag("type", "image");
    Command { then: Some(details.0), ..Command::query("list images", words) }
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

/// `docker pull IMAGE`. With `login`, the credentials are valid for this command only.
pub fn pull(image: &str, login: Option<Login>) -> Built {
    let mut words = Words::new("pull");
    words.positional(image)?;
    Ok(Command { login, ..Command::action(format!("pull image `{image}`"), words).long() })
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
/// with a line break, which it would cut.
pub fn login(registry: Option<&str>, username: &str, password: &Secret) -> Built {
    if username.is_empty() {
        return Err(Cause::Input("a registry login needs a user name".to_owned()));
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

/// Settings of a build; see `docker build --help`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildOptions {
    /// `--tag`
    pub tag: String,
    /// `--file`: path of the Dockerfile inside the context.
    pub dockerfile: Option<String>,
    /// `--build-arg`
    pub build_args: Vec<(String, String)>,
    /// `--label`
    pub labels: Vec<(String, String)>,
    /// `--cache-from`
    pub cache_from: Vec<String>,
    /// `--target`
    pub target: Option<String>,
    /// `--network`
    pub network_mode: Option<String>,
    /// `--add-host=host:ip`
    pub extra_hosts: Vec<(String, String)>,
    /// `--platform`
    pub platform: Option<String>,
    /// `--rm`: remove intermediate containers; `None` is the program's default, yes.
    pub rm: Option<bool>,
    /// `--force-rm`
    pub force_rm: bool,
    /// `--no-cache`
    pub no_cache: bool,
    /// `--pull`: ask for newer base images.
    pub pull: bool,
    /// `--quiet`: print the image ID only.
    pub quiet: bool,
    /// Time limit of the command: `timeout -s INT SECONDS` before it.
    pub timeout: Option<Duration>,
}

/// `docker build [flags] -`: reads a context (tar, plain or compressed) from standard input.
pub fn build(options: &BuildOptions) -> Built {
    let mut words = Words::new("build");
    words.flag("tag", name(&options.tag)?);
    words.each("file", &options.dockerfile);
    words.entries("build-arg", options.build_args.iter().map(|(k, v)| (k, v)));
    words.entries("label", options.labels.iter().map(|(k, v)| (k, v)));
    words.each("cache-from", &options.cache_from);
    words.each("target", &options.target);
    words.each("network", &options.network_mode);
    words.each("add-host", options.extra_hosts.iter().map(|(host, ip)| format!("{host}:{ip}")));
    words.each("platform", &options.platform);
    words.each("rm", options.rm);
    for (flag, is_set) in [
        ("force-rm", options.force_rm),
        ("no-cache", options.no_cache),
        ("pull", options.pull),
        ("quiet", options.quiet),
    ] {
        if is_set {
            words.flag(flag, true);
        }
    }
    words.word("-");
    let mut command = Command::action(format!("build image `{}`", options.tag), words).long();
    if let Some(timeout) = options.timeout {
        let seconds = timeout.as_secs().max(1).to_string();
        command.before = ["timeout", "-s", "INT", &seconds].map(str::to_owned).to_vec();
    }
    Ok(command)
}
