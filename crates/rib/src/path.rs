//! A path: one way to reach a prefix, as announced by one peer.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// A set of tunnel encapsulations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EncapSet(u8);

impl EncapSet {
    /// No encapsulation.
    pub const EMPTY: EncapSet = EncapSet(0);
    /// MPLS over GRE.
    pub const GRE: EncapSet = EncapSet(1);
    /// MPLS over UDP.
    pub const UDP: EncapSet = EncapSet(2);
    /// VXLAN.
    pub const VXLAN: EncapSet = EncapSet(4);
    /// No tunnel: the underlay itself.
    pub const NATIVE: EncapSet = EncapSet(8);
    /// Plain MPLS.
    pub const MPLS: EncapSet = EncapSet(16);

    /// The union of both sets.
    #[must_use]
    pub fn with(self, other: EncapSet) -> EncapSet {
        EncapSet(self.0 | other.0)
    }

    /// Whether every member of `other` is in this set.
    pub fn contains(self, other: EncapSet) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether the set has no member.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names of the members.
    pub fn names(self) -> Vec<&'static str> {
        let all = [
            (Self::GRE, "gre"),
            (Self::UDP, "udp"),
            (Self::VXLAN, "vxlan"),
            (Self::NATIVE, "native"),
            (Self::MPLS, "mpls"),
        ];
        all.iter().filter(|(e, _)| self.contains(*e)).map(|(_, name)| *name).collect()
    }
}

impl fmt::Debug for EncapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().join("|"))
    }
}

/// How flows are spread over the next hops of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LoadBalance {
    /// Names of the header fields that are hashed, as on the wire.
    pub fields: Vec<String>,
    /// Prefer next hops on the sender's own host (`source-bias`) over spreading by hash alone (`field-hash`).
    pub source_bias: bool,
}

/// What a peer says of a path. The unit of change: paths with equal attributes look alike to every receiver.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attributes {
    /// Tunnel endpoint.
    pub next_hop: IpAddr,
    /// MPLS label (20 bits), or the VXLAN network identifier (24 bits) of an EVPN path over VXLAN; 0 for none.
    pub label: u32,
    /// Label of the routing table of the endpoint, for an EVPN path with an IP address; 0 for none.
    pub l3_label: u32,
    /// VXLAN network identifier of a unicast path; 0 for none.
    pub vni: u32,
    /// MAC address of the endpoint's router, for routed VXLAN.
    pub router_mac: Option<[u8; 6]>,
    /// Encapsulations the endpoint accepts. Empty beside a label: none that we know, and the path is infeasible.
    pub encaps: EncapSet,
    /// Higher wins.
    pub local_pref: u32,
    /// Lower wins.
    pub med: u32,
    /// Mobility sequence number: higher wins.
    pub mobility_seq: u32,
    /// A MAC address that does not move: wins over one that does.
    pub sticky: bool,
    /// Security group ids of the workload.
    pub security_groups: Vec<u32>,
    /// Tag ids of the workload.
    pub tags: Vec<u32>,
    /// Communities, as text.
    pub communities: Vec<String>,
    /// How flows are spread, if given.
    pub load_balance: Option<LoadBalance>,
    /// What kind of route the announcer made of it (`interface`, ...).
    pub sub_protocol: Option<String>,
    /// Announcer's own sequence number of the path; 0 for none.
    pub local_sequence: u32,
}

impl Attributes {
    /// Attributes of a plain path: preference 100, everything else empty.
    pub fn new(next_hop: IpAddr, label: u32, encaps: EncapSet) -> Self {
        Attributes {
            next_hop,
            label,
            l3_label: 0,
            vni: 0,
            router_mac: None,
            encaps,
            local_pref: 100,
            med: 0,
            mobility_seq: 0,
            sticky: false,
            security_groups: Vec::new(),
            tags: Vec::new(),
            communities: Vec::new(),
            load_balance: None,
            sub_protocol: None,
            local_sequence: 0,
        }
    }

    /// Whether the path may be used at all.
    pub fn feasible(&self) -> bool {
        self.label == 0 || !self.encaps.is_empty()
    }
}

/// A type 1 route distinguisher: `address:number`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteDistinguisher {
    /// IPv4 address of the announcing host.
    pub address: Ipv4Addr,
    /// Instance id the announcing host gave to the routing instance.
    pub number: u16,
}

impl RouteDistinguisher {
    /// The distinguisher of paths with this next hop. Of an IPv6 next hop the low 32 bits count.
    pub fn new(next_hop: IpAddr, number: u16) -> Self {
        let address = match next_hop {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => {
                let [.., a, b, c, d] = address.octets();
                Ipv4Addr::new(a, b, c, d)
            }
        };
        RouteDistinguisher { address, number }
    }
}

impl fmt::Display for RouteDistinguisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.number)
    }
}

/// A path as the tables hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// What the announcer said.
    pub attributes: Attributes,
    /// The virtual network of the instance the path was announced into: kept wherever the path is imported.
    pub origin_vn: Arc<str>,
    /// Which host's which instance it came from.
    pub rd: RouteDistinguisher,
}

impl Path {
    /// Whether an agent is told the same of both paths (the route distinguisher is not told).
    pub fn same_to_agents(&self, other: &Path) -> bool {
        self.compare_to_agents(other).is_eq()
    }

    /// An order of paths by what an agent is told of them, and nothing else.
    pub fn compare_to_agents(&self, other: &Path) -> Ordering {
        self.attributes.cmp(&other.attributes).then_with(|| self.origin_vn.cmp(&other.origin_vn))
    }
}
