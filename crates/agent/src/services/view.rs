//! The part of the configuration that the services need, one value per local interface.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::Serialize;
use uuid::Uuid;

/// The MAC address of the virtual gateway: the source of every frame the agent sends to a workload.
pub const GATEWAY_MAC: [u8; 6] = [0x00, 0x00, 0x5e, 0x00, 0x01, 0x00];

/// The link-local address of the virtual gateway: source of router advertisements and DHCPv6 replies.
pub const GATEWAY_LINK_LOCAL: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x5e00, 0x0100);

/// The server identifier of DHCPv4 on a network that has neither a gateway nor a DNS address.
pub const FALLBACK_SERVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// How long a workload may keep its address, in seconds.
pub const LEASE_SECONDS: u32 = 86_400;

/// A DHCP option configured by number, passed through untouched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RawOption {
    /// The option's code.
    pub code: u8,
    /// Its value, at most 255 bytes.
    pub data: Vec<u8>,
}

/// What DHCPv4 answers on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease4 {
    /// The workload's address.
    pub address: Ipv4Addr,
    /// Length of the subnet's prefix.
    pub prefix_len: u8,
    /// The default gateway, unless the subnet has none.
    pub gateway: Option<Ipv4Addr>,
    /// The server identifier and source of replies.
    pub server: Ipv4Addr,
    /// Name servers, the subnet's own service address first.
    pub dns: Vec<Ipv4Addr>,
    /// The domain that the workload's short names belong to.
    pub domain: Option<String>,
    /// Host routes of the subnet (option 121).
    pub host_routes: Vec<(Ipv4Net, Ipv4Addr)>,
    /// Further configured options.
    pub options: Vec<RawOption>,
}

/// What DHCPv6 and router advertisements say on an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lease6 {
    /// The workload's address.
    pub address: Ipv6Addr,
    /// The subnet: announced as on-link, never for autoconfiguration.
    pub subnet: Ipv6Net,
    /// The default gateway; without one the advertised router lifetime is 0.
    pub gateway: Option<Ipv6Addr>,
    /// Name servers.
    pub dns: Vec<Ipv6Addr>,
    /// The search domain.
    pub domain: Option<String>,
}

/// Everything the services need to know about one local interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PortServices {
    /// The virtual-machine-interface.
    pub interface: Uuid,
    /// The kernel's index of the host's end.
    pub ifindex: u32,
    /// The workload's MAC address.
    pub mac: [u8; 6],
    /// The virtual network's fully qualified name (tags DNS queries).
    pub network: String,
    /// The workload's host name, offered in option 12.
    pub hostname: Option<String>,
    /// MTU offered to the workload, in bytes of IP packet.
    pub mtu: u16,
    /// DHCPv4, if the interface has an IPv4 address and its subnet has DHCP enabled.
    pub lease4: Option<Lease4>,
    /// DHCPv6 and router advertisements, if it has an IPv6 address.
    pub lease6: Option<Lease6>,
}
