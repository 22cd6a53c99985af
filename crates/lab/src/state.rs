//! What a lab has made, kept in `/run/weft/lab/<name>/lab.json` so that other processes can use and end it.
//!
//! Invariant: everything that must be removed again is written down before it is made, so a lab whose process died at any
//! moment can be cleaned up completely.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::LabError;
use crate::etcd;
use crate::file::plan::{Family, Plan};
use crate::netns::Netns;
use crate::process::Process;
pub use crate::process::Process as RoleProcess;

/// Directory of all labs, unless `WEFT_LAB_DIR` names another.
const DIRECTORY: &str = "/run/weft/lab";

/// Everything a lab has made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// Name of the lab.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// The process that runs its steps, while there is one.
    pub owner: Option<Process>,
    /// All its namespaces.
    pub namespaces: Vec<String>,
    /// The controller.
    pub controller: ControllerState,
    /// Hosts in order.
    pub hosts: Vec<HostState>,
    /// Workloads in order.
    pub workloads: Vec<WorkloadState>,
}

/// The controller of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ControllerState {
    /// Namespace it runs in.
    pub namespace: String,
    /// Address on the underlay.
    pub address: Ipv4Addr,
    /// Unix socket with REST and introspection.
    pub socket: PathBuf,
    /// The process, while it runs.
    pub process: Option<Process>,
    /// Members of its etcd cluster; none where the store is its own.
    #[serde(default)]
    pub store: Vec<MemberState>,
}

/// A member of the etcd cluster of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MemberState {
    /// Its name.
    pub name: String,
    /// The process, while it runs.
    pub process: Option<Process>,
}

/// A host of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HostState {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Address on the underlay.
    pub address: Ipv4Addr,
    /// Unix socket of its agent.
    pub socket: PathBuf,
    /// Where its forwarder's maps are pinned: a file system of its own.
    pub bpf: PathBuf,
    /// The agent, while it runs.
    pub process: Option<Process>,
}

/// A workload of a lab.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkloadState {
    /// Its name.
    pub name: String,
    /// Host it runs on.
    pub host: String,
    /// Its namespace.
    pub namespace: String,
    /// The host's end of its interface.
    pub interface: String,
    /// Full name of its network.
    pub network: String,
    /// Uuid of its virtual-machine-interface, once created.
    pub port: Option<String>,
    /// MAC address, once allotted.
    pub mac: Option<String>,
    /// IPv4 address, once allotted.
    pub address: Option<Ipv4Addr>,
    /// IPv6 address, once allotted.
    pub address6: Option<Ipv6Addr>,
    /// Whether it is plugged in and has its addresses.
    pub running: bool,
}

impl WorkloadState {
    /// Its address of that family.
    pub fn address_of(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.address.map(IpAddr::V4),
            Family::V6 => self.address6.map(IpAddr::V6),
        }
    }
}

impl State {
    /// The state of a lab before anything is made.
    pub(crate) fn of(plan: &Plan) -> Self {
        let directory = base().join(&plan.name);
        let namespace = |place: &str| format!("weft-{}-{place}", plan.name);
        let hosts = plan.hosts.iter().map(|host| HostState {
            name: host.name.clone(),
            namespace: namespace(&host.name),
            address: host.address,
            socket: directory.join(&host.name).join("agent.sock"),
            bpf: directory.join(&host.name).join("bpf"),
            process: None,
        });
        let workloads = plan.workloads.iter().enumerate().map(|(index, workload)| WorkloadState {
            name: workload.name.clone(),
            host: workload.host.clone(),
            namespace: namespace(&workload.name),
            interface: interface_name(index, &workload.name),
            network: workload.network.join(":"),
            port: None,
            mac: None,
            address: None,
            address6: None,
            running: false,
        });
        let store = etcd::members(plan.store).into_iter().map(|name| MemberState { name, process: None });
        let places = ["underlay", "controller"].into_iter().map(str::to_owned);
        let places = places.chain(plan.hosts.iter().map(|h| h.name.clone()));
        let places = places.chain(plan.workloads.iter().map(|w| w.name.clone()));
        Self {
            name: plan.name.clone(),
            namespaces: places.map(|p| namespace(&p)).collect(),
            owner: None,
            controller: ControllerState {
                namespace: namespace("controller"),
                address: plan.controller_address(),
                socket: directory.join("api.sock"),
                process: None,
                store: store.collect(),
            },
            hosts: hosts.collect(),
            workloads: workloads.collect(),
            directory,
        }
    }

    /// Writes `lab.json` whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self) -> Result<(), LabError> {
        let path = self.directory.join("lab.json");
        let temporary = self.directory.join("lab.json.new");
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        std::fs::write(&temporary, text).map_err(LabError::io(&temporary))?;
        std::fs::rename(&temporary, &path).map_err(LabError::io(&path))
    }

    /// Reads the state of a lab by name.
    ///
    /// # Errors
    /// When there is no such lab.
    pub fn load(name: &str) -> Result<Self, LabError> {
        let path = base().join(name).join("lab.json");
        let running = || match list().as_slice() {
            [] => "none".to_owned(),
            labs => labs.iter().map(|l| l.name.clone()).collect::<Vec<_>>().join(", "),
        };
        let unknown = |_| LabError::Unknown { name: name.to_owned(), running: running() };
        let text = std::fs::read(&path).map_err(unknown)?;
        serde_json::from_slice(&text).map_err(|e| LabError::Io { path, source: e.into() })
    }

    /// The namespace of a place: `controller`, a host or a workload.
    ///
    /// # Errors
    /// When there is no such place.
    pub fn place(&self, place: &str) -> Result<Netns, LabError> {
        let places = self.places();
        let found = places.get(place).map(Netns::new);
        found.ok_or_else(|| LabError::NoPlace {
            lab: self.name.clone(),
            place: place.to_owned(),
            known: places.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    fn places(&self) -> BTreeMap<String, String> {
        let hosts = self.hosts.iter().map(|h| (h.name.clone(), h.namespace.clone()));
        let workloads = self.workloads.iter().map(|w| (w.name.clone(), w.namespace.clone()));
        let controller = [("controller".to_owned(), self.controller.namespace.clone())];
        controller.into_iter().chain(hosts).chain(workloads).collect()
    }

    /// The workload of that name.
    pub fn workload(&self, name: &str) -> Option<&WorkloadState> {
        self.workloads.iter().find(|w| w.name == name)
    }

    pub(crate) fn workload_mut(&mut self, name: &str) -> Option<&mut WorkloadState> {
        self.workloads.iter_mut().find(|w| w.name == name)
    }

    /// The member of the store of that name.
    pub(crate) fn member(&self, name: &str) -> Option<&MemberState> {
        self.controller.store.iter().find(|m| m.name == name)
    }

    pub(crate) fn member_mut(&mut self, name: &str) -> Option<&mut MemberState> {
        self.controller.store.iter_mut().find(|m| m.name == name)
    }

    pub(crate) fn host_mut(&mut self, name: &str) -> Option<&mut HostState> {
        self.hosts.iter_mut().find(|h| h.name == name)
    }

    /// The directory of one of its parts, with the files the part keeps.
    pub(crate) fn part(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The log of a role.
    pub fn log(&self, role: &str) -> PathBuf {
        self.directory.join(format!("{role}.log"))
    }

    /// The file shown to a workload as `/etc/resolv.conf`.
    pub(crate) fn resolv_conf(&self, workload: &str) -> PathBuf {
        self.part(workload).join("resolv.conf")
    }
}

/// An interface name of at most 15 bytes that is unique in the lab and still says whose it is.
fn interface_name(index: usize, workload: &str) -> String {
    let mut name = format!("w{index}-{workload}");
    name.truncate(15);
    name
}

/// Directory of all labs.
pub(crate) fn base() -> PathBuf {
    std::env::var_os("WEFT_LAB_DIR").map_or_else(|| PathBuf::from(DIRECTORY), PathBuf::from)
}

/// All labs of this machine, running or crashed.
pub fn list() -> Vec<State> {
    let entries = std::fs::read_dir(base()).into_iter().flatten().flatten();
    let read = |path: &Path| serde_json::from_slice(&std::fs::read(path.join("lab.json")).ok()?).ok();
    let mut labs: Vec<State> = entries.filter_map(|e| read(&e.path())).collect();
    labs.sort_by(|a, b| a.name.cmp(&b.name));
    labs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interface_names_fit_and_differ() {
        let long = "a-workload-with-a-very-long-name";
        assert_eq!(interface_name(0, "web"), "w0-web");
        assert!((0..300).map(|i| interface_name(i, long)).all(|n| n.len() <= 15));
        assert_ne!(interface_name(1, long), interface_name(2, long));
    }
}
