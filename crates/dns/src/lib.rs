//! The controller's DNS service: workloads' names, virtual DNS, reverse lookups, then a forwarder (rows A7, A8).
//!
//! - [`ZoneBuilder`] turns configuration changes into [`Zones`], an immutable picture of all names (pure, incremental).
//! - [`Zones::resolve`] answers one question as seen from one network (pure).
//! - [`DnsService`] is the socket around them: UDP, limits, forwarding, counters.
//! - [`edns`] marks a query with the network it comes from, which is how the agent tells the service.
//!
//! What always holds: an answer for a network contains only names of workloads of that network and records of the
//! virtual DNS its address management names; networks with overlapping addresses or equal names never mix. A query
//! that is not marked sees externally visible virtual DNS only.

pub mod edns;
mod forward;
mod names;
mod service;
mod stats;
mod zones;

pub use service::{DnsConfig, DnsError, DnsService};
pub use stats::DnsStats;
pub use zones::{Answer, Resolution, ZoneBuilder, Zones};
