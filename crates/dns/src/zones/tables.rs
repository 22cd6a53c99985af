//! What the builder keeps of each configuration object, and the relations it must walk backwards.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hickory_proto::rr::Name;
use ipnet::IpNet;
use uuid::Uuid;
use weft_model::types::{
    IpamSubnetType, IpamSubnets, IpamType, VirtualDnsRecordType, VirtualDnsType, VnSubnetsType,
};
use weft_model::{Object, ObjectType};

use super::Method;
use crate::names;

/// A virtual network.
#[derive(Debug, PartialEq)]
pub(super) struct NetworkRow {
    pub(super) fq_name: String,
    pub(super) name: String,
    pub(super) ipams: Vec<Uuid>,
    pub(super) subnets: Vec<IpNet>,
}

impl NetworkRow {
    pub(super) fn read(object: &Object) -> Self {
        let refs = object.refs_to(ObjectType::NetworkIpam);
        let attributes = refs.iter().filter_map(|r| r.attribute::<VnSubnetsType>().ok());
        let subnets = attributes.flat_map(|a| prefixes(&a.ipam_subnets)).collect();
        Self {
            fq_name: object.fq_name.to_string(),
            name: object.fq_name.last().to_owned(),
            ipams: refs.iter().map(|r| r.uuid).collect(),
            subnets,
        }
    }
}

/// A network-ipam.
#[derive(Debug, Default, PartialEq)]
pub(super) struct IpamRow {
    pub(super) method: Option<Method>,
    pub(super) virtual_dns: Option<String>,
    pub(super) subnets: Vec<IpNet>,
}

impl IpamRow {
    pub(super) fn read(object: &Object) -> Self {
        let management: IpamType = property(object, "network_ipam_mgmt").unwrap_or_default();
        let method = match management.ipam_dns_method.as_deref() {
            Some("none") => Some(Method::None),
            Some("default-dns-server") => Some(Method::Default),
            Some("tenant-dns-server") => Some(Method::Tenant),
            Some("virtual-dns-server") => Some(Method::Virtual),
            _ => None,
        };
        let named = management.ipam_dns_server.and_then(|server| server.virtual_dns_server_name);
        let linked = object.refs_to(ObjectType::VirtualDns).first().map(|r| r.fq_name.to_string());
        let flat: Option<IpamSubnets> = property(object, "ipam_subnets");
        let subnets = flat.map(|flat| prefixes(&flat.subnets)).unwrap_or_default();
        Self { method, virtual_dns: named.filter(|name| !name.is_empty()).or(linked), subnets }
    }
}

/// A virtual-machine-interface.
#[derive(Debug, PartialEq)]
pub(super) struct InterfaceRow {
    pub(super) networks: Box<[Uuid]>,
    pub(super) machines: Box<[Uuid]>,
}

impl InterfaceRow {
    pub(super) fn read(object: &Object) -> Self {
        let mut machines = ids(object, ObjectType::VirtualMachine);
        machines.extend(object.parent.filter(|p| p.0 == ObjectType::VirtualMachine).map(|p| p.1));
        Self { networks: ids(object, ObjectType::VirtualNetwork).into(), machines: machines.into() }
    }
}

/// A virtual-machine: the names it answers to, the one to show first.
pub(super) fn machine_names(object: &Object) -> Vec<Name> {
    let shown: Option<String> = property(object, "display_name");
    let mut found: Vec<Name> = shown.as_deref().and_then(names::host).into_iter().collect();
    if let Some(own) = names::host(object.fq_name.last()).filter(|own| !found.contains(own)) {
        found.push(own);
    }
    found
}

/// An instance-ip.
#[derive(Debug, PartialEq)]
pub(super) struct AddressRow {
    pub(super) address: IpAddr,
    pub(super) networks: Box<[Uuid]>,
    pub(super) interfaces: Box<[Uuid]>,
}

impl AddressRow {
    /// `None` while no address is allotted, and for addresses that are not the workload's own.
    pub(super) fn read(object: &Object) -> Option<Self> {
        let flag = |name| property::<bool>(object, name).unwrap_or(false);
        if flag("service_health_check_ip") {
            return None;
        }
        let address: String = property(object, "instance_ip_address")?;
        Some(Self {
            address: address.parse().ok()?,
            networks: ids(object, ObjectType::VirtualNetwork).into(),
            interfaces: ids(object, ObjectType::VirtualMachineInterface).into(),
        })
    }
}

/// A virtual-DNS.
#[derive(Debug, PartialEq)]
pub(super) struct DomainRow {
    pub(super) fq_name: String,
    pub(super) data: VirtualDnsType,
}

impl DomainRow {
    pub(super) fn read(object: &Object) -> Self {
        let data = property(object, "virtual_DNS_data").unwrap_or_default();
        Self { fq_name: object.fq_name.to_string(), data }
    }
}

/// A virtual-DNS-record.
#[derive(Debug, PartialEq)]
pub(super) struct RecordRow {
    pub(super) domain: Uuid,
    pub(super) data: VirtualDnsRecordType,
}

impl RecordRow {
    pub(super) fn read(object: &Object) -> Option<Self> {
        let (parent_type, domain) = object.parent?;
        let data = property(object, "virtual_DNS_record_data")?;
        (parent_type == ObjectType::VirtualDns).then_some(Self { domain, data })
    }
}

/// A property; one that does not decode counts as absent, so that it hurts nothing but itself.
fn property<T: serde::de::DeserializeOwned>(object: &Object, name: &str) -> Option<T> {
    object.property(name).unwrap_or_else(|error| {
        tracing::warn!(uuid = %object.uuid, %error, "property left out of the DNS zones");
        None
    })
}

fn ids(object: &Object, to: ObjectType) -> Vec<Uuid> {
    object.refs_to(to).iter().map(|r| r.uuid).collect()
}

fn prefixes<'a>(subnets: impl IntoIterator<Item = &'a IpamSubnetType>) -> Vec<IpNet> {
    let prefix = |subnet: &IpamSubnetType| {
        let subnet = subnet.subnet.as_ref()?;
        let length = u8::try_from(subnet.ip_prefix_len?).ok()?;
        IpNet::new(subnet.ip_prefix.as_ref()?.parse().ok()?, length).ok()
    };
    subnets.into_iter().filter_map(prefix).collect()
}

/// A relation between objects, read from its target's side.
#[derive(Debug, Default)]
pub(super) struct Backward(BTreeSet<(Uuid, Uuid)>);

impl Backward {
    pub(super) fn link(&mut self, from: Uuid, to: &[Uuid]) {
        for to in to {
            self.0.insert((*to, from));
        }
    }

    pub(super) fn unlink(&mut self, from: Uuid, to: &[Uuid]) {
        for to in to {
            self.0.remove(&(*to, from));
        }
    }

    /// Packs the pairs closely.
    pub(super) fn compact(&mut self) {
        self.0 = std::mem::take(&mut self.0).into_iter().collect();
    }

    /// All that refer to `to`, in order.
    pub(super) fn of(&self, to: Uuid) -> impl Iterator<Item = Uuid> + '_ {
        self.0.range((to, Uuid::nil())..=(to, Uuid::max())).map(|entry| entry.1)
    }
}
