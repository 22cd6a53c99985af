//! Memory of a controller with a large configuration: after writing it, and after starting anew with it.

use super::figures::Figures;
use super::http::Waiting;
use super::server::{Controller, Kind, Place};
use anyhow::{Context, Result};
use serde_json::json;
use std::time::{Duration, Instant};

/// Interfaces in one network.
const PER_NETWORK: usize = 250;
/// Clients that write.
const WRITERS: usize = 32;
/// How long writing may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// Time for what goes on behind the answers.
const SETTLE: Duration = Duration::from_secs(5);

/// Writes `interfaces` interfaces with an address each.
pub(super) fn measure(place: &Place, interfaces: usize, figures: &mut Figures) -> Result<()> {
    let controller = Controller::start(place, "memory", Kind::Embedded)?;
    let (empty, _) = controller.memory()?;
    figures.memory("empty", empty, 0);
    fill(&controller, interfaces)?;
    std::thread::sleep(SETTLE);
    let (written, peak) = controller.memory()?;
    figures.memory("after writing", written, peak);
    drop(controller);
    let begin = Instant::now();
    let controller = Controller::start(place, "memory", Kind::Embedded)?;
    figures.start_up(begin.elapsed());
    // A read of an interface shows references the compiler adds: it waits until everything is compiled.
    Waiting::open(&controller.socket)?.ok(
        "GET",
        "/virtual-machine-interfaces?page_limit=1&detail=true",
        "",
    )?;
    std::thread::sleep(SETTLE);
    let (started, peak) = controller.memory()?;
    figures.memory("after starting anew", started, peak);
    figures.objects(interfaces * 2, started.saturating_sub(empty));
    Ok(())
}

fn fill(controller: &Controller, interfaces: usize) -> Result<()> {
    let networks = interfaces.div_ceil(PER_NETWORK);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn(move || {
                    let mut connection = Waiting::open(&controller.socket)?;
                    for network in (writer..networks).step_by(WRITERS) {
                        anyhow::ensure!(begin.elapsed() < PATIENCE, "writing takes too long");
                        let first = network * PER_NETWORK;
                        one_network(&mut connection, network, first..interfaces.min(first + PER_NETWORK))?;
                    }
                    Ok(())
                })
            })
            .collect();
        let done = writers.into_iter().map(|w| w.join().map_err(|_| anyhow::anyhow!("a client panicked"))?);
        done.collect::<Result<Vec<()>>>().context("writing").map(|_| ())
    })
}

fn one_network(connection: &mut Waiting, number: usize, ports: std::ops::Range<usize>) -> Result<()> {
    let project = ["default-domain", "default-project"];
    let name = format!("net-{number}");
    let subnet = json!({"subnet": {"ip_prefix": format!("10.{}.{}.0", number / 128, number % 128 * 2), "ip_prefix_len": 23}});
    let network = json!({
        "fq_name": [project[0], project[1], name], "parent_type": "project",
        "network_ipam_refs": [{"to": [project[0], project[1], "default-network-ipam"], "attr": {"ipam_subnets": [subnet]}}],
    });
    connection.create("virtual-network", &network)?;
    for port in ports {
        let port_name = format!("port-{port}");
        let interface = json!({
            "fq_name": [project[0], project[1], port_name], "parent_type": "project",
            "virtual_network_refs": [{"to": [project[0], project[1], name]}],
            "virtual_machine_interface_device_owner": "compute:nova",
        });
        connection.create("virtual-machine-interface", &interface)?;
        let address = json!({
            "fq_name": [format!("address-{port}")],
            "virtual_network_refs": [{"to": [project[0], project[1], name]}],
            "virtual_machine_interface_refs": [{"to": [project[0], project[1], port_name]}],
        });
        connection.create("instance-ip", &address)?;
    }
    Ok(())
}
