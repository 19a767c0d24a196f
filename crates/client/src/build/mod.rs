//! Building images: Dockerfiles written by code, and build contexts (clients-tasks §10.1, §10.2).
//!
//! [`DockerFile`] collects instructions and files, [`DockerContext`] packs them, and
//! [`build_from_file`] and [`build_from_context`] send the result to an engine through any
//! [`Backend`](crate::Backend). Texts for `RUN` come from [`crate::shortcuts`].
//!
//! ```
//! use dfab_client::build::{AddFile, DockerContext, DockerFile};
//! use dfab_client::shortcuts;
//!
//! # fn main() -> Result<(), dfab_client::build::Error> {
//! # let folder = tempfile::tempdir().unwrap();
//! # std::fs::write(folder.path().join("nginx.conf"), "events {}\n").unwrap();
//! # let source = folder.path().join("nginx.conf").to_str().unwrap().to_owned();
//! let mut file = DockerFile::new("registry.example.com/base:1");
//! file.run([shortcuts::mkdir_chown(&["/data"], "app", &Default::default())])?;
//! file.add_file(&AddFile { target: Some("/etc/nginx/nginx.conf".into()), ..AddFile::new(source) })?;
//! file.properties()?.command = Some("nginx -g 'daemon off;'".into());
//!
//! let context = DockerContext::of_file(&mut file, &Default::default())?;
//! assert_eq!(context.members()?, ["etc/nginx/nginx.conf", "Dockerfile"]);
//! assert_eq!(
//!     file.text(),
//!     "FROM registry.example.com/base:1\n\n\
//!      RUN mkdir -p /data && chown app:app /data && chmod ug=rwX,o=rX /data\n\
//!      ADD /etc/nginx/nginx.conf /etc/nginx/nginx.conf\n\
//!      CMD [\"nginx\", \"-g\", \"daemon off;\"]\n"
//! );
//! # Ok(())
//! # }
//! ```

mod archive;
mod context;
mod dockerfile;
mod engine;
mod error;
mod ignore;
mod instruction;
mod pack;

pub use context::{Compression, ContextOptions, DockerContext, Metadata};
pub use dockerfile::{AddFile, DockerFile, DockerFileOptions, Properties};
pub use engine::{BuildRequest, Built, add_extra_tags, build_from_context, build_from_file};
pub use error::Error;
pub use ignore::Ignore;
pub use instruction::{Labels, Words};
