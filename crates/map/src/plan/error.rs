//! Why there is no plan.

use super::Reason;
use crate::names::ClientName;

/// Something that must be settled before anything is done. All of a run's are reported together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// `script`, and a container of the name is there (engine §5.9, O-12).
    #[error("container {name} existed prior to running the script{}", on_client(client))]
    ScriptContainerExists {
        /// Client it is on.
        client: ClientName,
        /// Its name.
        name: String,
    },
    /// A volume differs from the map, and a new one would lose its data (engine §10.4).
    #[error(
        "volume {name}{} differs from the map ({}) and cannot be changed without losing its data{}",
        on_client(client),
        texts(differences),
        held_by(holders)
    )]
    VolumeDiffers {
        /// Client it is on.
        client: ClientName,
        /// Its name.
        name: String,
        /// What differs: `driver`, `driver_options.o`.
        differences: Vec<Reason>,
        /// The containers that hold it.
        holders: Vec<String>,
    },
    /// A volume that is to be made anew is held by containers that the map does not know.
    #[error("volume {name}{} cannot be made anew{}", on_client(client), held_by(holders))]
    VolumeHeld {
        /// Client it is on.
        client: ClientName,
        /// Its name.
        name: String,
        /// The containers that hold it and are not part of this run.
        holders: Vec<String>,
    },
    /// A container outside of the run is tied to one that is made anew, and the map does not say how to
    /// make it.
    #[error(
        "container {name}{} cannot go on when {other} is made anew, and cannot be made anew itself: {}",
        on_client(client),
        problems.join("; ")
    )]
    CannotFollow {
        /// Client it is on.
        client: ClientName,
        /// Its name.
        name: String,
        /// What is made anew.
        other: String,
        /// What is wrong with it.
        problems: Vec<String>,
    },
    /// Several networks have the name of one that the plan has to address.
    #[error("{} networks{} are called {name}: {}", ids.len(), on_client(client), ids.join(", "))]
    NetworkAmbiguous {
        /// Client they are on.
        client: ClientName,
        /// Their name.
        name: String,
        /// Their IDs.
        ids: Vec<String>,
    },
    /// An image is absent although it was pulled.
    #[error("image {image}{} is still absent after it was pulled", on_client(client))]
    ImageAbsent {
        /// Client it should be on.
        client: ClientName,
        /// Its reference.
        image: String,
    },
}

impl PlanError {
    /// Returns what to do now.
    pub fn hint(&self) -> String {
        match self {
            Self::ScriptContainerExists { .. } => "remove it, or set `remove_existing_before`".to_owned(),
            Self::VolumeDiffers { name, .. } => {
                format!(
                    "name the volume in `force_update` to make {name} anew and lose its data, or change the map"
                )
            }
            Self::VolumeHeld { holders, .. } => format!("remove {} first", holders.join(", ")),
            Self::CannotFollow { name, .. } => format!("correct this, or remove {name} first"),
            Self::NetworkAmbiguous { .. } => {
                "remove all but one: `docker network inspect ID` shows what is connected, \
                                               `docker network rm ID` removes it"
                    .to_owned()
            }
            Self::ImageAbsent { .. } => "check the tag, and the platform of the image".to_owned(),
        }
    }
}

/// What differs, and where it was written.
fn texts(differences: &[Reason]) -> String {
    let text = |reason: &Reason| match &reason.source {
        Some(position) => format!("{} at {position}", reason.text),
        None => reason.text.clone(),
    };
    differences.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn on_client(client: &ClientName) -> String {
    if client.is_default() { String::new() } else { format!(" on client {client}") }
}

fn held_by(holders: &[String]) -> String {
    if holders.is_empty() { String::new() } else { format!("; it is held by {}", holders.join(", ")) }
}
