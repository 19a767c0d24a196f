//! Sending builds to an engine, and naming their results (clients-tasks §4.4, §4.5, §10.2.3).

use crate::backend::Backend;
use crate::error::{Cause, Error};
use crate::maintenance::Partial;
use crate::transfer::{BuildOptions, Progress, extra_names};

use super::{ContextOptions, DockerContext, DockerFile};

/// What is built, and which names it gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuildRequest {
    /// How it is built; its tag is the main name.
    pub options: BuildOptions,
    /// Further tags in the same repository.
    pub add_tags: Vec<String>,
    /// Adds the tag `latest`.
    pub add_latest_tag: bool,
}

/// The result of a build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// ID of the image, where the engine says one.
    pub image_id: Option<String>,
    /// Names that it got beside the main one.
    pub added_names: Vec<String>,
}

/// Builds an image from a finalized context, and gives it its further names.
///
/// Without an ID from the engine the main name is asked for it. Mirrors `POST /build`.
///
/// # Errors
///
/// [`Cause::Input`] for an empty tag, and for a context that cannot be read; [`Cause::Refused`] with the
/// builder's message when the build fails, and when a name is refused.
pub async fn build_from_context(
    backend: &dyn Backend,
    context: &DockerContext,
    request: &BuildRequest,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Built, Error> {
    let tag = &request.options.tag;
    let failed = |cause| {
        let operation = format!("build image `{tag}`");
        Error { operation, host: backend.host().to_owned(), cause }
    };
    if tag.is_empty() {
        return Err(failed(Cause::Input("the image needs a name (`tag`)".to_owned())));
    }
    let reader = context.reader().map_err(|error| failed(unreadable(&error)))?;
    let built = backend.build_image(reader, &request.options, progress).await;
    // A file that vanished breaks the request, which says nothing about the engine.
    let image_id = built.map_err(|error| match of_context(&error) {
        Some(cause) => failed(cause),
        None => error,
    })?;
    let image = image_id.as_deref().unwrap_or(tag);
    let added = add_extra_tags(backend, image, tag, &request.add_tags, request.add_latest_tag).await;
    Ok(Built { image_id, added_names: added.map_err(|partial| partial.error)? })
}

/// Builds an image from a Dockerfile and the files that it adds.
///
/// # Errors
///
/// As [`build_from_context`]; [`Cause::Input`] for a file that cannot be added.
pub async fn build_from_file(
    backend: &dyn Backend,
    file: &mut DockerFile,
    request: &BuildRequest,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Built, Error> {
    let context = DockerContext::of_file(file, &ContextOptions::default()).map_err(|error| Error {
        operation: format!("build image `{}`", request.options.tag),
        host: backend.host().to_owned(),
        cause: unreadable(&error),
    })?;
    build_from_context(backend, &context, request, progress).await
}

/// An error of this machine, with what it comes from.
fn unreadable(error: &super::Error) -> Cause {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    Cause::Input(text)
}

/// Finds the failure of a context's stream among the reasons of a failed call.
fn of_context(error: &Error) -> Option<Cause> {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&error.cause);
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(error) = inner.and_then(|inner| inner.downcast_ref::<super::Error>()) {
            return Some(unreadable(error));
        }
        source = error.source();
    }
    None
}

/// Gives an image further tags in the repository of its main name, and returns the names that it got
/// (clients-tasks §4.5). Mirrors `POST /images/{name}/tag`.
///
/// # Errors
///
/// The first failure, with the names that were given until then.
pub async fn add_extra_tags(
    backend: &dyn Backend,
    image: &str,
    main_tag: &str,
    extra_tags: &[String],
    add_latest: bool,
) -> Result<Vec<String>, Partial<Vec<String>>> {
    let mut done = Vec::new();
    for (repository, tag) in extra_names(main_tag, extra_tags, add_latest) {
        if let Err(error) = backend.tag_image(image, &repository, &tag).await {
            return Err(Partial { done, error });
        }
        done.push(format!("{repository}:{tag}"));
    }
    Ok(done)
}
