//! Marks for what is begun and not finished, so that an interruption at any point is made good by the
//! next run.
//!
//! Some things take several engine calls, and leave no trace of how far they came: giving a new volume its
//! owner and mode, running the commands of a container after a start, and making a container anew that was
//! not asked for, which the next run would not miss. Labels cannot be changed later, so that the object
//! itself cannot tell. An empty *marker volume* of a derived name is made before, and removed after. Engines
//! create volumes at once and show all of them in the list that is read anyway: a marker costs nothing where
//! there is none.

use std::collections::BTreeMap;

use super::Call;
use crate::digest;
use crate::observed::Observed;
use crate::spec::VolumeSpec;

/// What is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// A volume has not got its owner and mode.
    Preparation,
    /// A container has been started for the first time, but its commands have not been run, with the
    /// `initial` ones among them.
    Initialisation,
    /// A container has been started, but its `restart` commands have not been run.
    Commands,
    /// A container outside of the run has been stopped or removed, to follow one of the run.
    Following,
}

impl Unfinished {
    /// What may be unfinished about a container.
    const OF_CONTAINERS: [Self; 3] = [Self::Initialisation, Self::Commands, Self::Following];

    /// Returns the name of the marker volume of an object.
    pub fn marker(self, name: &str) -> String {
        match self {
            Self::Preparation => format!("{name}.dfab-unprepared"),
            Self::Initialisation => format!("{name}.dfab-uninitialised"),
            Self::Commands => format!("{name}.dfab-unexecuted"),
            Self::Following => format!("{name}.dfab-unfollowed"),
        }
    }

    /// Tells whether the marker is there.
    pub fn is_marked(self, observed: &Observed, name: &str) -> bool {
        observed.volumes.contains_key(&self.marker(name))
    }

    /// Returns the calls with the marker around them.
    pub(super) fn around(self, name: &str, calls: Vec<Call>) -> Vec<Call> {
        let mut all = vec![self.creation(name)];
        all.extend(calls);
        all.push(self.removal(name));
        all
    }

    /// Returns the call that makes the marker.
    pub(super) fn creation(self, name: &str) -> Call {
        let labels = BTreeMap::from([(digest::UNFINISHED.to_owned(), name.to_owned())]);
        let driver = "local".to_owned();
        Call::CreateVolume(VolumeSpec {
            name: self.marker(name),
            driver,
            own_labels: labels,
            ..VolumeSpec::default()
        })
    }

    /// Returns the call that removes the marker.
    pub(super) fn removal(self, name: &str) -> Call {
        Call::RemoveVolume { name: self.marker(name) }
    }

    /// Returns the calls that remove all markers of a container, which is removed itself.
    pub(super) fn removals(observed: &Observed, name: &str) -> Vec<Call> {
        let marked = Self::OF_CONTAINERS.into_iter().filter(|mark| mark.is_marked(observed, name));
        marked.map(|mark| mark.removal(name)).collect()
    }
}
