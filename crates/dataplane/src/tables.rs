//! Keys and values of the forwarding tables. Addresses and ports in keys are in network byte order.

/// `Interface::kind`: a workload's host-side veth or TAP.
pub const INTERFACE_WORKLOAD: u8 = 1;
/// `Interface::kind`: the interface towards the underlay.
pub const INTERFACE_FABRIC: u8 = 2;
/// `Interface::kind`: the agent's TAP.
pub const INTERFACE_PKT0: u8 = 3;

/// `Interface::flags`: judge packets by policy and keep flows; without it every packet is forwarded by the tables alone.
pub const IF_POLICY: u32 = 1;
/// `Interface::flags`: bridging (destination MAC not the gateway's) is allowed.
pub const IF_L2: u32 = 1 << 1;
/// `Interface::flags`: routing (destination MAC the gateway's) is allowed.
pub const IF_L3: u32 = 1 << 2;
/// `Interface::flags`: DHCPv4 and DHCPv6 requests go to the agent.
pub const IF_DHCP: u32 = 1 << 3;
/// `Interface::flags`: DNS queries to a `receive` next hop go to the agent.
pub const IF_DNS: u32 = 1 << 4;
/// `Interface::flags`: the source address must be routed to this same interface (reverse-path check).
pub const IF_RPF: u32 = 1 << 5;
/// `Interface::flags`: the device is a veth whose peer is in another namespace (packets are handed straight to the
/// peer); without it the packet is transmitted on the device itself (TAP).
pub const IF_VETH: u32 = 1 << 6;

/// A device that the forwarder serves, by its ifindex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Interface {
    /// `INTERFACE_*`.
    pub kind: u8,
    /// Zero.
    pub reserved: u8,
    /// The VRF of the network the interface is on.
    pub vrf: u16,
    /// `IF_*`.
    pub flags: u32,
    /// The identity of what is behind it (the near end of its flows).
    pub identity: u32,
    /// Index of its counters; 0 is for packets of no known interface.
    pub slot: u32,
    /// The workload's own MAC.
    pub mac: [u8; 6],
    /// The gateway's MAC, as this workload sees it.
    pub gateway_mac: [u8; 6],
    /// Zero.
    pub reserved2: u32,
}

/// `NextHop::kind`: drop. Index 0 is always this.
pub const NEXT_HOP_DISCARD: u8 = 0;
/// `NextHop::kind`: a local workload interface.
pub const NEXT_HOP_INTERFACE: u8 = 1;
/// `NextHop::kind`: MPLS over UDP, the inner packet is IP.
pub const NEXT_HOP_MPLS_L3: u8 = 2;
/// `NextHop::kind`: MPLS over UDP, the inner packet is an Ethernet frame.
pub const NEXT_HOP_MPLS_L2: u8 = 3;
/// `NextHop::kind`: VXLAN. Routed packets get the route's MAC as inner destination.
pub const NEXT_HOP_VXLAN: u8 = 4;
/// `NextHop::kind`: this vRouter itself (gateway and DNS addresses).
pub const NEXT_HOP_RECEIVE: u8 = 5;

/// `NextHop::flags`: the interface wants policy and flows (its `IF_POLICY`).
pub const NH_POLICY: u8 = 1;
/// `NextHop::flags`: the device is a veth with its peer in another namespace (its `IF_VETH`).
pub const NH_VETH: u8 = 2;
/// `NextHop::flags`: `dmac` and `smac` of a tunnel hold the underlay neighbour's and our MAC; otherwise the kernel's
/// neighbour table is asked for every packet.
pub const NH_RESOLVED: u8 = 4;

/// Where packets go. Found by index, so that many routes share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct NextHop {
    /// `NEXT_HOP_*`.
    pub kind: u8,
    /// `NH_*`.
    pub flags: u8,
    /// Interface: the VRF the interface is on. Otherwise zero.
    pub vrf: u16,
    /// Interface: its ifindex. Tunnel: the fabric interface.
    pub ifindex: u32,
    /// Tunnel: MPLS label or VNI.
    pub label: u32,
    /// Interface: its counter slot.
    pub slot: u32,
    /// Interface: its identity.
    pub identity: u32,
    /// Kept by the forwarder: rises whenever the entry changes. Zero in what callers give and get.
    pub generation: u32,
    /// Tunnel: our underlay address.
    pub src: [u8; 4],
    /// Tunnel: the other host's underlay address.
    pub dst: [u8; 4],
    /// Tunnel: the underlay router on the way to `dst`; `dst` itself or zero when on the same link.
    pub gateway: [u8; 4],
    /// Interface: the workload's MAC. Tunnel: the underlay neighbour's MAC when resolved.
    pub dmac: [u8; 6],
    /// Interface: the gateway's MAC. Tunnel: the fabric interface's MAC when resolved.
    pub smac: [u8; 6],
    /// Tunnel: bytes the underlay carries from the outer IP header on; zero means the configured fabric MTU.
    pub mtu: u16,
    /// Zero.
    pub reserved: u16,
    /// Zero.
    pub reserved2: u32,
}

impl NextHop {
    /// Whether packets leave through the underlay.
    #[inline(always)]
    #[must_use]
    pub const fn is_tunnel(&self) -> bool {
        matches!(self.kind, NEXT_HOP_MPLS_L3 | NEXT_HOP_MPLS_L2 | NEXT_HOP_VXLAN)
    }
}

/// Longest-prefix key {VRF, IPv4 address}.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct LpmKey4 {
    /// Bits that count: 32 for the VRF and the address's prefix length.
    pub prefix_len: u32,
    /// VRF, big endian.
    pub vrf: [u8; 4],
    /// Address.
    pub addr: [u8; 4],
}

impl LpmKey4 {
    /// The key of a prefix in a VRF; `len` at most 32.
    #[inline(always)]
    #[must_use]
    pub const fn new(vrf: u16, addr: [u8; 4], len: u8) -> Self {
        LpmKey4 { prefix_len: 32 + len as u32, vrf: (vrf as u32).to_be_bytes(), addr }
    }
}

/// Longest-prefix key {VRF, IPv6 address}.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct LpmKey6 {
    /// Bits that count: 32 for the VRF and the address's prefix length.
    pub prefix_len: u32,
    /// VRF, big endian.
    pub vrf: [u8; 4],
    /// Address.
    pub addr: [u8; 16],
}

impl LpmKey6 {
    /// The key of a prefix in a VRF; `len` at most 128.
    #[inline(always)]
    #[must_use]
    pub const fn new(vrf: u16, addr: [u8; 16], len: u8) -> Self {
        LpmKey6 { prefix_len: 32 + len as u32, vrf: (vrf as u32).to_be_bytes(), addr }
    }
}

/// `Route::flags`: answer ARP and neighbour solicitations for addresses under this prefix, with `mac`, or with the
/// gateway's MAC when `mac` is zero.
pub const ROUTE_PROXY: u16 = 1;

/// What a VRF knows of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Route {
    /// Index of the next hop.
    pub next_hop: u32,
    /// Identity of the addresses under the prefix (the far end of flows).
    pub identity: u32,
    /// MAC bound to the address, zero if none: for ARP and ND answers, and the inner destination of routed VXLAN.
    pub mac: [u8; 6],
    /// `ROUTE_*`.
    pub flags: u16,
}

/// Key of the bridge table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct BridgeKey {
    /// VRF, native byte order.
    pub vrf: u16,
    /// MAC.
    pub mac: [u8; 6],
}

/// What a VRF knows of a MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct BridgeEntry {
    /// Index of the next hop.
    pub next_hop: u32,
    /// Identity of what has the MAC, used when no route names the IP address.
    pub identity: u32,
}

/// `Label::kind`: the label is not allotted.
pub const LABEL_NONE: u8 = 0;
/// `Label::kind`: the inner packet is IP.
pub const LABEL_L3: u8 = 1;
/// `Label::kind`: the inner packet is an Ethernet frame.
pub const LABEL_L2: u8 = 2;

/// What one of our MPLS labels means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Label {
    /// Index of the next hop that gets the packet, or zero: look the inner destination up in `vrf`.
    pub next_hop: u32,
    /// The VRF the packet belongs to.
    pub vrf: u16,
    /// `LABEL_*`.
    pub kind: u8,
    /// Zero.
    pub reserved: u8,
}

/// What a VXLAN identifier means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Vni {
    /// The VRF the packet belongs to.
    pub vrf: u16,
    /// Zero.
    pub reserved: u16,
    /// Zero.
    pub reserved2: u32,
}

/// State of one VRF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Vrf {
    /// Rises whenever routes, bridge entries or policy of the VRF change: flows made before are judged again.
    pub generation: u32,
    /// Zero.
    pub reserved: u32,
}

/// Counters of one slot, one copy per CPU, seen from the host: `rx` came from the interface, `tx` went to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Counters {
    /// Packets received from the interface.
    pub rx_packets: u64,
    /// Bytes received from the interface.
    pub rx_bytes: u64,
    /// Packets delivered to the interface.
    pub tx_packets: u64,
    /// Bytes delivered to the interface.
    pub tx_bytes: u64,
}

/// Key of the drop counters: the slot the packet was counted under and the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(C)]
pub struct DropKey {
    /// Counter slot of the interface that the packet came from, or that it was for if it came from the fabric and that is
    /// known.
    pub slot: u32,
    /// `DropReason`.
    pub reason: u32,
}
