//! Flow entries: two a session, one a direction.

use std::net::IpAddr;

use weft_dataplane::DropReason;

use super::Model;
use super::policy::{Judgement, Way};

/// Addresses, protocol and ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conversation {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// IP protocol.
    pub protocol: u8,
    /// Source and destination port.
    pub ports: (u16, u16),
}

impl Conversation {
    /// The other direction.
    #[must_use]
    pub fn reversed(&self) -> Self {
        let ports = (self.ports.1, self.ports.0);
        Conversation { source: self.destination, destination: self.source, protocol: self.protocol, ports }
    }
}

/// Key of a flow entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FlowKey {
    /// The VRF the packet is in: of the sending workload, or of the receiving one for packets from the fabric.
    pub zone: u16,
    /// The rest.
    pub conversation: Conversation,
}

impl FlowKey {
    /// The other direction's key, whose packets are in `zone`.
    #[must_use]
    pub fn reversed(&self, zone: u16) -> Self {
        FlowKey { zone, conversation: self.conversation.reversed() }
    }
}

/// A fragmented datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FragmentKey {
    /// The VRF the packet is in.
    pub zone: u16,
    /// The interface it came from.
    pub ifindex: u32,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// The protocol behind the last extension header that can be read.
    pub protocol: u8,
    /// Identification.
    pub id: u32,
}

/// What one direction of a TCP session has shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is one bit of the flow entry")]
pub struct TcpBits {
    /// It sent SYN.
    pub syn: bool,
    /// It sent something else than SYN or RST.
    pub established: bool,
    /// It sent FIN.
    pub fin: bool,
    /// The other direction sent FIN.
    pub peer_fin: bool,
    /// Either direction sent RST.
    pub reset: bool,
}

/// Whether a flow's packets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// They do.
    Forward,
    /// They do not.
    Deny(DropReason),
}

/// One direction of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// It is the answer's direction.
    pub reverse: bool,
    /// Whether its packets pass.
    pub fate: Fate,
    /// Both ends are on this host.
    pub local: bool,
    /// Where its packets go.
    pub way: Way,
    /// The interface its packets come from.
    pub in_ifindex: u32,
    /// Zone of the other direction's key.
    pub other_zone: u16,
    /// Identity of its source.
    pub source_identity: u32,
    /// The rule that decided.
    pub rule: u32,
    /// Slot of the near workload: of the one that opened the session, or of the receiver of one opened elsewhere.
    pub slot: u32,
    /// Packets of this direction.
    pub packets: u64,
    /// Bytes of this direction.
    pub bytes: u64,
    /// TCP state.
    pub tcp: TcpBits,
    /// When it was judged: how often both VRFs and the next hop had changed.
    pub judged: ([u32; 2], u32),
}

/// TCP flag bits that sessions depend on.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is one bit of the header")]
pub(crate) struct Flags {
    pub(crate) fin: bool,
    pub(crate) syn: bool,
    pub(crate) rst: bool,
    pub(crate) ack: bool,
}

impl Flags {
    pub(crate) fn of(byte: u8) -> Self {
        let bit = |n: u8| byte >> n & 1 == 1;
        Flags { fin: bit(0), syn: bit(1), rst: bit(2), ack: bit(4) }
    }

    /// SYN without ACK: a connection being opened.
    pub(crate) fn opens(self) -> bool {
        self.syn && !self.ack
    }
}

impl TcpBits {
    /// The bits after a packet with these flags, and those that the other direction is told of. `None`: both ends have
    /// closed, and this packet acknowledges it.
    #[must_use]
    pub fn after(mut self, flags: u8) -> Option<(TcpBits, TcpBits)> {
        let flags = Flags::of(flags);
        let mut told = TcpBits::default();
        if flags.opens() {
            self.syn = true;
        } else if flags.rst {
            told.reset = !self.reset;
            self.reset = true;
        } else if flags.fin {
            told.peer_fin = !(self.fin && self.established);
            self.fin = true;
            self.established = true;
        } else if flags.syn {
            self.syn = true;
        } else if self.fin && self.peer_fin {
            return None;
        } else {
            self.established = true;
        }
        Some((self, told))
    }

    /// Whether either end has begun to close.
    pub(crate) fn closing(self) -> bool {
        self.fin || self.peer_fin || self.reset
    }
}

impl Model {
    /// Whether everything that a flow was judged on still holds.
    pub(crate) fn is_current(&self, key: &FlowKey, flow: &Flow) -> bool {
        let now = (self.tables.stamp([key.zone, flow.other_zone]), self.tables.changes_of(flow.way.next_hop));
        flow.judged == now
    }

    /// What a direction that was just judged is stamped with.
    pub(crate) fn stamp_of(&self, zone: u16, other_zone: u16, way: &Way) -> ([u32; 2], u32) {
        (self.tables.stamp([zone, other_zone]), self.tables.changes_of(way.next_hop))
    }

    /// Counts a packet of a flow and follows TCP. A session that both ends have closed is removed by the packet that
    /// acknowledges it.
    pub(crate) fn seen(&mut self, key: &FlowKey, length: usize, tcp_flags: Option<u8>) {
        let Some(flow) = self.flows.get_mut(key) else { return };
        flow.packets += 1;
        flow.bytes += length as u64;
        let Some(flags) = tcp_flags else { return };
        let other = key.reversed(flow.other_zone);
        let Some((own, told)) = flow.tcp.after(flags) else {
            self.flows.remove(&other);
            self.flows.remove(key);
            return;
        };
        flow.tcp = own;
        if let Some(peer) = self.flows.get_mut(&other) {
            peer.tcp.reset |= told.reset;
            peer.tcp.peer_fin |= told.peer_fin;
        }
    }

    /// Makes both entries of a session, or none. `answer`: `key` is of the answer's direction.
    pub(crate) fn open_session(
        &mut self,
        key: FlowKey,
        judgement: &Judgement,
        answer: bool,
        in_ifindex: u32,
        slot: u32,
    ) -> Result<(), DropReason> {
        let back_key = key.reversed(judgement.back_zone);
        let forward = Flow {
            reverse: answer,
            fate: Fate::Forward,
            local: judgement.local,
            way: judgement.way,
            in_ifindex,
            other_zone: judgement.back_zone,
            source_identity: judgement.source_identity,
            rule: judgement.rule,
            slot,
            packets: 0,
            bytes: 0,
            tcp: TcpBits::default(),
            judged: self.stamp_of(key.zone, judgement.back_zone, &judgement.way),
        };
        let back = Flow {
            reverse: !answer,
            way: judgement.back,
            in_ifindex: judgement.back_ifindex.unwrap_or(self.tables.config.fabric_ifindex),
            other_zone: key.zone,
            source_identity: judgement.way.identity,
            judged: self.stamp_of(judgement.back_zone, key.zone, &judgement.back),
            ..forward
        };
        if !self.insert_flow(key, forward) {
            return Err(DropReason::FlowTableFull);
        }
        if !self.insert_flow(back_key, back) {
            self.flows.remove(&key);
            return Err(DropReason::FlowTableFull);
        }
        Ok(())
    }

    fn insert_flow(&mut self, key: FlowKey, flow: Flow) -> bool {
        let v4 = key.conversation.source.is_ipv4();
        let [limit4, limit6] = self.flow_limit;
        let limit = if v4 { limit4 } else { limit6 };
        let of_family = |k: &&FlowKey| k.conversation.source.is_ipv4() == v4;
        let full = limit != 0 && self.flows.keys().filter(of_family).count() >= limit;
        if full && !self.flows.contains_key(&key) {
            return false;
        }
        self.flows.insert(key, flow);
        true
    }
}
