//! The routing information base of a control node: pure data structures, no sockets, no clock.
//!
//! A [`Rib`] holds one set of tables (inet, inet6, evpn) per routing instance. Peers announce paths into an instance;
//! each path is replicated into every instance that imports one of the route targets the announcing instance exports.
//! The best paths of each prefix are handed to the peers subscribed to an instance as [`Update`]s, coalesced per
//! (peer, instance, prefix): a slow peer gets the latest state, never a backlog.
//!
//! What always holds:
//! - An instance that is not configured holds subscriptions and announced paths but selects, replicates and sends nothing
//!   ("parked"); configuring it makes all of it take effect.
//! - A replicated path shares the attributes of the announced one and goes with it.
//! - The result depends only on the present configuration, subscriptions and announcements, not on the order of events
//!   (shown by the property test in `tests/model.rs`).

mod error;
mod export;
mod instance;
mod path;
mod peer;
mod prefix;
mod replicate;
mod rib;
mod select;
mod view;

pub use error::RibError;
pub use export::Update;
pub use instance::{InstanceId, RiConfig};
pub use path::{Attributes, EncapSet, LoadBalance, Path, RouteDistinguisher};
pub use peer::PeerId;
pub use prefix::{Prefix, Table};
pub use rib::{Limits, Rib, Sweep};
pub use select::{Criterion, MAX_ECMP_PATHS, MAX_FLOOD_PATHS};
pub use view::{InstanceView, PathView, PeerView, RouteView};
