//! How parsers read a packet: small pieces by offset, each read checked.

/// A packet's bytes. The eBPF programs read the socket buffer, tests and the reference model a slice.
pub trait Packet {
    /// The `N` bytes at `offset`, `None` when the packet ends before them.
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
    /// Bytes in the whole packet.
    fn length(&self) -> usize;
}

impl Packet for [u8] {
    fn load<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }

    fn length(&self) -> usize {
        self.len()
    }
}

/// Bytes of an Ethernet header.
pub const ETH_LEN: usize = 14;
/// Bytes of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// Bytes of an IPv6 header.
pub const IPV6_LEN: usize = 40;
/// Bytes of a UDP header.
pub const UDP_LEN: usize = 8;
/// Bytes of an MPLS label stack entry.
pub const MPLS_LEN: usize = 4;
/// Bytes of a VXLAN header.
pub const VXLAN_LEN: usize = 8;

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: [u8; 2] = [0x08, 0x00];
/// EtherType of ARP.
pub const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];

/// IP protocol numbers.
pub mod protocol {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP.
    pub const ICMP: u8 = 1;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// Authentication header.
    pub const AUTHENTICATION: u8 = 51;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options.
    pub const DESTINATION: u8 = 60;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// An Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    /// Destination MAC.
    pub dst: [u8; 6],
    /// Source MAC.
    pub src: [u8; 6],
    /// EtherType, network order.
    pub ethertype: [u8; 2],
}

impl Ethernet {
    /// The header in these bytes.
    #[inline(always)]
    #[must_use]
    pub const fn from_bytes(b: &[u8; ETH_LEN]) -> Self {
        Ethernet {
            dst: [b[0], b[1], b[2], b[3], b[4], b[5]],
            src: [b[6], b[7], b[8], b[9], b[10], b[11]],
            ethertype: [b[12], b[13]],
        }
    }

    /// The header's bytes.
    #[inline(always)]
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; ETH_LEN] {
        let (d, s, t) = (self.dst, self.src, self.ethertype);
        [d[0], d[1], d[2], d[3], d[4], d[5], s[0], s[1], s[2], s[3], s[4], s[5], t[0], t[1]]
    }

    /// Whether the destination is broadcast or multicast.
    #[inline(always)]
    #[must_use]
    pub const fn is_multicast(&self) -> bool {
        self.dst[0] & 1 != 0
    }
}
