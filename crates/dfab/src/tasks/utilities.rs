//! `cli.*`: files and images of a host's containers, worked on there by its `docker` program (clients-tasks §6).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dfab_cli_client::{CliBackend, Copies};
use dfab_client::shortcuts::Owner;
use futures_util::FutureExt;
use serde_json::json;

use super::engine_failure;
use crate::cli::Arguments;
use crate::console::transfer::{Transfer, watched};
use crate::failure::{Failure, Kind, Result};
use crate::registry::{Parameter, ParameterKind, Scope, Task};
use crate::report::Report;
use crate::run::Run;

const BOOL: ParameterKind = ParameterKind::Bool;
const LIST: ParameterKind = ParameterKind::List;
const TEXT: ParameterKind = ParameterKind::Text;

const CONTAINER: Parameter = Parameter::required("container", "name of the container");
const SOURCE: Parameter = Parameter::required("src_container", "name of the container");
const RESOURCES: Parameter = Parameter {
    kind: LIST,
    ..Parameter::required("src_resources", "absolute paths in the container, separated by `;`")
};
const ARRANGED: &[Parameter] = &[
    Parameter::keyword(
        "dst_directories",
        LIST,
        "the path in the container",
        "destinations, RESOURCE=PATH; `*=PATH` is the folder of all others",
    ),
    Parameter::keyword("apply_chown", TEXT, "", "owner of the result: USER or USER:GROUP"),
    Parameter::keyword("apply_chmod", TEXT, "", "mode of the result; true is u=rwX,g=rX,o="),
];

/// What `apply_chmod=true` means.
const MODE: &str = "u=rwX,g=rX,o=";

/// The table entries.
pub const TASKS: &[Task] = &[
    Task {
        namespace: "cli",
        name: "copy_resource",
        aliases: &[],
        about: "Download a file or folder of a container.",
        help: "As a tar archive with gzip, which is compressed on the host. Into a directory it goes as \
               `container_NAME.tar.gz`.",
        parameters: &[&[
            CONTAINER,
            Parameter::required("resource", "absolute path in the container"),
            Parameter::required("local_filename", "file or directory on this machine"),
            Parameter::optional("contents_only", BOOL, "true", "what is in a folder, without the folder"),
        ]],
        words: None,
        scope: Scope::FirstHost,
        run: |run, arguments| copy_resource(run, arguments).boxed_local(),
    },
    Task {
        namespace: "cli",
        name: "copy_resources",
        aliases: &[],
        about: "Copy files and folders of a container to a folder of the host.",
        help: "Folders of one destination are merged. Several resources are separated by `;`.",
        parameters: &[
            &[SOURCE, RESOURCES, Parameter::required("storage_dir", "absolute path of a folder on the host")],
            ARRANGED,
        ],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| copy_resources(run, arguments).boxed_local(),
    },
    Task {
        namespace: "cli",
        name: "flatten_image",
        aliases: &[],
        about: "Make one layer of an image.",
        help: "The configuration of the image is lost: its command, entrypoint, variables, and so on. A container of it is \
               run once, without a network, and removed.",
        parameters: &[&[
            Parameter::required("image", "name of the image"),
            Parameter::optional("dest_image", TEXT, "the image itself", "name of the result"),
            Parameter::optional("no_op_cmd", TEXT, "/bin/true", "a program in the image that does nothing"),
        ]],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| flatten_image(run, arguments).boxed_local(),
    },
    Task {
        namespace: "cli",
        name: "isolate_and_get",
        aliases: &[],
        about: "Download files and folders of a container, arranged anew.",
        help: "As a tar archive with gzip. Into a directory it goes as `container_NAME.tar.gz`.",
        parameters: &[
            &[SOURCE, RESOURCES, Parameter::required("local_dst", "file or directory on this machine")],
            ARRANGED,
        ],
        words: None,
        scope: Scope::FirstHost,
        run: |run, arguments| isolate_and_get(run, arguments).boxed_local(),
    },
    Task {
        namespace: "cli",
        name: "isolate_to_image",
        aliases: &[],
        about: "Make an image of files and folders of a container.",
        help: "The image has no configuration: no command and no entrypoint.",
        parameters: &[&[SOURCE, RESOURCES, Parameter::required("dst_image", "name of the image")], ARRANGED],
        words: None,
        scope: Scope::EachHost,
        run: |run, arguments| isolate_to_image(run, arguments).boxed_local(),
    },
    Task {
        namespace: "cli",
        name: "save_image",
        aliases: &[],
        about: "Download an image as an archive that the host compresses.",
        help: "Into a directory it goes as `image_NAME.tar.gz`, NAME being the image's without registry, path and tag. \
               `docker.load_image` reads it.",
        parameters: &[&[
            Parameter::required("image", "name of the image"),
            Parameter::required("local_filename", "file or directory on this machine"),
        ]],
        words: None,
        scope: Scope::FirstHost,
        run: |run, arguments| save_image(run, arguments).boxed_local(),
    },
];

/// A local file that has its name only when it is whole.
struct Target {
    path: PathBuf,
    shown: String,
    file: tempfile::NamedTempFile,
}

impl Target {
    /// `name` is the file's in a directory.
    fn new(run: &Run, given: &str, name: &str) -> Result<Self> {
        let mut path = run.directory.join(run.variables.expand_home(given));
        let mut shown = given.to_owned();
        if path.is_dir() {
            path.push(name);
            shown = Path::new(given).join(name).display().to_string();
        }
        let parent = path.parent().unwrap_or(&run.directory);
        let file = tempfile::NamedTempFile::new_in(parent)
            .map_err(|error| Failure::usage(format!("`{shown}` cannot be written")).because(&error))?;
        Ok(Self { path, shown, file })
    }

    fn file(&self) -> Result<std::fs::File> {
        self.file.as_file().try_clone().map_err(|error| {
            Failure::new(Kind::Task, format!("`{}` cannot be written", self.shown)).because(&error)
        })
    }

    fn persist(self) -> Result<String> {
        use std::os::unix::fs::PermissionsExt;
        let Self { path, shown, file } = self;
        // A temporary file is its owner's alone; an archive is a file like any other.
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(|error| {
            Failure::new(Kind::Task, format!("`{shown}` cannot be written")).because(&error)
        })?;
        file.persist(&path).map_err(|error| {
            Failure::new(Kind::Task, format!("`{shown}` cannot be written")).because(&error.error)
        })?;
        Ok(shown)
    }
}

fn text<'a>(arguments: &'a Arguments, name: &str) -> &'a str {
    arguments.text(name).unwrap_or_default()
}

/// The last part of a name, as a file's name.
fn plain_name(image: &str) -> &str {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split([':', '@']).next().unwrap_or(name)
}

async fn docker(run: &Run) -> Result<Arc<CliBackend>> {
    run.engines.program(&run.target().await?)
}

fn copies(arguments: &Arguments) -> Result<Copies> {
    let destinations = arguments.list("dst_directories").iter().map(|pair| match pair.split_once('=') {
        Some((resource, path)) => Ok((resource.to_owned(), path.to_owned())),
        None => Err(Failure::usage(format!("`{pair}` is no RESOURCE=PATH (argument `dst_directories`)"))),
    });
    let mode = match text(arguments, "apply_chmod") {
        "" => None,
        mode => match crate::cli::arguments::boolean(mode) {
            Some(true) => Some(MODE.to_owned()),
            // `0` is a mode too, though hardly a useful one.
            Some(false) if mode != "0" => None,
            _ => Some(mode.to_owned()),
        },
    };
    let owner = Some(text(arguments, "apply_chown")).filter(|owner| !owner.is_empty());
    Ok(Copies {
        resources: arguments.list("src_resources").to_vec(),
        destinations: destinations.collect::<Result<_>>()?,
        owner: owner.map(|owner| Owner::from(owner).argument()),
        mode,
    })
}

/// Ends a task that a dry run only describes. Each changes something: the host, or a file on this machine.
fn described(run: &Run, task: &str, what: &str) -> Report {
    run.result_line(&format!("would {what}"));
    Report { would_change: true, ..Report::done(task) }
}

fn done(run: &Run, task: &str, line: &str, row: serde_json::Value) -> Report {
    run.result_line(line);
    Report { rows: Some(vec![row]), ..Report::done(task) }
}

/// Shows how much of a file is there while it is fetched.
async fn fetched<T>(run: &Run, what: &str, file: &std::fs::File, work: impl Future<Output = T>) -> T {
    let transfer = Transfer::new(&run.console, run.host_text(), what);
    let tell = |transfer: &Transfer<'_>| match file.metadata() {
        Ok(metadata) if metadata.len() > 0 => transfer.bytes(metadata.len(), None),
        _ => transfer.goes_on(),
    };
    watched(&transfer, tell, work).await
}

/// Shows that a host works.
async fn worked<T>(run: &Run, what: &str, work: impl Future<Output = T>) -> T {
    let transfer = Transfer::new(&run.console, run.host_text(), what);
    watched(&transfer, Transfer::goes_on, work).await
}

async fn copy_resource(run: &Run, arguments: &Arguments) -> Result<Report> {
    let task = "cli.copy_resource";
    let (container, resource) = (text(arguments, "container"), text(arguments, "resource"));
    let given = text(arguments, "local_filename");
    if run.options.dry_run {
        return Ok(described(run, task, &format!("copy {container}:{resource} to {given}")));
    }
    let target = Target::new(run, given, &format!("container_{container}.tar.gz"))?;
    let contents_only = arguments.boolean("contents_only").unwrap_or(true);
    let docker = docker(run).await?;
    let copying = docker.copy_resource(container, resource, contents_only, target.file()?);
    let copied = fetched(run, &format!("copy {container}:{resource}"), &target.file()?, copying).await;
    let members = copied.map_err(|error| engine_failure(&error))?;
    let file = target.persist()?;
    let row = json!({"host": run.host_text(), "container": container, "resource": resource, "file": file, "members": members});
    Ok(done(run, task, &format!("copied {container}:{resource} to {file}"), row))
}

async fn copy_resources(run: &Run, arguments: &Arguments) -> Result<Report> {
    let task = "cli.copy_resources";
    let (container, folder) = (text(arguments, "src_container"), text(arguments, "storage_dir"));
    let copies = copies(arguments)?;
    let resources = copies.resources.join(", ");
    if run.options.dry_run {
        return Ok(described(run, task, &format!("copy {resources} of {container} to {folder}")));
    }
    let docker = docker(run).await?;
    let copying = docker.copy_resources(container, &copies, folder);
    let copied = worked(run, &format!("copy from {container}"), copying).await;
    copied.map_err(|error| engine_failure(&error))?;
    let row = json!({"host": run.host_text(), "container": container, "resources": copies.resources, "folder": folder});
    Ok(done(run, task, &format!("copied {resources} of {container} to {folder}"), row))
}

async fn isolate_and_get(run: &Run, arguments: &Arguments) -> Result<Report> {
    let task = "cli.isolate_and_get";
    let (container, given) = (text(arguments, "src_container"), text(arguments, "local_dst"));
    let copies = copies(arguments)?;
    let resources = copies.resources.join(", ");
    if run.options.dry_run {
        return Ok(described(run, task, &format!("copy {resources} of {container} to {given}")));
    }
    let target = Target::new(run, given, &format!("container_{container}.tar.gz"))?;
    let docker = docker(run).await?;
    let copying = docker.isolate_and_get(container, &copies, target.file()?);
    let copied = fetched(run, &format!("copy from {container}"), &target.file()?, copying).await;
    let members = copied.map_err(|error| engine_failure(&error))?;
    let file = target.persist()?;
    let row = json!({
        "host": run.host_text(), "container": container, "resources": copies.resources, "file": file, "members": members,
    });
    Ok(done(run, task, &format!("copied {resources} of {container} to {file}"), row))
}

async fn isolate_to_image(run: &Run, arguments: &Arguments) -> Result<Report> {
    let task = "cli.isolate_to_image";
    let (container, image) = (text(arguments, "src_container"), text(arguments, "dst_image"));
    let copies = copies(arguments)?;
    let resources = copies.resources.join(", ");
    if run.options.dry_run {
        return Ok(described(run, task, &format!("make {image} of {resources} of {container}")));
    }
    let docker = docker(run).await?;
    let making = docker.isolate_to_image(container, &copies, image);
    let made = worked(run, &format!("make {image}"), making).await;
    made.map_err(|error| engine_failure(&error))?;
    let row = json!({"host": run.host_text(), "container": container, "resources": copies.resources, "image": image});
    Ok(done(run, task, &format!("made {image} of {resources} of {container}"), row))
}

async fn save_image(run: &Run, arguments: &Arguments) -> Result<Report> {
    let task = "cli.save_image";
    let (image, given) = (text(arguments, "image"), text(arguments, "local_filename"));
    if run.options.dry_run {
        return Ok(described(run, task, &format!("save {image} to {given}")));
    }
    let target = Target::new(run, given, &format!("image_{}.tar.gz", plain_name(image)))?;
    let docker = docker(run).await?;
    let saving = docker.save_compressed(image, target.file()?);
    let saved = fetched(run, &format!("save {image}"), &target.file()?, saving).await;
    let bytes = saved.map_err(|error| engine_failure(&error))?;
    let file = target.persist()?;
    let row = json!({"host": run.host_text(), "image": image, "file": file, "bytes": bytes});
    Ok(done(run, task, &format!("saved {image} to {file}"), row))
}

async fn flatten_image(run: &Run, arguments: &Arguments) -> Result<Report> {
    let task = "cli.flatten_image";
    let image = text(arguments, "image");
    let destination = arguments.text("dest_image").filter(|name| !name.is_empty()).unwrap_or(image);
    let given = arguments.text("no_op_cmd").filter(|command| !command.is_empty()).unwrap_or("/bin/true");
    let no_op = dfab_cli_client::CliOptions::prefix_words(given).map_err(|error| {
        Failure::usage(format!("`{given}` is no command line (argument `no_op_cmd`)")).because(&error)
    })?;
    if run.options.dry_run {
        return Ok(described(run, task, &format!("flatten {image} to {destination}")));
    }
    let docker = docker(run).await?;
    let flattening = docker.flatten_image(image, destination, &no_op);
    let flattened = worked(run, &format!("flatten {image}"), flattening).await;
    for warning in flattened.map_err(|error| engine_failure(&error))? {
        run.console.warn(run.host_text(), &warning);
    }
    let row = json!({"host": run.host_text(), "image": image, "result": destination});
    Ok(done(run, task, &format!("flattened {image} to {destination}"), row))
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    /// clients-tasks §6.5
    #[test]
    fn names_of_archives() {
        for (image, expected) in [
            ("registry.example.com:5000/foo/bar:1.0", "bar"),
            ("app_image", "app_image"),
            ("a/b@sha256:00", "b"),
        ] {
            assert_eq!(plain_name(image), expected);
        }
    }
}
