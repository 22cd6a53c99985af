//! All names the controller knows: one zone per network, one per virtual DNS, immutable and shared.

mod build;
mod records;
mod resolve;
mod tables;

#[cfg(test)]
mod tests;

pub use build::ZoneBuilder;
pub use resolve::{Answer, Resolution};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_proto::rr::{Name, RData};
use ipnet::IpNet;

/// Seconds a workload's address may be cached where no virtual DNS says otherwise: workloads come and go.
const HOST_TTL: u32 = 60;
/// Seconds an absent name may be cached by default.
const NEGATIVE_TTL: u32 = 60;

/// Everything needed to answer; made by [`ZoneBuilder`]. Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Zones {
    /// By the network's fully qualified name, joined by `:`.
    networks: HashMap<String, Arc<Network>>,
    /// By the virtual DNS's fully qualified name.
    domains: HashMap<String, Arc<Domain>>,
}

impl Zones {
    /// Whether the network is known.
    pub fn has_network(&self, fq_name: &str) -> bool {
        self.networks.contains_key(fq_name)
    }

    /// Networks known.
    pub fn networks(&self) -> usize {
        self.networks.len()
    }
}

/// Who answers for a network (`ipam_dns_method`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Method {
    /// No DNS.
    None,
    /// Workloads' names, then the forwarder.
    #[default]
    Default,
    /// Workloads' names; everything else is the business of the tenant's own server.
    Tenant,
    /// Workloads' names, the virtual DNS, then the forwarder.
    Virtual,
}

/// The names of one network's workloads.
#[derive(Debug, PartialEq)]
struct Network {
    method: Method,
    /// The domain of the workloads if there is no virtual DNS.
    domain: Name,
    /// The virtual DNS, by name; it may not exist.
    virtual_dns: Option<String>,
    /// Names without domain.
    hosts: BTreeMap<Name, BTreeSet<IpAddr>>,
    /// The first name of the workload that has an address.
    pointers: BTreeMap<IpAddr, BTreeSet<Name>>,
    /// Addresses that can only be of this network.
    subnets: Vec<IpNet>,
}

/// One virtual DNS.
#[derive(Debug, PartialEq)]
struct Domain {
    name: Name,
    ttl: u32,
    negative_ttl: u32,
    /// Whether the order of several addresses stays as it is.
    fixed_order: bool,
    /// Whether workloads' addresses resolve to names.
    reverse: bool,
    /// Whether those outside of any network may ask.
    external: bool,
    next: Option<Next>,
    /// By absolute name; the names between a record and the domain are there without records.
    records: BTreeMap<Name, Vec<Entry>>,
}

/// Where to go on looking.
#[derive(Clone, Debug, PartialEq)]
enum Next {
    /// Another virtual DNS, by name.
    Domain(String),
    /// A server outside.
    Server(SocketAddr),
}

/// A record of a virtual DNS.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    ttl: u32,
    data: RData,
}
