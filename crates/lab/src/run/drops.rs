//! Where a refused packet was dropped, and why: from the forwarders' own account.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::agents::DropEvent;
use crate::file::plan::{ProbeSpec, Proto};
use crate::state::{State, WorkloadState};
use crate::underlay::FABRIC_INTERFACE;

/// A refused probe.
pub(super) struct Refused<'a> {
    pub(super) from: &'a WorkloadState,
    pub(super) to: Option<&'a WorkloadState>,
    pub(super) address: IpAddr,
    pub(super) probe: ProbeSpec,
}

/// The place and reason in words, e.g. `dropped on host2 at w3-db: policy-deny`.
pub(super) fn explain(state: &State, events: &[DropEvent], refused: &Refused<'_>) -> Option<String> {
    let found = events.iter().rev().find(|e| fits(e, refused))?;
    let owner = state.workloads.iter().find(|w| w.host == found.host && w.interface == found.interface);
    let place = match owner {
        Some(workload) => format!("{} at the interface of {}", found.host, workload.name),
        None if found.interface.is_empty() => found.host.clone(),
        None => format!("{} at {}", found.host, found.interface),
    };
    Some(format!("dropped on {place}: {}", found.reason))
}

/// Addresses may be the same in several tenants, so the interface must be one of the two ends, or the fabric between them.
fn fits(event: &DropEvent, refused: &Refused<'_>) -> bool {
    let Refused { from, to, address, probe } = refused;
    let source = if address.is_ipv4() { from.address.map(IpAddr::V4) } else { from.address6.map(IpAddr::V6) };
    let at = |w: &WorkloadState| w.host == event.host && w.interface == event.interface;
    let between = event.interface == FABRIC_INTERFACE && to.is_some_and(|t| t.host == event.host);
    let place = at(from) || to.is_some_and(at) || between;
    place
        && event.destination.is_none_or(|d| d == *address)
        && event.source.is_none_or(|s| Some(s) == source)
        && event.protocol.is_none_or(|p| protocols(*probe, *address).contains(&p))
        && event.port.is_none_or(|p| probe.proto == Proto::Icmp || p == u64::from(probe.port))
}

fn protocols(probe: ProbeSpec, address: IpAddr) -> BTreeSet<u64> {
    match (probe.proto, address) {
        (Proto::Icmp, IpAddr::V4(_)) => [1].into(),
        (Proto::Icmp, IpAddr::V6(_)) => [58].into(),
        (Proto::Tcp, _) => [6].into(),
        (Proto::Udp, _) => [17].into(),
    }
}
