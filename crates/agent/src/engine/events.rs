//! Drop events: read from the forwarder, given names at once (numbers are used again), the last ones kept.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use uuid::Uuid;
use weft_dataplane::{DropReason, Event};

use crate::desired::Names;

/// Events kept.
pub const MAX_RECENT: usize = 1000;

/// A packet that the forwarder dropped.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DropEvent {
    /// Milliseconds since the system started.
    pub time_ms: u64,
    /// Name of the reason.
    pub reason: &'static str,
    /// The reason in a sentence.
    pub description: &'static str,
    /// The workload interface concerned, by its identifier; empty for the fabric.
    pub interface: String,
    /// The interface the packet came in by.
    pub ifindex: u32,
    /// The routing instance.
    pub vrf: String,
    /// Sender.
    pub source: Option<IpAddr>,
    /// Receiver.
    pub destination: Option<IpAddr>,
    /// Network of the sender.
    pub source_network: String,
    /// Network of the receiver.
    pub destination_network: String,
    /// IP protocol.
    pub protocol: u8,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// The rule that refused it.
    pub rule: Option<Uuid>,
    /// Bytes of the packet.
    pub length: u32,
    /// MPLS label or VNI of a packet from the fabric.
    pub label: u32,
    /// Events left out before this one.
    pub suppressed: u32,
}

fn address(family: u8, bytes: &[u8; 16]) -> Option<IpAddr> {
    match family {
        4 => bytes.first_chunk::<4>().map(|b| Ipv4Addr::from(*b).into()),
        6 => Some(Ipv6Addr::from(*bytes).into()),
        _ => None,
    }
}

impl DropEvent {
    /// `event` with the names that its numbers have now.
    pub fn new(event: &Event, names: &Names) -> Self {
        let reason = DropReason::from_u8(event.reason);
        let network =
            |identity: u32| names.identities.get(&identity).map(|i| i.network.clone()).unwrap_or_default();
        let interface = names.slots.get(&event.slot);
        Self {
            time_ms: event.time / 1_000_000,
            reason: reason.map_or("unknown", DropReason::name),
            description: reason.map_or("", DropReason::describe),
            interface: interface.map(ToString::to_string).unwrap_or_default(),
            ifindex: event.ifindex,
            vrf: names.vrfs.get(&event.vrf).cloned().unwrap_or_default(),
            source: address(event.family, &event.src),
            destination: address(event.family, &event.dst),
            source_network: network(event.source_identity),
            destination_network: network(event.destination_identity),
            protocol: event.protocol,
            source_port: u16::from_be_bytes(event.sport),
            destination_port: u16::from_be_bytes(event.dport),
            rule: names.rules.get(&event.rule).copied(),
            length: event.length,
            label: event.label,
            suppressed: event.suppressed,
        }
    }
}

/// The last events.
#[derive(Debug, Default)]
pub struct Recent {
    events: Mutex<VecDeque<DropEvent>>,
}

impl Recent {
    /// Remember `events`, forgetting the oldest.
    pub fn extend(&self, events: impl IntoIterator<Item = DropEvent>) {
        let mut kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            if kept.len() >= MAX_RECENT {
                kept.pop_front();
            }
            kept.push_back(event);
        }
    }

    /// The last `count`, the oldest first.
    pub fn last(&self, count: usize) -> Vec<DropEvent> {
        let kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().skip(kept.len().saturating_sub(count)).cloned().collect()
    }
}
