//! What differs between the desired and the observed state, and why (engine §4, design §4 K-04).
//!
//! Every property that the map sets is compared with what inspection shows, in one canonical form.
//! What inspection cannot show, and what was removed from the map, is seen through the digests that
//! were recorded in the label `dfab.desired` at creation. Containers without the label (made by
//! Docker-Fabric, or by hand) are compared by inspection only. Values that may be secret never get
//! into a reason.

mod container;
mod endpoints;
mod exec;
mod limits;
mod mounts;
mod network;
mod properties;
mod reason;
mod volume;

pub use container::{Changes, broken_ties, container};
pub use endpoints::{EndpointChanges, expected_endpoints};
pub use network::network;
pub use volume::{VolumeDifferences, volume};

pub(crate) use endpoints::missing_endpoints;
pub(crate) use reason::because;
