//! Workloads: their objects by REST, their interface by veth, the port at the host's agent, their addresses by DHCP.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value, json};
use weft_client::apply::{Applied, apply_one};
use weft_client::documents::{self, Document};
use weft_client::{Api, ClientError};
use weft_model::{FqName, ObjectType};

use crate::LabError;
use crate::dhcp;
use crate::file::plan::{Family, WorkloadPlan};
use crate::ip;
use crate::lab::{Lab, router_name};
use crate::netns::Netns;
use crate::state::WorkloadState;

/// How long a workload may take to get an address.
const DHCP: Duration = Duration::from_secs(20);

/// What the controller allotted to a workload.
#[derive(Debug, Clone)]
struct Allotted {
    machine: String,
    port: String,
    network: String,
    project: String,
    mac: String,
    addresses: Vec<IpAddr>,
}

impl Lab {
    /// Creates the objects of a workload; what exists already stays.
    pub(crate) async fn create_workload(&mut self, plan: &WorkloadPlan) -> Result<(), LabError> {
        let what = format!("workload {}", plan.name);
        let allotted = create(&self.api, plan).await.map_err(LabError::client(what))?;
        let path = self.state.part(&plan.name);
        std::fs::create_dir_all(&path).map_err(LabError::io(&path))?;
        let port = self.state.part(&plan.name).join("port.json");
        if let Some(state) = self.state.workload_mut(&plan.name) {
            state.port = Some(allotted.port.clone());
            state.mac = Some(allotted.mac.clone());
            for address in &allotted.addresses {
                match address {
                    IpAddr::V4(address) => state.address = Some(*address),
                    IpAddr::V6(address) => state.address6 = Some(*address),
                }
            }
            let request = port_request(plan, state, &allotted);
            std::fs::write(&port, request.to_string()).map_err(LabError::io(&port))?;
        }
        self.state.save()
    }

    /// Plugs a workload in: interface, port at the agent. Its objects exist.
    pub(crate) async fn plug(&mut self, name: &str) -> Result<(), LabError> {
        let unknown = || LabError::role(name, "no such workload");
        let workload = self.state.workload(name).cloned().ok_or_else(unknown)?;
        let host = self.state.place(&workload.host)?;
        let mac = workload.mac.as_deref().unwrap_or_default();
        let lines = [
            format!(
                "link add {} type veth peer name eth0 address {mac} netns {}",
                workload.interface, workload.namespace
            ),
            format!("link set {} up", workload.interface),
        ];
        ip::batch(Some(host.name()), &lines)?;
        ip::batch(Some(&workload.namespace), &["link set eth0 up".to_owned()])?;
        let path = self.state.part(name).join("port.json");
        let request = std::fs::read(&path).map_err(LabError::io(&path))?;
        let request: Value = serde_json::from_slice(&request).unwrap_or_default();
        let agent = self.agent(&workload.host)?;
        agent.post("/port", &request).await.map(drop).map_err(LabError::client(format!("port of {name}")))
    }

    /// Gets a workload's addresses, all families at the same time.
    pub(crate) async fn addresses(&self, name: &str) -> Result<(), LabError> {
        let unknown = || LabError::role(name, "no such workload");
        let workload = self.state.workload(name).ok_or_else(unknown)?;
        let resolv = self.state.resolv_conf(name);
        std::fs::write(&resolv, "").map_err(LabError::io(&resolv))?;
        let client = dhcp::Client {
            name,
            namespace: Netns::new(&workload.namespace),
            shared: &self.state.directory,
            own: &self.state.part(name),
        };
        let wanted = [Family::V4, Family::V6].into_iter().filter(|f| workload.address_of(*f).is_some());
        let clients = wanted.map(|family| client.acquire(family, DHCP));
        futures::future::try_join_all(clients).await.map(drop)
    }

    /// Unplugs a workload: its processes end, the agent is told unless this is a crash, and the interface goes.
    pub(crate) async fn unplug(&mut self, name: &str, crash: bool) -> Result<(), LabError> {
        let unknown = || LabError::role(name, "no such workload");
        let workload = self.state.workload(name).cloned().ok_or_else(unknown)?;
        self.stations.close(name);
        for process in crate::process::inside(&[Netns::new(&workload.namespace)]) {
            process.kill().await;
        }
        if let (false, Some(port)) = (crash, &workload.port) {
            let agent = self.agent(&workload.host)?;
            let told = agent.delete(&format!("/port/{port}")).await;
            told.map_err(LabError::client(format!("port of {name}")))?;
        }
        let host = self.state.place(&workload.host)?;
        ip::batch(Some(host.name()), &[format!("link delete {}", workload.interface)])?;
        self.set_running(name, false)
    }

    /// Remembers whether a workload is plugged in.
    pub(crate) fn set_running(&mut self, name: &str, running: bool) -> Result<(), LabError> {
        if let Some(state) = self.state.workload_mut(name) {
            state.running = running;
        }
        self.state.save()
    }
}

async fn create(api: &Api, plan: &WorkloadPlan) -> Result<Allotted, ClientError> {
    let project = find(api, ObjectType::Project, &plan.project).await?;
    let network = find(api, ObjectType::VirtualNetwork, &plan.network).await?;
    let machine =
        put(api, "virtual-machine", json!({"fq_name": [plan.name], "display_name": plan.name})).await?;
    let mut port_name = plan.project.clone();
    port_name.push(format!("{}-eth0", plan.name));
    let groups: Vec<Value> = plan.security_groups.iter().map(|g| json!({"to": g})).collect();
    let mut port = json!({
        "fq_name": port_name, "parent_type": "project", "display_name": plan.name,
        "virtual_network_refs": [{"to": plan.network}],
        "virtual_machine_refs": [{"to": [plan.name]}],
    });
    if !groups.is_empty() {
        port["security_group_refs"] = json!(groups);
    }
    let port = put(api, "virtual-machine-interface", port).await?;
    let mut addresses = Vec::new();
    for family in &plan.families {
        let (suffix, wanted) = match family {
            Family::V4 => ("v4", plan.address.map(IpAddr::V4)),
            Family::V6 => ("v6", plan.address6.map(IpAddr::V6)),
        };
        addresses.push(allot(api, plan, &port_name, suffix, wanted).await?);
    }
    let router = find(api, ObjectType::VirtualRouter, &router_name(&plan.host)).await?;
    let machine_ref = (ObjectType::VirtualMachine, machine.as_str());
    api.ref_update("ADD", (ObjectType::VirtualRouter, &router), machine_ref).await?;
    let interface = api.read(ObjectType::VirtualMachineInterface, &port).await?;
    let mac =
        interface.pointer("/virtual_machine_interface_mac_addresses/mac_address/0").and_then(Value::as_str);
    let missing = || ClientError::Answer {
        path: port.clone(),
        reason: "the interface was given no MAC address".into(),
    };
    let mac = mac.ok_or_else(missing)?.to_owned();
    Ok(Allotted { machine, port, network, project, mac, addresses })
}

async fn allot(
    api: &Api,
    plan: &WorkloadPlan,
    port: &[String],
    family: &str,
    wanted: Option<IpAddr>,
) -> Result<IpAddr, ClientError> {
    let mut object = json!({
        "fq_name": [format!("{}-{family}", plan.name)], "instance_ip_family": family,
        "virtual_network_refs": [{"to": plan.network}], "virtual_machine_interface_refs": [{"to": port}],
    });
    if let Some(address) = wanted {
        object["instance_ip_address"] = json!(address);
    }
    let uuid = put(api, "instance-ip", object).await?;
    let object = api.read(ObjectType::InstanceIp, &uuid).await?;
    let address = object.get("instance_ip_address").and_then(Value::as_str).and_then(|a| a.parse().ok());
    address.ok_or_else(|| ClientError::Answer {
        path: uuid,
        reason: "the instance-ip was given no address".into(),
    })
}

async fn put(api: &Api, kind: &str, object: Value) -> Result<String, ClientError> {
    let mut map = Map::new();
    map.insert(kind.to_owned(), object);
    let mut uuid = None;
    for document in documents::from_map(map)? {
        uuid = apply_one(api, &document, false).await?.uuid;
    }
    uuid.ok_or_else(|| ClientError::Answer { path: kind.to_owned(), reason: "no uuid in the answer".into() })
}

async fn find(api: &Api, kind: ObjectType, name: &[String]) -> Result<String, ClientError> {
    let found = api.find(kind, &FqName(name.to_vec())).await?;
    found.ok_or_else(|| ClientError::NoSuchObject { object_type: kind.name().into(), name: name.join(":") })
}

fn port_request(plan: &WorkloadPlan, state: &WorkloadState, allotted: &Allotted) -> Value {
    let text = |address: Option<IpAddr>| address.map(|a| a.to_string()).unwrap_or_default();
    json!({
        "id": allotted.port, "instance-id": allotted.machine, "vn-id": allotted.network,
        "vm-project-id": allotted.project, "display-name": plan.name, "system-name": state.interface,
        "mac-address": allotted.mac, "ip-address": text(state.address_of(Family::V4)),
        "ip6-address": text(state.address_of(Family::V6)), "type": 1, "rx-vlan-id": -1, "tx-vlan-id": -1,
        "author": "weft lab",
    })
}

/// Applies one document of a lab file.
pub(crate) async fn apply(api: &Api, document: &Document) -> Result<Applied, LabError> {
    let what = format!("{} {}", document.kind.name(), document.name());
    apply_one(api, document, false).await.map_err(LabError::client(what))
}
