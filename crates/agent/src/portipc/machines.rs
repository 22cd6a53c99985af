//! The container half: announcements by machine, and what a CNI plug-in needs to set the container up.

use std::net::IpAddr;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, bad, body, heard, not_found, uuid};
use crate::config::{Interface, View};
use crate::engine::{AgentHandle, Engine, Machine, MachineRequest};

pub(super) fn router() -> Router<AgentHandle> {
    Router::new()
        .route("/vm", post(add))
        .route("/vm/{id}", get(show).delete(remove))
        .route("/vm/{id}/{interface}", get(show_interface))
        .route("/vm-cfg", get(announced))
        .route("/vm-cfg/{name}", get(announced_one))
}

async fn add(State(agent): State<AgentHandle>, json: Result<Json<Value>, JsonRejection>) -> Answer {
    let request: MachineRequest = serde_json::from_value(body(json)?).map_err(|e| bad(e.to_string()))?;
    let machine = Machine::check(request)?;
    heard(agent.ask(move |engine| engine.put_machine(machine)).await)??;
    Ok(Json(json!({})))
}

async fn remove(State(agent): State<AgentHandle>, Path(id): Path<String>) -> Answer {
    let id = uuid(&id)?;
    if heard(agent.ask(move |engine| engine.delete_machine(id)).await)?? {
        Ok(Json(json!({})))
    } else {
        Err(not_found(id))
    }
}

async fn show(State(agent): State<AgentHandle>, Path(id): Path<String>) -> Answer {
    let id = uuid(&id)?;
    described(&agent, id, None).await
}

async fn show_interface(State(agent): State<AgentHandle>, Path((id, vmi)): Path<(String, String)>) -> Answer {
    let (id, vmi) = (uuid(&id)?, uuid(&vmi)?);
    described(&agent, id, Some(vmi)).await
}

/// Nothing is said before the interface is served: the plug-in asks again until it is.
async fn described(agent: &AgentHandle, machine: Uuid, only: Option<Uuid>) -> Answer {
    let found = heard(agent.ask(move |engine| engine.describe_machine(machine, only)).await)?;
    if found.is_empty() { Err(not_found(machine)) } else { Ok(Json(Value::Array(found))) }
}

async fn announced(State(agent): State<AgentHandle>) -> Answer {
    let list = heard(agent.ask(|engine| engine.announced(None)).await)?;
    Ok(Json(Value::Array(list)))
}

async fn announced_one(State(agent): State<AgentHandle>, Path(name): Path<String>) -> Answer {
    let wanted = name.clone();
    let list = heard(agent.ask(move |engine| engine.announced(Some(&wanted))).await)?;
    list.into_iter().next().map(Json).ok_or_else(|| not_found(name))
}

impl Engine {
    fn announced(&self, name: Option<&str>) -> Vec<Value> {
        let machines = self.machines.iter().map(|m| &m.request);
        machines
            .filter(|r| name.is_none_or(|n| r.vm_name == n || r.vm_uuid == n || r.vm_id == n))
            .filter_map(|r| serde_json::to_value(r).ok())
            .collect()
    }

    fn describe_machine(&self, machine: Uuid, only: Option<Uuid>) -> Vec<Value> {
        let view = self.core.view();
        let served = self.core.ports().iter().filter_map(|p| view.interfaces.get(&p.interface));
        served
            .filter(|i| i.virtual_machine == Some(machine) && only.is_none_or(|o| o == i.uuid))
            .map(|i| describe(i, view, machine))
            .collect()
    }
}

fn describe(interface: &Interface, view: &View, machine: Uuid) -> Value {
    let network = view.networks.get(&interface.network);
    let text = |a: Option<IpAddr>| a.map(|a| a.to_string()).unwrap_or_default();
    let of_family = |v6: bool| {
        let address = interface.addresses.iter().find(|a| a.is_ipv6() == v6).copied();
        let subnet = address.and_then(|a| network?.subnet_of(a));
        (address, subnet)
    };
    let (address, subnet) = of_family(false);
    let (address6, subnet6) = of_family(true);
    json!({
        "id": interface.uuid, "vm-uuid": machine, "vn-id": network.map(|n| n.uuid),
        "vn-name": interface.network, "mac-address": interface.mac, "vlan-id": 65535,
        "ip-address": text(address), "plen": subnet.map_or(0, |s| s.prefix.prefix_len()),
        "gateway": text(subnet.and_then(|s| s.gateway)), "dns-server": text(subnet.and_then(|s| s.dns_server)),
        "v6-ip-address": text(address6), "v6-plen": subnet6.map_or(0, |s| s.prefix.prefix_len()),
        "v6-gateway": text(subnet6.and_then(|s| s.gateway)),
        "v6-dns-server": text(subnet6.and_then(|s| s.dns_server)),
    })
}
