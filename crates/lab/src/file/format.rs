//! The lab file as written: one structure for each part, unknown fields refused. See docs/lab.md.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

mod steps;

pub use steps::*;

/// A JSON object kept as it is.
pub type Verbatim = Map<String, Value>;

/// A whole lab file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabFile {
    /// Name of the lab; the file's name without its ending by default.
    #[serde(default)]
    pub name: Option<String>,
    /// What the lab shows, printed when it starts.
    #[serde(default)]
    pub description: Option<String>,
    /// Hosts, each with its own agent and forwarder.
    pub hosts: Vec<Spanned<String>>,
    /// The network that joins hosts and controller.
    #[serde(default)]
    pub underlay: Underlay,
    /// The controller.
    #[serde(default)]
    pub controller: Controller,
    /// Projects to create in `default-domain`.
    #[serde(default)]
    pub tenants: Vec<Spanned<String>>,
    /// Networks in short form.
    #[serde(default)]
    pub networks: Vec<Spanned<Network>>,
    /// Network policies in short form.
    #[serde(default)]
    pub policies: Vec<Spanned<Policy>>,
    /// Security groups in short form.
    #[serde(default)]
    pub security_groups: Vec<Spanned<SecurityGroup>>,
    /// REST objects, verbatim.
    #[serde(default)]
    pub objects: Vec<Spanned<Verbatim>>,
    /// Workloads.
    #[serde(default)]
    pub workloads: Vec<Spanned<Workload>>,
    /// What to do and check, in order.
    #[serde(default)]
    pub steps: Vec<Spanned<Step>>,
}

/// The underlay: a bridge that every host and the controller are plugged into.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Underlay {
    /// Largest packet on the underlay, bytes. The default leaves room for the encapsulation of a 1500-byte packet.
    pub mtu: u32,
    /// Addresses: the controller has the first, hosts the eleventh onwards.
    pub subnet: Ipv4Net,
    /// The two hosts of the lab are joined by a cable of their own; only the controller is reached over the bridge.
    pub cable: bool,
}

impl Default for Underlay {
    fn default() -> Self {
        let subnet = Ipv4Net::new_assert(Ipv4Addr::new(172, 31, 0, 0), 24);
        Self { mtu: 1600, subnet, cable: false }
    }
}

/// The controller.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Controller {
    /// Where it keeps the configuration.
    pub store: StoreKind,
}

/// Kinds of stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// In its own directory.
    #[default]
    Embedded,
    /// In an etcd cluster of three members that the lab starts beside it: `etcd1` to `etcd3`.
    Etcd,
}

/// A network with its subnets.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Last part of its name.
    pub name: String,
    /// Project it belongs to; `default-project` by default.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Its subnets, IPv4 and IPv6.
    pub subnets: Vec<IpNet>,
    /// `virtual_network_properties`, verbatim (forwarding mode, VXLAN identifier, ..).
    #[serde(default)]
    pub properties: Option<Verbatim>,
}

/// A policy between networks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Last part of its name.
    pub name: String,
    /// Project it belongs to.
    #[serde(default)]
    pub tenant: Option<String>,
    /// Networks it is attached to.
    pub networks: Vec<String>,
    /// Its rules, the first that fits decides.
    pub rules: Vec<PolicyRule>,
}

/// One rule of a policy.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRule {
    /// Network, prefix or `any`.
    pub from: String,
    /// Network, prefix or `any`.
    pub to: String,
    /// Protocol.
    #[serde(default)]
    pub proto: RuleProto,
    /// Destination ports; all when absent.
    #[serde(default)]
    pub port: Option<Ports>,
    /// Source ports; all when absent.
    #[serde(default)]
    pub src_port: Option<Ports>,
    /// What to do.
    #[serde(default)]
    pub action: RuleAction,
    /// Also the reverse direction (`<>`).
    #[serde(default)]
    pub both: bool,
}

/// A security group.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroup {
    /// Last part of its name.
    pub name: String,
    /// Project it belongs to.
    #[serde(default)]
    pub tenant: Option<String>,
    /// What is let through; everything else is refused.
    pub rules: Vec<SecurityRule>,
}

/// One rule of a security group.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityRule {
    /// Towards the workload or away from it.
    pub direction: Direction,
    /// The far end: prefix, security group or `any`.
    #[serde(default = "any")]
    pub remote: String,
    /// Protocol.
    #[serde(default)]
    pub proto: RuleProto,
    /// Destination ports; all when absent.
    #[serde(default)]
    pub port: Option<Ports>,
}

fn any() -> String {
    "any".into()
}

/// Direction of a security rule, seen from the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Packets to the workload.
    Ingress,
    /// Packets from the workload.
    Egress,
}

/// Protocol of a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleProto {
    /// All protocols.
    #[default]
    Any,
    /// ICMP, and ICMPv6 for IPv6.
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// Action of a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleAction {
    /// Let through.
    #[default]
    Pass,
    /// Refuse.
    Deny,
}

/// One port or a range `first-last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PortsText")]
pub struct Ports {
    /// First port.
    pub first: u16,
    /// Last port, not below the first.
    pub last: u16,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a port (5432) or a range of ports (\"8000-8099\")")]
enum PortsText {
    One(u16),
    Range(String),
}

impl TryFrom<PortsText> for Ports {
    type Error = String;

    fn try_from(text: PortsText) -> Result<Self, String> {
        match text {
            PortsText::One(port) => Ok(Self { first: port, last: port }),
            PortsText::Range(text) => {
                let wrong = || format!("{text}: a range of ports is written first-last");
                let (first, last) = text.split_once('-').ok_or_else(wrong)?;
                let number = |part: &str| part.trim().parse::<u16>().map_err(|_| wrong());
                let (first, last) = (number(first)?, number(last)?);
                if first > last { Err(wrong()) } else { Ok(Self { first, last }) }
            }
        }
    }
}

/// A workload: a namespace with one interface that gets its addresses by DHCP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Name, unique in the lab.
    pub name: String,
    /// Host it runs on.
    pub host: String,
    /// Network it is in: `web`, `acme/web` or the full name.
    pub network: String,
    /// Project of the workload; that of its network by default.
    #[serde(default)]
    pub tenant: Option<String>,
    /// IPv4 address to ask the controller for.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// IPv6 address to ask the controller for.
    #[serde(default)]
    pub address6: Option<Ipv6Addr>,
    /// Security groups by name.
    #[serde(default)]
    pub security_groups: Vec<String>,
}
