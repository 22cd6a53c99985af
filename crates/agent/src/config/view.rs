//! The typed picture of this host's interfaces and of everything they refer to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;
use weft_model::MacAddress;
use weft_model::types::{
    AclEntriesType, AllowedAddressPairs, EncapsulationPrioritiesType, FlowAgingTimeoutList, IpamType,
    MacAddressesType, VirtualDnsType, VirtualMachineInterfacePropertiesType, VirtualNetworkType,
    VnSubnetsType,
};
use weft_xmpp::config::ConfigNode;

use super::acl::{Acl, subnet_of};
use super::database::{Database, NodeKey};
use super::subnet::{Ipam, Subnet};

const VMI: &str = "virtual-machine-interface";
const VN: &str = "virtual-network";
const VN_IPAM: &str = "virtual-network-network-ipam";
const VMI_RI: &str = "virtual-machine-interface-routing-instance";
const RI: &str = "routing-instance";
const ACL: &str = "access-control-list";
const IPAM: &str = "network-ipam";
const SG: &str = "security-group";

/// Which lookups a network's interfaces may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum ForwardingMode {
    /// Bridging and routing.
    #[default]
    L2L3,
    /// Bridging only.
    L2,
    /// Routing only.
    L3,
}

/// An encapsulation between hosts that this agent can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Encapsulation {
    /// MPLS over UDP (RFC 7510).
    MplsOverUdp,
    /// VXLAN (RFC 7348).
    Vxlan,
}

/// Settings that hold for all hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Global {
    /// Encapsulations in order of preference; MPLS over GRE, which is not supported, is left out.
    pub encapsulations: Vec<Encapsulation>,
    /// VXLAN identifiers come from the networks' configuration (else the network id is used).
    pub vxlan_configured: bool,
    /// Idle time of flows in seconds, by protocol and port (`None` for all), first match.
    pub flow_aging: Vec<(u8, Option<u16>, u32)>,
    /// Forwarding mode of networks that do not say.
    pub forwarding_mode: ForwardingMode,
}

impl Default for Global {
    fn default() -> Self {
        Self {
            encapsulations: vec![Encapsulation::MplsOverUdp, Encapsulation::Vxlan],
            vxlan_configured: false,
            flow_aging: Vec::new(),
            forwarding_mode: ForwardingMode::default(),
        }
    }
}

/// A virtual-machine-interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its identifier.
    pub uuid: Uuid,
    /// Fully qualified name.
    pub name: String,
    /// The workload's MAC.
    pub mac: MacAddress,
    /// Its virtual network.
    pub network: String,
    /// Routing instances, the one it forwards in first.
    pub routing_instances: Vec<String>,
    /// Security groups, by name.
    pub security_groups: Vec<String>,
    /// Instance addresses, each family's primary first.
    pub addresses: Vec<IpAddr>,
    /// Other addresses it may send from and is reachable at.
    pub allowed_addresses: Vec<IpNet>,
    /// All traffic is let through.
    pub disable_policy: bool,
    /// Security groups and the reverse-path check apply.
    pub port_security: bool,
    /// The virtual machine.
    pub virtual_machine: Option<Uuid>,
    /// Host name of the workload, if it has one that fits DNS.
    pub hostname: Option<String>,
    /// Local preference of its routes.
    pub local_preference: u32,
}

/// A virtual network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Fully qualified name.
    pub name: String,
    /// Identifier.
    pub uuid: Uuid,
    /// VXLAN identifier, 0 if none.
    pub vxlan_id: u32,
    /// What its interfaces may do.
    pub forwarding_mode: ForwardingMode,
    /// The reverse-path check applies.
    pub rpf: bool,
    /// Configured MTU of its interfaces.
    pub mtu: Option<u16>,
    /// Subnets.
    pub subnets: Vec<Subnet>,
    /// Access lists; traffic must pass each.
    pub acls: Vec<Acl>,
    /// Its default routing instance.
    pub routing_instance: Option<String>,
}

impl Network {
    /// The subnet that `address` belongs to.
    pub fn subnet_of(&self, address: IpAddr) -> Option<&Subnet> {
        self.subnets.iter().find(|s| s.prefix.contains(&address))
    }
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecurityGroup {
    /// Fully qualified name.
    pub name: String,
    /// Its number, as routes carry it.
    pub id: u32,
    /// Rules for traffic from its members.
    pub egress: Option<Acl>,
    /// Rules for traffic to its members.
    pub ingress: Option<Acl>,
}

/// Everything this host needs to know, as far as it has been delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct View {
    /// Interfaces that are completely described, by identifier.
    pub interfaces: BTreeMap<Uuid, Interface>,
    /// Networks by name.
    pub networks: BTreeMap<String, Network>,
    /// Security groups by name.
    pub security_groups: BTreeMap<String, SecurityGroup>,
    /// Global settings.
    pub global: Global,
    /// What could not be understood, in words.
    pub problems: Vec<String>,
}

impl View {
    /// Walk `db` and describe every interface in it.
    pub fn build(db: &Database) -> Self {
        let mut builder = Builder::default();
        let global = builder.global(db);
        for node in db.nodes_of(SG) {
            builder.security_group(db, node);
        }
        for node in db.nodes_of(VN) {
            builder.network(db, node, &global);
        }
        for node in db.nodes_of(VMI) {
            builder.interface(db, node);
        }
        View { global, ..builder.view }
    }
}

#[derive(Default)]
struct Builder {
    view: View,
}

fn key(node: &ConfigNode) -> NodeKey {
    NodeKey::new(&node.node_type, &node.name)
}

impl Builder {
    /// Property `name` of `node` as a `T`; a value of another shape is reported and taken as absent.
    fn property<T: DeserializeOwned>(&mut self, node: &ConfigNode, name: &str) -> Option<T> {
        let value = node.properties.get(name).filter(|v| !v.is_null())?;
        match T::deserialize(value) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let problem = format!("{} {}: {name}: {error}", node.node_type, node.name);
                self.view.problems.push(problem);
                None
            }
        }
    }

    fn flag(&mut self, node: &ConfigNode, name: &str, default: bool) -> bool {
        self.property(node, name).unwrap_or(default)
    }

    fn global(&mut self, db: &Database) -> Global {
        let Some(node) = db.nodes_of("global-vrouter-config").next() else {
            return Global::default();
        };
        let mut global = Global::default();
        if let Some(list) = self.property::<EncapsulationPrioritiesType>(node, "encapsulation_priorities") {
            let known: Vec<_> = list.encapsulation.iter().filter_map(|name| encapsulation(name)).collect();
            if !known.is_empty() {
                global.encapsulations = known;
            }
        }
        let mode: Option<String> = self.property(node, "vxlan_network_identifier_mode");
        global.vxlan_configured = mode.as_deref() == Some("configured");
        let mode: Option<String> = self.property(node, "forwarding_mode");
        global.forwarding_mode = forwarding_mode(mode.as_deref()).unwrap_or_default();
        if let Some(list) = self.property::<FlowAgingTimeoutList>(node, "flow_aging_timeout_list") {
            global.flow_aging = list
                .flow_aging_timeout
                .iter()
                .filter_map(|t| {
                    let protocol = protocol(t.protocol.as_deref()?)?;
                    let port = t.port.filter(|p| *p > 0).and_then(|p| u16::try_from(p).ok());
                    Some((protocol, port, u32::try_from(t.timeout_in_seconds?).ok()?))
                })
                .collect();
        }
        global
    }

    fn acl(&mut self, node: &ConfigNode) -> Acl {
        let entries: AclEntriesType = self.property(node, "access_control_list_entries").unwrap_or_default();
        Acl::from_config(&node.name, &entries, &mut self.view.problems)
    }

    fn security_group(&mut self, db: &Database, node: &ConfigNode) {
        let Some(id) = self.property::<u32>(node, "security_group_id") else { return };
        let (mut egress, mut ingress) = (None, None);
        for acl in db.linked(&key(node), ACL) {
            let slot =
                if acl.name.ends_with(":egress-access-control-list") { &mut egress } else { &mut ingress };
            *slot = Some(self.acl(acl));
        }
        let name = node.name.clone();
        let group = SecurityGroup { name: name.clone(), id, egress, ingress };
        self.view.security_groups.insert(name, group);
    }

    fn network(&mut self, db: &Database, node: &ConfigNode, global: &Global) {
        let vn = key(node);
        let properties: VirtualNetworkType =
            self.property(node, "virtual_network_properties").unwrap_or_default();
        let network_id: Option<u32> = self.property(node, "virtual_network_network_id");
        let configured = properties.vxlan_network_identifier.and_then(|id| u32::try_from(id).ok());
        let vxlan_id = if global.vxlan_configured { configured } else { network_id };
        let mut subnets = Vec::new();
        for (link, ipam) in db.linked_via(&vn, VN_IPAM, IPAM) {
            let ipam = self.ipam(db, ipam);
            let attributes: VnSubnetsType = self.property(link, "value").unwrap_or_default();
            subnets.extend(attributes.ipam_subnets.iter().filter_map(|s| Subnet::from_config(s, &ipam)));
        }
        let acls = db.linked(&vn, ACL).map(|acl| self.acl(acl)).collect();
        let mtu = self.property::<u16>(node, "mtu");
        let mode = forwarding_mode(properties.forwarding_mode.as_deref());
        let network = Network {
            name: node.name.clone(),
            uuid: node.uuid.unwrap_or_default(),
            vxlan_id: vxlan_id.unwrap_or(0),
            forwarding_mode: mode.unwrap_or(global.forwarding_mode),
            rpf: properties.rpf.as_deref() != Some("disable"),
            mtu: mtu.or(properties.mtu.and_then(|m| u16::try_from(m).ok())).filter(|m| *m >= 576),
            subnets,
            acls,
            routing_instance: default_instance(db, &vn),
        };
        self.view.networks.insert(node.name.clone(), network);
    }

    fn ipam(&mut self, db: &Database, node: &ConfigNode) -> Ipam {
        let mgmt: Option<IpamType> = self.property(node, "network_ipam_mgmt");
        let dns = db.linked(&key(node), "virtual-DNS").next();
        let data: Option<VirtualDnsType> = dns.and_then(|d| self.property(d, "virtual_DNS_data"));
        Ipam::from_config(mgmt.as_ref(), data.and_then(|d| d.domain_name))
    }

    fn interface(&mut self, db: &Database, node: &ConfigNode) {
        let Some(uuid) = node.uuid else { return };
        let own = key(node);
        let macs: MacAddressesType =
            self.property(node, "virtual_machine_interface_mac_addresses").unwrap_or_default();
        let mac = macs.mac_address.first().and_then(|m| m.parse().ok());
        let Some(network) = db.linked(&own, VN).next() else { return };
        let routing_instances = self.instances_of(db, &own, &network.name);
        if routing_instances.is_empty() {
            return; // not compiled yet: nothing to forward in
        }
        let (allowed, properties) = self.interface_properties(node);
        let vm = db.linked(&own, "virtual-machine").next();
        let interface = Interface {
            uuid,
            name: node.name.clone(),
            mac: mac.unwrap_or_else(|| MacAddress::from_uuid(uuid)),
            network: network.name.clone(),
            routing_instances,
            security_groups: db.linked(&own, SG).map(|n| n.name.clone()).collect(),
            addresses: self.addresses(db, &own),
            allowed_addresses: allowed,
            disable_policy: self.flag(node, "virtual_machine_interface_disable_policy", false),
            port_security: self.flag(node, "port_security_enabled", true),
            virtual_machine: vm.and_then(|n| n.uuid.or_else(|| Uuid::parse_str(&n.name).ok())),
            hostname: vm.and_then(|n| self.hostname(n)),
            local_preference: properties.local_preference.and_then(|p| u32::try_from(p).ok()).unwrap_or(200),
        };
        self.view.interfaces.insert(uuid, interface);
    }

    fn interface_properties(
        &mut self,
        node: &ConfigNode,
    ) -> (Vec<IpNet>, VirtualMachineInterfacePropertiesType) {
        let pairs: AllowedAddressPairs =
            self.property(node, "virtual_machine_interface_allowed_address_pairs").unwrap_or_default();
        let allowed = pairs
            .allowed_address_pair
            .iter()
            .filter_map(|pair| pair.ip.as_ref().and_then(subnet_of))
            .collect();
        let properties = self.property(node, "virtual_machine_interface_properties").unwrap_or_default();
        (allowed, properties)
    }

    /// The network's default instance first; an attributed link may name others beside it.
    fn instances_of(&self, db: &Database, own: &NodeKey, network: &str) -> Vec<String> {
        let mut named: Vec<String> = db.linked_via(own, VMI_RI, RI).map(|(_, ri)| ri.name.clone()).collect();
        let default = default_instance(db, &NodeKey::new(VN, network));
        if let Some(default) = default {
            named.retain(|name| *name != default);
            named.insert(0, default);
        }
        named.dedup();
        named
    }

    fn addresses(&mut self, db: &Database, own: &NodeKey) -> Vec<IpAddr> {
        let mut found: Vec<(bool, IpAddr)> = Vec::new();
        for node in db.linked(own, "instance-ip") {
            let secondary = self.flag(node, "instance_ip_secondary", false);
            let text: Option<String> = self.property(node, "instance_ip_address");
            if let Some(address) = text.and_then(|t| t.parse().ok()) {
                found.push((secondary, address));
            }
        }
        found.sort();
        let mut seen = BTreeSet::new();
        found.into_iter().map(|(_, address)| address).filter(|a| seen.insert(*a)).collect()
    }

    /// The virtual machine's display name, or its own, if that is a DNS label and not a bare identifier.
    fn hostname(&mut self, node: &ConfigNode) -> Option<String> {
        let shown: Option<String> = self.property(node, "display_name");
        [shown.as_deref(), node.name.rsplit(':').next()]
            .into_iter()
            .flatten()
            .find(|name| is_label(name) && Uuid::parse_str(name).is_err())
            .map(str::to_owned)
    }
}

fn is_label(name: &str) -> bool {
    let ok = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=63).contains(&name.len()) && name.bytes().all(ok) && !name.starts_with('-') && !name.ends_with('-')
}

/// The instance named like its network, else the first.
fn default_instance(db: &Database, vn: &NodeKey) -> Option<String> {
    let short = vn.name.rsplit(':').next().unwrap_or_default();
    let expected = format!("{}:{short}", vn.name);
    let mut instances: Vec<_> = db.linked(vn, RI).map(|n| n.name.as_str()).collect();
    instances.sort_by_key(|name| (**name != expected, name.contains(":service-")));
    instances.first().map(|name| (*name).to_owned())
}

fn encapsulation(name: &str) -> Option<Encapsulation> {
    match name.to_ascii_lowercase().as_str() {
        "mplsoudp" => Some(Encapsulation::MplsOverUdp),
        "vxlan" => Some(Encapsulation::Vxlan),
        _ => None,
    }
}

fn forwarding_mode(text: Option<&str>) -> Option<ForwardingMode> {
    match text {
        Some("l2_l3") => Some(ForwardingMode::L2L3),
        Some("l2") => Some(ForwardingMode::L2),
        Some("l3") => Some(ForwardingMode::L3),
        _ => None,
    }
}

fn protocol(name: &str) -> Option<u8> {
    match name {
        "icmp" => Some(1),
        "tcp" => Some(6),
        "udp" => Some(17),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests;
