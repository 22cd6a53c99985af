//! The candidates: each brings up four workloads on two hosts and says between which to measure.

mod bare;
mod bridge;
mod ovs;
mod weft;

use anyhow::Result;

use crate::netns::Netns;

/// MTU of the underlay between hosts. Workloads use [`WORKLOAD_MTU`], so no candidate has to fragment.
pub(crate) const UNDERLAY_MTU: u32 = 1600;
/// MTU of the workloads.
pub(crate) const WORKLOAD_MTU: u32 = 1500;

/// One direction to measure.
pub(crate) struct Path {
    /// Namespace that sends or connects.
    pub(crate) from_namespace: String,
    /// Namespace that receives or accepts.
    pub(crate) to_namespace: String,
    /// Address of the receiver.
    pub(crate) address: String,
}

impl Path {
    fn new(from: &Netns, to: &Netns, address: &str) -> Self {
        Self { from_namespace: from.name().into(), to_namespace: to.name().into(), address: address.into() }
    }
}

/// A candidate that is up; dropping it takes it down.
pub(crate) struct Topology {
    pub(crate) one_host: Path,
    pub(crate) two_hosts: Path,
    /// What keeps it up.
    _parts: Vec<Box<dyn std::any::Any>>,
}

/// How a candidate is brought up.
pub(crate) type Up = Box<dyn Fn() -> Result<Topology>>;

/// Every candidate by name. `rules` adds nftables with that many rules before the matching one.
pub(crate) fn all(rules: Option<usize>) -> Vec<(&'static str, Up)> {
    let mut all: Vec<(&'static str, Up)> = vec![
        ("bare veth", Box::new(bare::up)),
        ("bridge+vxlan", Box::new(|| bridge::up("bv", None))),
        ("bridge+vxlan+nft", Box::new(|| bridge::up("bn", Some(0)))),
    ];
    if let Some(rules) = rules {
        all.push(("bridge+vxlan+nft, many rules", Box::new(move || bridge::up("bm", Some(rules)))));
    }
    all.push(("ovs (user space)", Box::new(ovs::up)));
    all.push(("weft", Box::new(weft::up)));
    all
}
