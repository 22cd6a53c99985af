//! `weft interfaces`, `flows` and `drops`: what the hosts' agents and forwarders have.

use std::process::ExitCode;

use futures::future::join_all;
use serde_json::Value;

use crate::cli::{Format, HostArgs, TargetArgs};
use crate::output::{self, Column, column, wide};
use crate::target::Target;

pub(crate) async fn interfaces(
    target: &TargetArgs,
    args: &HostArgs,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let columns = [
        column("HOST", &["/host"]),
        column("INTERFACE", &["/system_name"]),
        column("WORKLOAD", &["/display_name"]),
        column("STATE", &["/state"]),
        column("NETWORK", &["/virtual_network"]),
        column("ADDRESSES", &["/addresses"]),
        column("MAC", &["/mac"]),
        wide("RX PACKETS", &["/counters/rx_packets"]),
        wide("TX PACKETS", &["/counters/tx_packets"]),
        wide("FLAGS", &["/flags"]),
        wide("PORT", &["/uuid"]),
    ];
    let rows = collect(target, args, "/introspect/interfaces", "interfaces").await?;
    show(format, &columns, &rows)
}

pub(crate) async fn flows(target: &TargetArgs, args: &HostArgs, format: Format) -> anyhow::Result<ExitCode> {
    let columns = [
        column("HOST", &["/host"]),
        column("PROTO", &["/protocol_name"]),
        column("SOURCE", &["/source"]),
        column("PORT", &["/source_port"]),
        column("DESTINATION", &["/destination"]),
        column("PORT", &["/destination_port"]),
        column("ACTION", &["/reason", "/action"]),
        column("PACKETS", &["/packets"]),
        column("FROM", &["/source_network"]),
        column("TO", &["/destination_network"]),
        wide("BYTES", &["/bytes"]),
        wide("DIRECTION", &["/direction"]),
        wide("TCP", &["/tcp"]),
        wide("RULE", &["/rule"]),
    ];
    let mut rows = collect(target, args, "/introspect/flows", "flows").await?;
    rows.iter_mut().for_each(name_protocol);
    show(format, &columns, &rows)
}

pub(crate) async fn drops(target: &TargetArgs, args: &HostArgs, format: Format) -> anyhow::Result<ExitCode> {
    let counters = [
        column("HOST", &["/host"]),
        column("WORKLOAD", &["/workload"]),
        column("REASON", &["/reason"]),
        column("PACKETS", &["/packets"]),
        column("MEANING", &["/description"]),
    ];
    let recent = [
        column("HOST", &["/host"]),
        column("WORKLOAD", &["/workload"]),
        column("REASON", &["/reason"]),
        column("PROTO", &["/protocol_name"]),
        column("SOURCE", &["/source"]),
        column("DESTINATION", &["/destination"]),
        column("PORT", &["/destination_port"]),
        wide("FROM", &["/source_network"]),
        wide("TO", &["/destination_network"]),
        wide("RULE", &["/rule"]),
    ];
    let ports = collect(target, args, "/introspect/interfaces", "interfaces").await?;
    let mut sums = collect(target, args, "/introspect/drops", "counters").await?;
    let mut events = collect(target, args, "/introspect/drops", "events").await?;
    for row in sums.iter_mut().chain(&mut events) {
        let name = workload(&ports, row["interface"].as_str().unwrap_or_default());
        row["workload"] = name.into();
        name_protocol(row);
    }
    if matches!(format, Format::Json | Format::Yaml) {
        output::value(format, &serde_json::json!({"counters": sums, "events": events}))?;
        return Ok(ExitCode::SUCCESS);
    }
    show(format, &counters, &sums)?;
    if !events.is_empty() {
        output::print("\nlast dropped packets:\n");
        show(format, &recent, &events)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the routes that an agent has.
pub(crate) fn show_routes(host: &str, answer: &Value, format: Format) -> anyhow::Result<ExitCode> {
    if matches!(format, Format::Json | Format::Yaml) {
        output::value(format, answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [
        column("VRF", &["/vrf"]),
        column("PREFIX", &["/prefix", "/mac"]),
        column("BY", &["/next_hop/kind"]),
        column("TO", &["/next_hop/destination", "/next_hop/interface"]),
        column("LABEL", &["/next_hop/label", "/next_hop/vni"]),
        wide("MAC", &["/mac"]),
        wide("NETWORK", &["/virtual_network"]),
    ];
    let rows = [entries(host, answer, "routes"), entries(host, answer, "bridge")].concat();
    show(format, &columns, &rows)
}

/// The workload of a port, or what the agent calls it (`fabric`).
fn workload(ports: &[Value], interface: &str) -> String {
    let found = ports.iter().find(|p| p["uuid"] == interface).and_then(|p| p["display_name"].as_str());
    match found {
        Some(name) => name.to_owned(),
        None if interface.is_empty() => "fabric".to_owned(),
        None => interface.to_owned(),
    }
}

fn name_protocol(row: &mut Value) {
    let name = match row["protocol"].as_u64() {
        Some(1) => "icmp".to_owned(),
        Some(6) => "tcp".to_owned(),
        Some(17) => "udp".to_owned(),
        Some(58) => "icmp6".to_owned(),
        Some(other) => other.to_string(),
        None => return,
    };
    row["protocol_name"] = name.into();
}

fn show(format: Format, columns: &[Column], rows: &[Value]) -> anyhow::Result<ExitCode> {
    output::list(format, columns, rows)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks every host; one that does not answer is named on standard error and left out.
async fn collect(target: &TargetArgs, args: &HostArgs, path: &str, list: &str) -> anyhow::Result<Vec<Value>> {
    let agents = Target::new(target)?.agents(args.host.as_deref()).await?;
    let answers =
        join_all(agents.iter().map(|(host, http)| async move { (host, http.get(path, &[]).await) })).await;
    let mut rows = Vec::new();
    for (host, answer) in answers {
        match answer {
            Ok(answer) => rows.extend(entries(host, &answer, list)),
            Err(e) => eprintln!("weft: {host} left out: {e}"),
        }
    }
    Ok(rows)
}

/// The entries of one list of an answer, each with its host.
fn entries(host: &str, answer: &Value, list: &str) -> Vec<Value> {
    let mut rows = answer[list].as_array().cloned().unwrap_or_default();
    for row in &mut rows {
        if let Some(map) = row.as_object_mut() {
            map.insert("host".into(), host.into());
        }
    }
    rows
}
