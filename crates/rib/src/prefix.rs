//! What a route is for: an IP prefix, or a MAC address (with or without an IP address) of an Ethernet segment.

use std::fmt;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The tables of a routing instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// IPv4 unicast.
    Inet,
    /// IPv6 unicast.
    Inet6,
    /// Ethernet VPN.
    Evpn,
}

impl Table {
    /// All tables, in the order in which routes are sorted.
    pub const ALL: [Table; 3] = [Table::Inet, Table::Inet6, Table::Evpn];

    /// The name used by operators: `inet`, `inet6` or `evpn`.
    pub fn name(self) -> &'static str {
        match self {
            Table::Inet => "inet",
            Table::Inet6 => "inet6",
            Table::Evpn => "evpn",
        }
    }
}

/// The key of a route within a routing instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prefix {
    /// An IPv4 prefix without host bits.
    Inet(Ipv4Net),
    /// An IPv6 prefix without host bits.
    Inet6(Ipv6Net),
    /// A MAC route (EVPN type 2), a flood route (all-ones MAC) or an IP prefix route (zero MAC, type 5).
    Evpn {
        /// Ethernet tag: the VXLAN network identifier where VXLAN is used, else 0.
        tag: u32,
        /// The MAC address.
        mac: [u8; 6],
        /// The address bound to the MAC address, if any; kept as received.
        ip: Option<IpNet>,
    },
}

impl Prefix {
    /// The unicast prefix of `net`, with host bits cleared.
    pub fn unicast(net: IpNet) -> Self {
        match net {
            IpNet::V4(net) => Prefix::Inet(net.trunc()),
            IpNet::V6(net) => Prefix::Inet6(net.trunc()),
        }
    }

    /// The table this prefix belongs to.
    pub fn table(&self) -> Table {
        match self {
            Prefix::Inet(_) => Table::Inet,
            Prefix::Inet6(_) => Table::Inet6,
            Prefix::Evpn { .. } => Table::Evpn,
        }
    }

    /// Whether this is the flood list of an Ethernet segment: every path is used at once, none is better than another.
    pub fn is_flood(&self) -> bool {
        matches!(self, Prefix::Evpn { mac, .. } if *mac == [0xff; 6])
    }

    /// Whether paths may cross into other virtual networks. MAC and flood routes may not: policy between networks joins
    /// them at layer 3 only, so their broadcast domains stay apart.
    pub(crate) fn crosses_networks(&self) -> bool {
        !matches!(self, Prefix::Evpn { mac, .. } if *mac != [0; 6])
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Prefix::Inet(net) => net.fmt(f),
            Prefix::Inet6(net) => net.fmt(f),
            Prefix::Evpn { tag, mac, ip } => {
                let [a, b, c, d, e, g] = mac;
                if *tag != 0 {
                    write!(f, "{tag}-")?;
                }
                write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x},")?;
                match ip {
                    Some(ip) => ip.fmt(f),
                    None => f.write_str("0.0.0.0/32"),
                }
            }
        }
    }
}
