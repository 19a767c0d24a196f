//! Combining maps and configurations (map-model §5.2, §5.5).

pub(crate) mod container;

/// How much a merge touches of what exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lists {
    /// Everything that the other side gives.
    #[default]
    AndScalars,
    /// Only list and tuple-list properties of configurations.
    Only,
}
