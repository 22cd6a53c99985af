//! Numbers and names everybody agrees on: ports, ranges, names and identities of the objects that always exist.

use crate::{FqName, MacAddress};
use uuid::Uuid;

/// REST API of the controller (TCP).
pub const API_PORT: u16 = 8082;
/// XMPP of the controller (TCP).
pub const XMPP_PORT: u16 = 5269;
/// DNS of the controller (UDP).
pub const DNS_PORT: u16 = 53;
/// Port attach and detach of the agent (TCP, REST).
pub const PORT_IPC_PORT: u16 = 9091;
/// Introspection of the agent (TCP).
pub const AGENT_INTROSPECT_PORT: u16 = 8085;
/// Introspection of the control node (TCP).
pub const CONTROL_INTROSPECT_PORT: u16 = 8083;
/// MPLS over UDP (RFC 7510).
pub const MPLS_UDP_PORT: u16 = 6635;
/// VXLAN (RFC 7348).
pub const VXLAN_PORT: u16 = 4789;
/// First UDP source port of encapsulated packets.
pub const UDP_SOURCE_PORT_MIN: u16 = 49152;
/// Last UDP source port of encapsulated packets.
pub const UDP_SOURCE_PORT_MAX: u16 = 65534;
/// MAC address of every gateway.
pub const GATEWAY_MAC: MacAddress = MacAddress([0x00, 0x00, 0x5e, 0x00, 0x01, 0x00]);
/// Autonomous system of a new installation.
pub const AUTONOMOUS_SYSTEM: u32 = 64512;
/// First number of automatic route targets (`target:<asn>:8000000`).
pub const FIRST_ROUTE_TARGET_NUMBER: u32 = 8_000_000;
/// First number of automatic route targets of an autonomous system above 65535, where numbers have 16 bits.
pub const FIRST_SHORT_ROUTE_TARGET_NUMBER: u32 = 8_000;
/// Last of those.
pub const LAST_SHORT_ROUTE_TARGET_NUMBER: u32 = 32_767;
/// First identifier of security groups.
pub const FIRST_SECURITY_GROUP_ID: u32 = 8_000_000;
/// First identifier of virtual networks.
pub const FIRST_NETWORK_ID: u32 = 1;
/// Last identifier of virtual networks (24 bits, it doubles as VXLAN identifier).
pub const LAST_NETWORK_ID: u32 = (1 << 24) - 1;
/// Longest part of a fully qualified name, in bytes.
pub const MAX_NAME_BYTES: usize = 512;

/// The property of a virtual network that holds the number of its automatic route target.
pub const ROUTE_TARGET_NUMBER_PROPERTY: &str = "weft_route_target_number";

/// Name of the only domain of a new installation.
pub const DOMAIN: &str = "default-domain";
/// Name of the default project.
pub const PROJECT: &str = "default-project";
/// Name of the global system configuration.
pub const GLOBAL_SYSTEM_CONFIG: &str = "default-global-system-config";
/// Name of the global vRouter configuration.
pub const GLOBAL_VROUTER_CONFIG: &str = "default-global-vrouter-config";
/// Name of the default network-ipam.
pub const NETWORK_IPAM: &str = "default-network-ipam";
/// Name of the flat ipam of service chains.
pub const SERVICE_CHAIN_IPAM: &str = "service-chain-flat-ipam";
/// Name of the network that is the underlay.
pub const IP_FABRIC: &str = "ip-fabric";
/// Name of the link-local network.
pub const LINK_LOCAL: &str = "__link_local__";
/// Name of the network that interconnects data centres.
pub const DCI_NETWORK: &str = "dci-network";
/// Name of the security group of ports without rules.
pub const NO_RULE_SECURITY_GROUP: &str = "__no_rule__";
/// Name of a project's default security group.
pub const SECURITY_GROUP: &str = "default";
/// Name of the master routing instance.
pub const MASTER_ROUTING_INSTANCE: &str = "default-domain:default-project:ip-fabric:__default__";

/// `default-domain`.
pub fn domain() -> FqName {
    FqName::new([DOMAIN])
}

/// `default-domain:default-project`.
pub fn project() -> FqName {
    FqName::new([DOMAIN, PROJECT])
}

/// `default-domain:default-project:<name>`.
pub fn in_default_project(name: &str) -> FqName {
    project().child(name)
}

/// `default-global-system-config`.
pub fn global_system_config() -> FqName {
    FqName::new([GLOBAL_SYSTEM_CONFIG])
}

/// `default-global-system-config:default-global-vrouter-config`.
pub fn global_vrouter_config() -> FqName {
    FqName::new([GLOBAL_SYSTEM_CONFIG, GLOBAL_VROUTER_CONFIG])
}

/// The uuid of an object that exists from the start: the same in every installation.
pub fn singleton_uuid(object_type: crate::ObjectType, fq_name: &FqName) -> Uuid {
    crate::derived_uuid(object_type, fq_name)
}

/// Owner of objects when nobody is authenticated.
pub const OWNER: &str = "cloud-admin";
/// Group of objects when nobody is authenticated.
pub const OWNER_GROUP: &str = "cloud-admin-group";
