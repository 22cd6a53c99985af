//! Flow keys and entries. A session is two entries, one a direction; each can compute the other's key.

use crate::hash;
use crate::judge::Tables;
use crate::tables::Route;

/// Key of the IPv4 flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C, align(4))]
pub struct FlowKey4 {
    /// Source address.
    pub src: [u8; 4],
    /// Destination address.
    pub dst: [u8; 4],
    /// Source port, or ICMP identifier; network order.
    pub sport: [u8; 2],
    /// Destination port, or ICMP type and code class; network order.
    pub dport: [u8; 2],
    /// The VRF the packet is in: of the sending workload, or of the receiving one for packets from the fabric.
    pub zone: u16,
    /// IP protocol.
    pub protocol: u8,
    /// Zero.
    pub reserved: u8,
}

/// Key of the IPv6 flow table; fields as in [`FlowKey4`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C, align(4))]
pub struct FlowKey6 {
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// Source port, or ICMP identifier; network order.
    pub sport: [u8; 2],
    /// Destination port; network order.
    pub dport: [u8; 2],
    /// The VRF the packet is in.
    pub zone: u16,
    /// IP protocol.
    pub protocol: u8,
    /// Zero.
    pub reserved: u8,
}

/// `Flow::flags`: this entry is the answer's direction.
pub const FLOW_REVERSE: u16 = 1;
/// `Flow::flags`: packets are dropped; `reason` says why.
pub const FLOW_DROP: u16 = 1 << 1;
/// `Flow::flags`: bridged (the destination MAC stays); otherwise routed.
pub const FLOW_L2: u16 = 1 << 2;
/// `Flow::flags`: both ends are on this host.
pub const FLOW_LOCAL: u16 = 1 << 3;

/// One direction of a session, with everything its packets need cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Flow {
    /// Packets of this direction.
    pub packets: u64,
    /// Bytes of this direction.
    pub bytes: u64,
    /// When the last packet passed: nanoseconds of the coarse monotonic clock.
    pub last_seen: u64,
    /// When the entry was made.
    pub created: u64,
    /// Sum of the generations of `zone` and `peer_vrf` when it was judged.
    pub generation: u32,
    /// Index of the next hop.
    pub next_hop: u32,
    /// Generation of the next hop when it was judged.
    pub next_hop_generation: u32,
    /// The interface its packets come from.
    pub in_ifindex: u32,
    /// Identity of this direction's source.
    pub source_identity: u32,
    /// Identity of this direction's destination.
    pub destination_identity: u32,
    /// Number of the rule that decided; zero if none.
    pub rule: u32,
    /// Counter slot of the near workload.
    pub slot: u32,
    /// Zone of the other direction's key.
    pub reverse_zone: u16,
    /// The VRF of a local far end, else the zone again.
    pub peer_vrf: u16,
    /// UDP source port of the tunnel, network order.
    pub source_port: [u8; 2],
    /// `FLOW_*`.
    pub flags: u16,
    /// `DropReason` when `FLOW_DROP`, else zero.
    pub reason: u8,
    /// `tcp::*` bits of this direction.
    pub tcp: u8,
    /// Bridged: the MAC that packets must carry. Routed: the inner destination for VXLAN.
    pub dmac: [u8; 6],
    /// Zero.
    pub reserved: [u8; 8],
}

/// Key of the fragment table (both families; IPv4 addresses are in the first four bytes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct FragmentKey {
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// The datagram's identification, network order.
    pub id: [u8; 4],
    /// The VRF the packet is in.
    pub zone: u16,
    /// IP protocol.
    pub protocol: u8,
    /// 4 or 6.
    pub version: u8,
    /// The interface the fragments came from.
    pub ifindex: u32,
}

/// The ports that the first fragment of a datagram carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct FragmentPorts {
    /// Source port, network order.
    pub sport: [u8; 2],
    /// Destination port, network order.
    pub dport: [u8; 2],
    /// Zero.
    pub reserved: u32,
}

/// What the two families have in common: keys with an opposite, a hash and a route table of their own.
pub trait FlowKey: Copy + Sized {
    /// The key of the other direction, whose packets are in `zone`.
    #[must_use]
    fn reversed(&self, zone: u16) -> Self;
    /// Hash for the tunnel's source port.
    fn hash(&self, seed: u32) -> u32;
    /// The fragment table's key for this datagram.
    fn fragment(&self, id: [u8; 4], ifindex: u32) -> FragmentKey;
    /// VRF.
    fn zone(&self) -> u16;
    /// IP protocol.
    fn protocol(&self) -> u8;
    /// Source and destination ports, network order.
    fn ports(&self) -> ([u8; 2], [u8; 2]);
    /// Sets the VRF.
    fn set_zone(&mut self, zone: u16);
    /// Sets the ports (of a later fragment, from its head).
    fn set_ports(&mut self, sport: [u8; 2], dport: [u8; 2]);
    /// The route to the source in a VRF.
    fn source_route<'a, T: Tables>(&self, tables: &'a T, vrf: u16) -> Option<&'a Route>;
    /// The route to the destination in a VRF.
    fn destination_route<'a, T: Tables>(&self, tables: &'a T, vrf: u16) -> Option<&'a Route>;
}

#[inline(always)]
const fn ports_word(sport: [u8; 2], dport: [u8; 2]) -> u32 {
    u32::from_be_bytes([sport[0], sport[1], dport[0], dport[1]])
}

#[inline(always)]
const fn word(b: &[u8; 16], at: usize) -> u32 {
    u32::from_be_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]])
}

impl FlowKey for FlowKey4 {
    #[inline(always)]
    fn reversed(&self, zone: u16) -> Self {
        FlowKey4 { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, zone, ..*self }
    }

    #[inline(always)]
    fn hash(&self, seed: u32) -> u32 {
        let tail = (u32::from(self.zone) << 8) | u32::from(self.protocol);
        hash::words(
            seed,
            [
                u32::from_be_bytes(self.src),
                u32::from_be_bytes(self.dst),
                ports_word(self.sport, self.dport),
                tail,
            ],
        )
    }

    #[inline(always)]
    fn fragment(&self, id: [u8; 4], ifindex: u32) -> FragmentKey {
        let mut key = FragmentKey {
            src: [0; 16],
            dst: [0; 16],
            id,
            zone: self.zone,
            protocol: self.protocol,
            version: 4,
            ifindex,
        };
        key.src[..4].copy_from_slice(&self.src);
        key.dst[..4].copy_from_slice(&self.dst);
        key
    }

    #[inline(always)]
    fn zone(&self) -> u16 {
        self.zone
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        self.protocol
    }

    #[inline(always)]
    fn ports(&self) -> ([u8; 2], [u8; 2]) {
        (self.sport, self.dport)
    }

    #[inline(always)]
    fn set_zone(&mut self, zone: u16) {
        self.zone = zone;
    }

    #[inline(always)]
    fn set_ports(&mut self, sport: [u8; 2], dport: [u8; 2]) {
        self.sport = sport;
        self.dport = dport;
    }

    #[inline(always)]
    fn source_route<'a, T: Tables>(&self, tables: &'a T, vrf: u16) -> Option<&'a Route> {
        tables.route4(vrf, self.src)
    }

    #[inline(always)]
    fn destination_route<'a, T: Tables>(&self, tables: &'a T, vrf: u16) -> Option<&'a Route> {
        tables.route4(vrf, self.dst)
    }
}

impl FlowKey for FlowKey6 {
    #[inline(always)]
    fn reversed(&self, zone: u16) -> Self {
        FlowKey6 { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, zone, ..*self }
    }

    #[inline(always)]
    fn hash(&self, seed: u32) -> u32 {
        let (s, d) = (&self.src, &self.dst);
        let tail = (u32::from(self.zone) << 8) | u32::from(self.protocol);
        hash::words(
            seed,
            [
                word(s, 0) ^ word(s, 4),
                word(s, 8),
                word(s, 12),
                word(d, 0) ^ word(d, 4),
                word(d, 8),
                word(d, 12),
                ports_word(self.sport, self.dport),
                tail,
            ],
        )
    }

    #[inline(always)]
    fn fragment(&self, id: [u8; 4], ifindex: u32) -> FragmentKey {
        FragmentKey {
            src: self.src,
            dst: self.dst,
            id,
            zone: self.zone,
            protocol: self.protocol,
            version: 6,
            ifindex,
        }
    }

    #[inline(always)]
    fn zone(&self) -> u16 {
        self.zone
    }

    #[inline(always)]
    fn protocol(&self) -> u8 {
        self.protocol
    }

    #[inline(always)]
    fn ports(&self) -> ([u8; 2], [u8; 2]) {
        (self.sport, self.dport)
    }

    #[inline(always)]
    fn set_zone(&mut self, zone: u16) {
        self.zone = zone;
    }

    #[inline(always)]
    fn set_ports(&mut self, sport: [u8; 2], dport: [u8; 2]) {
        self.sport = sport;
        self.dport = dport;
    }

    #[inline(always)]
    fn source_route<'a, T: Tables>(&self, tables: &'a T, vrf: u16) -> Option<&'a Route> {
        tables.route6(vrf, &self.src)
    }

    #[inline(always)]
    fn destination_route<'a, T: Tables>(&self, tables: &'a T, vrf: u16) -> Option<&'a Route> {
        tables.route6(vrf, &self.dst)
    }
}
