//! Where a refused packet was dropped, and why: from the forwarders' own account.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::agents::DropEvent;
use crate::file::plan::{ProbeSpec, Proto};
use crate::state::{State, WorkloadState};

/// A refused probe.
pub(super) struct Refused<'a> {
    pub(super) from: &'a WorkloadState,
    pub(super) to: Option<&'a WorkloadState>,
    pub(super) address: IpAddr,
    pub(super) probe: ProbeSpec,
}

/// The place and reason in words, e.g. `dropped on host2 at the interface of db: policy`.
pub(super) fn explain(state: &State, events: &[DropEvent], refused: &Refused<'_>) -> Option<String> {
    let found = events.iter().rev().find(|e| fits(e, refused))?;
    let owner = state.workloads.iter().find(|w| w.port.as_ref() == Some(&found.port));
    let place = match owner {
        Some(workload) => format!("{} at the interface of {}", found.host, workload.name),
        None => format!("{} at the fabric", found.host),
    };
    Some(format!("dropped on {place}: {}", found.reason))
}

/// Addresses may be the same in several tenants, so the place must be one of the two ends, or the fabric before the target.
fn fits(event: &DropEvent, refused: &Refused<'_>) -> bool {
    let Refused { from, to, address, probe } = refused;
    let source = if address.is_ipv4() { from.address.map(IpAddr::V4) } else { from.address6.map(IpAddr::V6) };
    let at = |w: &WorkloadState| w.port.as_ref() == Some(&event.port);
    let before = event.port.is_empty() && to.is_some_and(|t| t.host == event.host);
    (at(from) || to.is_some_and(at) || before)
        && event.destination == Some(*address)
        && event.source == source
        && (event.source_network.is_empty() || event.source_network == from.network)
        && protocols(*probe, *address).contains(&event.protocol)
        && (probe.proto == Proto::Icmp || event.destination_port == u64::from(probe.port))
}

fn protocols(probe: ProbeSpec, address: IpAddr) -> BTreeSet<u64> {
    match (probe.proto, address) {
        (Proto::Icmp, IpAddr::V4(_)) => [1].into(),
        (Proto::Icmp, IpAddr::V6(_)) => [58].into(),
        (Proto::Tcp, _) => [6].into(),
        (Proto::Udp, _) => [17].into(),
    }
}
