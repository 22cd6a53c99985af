//! Route items: what an agent publishes and what a control node sends down, for unicast (IPv4, IPv6)
//! and EVPN tables. Types here; XML in [`encode`](self) and `decode`; ids and node strings in `id`.
//!
//! Always holds: an item in normal form (see [`RouteItem::normalize`]) survives encode and decode
//! unchanged.

mod decode;
mod encode;
mod id;

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use weft_model::MacAddress;

pub(crate) use decode::{parse_boolean, parse_number};
pub use id::{RouteKey, parse_node};

/// Most next hops accepted in one item.
pub const MAX_NEXT_HOPS: usize = 256;
/// Most entries accepted in any other list of an item (security groups, tags, communities).
pub const MAX_LIST: usize = 1024;

/// The table a route belongs to, as address family / subsequent address family on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RouteTable {
    /// IPv4 unicast, `1/1`.
    Inet,
    /// IPv6 unicast, `2/1`.
    Inet6,
    /// EVPN, `25/242` (BGP uses safi 70 for the same).
    Evpn,
}

impl RouteTable {
    /// All tables.
    pub const ALL: [Self; 3] = [Self::Inet, Self::Inet6, Self::Evpn];

    /// Address family number.
    #[must_use]
    pub fn afi(self) -> u16 {
        match self {
            Self::Inet => 1,
            Self::Inet6 => 2,
            Self::Evpn => 25,
        }
    }

    /// Subsequent address family number as used on this stream.
    #[must_use]
    pub fn safi(self) -> u8 {
        match self {
            Self::Inet | Self::Inet6 => 1,
            Self::Evpn => 242,
        }
    }

    /// The table with these numbers, if it is one this implementation carries.
    #[must_use]
    pub fn from_afi_safi(afi: u16, safi: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.afi() == afi && t.safi() == safi)
    }

    /// `inet`, `inet6` or `evpn`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Inet6 => "inet6",
            Self::Evpn => "evpn",
        }
    }
}

/// A tunnel encapsulation a next hop accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encap {
    /// MPLS over GRE (`gre`).
    Gre,
    /// MPLS over UDP (`udp`).
    Udp,
    /// VXLAN (`vxlan`).
    Vxlan,
    /// No overlay: the underlay routes the address (`native`).
    Native,
    /// Plain MPLS (`mpls`).
    Mpls,
}

impl Encap {
    /// All encapsulations.
    pub const ALL: [Self; 5] = [Self::Gre, Self::Udp, Self::Vxlan, Self::Native, Self::Mpls];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gre => "gre",
            Self::Udp => "udp",
            Self::Vxlan => "vxlan",
            Self::Native => "native",
            Self::Mpls => "mpls",
        }
    }

    /// The encapsulation of that name, in any letter case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name().eq_ignore_ascii_case(name))
    }
}

/// One next hop of an item. Several make ECMP (control node to agent only).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    /// Tunnel end point.
    pub address: IpAddr,
    /// Router MAC, for VXLAN routing.
    pub mac: Option<MacAddress>,
    /// MPLS label; in EVPN the VNI when the encapsulation is VXLAN. 0 = none.
    pub label: u32,
    /// Label of the L3 route beside an EVPN one. EVPN only: not sent in unicast items. 0 = none.
    pub l3_label: u32,
    /// VXLAN network identifier. Unicast only: not sent in EVPN items. 0 = none.
    pub vni: u32,
    /// Encapsulations accepted. Empty with a label: none that is known here was listed.
    pub encaps: BTreeSet<Encap>,
    /// Virtual network of this path (fq_name joined by ':'). Unicast only. Empty = none.
    pub virtual_network: String,
    /// Tag ids (type in the high 16 bits, value in the low 16).
    pub tags: Vec<u32>,
    /// Local sequence number. 0 = none.
    pub local_sequence: u32,
}

impl NextHop {
    /// A next hop with nothing but its end point.
    #[must_use]
    pub fn new(address: IpAddr) -> Self {
        Self {
            address,
            mac: None,
            label: 0,
            l3_label: 0,
            vni: 0,
            encaps: BTreeSet::new(),
            virtual_network: String::new(),
            tags: Vec::new(),
            local_sequence: 0,
        }
    }

    /// Whether a packet can be sent to it: false if it has a label and no encapsulation known here.
    #[must_use]
    pub fn is_feasible(&self) -> bool {
        self.label == 0 || !self.encaps.is_empty()
    }
}

/// MAC or address mobility: which of two announcers moved last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord, Hash)]
pub struct Mobility {
    /// Sequence number; the higher wins.
    pub seqno: u32,
    /// The address may not move.
    pub sticky: bool,
}

/// A header field that takes part in choosing among equal next hops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LoadBalanceField {
    /// `l3-source-address`
    L3Source,
    /// `l3-destination-address`
    L3Destination,
    /// `l4-protocol`
    L4Protocol,
    /// `l4-source-port`
    L4SourcePort,
    /// `l4-destination-port`
    L4DestinationPort,
}

impl LoadBalanceField {
    /// All fields.
    pub const ALL: [Self; 5] =
        [Self::L3Source, Self::L3Destination, Self::L4Protocol, Self::L4SourcePort, Self::L4DestinationPort];

    /// The name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::L3Source => "l3-source-address",
            Self::L3Destination => "l3-destination-address",
            Self::L4Protocol => "l4-protocol",
            Self::L4SourcePort => "l4-source-port",
            Self::L4DestinationPort => "l4-destination-port",
        }
    }
}

/// How equal next hops share the load.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoadBalance {
    /// Fields hashed. Empty = all.
    pub fields: BTreeSet<LoadBalanceField>,
    /// `source-bias` instead of `field-hash`.
    pub source_bias: bool,
}

/// An IPv4 or IPv6 unicast route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnicastItem {
    /// Destination; host bits are zero in normal form.
    pub prefix: IpNet,
    /// Next hops: exactly one from an agent, one or more from a control node.
    pub next_hops: Vec<NextHop>,
    /// Origin virtual network (fq_name joined by ':').
    pub virtual_network: String,
    /// Security group ids.
    pub security_groups: Vec<u32>,
    /// BGP communities, as text.
    pub communities: Vec<String>,
    /// Local preference (100 low, 200 high).
    pub local_preference: u32,
    /// Multi-exit discriminator; 0 lets the control node derive it from the local preference.
    pub med: u32,
    /// Mobility, if announced.
    pub mobility: Option<Mobility>,
    /// Load balancing, if not the default.
    pub load_balance: Option<LoadBalance>,
    /// `interface`, `interface-static`, `service-interface` or `bgpaas`.
    pub sub_protocol: Option<String>,
    /// Version of the item format (1).
    pub version: u32,
}

impl UnicastItem {
    /// An item with local preference 100, version 1 and everything else empty.
    #[must_use]
    pub fn new(prefix: IpNet) -> Self {
        Self {
            prefix,
            next_hops: Vec::new(),
            virtual_network: String::new(),
            security_groups: Vec::new(),
            communities: Vec::new(),
            local_preference: DEFAULT_LOCAL_PREFERENCE,
            med: 0,
            mobility: None,
            load_balance: None,
            sub_protocol: None,
            version: 1,
        }
    }
}

/// Local preference assumed when an item states none.
pub const DEFAULT_LOCAL_PREFERENCE: u32 = 100;

/// An EVPN route: MAC/IP (type 2), inclusive multicast (MAC all ones, type 3), or IP prefix (MAC zero, type 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvpnItem {
    /// Ethernet tag: the VNI for VXLAN, else 0.
    pub ethernet_tag: u32,
    /// MAC address.
    pub mac: MacAddress,
    /// IP address and length; `0.0.0.0/32` if the route has none.
    pub address: IpNet,
    /// Multicast group (broadcast and multicast routes).
    pub group: Option<IpAddr>,
    /// Multicast source (with `group`).
    pub source: Option<IpAddr>,
    /// Flags of the `nlri` element. 0 = none.
    pub flags: u32,
    /// Next hops: exactly one from an agent.
    pub next_hops: Vec<NextHop>,
    /// Replication list of a broadcast route, from the control node.
    pub olist: Vec<NextHop>,
    /// Replication list towards leaves of an E-tree.
    pub leaf_olist: Vec<NextHop>,
    /// Origin virtual network (fq_name joined by ':').
    pub virtual_network: String,
    /// Security group ids.
    pub security_groups: Vec<u32>,
    /// Local preference (100 low, 200 high).
    pub local_preference: u32,
    /// Multi-exit discriminator; see [`UnicastItem::med`].
    pub med: u32,
    /// Mobility, if announced.
    pub mobility: Option<Mobility>,
    /// The announcer cannot replicate.
    pub edge_replication_not_supported: bool,
    /// The announcer replicates for others.
    pub assisted_replication_supported: bool,
    /// The replicator the announcer uses.
    pub replicator_address: Option<IpAddr>,
    /// Leaf of an E-tree.
    pub etree_leaf: bool,
}

impl EvpnItem {
    /// An item with local preference 100 and everything but its key empty.
    #[must_use]
    pub fn new(ethernet_tag: u32, mac: MacAddress, address: IpNet) -> Self {
        Self {
            ethernet_tag,
            mac,
            address,
            group: None,
            source: None,
            flags: 0,
            next_hops: Vec::new(),
            olist: Vec::new(),
            leaf_olist: Vec::new(),
            virtual_network: String::new(),
            security_groups: Vec::new(),
            local_preference: DEFAULT_LOCAL_PREFERENCE,
            med: 0,
            mobility: None,
            edge_replication_not_supported: false,
            assisted_replication_supported: false,
            replicator_address: None,
            etree_leaf: false,
        }
    }
}

/// A route item of any table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteItem {
    /// IPv4 or IPv6 unicast.
    Unicast(UnicastItem),
    /// EVPN.
    Evpn(EvpnItem),
}

impl RouteItem {
    /// The table the item belongs to.
    #[must_use]
    pub fn table(&self) -> RouteTable {
        match self {
            Self::Unicast(item) if item.prefix.addr().is_ipv4() => RouteTable::Inet,
            Self::Unicast(_) => RouteTable::Inet6,
            Self::Evpn(_) => RouteTable::Evpn,
        }
    }

    /// The next hops.
    #[must_use]
    pub fn next_hops(&self) -> &[NextHop] {
        match self {
            Self::Unicast(item) => &item.next_hops,
            Self::Evpn(item) => &item.next_hops,
        }
    }

    /// What identifies the route within its table.
    #[must_use]
    pub fn key(&self) -> RouteKey {
        match self {
            Self::Unicast(item) => RouteKey::Unicast(item.prefix.trunc()),
            Self::Evpn(item) => RouteKey::Evpn {
                ethernet_tag: item.ethernet_tag,
                mac: item.mac,
                address: item.address,
                multicast: item.group.map(|g| (g, item.source.unwrap_or(UNSPECIFIED))),
            },
        }
    }

    /// The id of the item in a route message.
    #[must_use]
    pub fn id(&self) -> String {
        self.key().to_string()
    }

    /// The node string under which an agent publishes the item: `1/1/<ri>/<prefix>`, and for EVPN
    /// `25/242/<mac>,<ip>/<plen>` without routing instance.
    #[must_use]
    pub fn node(&self, ri: &str) -> String {
        id::publish_node(self, ri)
    }

    /// Drops what the wire form does not carry and fills in what a receiver would assume: `gre` for a
    /// label without encapsulation, zero host bits, fields that only the other table's next hops have.
    pub fn normalize(&mut self) {
        match self {
            Self::Unicast(item) => {
                item.prefix = item.prefix.trunc();
                for hop in &mut item.next_hops {
                    hop.l3_label = 0;
                    hop.assume_encap();
                }
            }
            Self::Evpn(item) => {
                let hops = item.next_hops.iter_mut().chain(&mut item.olist).chain(&mut item.leaf_olist);
                for hop in hops {
                    hop.vni = 0;
                    hop.virtual_network.clear();
                    hop.assume_encap();
                }
                if item.group.is_some() && item.source.is_none() {
                    item.source = Some(UNSPECIFIED);
                }
            }
        }
    }
}

/// Source of a multicast route that has a group and states no source.
const UNSPECIFIED: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

impl NextHop {
    fn assume_encap(&mut self) {
        if self.label != 0 && self.encaps.is_empty() {
            self.encaps.insert(Encap::Gre);
        }
    }
}
