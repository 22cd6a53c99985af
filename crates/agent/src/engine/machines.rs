//! Machines announced by a CNI plug-in (`POST /vm`): their port is made once it is known which interface is theirs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Engine;
use crate::ports::{MAX_PORTS, Port, PortError, PortRequest};
use crate::state::{StateError, write_atomically};

/// An announcement, as it came (wire names of the existing system).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct MachineRequest {
    /// When.
    pub time: String,
    /// The container's identifier.
    pub vm_id: String,
    /// The virtual machine's identifier.
    pub vm_uuid: String,
    /// Its name.
    pub vm_name: String,
    /// Name of the host's end of the interface.
    pub host_ifname: String,
    /// Name of the container's end.
    pub vm_ifname: String,
    /// The container's namespace.
    pub vm_namespace: String,
    /// The virtual network's identifier.
    pub vn_uuid: String,
    /// The virtual-machine-interface's identifier; may come later from the configuration.
    pub vmi_uuid: String,
}

/// A checked announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The virtual machine.
    pub machine: Uuid,
    /// Its interface, if it was named.
    pub interface: Option<Uuid>,
    /// As it came.
    pub request: MachineRequest,
}

impl Machine {
    /// Check `request`.
    ///
    /// # Errors
    /// [`PortError::Invalid`] naming the first field that is wrong.
    pub fn check(request: MachineRequest) -> Result<Self, PortError> {
        let invalid = |field, text: &str| PortError::Invalid {
            field,
            reason: format!("{:?} is not a UUID", text.chars().take(64).collect::<String>()),
        };
        let machine = Uuid::parse_str(&request.vm_uuid).map_err(|_| invalid("vm-uuid", &request.vm_uuid))?;
        let interface = match request.vmi_uuid.as_str() {
            "" => None,
            text => Some(Uuid::parse_str(text).map_err(|_| invalid("vmi-uuid", text))?),
        };
        Ok(Self { machine, interface, request })
    }

    /// The port of its interface `id`.
    ///
    /// # Errors
    /// [`PortError::Invalid`], for instance an impossible interface name.
    pub fn port(&self, id: Uuid) -> Result<Port, PortError> {
        Port::check(PortRequest {
            id: id.to_string(),
            instance_id: self.machine.to_string(),
            display_name: self.request.vm_name.clone(),
            vn_id: self.request.vn_uuid.clone(),
            system_name: self.request.host_ifname.clone(),
            author: "cni".to_owned(),
            time: self.request.time.clone(),
            ..PortRequest::default()
        })
    }
}

/// All announcements, in memory and on disk (`<dir>/vm/<machine>`).
#[derive(Debug)]
pub struct MachineStore {
    dir: PathBuf,
    machines: BTreeMap<Uuid, Machine>,
}

impl MachineStore {
    /// Read the announcements under `dir`, which is made if it is not there. Files that are not understood are
    /// skipped.
    ///
    /// # Errors
    /// The directory cannot be made or read.
    pub fn open(dir: &Path) -> Result<Self, StateError> {
        let dir = dir.join("vm");
        let io = |source| StateError::Io { path: dir.clone(), source };
        std::fs::create_dir_all(&dir).map_err(io)?;
        let mut machines = BTreeMap::new();
        for entry in std::fs::read_dir(&dir).map_err(io)? {
            let Ok(text) = std::fs::read(entry.map_err(io)?.path()) else { continue };
            let request = serde_json::from_slice::<MachineRequest>(&text).ok();
            if let Some(machine) = request.and_then(|r| Machine::check(r).ok()) {
                machines.insert(machine.machine, machine);
            }
        }
        Ok(Self { dir, machines })
    }

    /// Remember `machine`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn put(&mut self, machine: Machine) -> Result<(), crate::ports::StoreError> {
        if self.machines.len() >= MAX_PORTS && !self.machines.contains_key(&machine.machine) {
            return Err(PortError::TooMany.into());
        }
        let text = serde_json::to_vec_pretty(&machine.request).map_err(StateError::from)?;
        write_atomically(&self.dir.join(machine.machine.to_string()), &text)?;
        self.machines.insert(machine.machine, machine);
        Ok(())
    }

    /// Forget a machine. Returns whether it was known.
    pub fn delete(&mut self, machine: Uuid) -> bool {
        if let Err(error) = std::fs::remove_file(self.dir.join(machine.to_string())) {
            tracing::debug!(%machine, %error, "announcement");
        }
        self.machines.remove(&machine).is_some()
    }

    /// All announcements.
    pub fn iter(&self) -> impl Iterator<Item = &Machine> {
        self.machines.values()
    }

    /// The announcement of a machine.
    pub fn get(&self, machine: Uuid) -> Option<&Machine> {
        self.machines.get(&machine)
    }
}

impl Engine {
    /// Take an announcement; if it names its interface, serve that at once.
    ///
    /// # Errors
    /// It cannot be honoured or remembered.
    pub fn put_machine(&mut self, machine: Machine) -> Result<(), crate::ports::StoreError> {
        self.machines.put(machine.clone())?;
        if let Some(id) = machine.interface {
            self.put_port(machine.port(id)?)?;
        }
        self.apply_kernel();
        Ok(())
    }

    /// Forget a machine and its ports. Returns whether it was known.
    ///
    /// # Errors
    /// A port's file cannot be removed.
    pub fn delete_machine(&mut self, machine: Uuid) -> Result<bool, crate::ports::StoreError> {
        let of_machine = self.ports.iter().filter(|p| p.instance == Some(machine));
        for id in of_machine.map(|p| p.id).collect::<Vec<_>>() {
            self.delete_port(id)?;
        }
        let known = self.machines.delete(machine);
        self.apply_kernel();
        Ok(known)
    }

    /// Make the ports of machines whose interface the configuration has named meanwhile.
    pub(super) fn resolve_machines(&mut self) {
        let view = self.core.view().clone();
        let open = self.machines.iter().filter(|m| m.interface.is_none());
        let found: Vec<Port> = open
            .filter_map(|machine| {
                let mine = view.interfaces.values().find(|i| i.virtual_machine == Some(machine.machine))?;
                machine.port(mine.uuid).ok()
            })
            .filter(|port| self.ports.get(port.id).is_none())
            .collect();
        for port in found {
            if let Err(error) = self.put_port(port) {
                tracing::warn!(%error, "port of an announced machine");
            }
        }
    }
}
