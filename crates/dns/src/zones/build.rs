//! From configuration changes to zones, rebuilding only the networks and virtual DNSs that a change can touch.
//!
//! Always holds: the zones depend on the objects alone, not on the order or grouping of the changes that led to them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::rr::Name;
use uuid::Uuid;
use weft_model::{Change, Object, ObjectType};

use super::tables::{
    AddressRow, Backward, DomainRow, InterfaceRow, IpamRow, NetworkRow, RecordRow, machine_names,
};
use super::{Method, Network, Zones, records};
use crate::names;

/// Keeps what the zones are made of. Memory is proportional to the configuration.
#[derive(Debug, Default)]
pub struct ZoneBuilder {
    networks: HashMap<Uuid, NetworkRow>,
    ipams: HashMap<Uuid, IpamRow>,
    interfaces: HashMap<Uuid, InterfaceRow>,
    machines: HashMap<Uuid, Vec<Name>>,
    addresses: HashMap<Uuid, AddressRow>,
    domains: HashMap<Uuid, DomainRow>,
    records: HashMap<Uuid, RecordRow>,
    ipam_networks: Backward,
    network_interfaces: Backward,
    machine_interfaces: Backward,
    interface_addresses: Backward,
    domain_records: Backward,
    /// To be rebuilt, or removed if they are no longer there.
    dirty_networks: BTreeSet<Uuid>,
    dirty_domains: BTreeSet<Uuid>,
    /// Names under which zones were published that may have to go.
    stale_networks: BTreeSet<String>,
    stale_domains: BTreeSet<String>,
    zones: Zones,
}

impl ZoneBuilder {
    /// A builder that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder that knows `objects`, for instance those of a snapshot.
    pub fn from_objects(objects: impl IntoIterator<Item = Arc<Object>>) -> Self {
        let mut builder = Self::new();
        for object in objects {
            builder.put(&object);
        }
        builder
    }

    /// Takes in the changes of the configuration; types that have nothing to do with names are ignored.
    pub fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Put(object) => self.put(object),
                Change::Delete { object_type, uuid, .. } => self.set(*object_type, *uuid, None),
            }
        }
    }

    /// Gives back memory after very much was taken in at once.
    pub fn compact(&mut self) {
        self.interfaces.shrink_to_fit();
        self.addresses.shrink_to_fit();
        self.machines.shrink_to_fit();
        self.network_interfaces.compact();
        self.machine_interfaces.compact();
        self.interface_addresses.compact();
    }

    fn put(&mut self, object: &Object) {
        self.set(object.object_type, object.uuid, Some(object));
    }

    fn set(&mut self, object_type: ObjectType, uuid: Uuid, object: Option<&Object>) {
        match object_type {
            ObjectType::VirtualNetwork => self.set_network(uuid, object.map(NetworkRow::read)),
            ObjectType::NetworkIpam => self.set_ipam(uuid, object.map(IpamRow::read)),
            ObjectType::VirtualMachine => self.set_machine(uuid, object.map(machine_names)),
            ObjectType::VirtualMachineInterface => self.set_interface(uuid, object.map(InterfaceRow::read)),
            ObjectType::InstanceIp => self.set_address(uuid, object.and_then(AddressRow::read)),
            ObjectType::VirtualDns => self.set_domain(uuid, object.map(DomainRow::read)),
            ObjectType::VirtualDnsRecord => self.set_record(uuid, object.and_then(RecordRow::read)),
            _ => {}
        }
    }

    fn set_network(&mut self, uuid: Uuid, row: Option<NetworkRow>) {
        if self.networks.get(&uuid) == row.as_ref() {
            return;
        }
        if let Some(old) = self.networks.remove(&uuid) {
            self.ipam_networks.unlink(uuid, &old.ipams);
            self.stale_networks.insert(old.fq_name);
        }
        if let Some(new) = row {
            self.ipam_networks.link(uuid, &new.ipams);
            self.networks.insert(uuid, new);
        }
        self.dirty_networks.insert(uuid);
    }

    fn set_ipam(&mut self, uuid: Uuid, row: Option<IpamRow>) {
        if replace(&mut self.ipams, uuid, row).is_some() {
            self.dirty_networks.extend(self.ipam_networks.of(uuid));
        }
    }

    fn set_machine(&mut self, uuid: Uuid, names: Option<Vec<Name>>) {
        if replace(&mut self.machines, uuid, names).is_some() {
            for interface in self.machine_interfaces.of(uuid) {
                self.dirty_networks.extend(self.interfaces.get(&interface).iter().flat_map(|i| &i.networks));
            }
        }
    }

    fn set_interface(&mut self, uuid: Uuid, row: Option<InterfaceRow>) {
        if self.interfaces.get(&uuid) == row.as_ref() {
            return;
        }
        if let Some(old) = self.interfaces.remove(&uuid) {
            self.network_interfaces.unlink(uuid, &old.networks);
            self.machine_interfaces.unlink(uuid, &old.machines);
            if !old.machines.is_empty() {
                self.dirty_networks.extend(&old.networks);
            }
        }
        if let Some(new) = row {
            self.network_interfaces.link(uuid, &new.networks);
            self.machine_interfaces.link(uuid, &new.machines);
            if !new.machines.is_empty() {
                self.dirty_networks.extend(&new.networks);
            }
            self.interfaces.insert(uuid, new);
        }
    }

    fn set_address(&mut self, uuid: Uuid, row: Option<AddressRow>) {
        let interfaces = row.as_ref().map(|row| row.interfaces.clone()).unwrap_or_default();
        let Some(old) = replace(&mut self.addresses, uuid, row) else { return };
        let before = old.map(|old| old.interfaces).unwrap_or_default();
        self.interface_addresses.unlink(uuid, &before);
        self.interface_addresses.link(uuid, &interfaces);
        for interface in before.iter().chain(&interfaces) {
            // Addresses of interfaces without a machine have no name.
            let named = self.interfaces.get(interface).filter(|i| !i.machines.is_empty());
            self.dirty_networks.extend(named.iter().flat_map(|i| &i.networks));
        }
    }

    fn set_domain(&mut self, uuid: Uuid, row: Option<DomainRow>) {
        if let Some(old) = replace(&mut self.domains, uuid, row) {
            self.stale_domains.extend(old.map(|old| old.fq_name));
            self.dirty_domains.insert(uuid);
        }
    }

    fn set_record(&mut self, uuid: Uuid, row: Option<RecordRow>) {
        let domain = row.as_ref().map(|row| row.domain);
        let Some(old) = replace(&mut self.records, uuid, row) else { return };
        let before = old.map(|old| old.domain);
        self.domain_records.unlink(uuid, before.as_slice());
        self.domain_records.link(uuid, domain.as_slice());
        self.dirty_domains.extend(before.into_iter().chain(domain));
    }

    /// The zones as of all changes taken in. What has not changed is shared with the zones returned before.
    pub fn zones(&mut self) -> Arc<Zones> {
        for name in std::mem::take(&mut self.stale_networks) {
            self.zones.networks.remove(&name);
        }
        for name in std::mem::take(&mut self.stale_domains) {
            self.zones.domains.remove(&name);
        }
        for uuid in std::mem::take(&mut self.dirty_networks) {
            if let Some(row) = self.networks.get(&uuid) {
                let network = self.network(uuid, row);
                self.zones.networks.insert(row.fq_name.clone(), Arc::new(network));
            }
        }
        for uuid in std::mem::take(&mut self.dirty_domains) {
            let Some(row) = self.domains.get(&uuid) else { continue };
            let records = self.domain_records.of(uuid).filter_map(|id| Some(&self.records.get(&id)?.data));
            match records::domain(&row.data, records) {
                Some(domain) => self.zones.domains.insert(row.fq_name.clone(), Arc::new(domain)),
                None => self.zones.domains.remove(&row.fq_name),
            };
        }
        Arc::new(self.zones.clone())
    }

    fn network(&self, uuid: Uuid, row: &NetworkRow) -> Network {
        let ipams: Vec<_> = row.ipams.iter().filter_map(|id| self.ipams.get(id)).collect();
        let chosen = ipams.iter().find(|ipam| ipam.method.is_some()).or(ipams.first());
        let named = chosen.and_then(|ipam| ipam.virtual_dns.clone());
        let method = match chosen.and_then(|ipam| ipam.method) {
            Some(method) => method,
            // A reference to a virtual DNS says enough.
            None if named.is_some() => Method::Virtual,
            None => Method::Default,
        };
        let (hosts, pointers) = self.hosts(uuid);
        let mut subnets = row.subnets.clone();
        subnets.extend(ipams.iter().flat_map(|ipam| &ipam.subnets));
        subnets.sort_unstable();
        subnets.dedup();
        let virtual_dns = named.filter(|_| method == Method::Virtual);
        Network { method, domain: own_domain(&row.name), virtual_dns, hosts, pointers, subnets }
    }

    fn hosts(&self, network: Uuid) -> (BTreeMap<Name, BTreeSet<IpAddr>>, BTreeMap<IpAddr, BTreeSet<Name>>) {
        let mut hosts: BTreeMap<Name, BTreeSet<IpAddr>> = BTreeMap::new();
        let mut pointers: BTreeMap<IpAddr, BTreeSet<Name>> = BTreeMap::new();
        for interface in self.network_interfaces.of(network) {
            let machines = self.interfaces.get(&interface).into_iter().flat_map(|row| &row.machines);
            for names in machines.filter_map(|machine| self.machines.get(machine)) {
                let rows = self.interface_addresses.of(interface).filter_map(|id| self.addresses.get(&id));
                for row in rows.filter(|row| row.networks.is_empty() || row.networks.contains(&network)) {
                    for name in names {
                        hosts.entry(name.clone()).or_default().insert(row.address);
                    }
                    pointers.entry(row.address).or_default().extend(names.first().cloned());
                }
            }
        }
        (hosts, pointers)
    }
}

/// The domain of a network without virtual DNS: its own name under `local`.
fn own_domain(network: &str) -> Name {
    let local = names::domain("local").unwrap_or_default();
    names::host(network).and_then(|name| names::join(&name, &local)).unwrap_or(local)
}

/// Puts `row` in place, or removes it; what was there before, or `None` if nothing changes.
fn replace<T: PartialEq>(table: &mut HashMap<Uuid, T>, uuid: Uuid, row: Option<T>) -> Option<Option<T>> {
    if table.get(&uuid) == row.as_ref() {
        return None;
    }
    Some(match row {
        Some(row) => table.insert(uuid, row),
        None => table.remove(&uuid),
    })
}
