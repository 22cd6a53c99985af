//! A user-space model of the forwarder: slow, plain, and written from its documented behaviour, not from its code.
//!
//! The eBPF programs and this model are fed the same tables and the same packets; where they differ, one of them is
//! wrong. So nothing here calls the parsing, judging or header-building functions of `weft-dataplane`: only its table
//! formats, names of reasons and headers of trapped packets are shared. Packets are read and built with `etherparse`.
//!
//! What the model does not have: large sends (GSO), events, ageing, the kernel's neighbour table. The UDP source port
//! of tunnels is a hash that the model does not know: it writes zero there.

mod answer;
mod fabric;
mod flows;
mod packet;
mod policy;
mod tables;
mod tunnel;
mod workload;

use std::collections::BTreeMap;

use weft_dataplane::{Counters, DropReason, TrapReason};

pub use answer::{arp_answer, solicitation_answer};
pub use flows::{Conversation, Fate, Flow, FlowKey, FragmentKey, TcpBits};
pub use packet::{Facts, Fragment, parse};
pub use policy::{Judgement, Side, Way, judge};
pub use tables::Tables;
pub use tunnel::{Arrived, congestion, recognise};

/// Where a packet comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryPoint {
    /// The host's side of a workload's interface, by ifindex.
    Workload(u32),
    /// The interface towards the underlay.
    Fabric,
    /// The agent's TAP.
    Agent,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Dropped and counted.
    Drop {
        /// The counter slot it is counted under.
        slot: u32,
        /// Why.
        reason: DropReason,
    },
    /// A frame for a workload.
    Deliver {
        /// Its interface.
        ifindex: u32,
        /// The frame.
        frame: Vec<u8>,
    },
    /// An encapsulated frame for the underlay, its UDP source port zero.
    Tunnel {
        /// The frame.
        frame: Vec<u8>,
    },
    /// A packet for the agent.
    Trap {
        /// Why.
        reason: TrapReason,
        /// Header and frame.
        frame: Vec<u8>,
    },
    /// The forwarder's own answer to the workload that asked.
    Reply {
        /// The frame.
        frame: Vec<u8>,
    },
    /// A frame that the agent injects as if a workload had sent it: it starts again there.
    Inject {
        /// The workload's interface.
        ifindex: u32,
        /// The frame.
        frame: Vec<u8>,
    },
    /// Not ours: the host's stack gets it as it is.
    Host,
}

/// A drop: the reason, and the slot to count it under if that is not the interface's that the packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) reason: DropReason,
    pub(crate) slot: Option<u32>,
}

impl From<DropReason> for Dropped {
    fn from(reason: DropReason) -> Self {
        Dropped { reason, slot: None }
    }
}

/// The forwarder's whole state.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The tables.
    pub tables: Tables,
    /// Flow entries of both families, two a session.
    pub flows: BTreeMap<FlowKey, Flow>,
    /// How many entries of each family there is room for; zero: without bound.
    pub flow_limit: [usize; 2],
    /// The ports of datagrams whose first fragment was seen.
    pub fragments: BTreeMap<FragmentKey, (u16, u16)>,
    /// Counters by slot.
    pub counters: BTreeMap<u32, Counters>,
    /// Drops by slot and reason.
    pub drops: BTreeMap<(u32, DropReason), u64>,
}

impl Model {
    /// Handles one frame.
    pub fn process(&mut self, at: EntryPoint, frame: &[u8]) -> Outcome {
        let result = match at {
            EntryPoint::Workload(ifindex) => self.workload_packet(ifindex, frame),
            EntryPoint::Fabric => self.underlay_packet(frame),
            EntryPoint::Agent => self.agent_packet(frame),
        };
        result.unwrap_or_else(|dropped| {
            let slot = dropped.slot.unwrap_or_else(|| self.slot_of(at));
            *self.drops.entry((slot, dropped.reason)).or_default() += 1;
            Outcome::Drop { slot, reason: dropped.reason }
        })
    }

    /// The slot of the interface that a packet came from; zero if the interface is not known.
    fn slot_of(&self, at: EntryPoint) -> u32 {
        let config = &self.tables.config;
        match at {
            EntryPoint::Workload(ifindex) => self.tables.interfaces.get(&ifindex).map_or(0, |i| i.slot),
            EntryPoint::Fabric => config.fabric_slot,
            EntryPoint::Agent => self.tables.interfaces.get(&config.pkt0_ifindex).map_or(0, |i| i.slot),
        }
    }

    pub(crate) fn count_received(&mut self, slot: u32, bytes: usize) {
        let counters = self.counters.entry(slot).or_default();
        counters.rx_packets += 1;
        counters.rx_bytes += bytes as u64;
    }

    pub(crate) fn count_delivered(&mut self, slot: u32, bytes: usize) {
        let counters = self.counters.entry(slot).or_default();
        counters.tx_packets += 1;
        counters.tx_bytes += bytes as u64;
    }

    /// Hands a complete frame to a workload.
    pub(crate) fn deliver(&mut self, slot: u32, ifindex: u32, frame: Vec<u8>) -> Outcome {
        self.count_delivered(slot, frame.len());
        Outcome::Deliver { ifindex, frame }
    }
}
