//! What the forwarder's tables, the published routes and the services should be, computed from everything known.
//!
//! Pure: the same inputs give the same result, and numbers come from [`Numbers`], which remember them. Nothing here
//! knows what the forwarder holds now; `reconcile` brings it there.

mod build;
mod interfaces;
mod numbers;
mod policy;
mod publish;
mod routes;
mod services;
mod tables;

pub use build::{Desired, DesiredBuilder, Names};
pub use numbers::{LabelKey, NextHopKey, Numbers, RuleListKey, SavedNumbers};
pub use tables::Tables;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;
use uuid::Uuid;

/// Counter slot of the fabric interface.
pub const FABRIC_SLOT: u32 = 1;
/// Counter slot of the agent's own TAP.
pub const PKT0_SLOT: u32 = 2;

/// A port whose interface exists in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalPort {
    /// The virtual-machine-interface.
    pub interface: Uuid,
    /// The kernel's index of the host's end.
    pub ifindex: u32,
    /// A veth whose other end is in another namespace.
    pub veth: bool,
}

/// The way to another host, as the kernel's routes and neighbours tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The router on the way, if the host is not on the link.
    pub gateway: Option<Ipv4Addr>,
    /// MAC of the router or of the host itself.
    pub mac: Option<[u8; 6]>,
}

/// The underlay as this host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Underlay {
    /// Source address of tunnels.
    pub tunnel_ip: Ipv4Addr,
    /// The interface towards the other hosts.
    pub fabric_ifindex: u32,
    /// Its MAC.
    pub fabric_mac: [u8; 6],
    /// Its MTU, in bytes of outer IP packet.
    pub fabric_mtu: u16,
    /// The agent's TAP, 0 if there is none.
    pub pkt0_ifindex: u32,
    /// Ways to other hosts.
    pub ways: BTreeMap<Ipv4Addr, Resolved>,
}
