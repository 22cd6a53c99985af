//! The operations measured: on interfaces of one network, as an orchestrator makes them.

use super::figures::Figures;
use super::http::Waiting;
use super::load;
use super::server::Controller;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Lists measured per round and kind.
const LISTS: usize = 5;
/// Clients that make the objects to be listed.
const MAKERS: usize = 32;

/// Names are unique over all rounds.
static SERIAL: AtomicUsize = AtomicUsize::new(0);

/// A controller with something in it.
pub(super) struct Scene<'a> {
    controller: &'a Controller,
    list: usize,
    /// The project whose interfaces are listed.
    listed: String,
    /// Some of these interfaces.
    uuids: Vec<String>,
    group: String,
}

fn interface(project: &str) -> Value {
    let name = format!("port-{}", SERIAL.fetch_add(1, Ordering::Relaxed));
    json!({
        "fq_name": ["default-domain", project, name], "parent_type": "project",
        "virtual_network_refs": [{"to": ["default-domain", "bench", "net"]}],
        "virtual_machine_interface_mac_addresses": {"mac_address": ["02:00:5e:00:53:01"]},
        "virtual_machine_interface_device_owner": "compute:nova",
    })
}

impl<'a> Scene<'a> {
    /// Makes the objects to work on.
    pub(super) fn prepare(controller: &'a Controller, list: usize) -> Result<Self> {
        let mut connection = Waiting::open(&controller.socket)?;
        let project = |name: &str| json!({"fq_name": ["default-domain", name], "parent_type": "domain"});
        connection.create("project", &project("bench"))?;
        let listed = connection.create("project", &project("listed"))?;
        let network = json!({"fq_name": ["default-domain", "bench", "net"], "parent_type": "project"});
        connection.create("virtual-network", &network)?;
        let group = json!({"fq_name": ["default-domain", "bench", "group"], "parent_type": "project"});
        let group = connection.create("security-group", &group)?;
        let uuids = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            let makers: Vec<_> = (0..MAKERS)
                .map(|maker| {
                    let uuids = &uuids;
                    scope.spawn(move || -> Result<()> {
                        let mut connection = Waiting::open(&controller.socket)?;
                        for _ in (maker..list).step_by(MAKERS) {
                            let uuid =
                                connection.create("virtual-machine-interface", &interface("listed"))?;
                            uuids.lock().unwrap_or_else(|e| e.into_inner()).push(uuid);
                        }
                        Ok(())
                    })
                })
                .collect();
            let done =
                makers.into_iter().map(|m| m.join().map_err(|_| anyhow::anyhow!("a client panicked"))?);
            done.collect::<Result<Vec<()>>>()
        })?;
        let uuids = uuids.into_inner().unwrap_or_else(|e| e.into_inner());
        Ok(Self { controller, list, listed, uuids, group })
    }

    pub(super) fn name(&self) -> &'static str {
        self.controller.name()
    }

    /// Another connection.
    pub(super) fn connect(&self) -> Result<Waiting> {
        Waiting::open(&self.controller.socket)
    }

    /// One of the interfaces.
    pub(super) fn uuid(&self, number: usize) -> Result<&str> {
        self.uuids.get(number % self.uuids.len().max(1)).map(String::as_str).context("nothing to work on")
    }

    /// Bytes of an object as the client sends it.
    pub(super) fn object_bytes(&self) -> usize {
        interface("bench").to_string().len()
    }

    /// Creates, reads, updates and changes of references.
    pub(super) fn round(&self, clients: usize, duration: Duration, figures: &mut Figures) -> Result<()> {
        let name = self.name();
        let socket = &self.controller.socket;
        let creates = load::run(socket, clients, duration, async |connection, _, _| {
            connection.create("virtual-machine-interface", &interface("bench")).await.map(drop)
        })?;
        figures.add(name, "create", clients, creates);
        let reads = load::run(socket, clients, duration, async |connection, client, turn| {
            let uuid = self.uuid(client * 7919 + turn * 31)?;
            connection.ok("GET", &format!("/virtual-machine-interface/{uuid}"), "").await.map(drop)
        })?;
        figures.add(name, "read by id", clients, reads);
        let updates = load::run(socket, clients, duration, async |connection, client, turn| {
            let uuid = self.uuid(client + clients * turn)?;
            let body = json!({"virtual-machine-interface": {"display_name": format!("{client}-{turn}")}});
            let path = format!("/virtual-machine-interface/{uuid}");
            connection.ok("PUT", &path, &body.to_string()).await.map(drop)
        })?;
        figures.add(name, "update", clients, updates);
        let refs = load::run(socket, clients, duration, async |connection, client, turn| {
            let operation = if turn.is_multiple_of(2) { "ADD" } else { "DELETE" };
            let body = json!({
                "type": "virtual-machine-interface", "uuid": self.uuid(client + clients * (turn / 2))?,
                "ref-type": "security-group", "ref-uuid": self.group, "operation": operation, "attr": null,
            });
            connection.ok("POST", "/ref-update", &body.to_string()).await.map(drop)
        })?;
        figures.add(name, "reference change", clients, refs);
        Ok(())
    }

    /// Lists of one project's interfaces, one client.
    pub(super) fn lists(&self, figures: &mut Figures) -> Result<()> {
        let mut connection = self.connect()?;
        let all = format!("/virtual-machine-interfaces?parent_id={}", self.listed);
        let kinds = [
            ("list", all.clone(), self.list),
            ("list, detail", format!("{all}&detail=true"), self.list),
            ("list, filtered", format!("{all}&detail=true&filters=name==%22port-1%22"), usize::MAX),
        ];
        for (kind, path, expected) in kinds {
            let mut times = Vec::new();
            let begin = Instant::now();
            for _ in 0..LISTS {
                let start = Instant::now();
                let answer = connection.ok("GET", &path, "")?;
                times.push(start.elapsed());
                if expected != usize::MAX && times.len() == 1 {
                    let answer: Value = serde_json::from_slice(answer)?;
                    let found = answer
                        .get("virtual-machine-interfaces")
                        .and_then(Value::as_array)
                        .map_or(0, Vec::len);
                    anyhow::ensure!(found == expected, "{kind}: {found} objects instead of {expected}");
                }
            }
            figures.add(self.name(), kind, 1, load::sample(times, begin.elapsed()));
        }
        Ok(())
    }
}
