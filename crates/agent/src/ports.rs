//! Ports: the interfaces that an orchestrator asked this host to serve, remembered in one file each.
//!
//! The files are kept as `<state dir>/ports/<uuid>`, in the form in which they came over the REST interface, so that
//! a restarted agent finds its ports again without anybody telling it.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;
use weft_model::MacAddress;

use crate::state::{StateError, write_atomically};

/// Most ports on one host.
pub const MAX_PORTS: usize = 4096;
/// Longest interface name that Linux allows.
const MAX_INTERFACE_NAME: usize = 15;
/// Most bytes read from a port file.
const MAX_FILE: u64 = 64 * 1024;

/// What is wrong with a port that was asked for.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PortError {
    /// A field is missing or not what it must be.
    #[error("{field}: {reason}")]
    Invalid {
        /// The JSON field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Another port uses the interface.
    #[error("system-name: interface {name} belongs to port {owner}")]
    InUse {
        /// The interface.
        name: String,
        /// The port that has it.
        owner: Uuid,
    },
    /// There are too many.
    #[error("this host already has {MAX_PORTS} ports")]
    TooMany,
}

/// A port as the REST interface has it (wire names of the existing system).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct PortRequest {
    /// The virtual-machine-interface's identifier.
    pub id: String,
    /// The virtual machine's identifier.
    pub instance_id: String,
    /// Name shown to people.
    pub display_name: String,
    /// IPv4 address, for information.
    pub ip_address: String,
    /// IPv6 address, for information.
    pub ip6_address: String,
    /// The virtual network's identifier, for information.
    pub vn_id: String,
    /// The project's identifier, for information.
    pub vm_project_id: String,
    /// The workload's MAC, for information.
    pub mac_address: String,
    /// Name of the host's end of the interface.
    pub system_name: String,
    /// 0 virtual machine, 1 name space, 2 remote.
    #[serde(rename = "type")]
    pub port_type: i64,
    /// VLAN of received packets; -1 for none.
    pub rx_vlan_id: Option<i64>,
    /// VLAN of sent packets; -1 for none.
    pub tx_vlan_id: Option<i64>,
    /// Mode of a vhost-user socket.
    pub vhostuser_mode: Option<i64>,
    /// Whether the port is enabled.
    pub link_state: Option<serde_json::Value>,
    /// Who asked.
    pub author: String,
    /// When.
    pub time: String,
}

/// A port whose fields have been checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// The virtual-machine-interface.
    pub id: Uuid,
    /// The virtual machine, if it was named.
    pub instance: Option<Uuid>,
    /// Name of the host's end of the interface.
    pub system_name: String,
    /// Disabled by `disable-port`: known, but not served.
    pub enabled: bool,
    /// As it came.
    pub request: PortRequest,
}

impl Port {
    /// Check `request`.
    ///
    /// # Errors
    /// [`PortError::Invalid`] naming the first field that is wrong.
    pub fn check(request: PortRequest) -> Result<Self, PortError> {
        let invalid = |field, reason: &str| PortError::Invalid { field, reason: reason.to_owned() };
        let id = Uuid::parse_str(&request.id).map_err(|_| invalid("id", "not a UUID"))?;
        let instance = optional("instance-id", &request.instance_id, |t| Uuid::parse_str(t).ok())?;
        let name = request.system_name.as_str();
        if name.is_empty() || name.len() > MAX_INTERFACE_NAME {
            return Err(invalid("system-name", "must have 1 to 15 characters"));
        }
        let bad = |c: char| c == '/' || c.is_whitespace() || c.is_control();
        if name.contains(bad) || name == "." || name == ".." {
            return Err(invalid("system-name", "not a name that an interface can have"));
        }
        if !(0..=2).contains(&request.port_type) {
            return Err(invalid("type", "must be 0, 1 or 2"));
        }
        if request.rx_vlan_id.is_some_and(|v| v > 0) || request.tx_vlan_id.is_some_and(|v| v > 0) {
            return Err(invalid("rx-vlan-id", "VLAN interfaces are not supported"));
        }
        optional("ip-address", &request.ip_address, |t| t.parse::<Ipv4Addr>().ok())?;
        optional("ip6-address", &request.ip6_address, |t| t.parse::<Ipv6Addr>().ok())?;
        optional("vn-id", &request.vn_id, |t| Uuid::parse_str(t).ok())?;
        optional("vm-project-id", &request.vm_project_id, |t| Uuid::parse_str(t).ok())?;
        optional("mac-address", &request.mac_address, |t| t.parse::<MacAddress>().ok())?;
        let enabled = !matches!(&request.link_state, Some(v) if v == false || v == 0 || v == "down");
        let system_name = name.to_owned();
        Ok(Self { id, instance, system_name, enabled, request })
    }
}

fn optional<T>(
    field: &'static str,
    text: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, PortError> {
    let absent = ["", "None", "::", "0.0.0.0"];
    if absent.contains(&text) {
        return Ok(None);
    }
    let shown: String = text.chars().take(64).collect();
    let reason = format!("{shown:?} is not valid");
    parse(text).map(Some).ok_or(PortError::Invalid { field, reason })
}

/// All ports, in memory and on disk.
#[derive(Debug)]
pub struct PortStore {
    dir: PathBuf,
    ports: BTreeMap<Uuid, Port>,
    /// Files that could not be read, in words.
    pub problems: Vec<String>,
}

impl PortStore {
    /// Read the ports under `dir`, which is made if it is not there. A file that cannot be understood is reported and
    /// left alone.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(dir).map_err(|source| StateError::Io { path: dir.to_owned(), source })?;
        let mut store = Self { dir: dir.to_owned(), ports: BTreeMap::new(), problems: Vec::new() };
        store.reload()?;
        Ok(store)
    }

    /// Read the files again: ports without a file are forgotten.
    ///
    /// # Errors
    /// The directory cannot be read; then nothing changes.
    pub fn reload(&mut self) -> Result<(), StateError> {
        let io = |source| StateError::Io { path: self.dir.clone(), source };
        let (mut ports, mut problems) = (BTreeMap::new(), Vec::new());
        for entry in std::fs::read_dir(&self.dir).map_err(io)? {
            let path = entry.map_err(io)?.path();
            let named = path.file_name().and_then(|n| n.to_str()).and_then(|n| Uuid::parse_str(n).ok());
            let Some(id) = named else { continue };
            match read_port(&path, id) {
                Ok(port) => {
                    ports.insert(id, port);
                }
                Err(reason) => problems.push(format!("port file {id}: {reason}")),
            }
        }
        (self.ports, self.problems) = (ports, problems);
        Ok(())
    }

    /// Remember `port`. Returns whether anything is different.
    ///
    /// # Errors
    /// The interface is taken, there are too many ports, or the file cannot be written.
    pub fn put(&mut self, port: Port) -> Result<bool, StoreError> {
        let other = self.ports.values().find(|p| p.system_name == port.system_name && p.id != port.id);
        if let Some(other) = other {
            return Err(PortError::InUse { name: port.system_name, owner: other.id }.into());
        }
        if self.ports.len() >= MAX_PORTS && !self.ports.contains_key(&port.id) {
            return Err(PortError::TooMany.into());
        }
        if self.ports.get(&port.id) == Some(&port) {
            return Ok(false);
        }
        let text = serde_json::to_vec_pretty(&port.request).map_err(StateError::from)?;
        write_atomically(&self.dir.join(port.id.to_string()), &text)?;
        self.ports.insert(port.id, port);
        Ok(true)
    }

    /// Serve a port, or stop serving it while remembering it. `None` if it is not known.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn enable(&mut self, id: Uuid, enabled: bool) -> Result<Option<bool>, StoreError> {
        let Some(mut port) = self.ports.get(&id).cloned() else { return Ok(None) };
        port.enabled = enabled;
        port.request.link_state = Some(enabled.into());
        self.put(port).map(Some)
    }

    /// Forget a port. Returns whether it was known.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn delete(&mut self, id: Uuid) -> Result<bool, StateError> {
        let path = self.dir.join(id.to_string());
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(StateError::Io { path, source });
            }
            _ => {}
        }
        Ok(self.ports.remove(&id).is_some())
    }

    /// The port of that identifier.
    pub fn get(&self, id: Uuid) -> Option<&Port> {
        self.ports.get(&id)
    }

    /// All ports.
    pub fn iter(&self) -> impl Iterator<Item = &Port> {
        self.ports.values()
    }
}

/// Why a port was not remembered.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The request is at fault.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The disk is.
    #[error(transparent)]
    State(#[from] StateError),
}

fn read_port(path: &Path, id: Uuid) -> Result<Port, String> {
    let length = std::fs::metadata(path).map_err(|e| e.to_string())?.len();
    if length > MAX_FILE {
        return Err("too long".into());
    }
    let text = std::fs::read(path).map_err(|e| e.to_string())?;
    let request: PortRequest = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    let port = Port::check(request).map_err(|e| e.to_string())?;
    if port.id == id { Ok(port) } else { Err("names another port".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(id: &str, name: &str) -> PortRequest {
        serde_json::from_value(json!({"id": id, "system-name": name, "type": 0, "ip-address": "10.0.0.3"}))
            .unwrap()
    }

    const A: &str = "00000000-0000-0000-0000-00000000000a";
    const B: &str = "00000000-0000-0000-0000-00000000000b";

    #[test]
    fn ports_survive_a_restart_and_bad_files_do_not_matter() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = PortStore::open(dir.path()).unwrap();
        let port = Port::check(request(A, "tap1")).unwrap();
        assert!(store.put(port.clone()).unwrap());
        assert!(!store.put(port).unwrap());
        assert_eq!(store.enable(Uuid::parse_str(A).unwrap(), false).unwrap(), Some(true));
        std::fs::write(dir.path().join(B), "{not json").unwrap();
        let again = PortStore::open(dir.path()).unwrap();
        assert!(!again.get(Uuid::parse_str(A).unwrap()).unwrap().enabled);
        assert_eq!((again.iter().count(), again.problems.len()), (1, 1));
    }

    #[test]
    fn errors_name_the_field() {
        let field = |r| match Port::check(r) {
            Err(PortError::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field(request("x", "tap1")), "id");
        assert_eq!(field(request(A, "../../etc")), "system-name");
        assert_eq!(field(request(A, "a-name-that-is-too-long")), "system-name");
        let mut bad = request(A, "tap1");
        bad.ip_address = "fd00::1".into();
        assert_eq!(field(bad), "ip-address");
    }

    #[test]
    fn an_interface_has_one_port() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = PortStore::open(dir.path()).unwrap();
        store.put(Port::check(request(A, "tap1")).unwrap()).unwrap();
        let error = store.put(Port::check(request(B, "tap1")).unwrap()).unwrap_err();
        assert!(matches!(error, StoreError::Port(PortError::InUse { .. })));
        assert!(store.delete(Uuid::parse_str(A).unwrap()).unwrap());
        assert!(!store.delete(Uuid::parse_str(A).unwrap()).unwrap());
    }
}
