//! Marks for what is begun and not finished, so that an interruption at any point is made good by the
//! next run.
//!
//! Two things take several engine calls, and leave no trace of how far they came: giving a new volume
//! its owner and mode, and running the `initial` commands of a new container after its first start.
//! Labels cannot be changed later, so that the object itself cannot tell. An empty *marker volume* of
//! a derived name is made before, and removed after. Engines create volumes at once and show all of
//! them in the list that is read anyway: a marker costs nothing where there is none.

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
    /// A container has been started, but its `initial` commands have not been run.
    Initialisation,
}

impl Unfinished {
    /// Returns the name of the marker volume of an object.
    pub fn marker(self, name: &str) -> String {
        match self {
            Self::Preparation => format!("{name}.dfab-unprepared"),
            Self::Initialisation => format!("{name}.dfab-uninitialised"),
        }
    }

    /// Tells whether the marker is there.
    pub fn is_marked(self, observed: &Observed, name: &str) -> bool {
        observed.volumes.contains_key(&self.marker(name))
    }

    /// Returns the calls with the marker around them.
    pub(super) fn around(self, name: &str, calls: Vec<Call>) -> Vec<Call> {
        let labels = BTreeMap::from([(digest::UNFINISHED.to_owned(), name.to_owned())]);
        let driver = "local".to_owned();
        let marker =
            VolumeSpec { name: self.marker(name), driver, own_labels: labels, ..VolumeSpec::default() };
        let mut all = vec![Call::CreateVolume(marker)];
        all.extend(calls);
        all.push(self.removal(name));
        all
    }

    /// Returns the call that removes the marker.
    pub(super) fn removal(self, name: &str) -> Call {
        Call::RemoveVolume { name: self.marker(name) }
    }
}
