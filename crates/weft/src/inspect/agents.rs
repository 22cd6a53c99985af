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
        column("INTERFACE", &["/name", "/interface"]),
        column("WORKLOAD", &["/display_name", "/workload"]),
        column("STATE", &["/state", "/status"]),
        column("NETWORK", &["/virtual_network", "/network", "/vrf"]),
        column("ADDRESSES", &["/addresses"]),
        column("MAC", &["/mac"]),
        wide("LABEL", &["/label"]),
        wide("RX PACKETS", &["/counters/rx_packets", "/rx_packets"]),
        wide("TX PACKETS", &["/counters/tx_packets", "/tx_packets"]),
        wide("PORT", &["/uuid", "/port"]),
    ];
    let rows = collect(target, args, "/introspect/interfaces", &["interfaces"]).await?;
    show(format, &columns, &rows)
}

pub(crate) async fn flows(target: &TargetArgs, args: &HostArgs, format: Format) -> anyhow::Result<ExitCode> {
    let columns = [
        column("HOST", &["/host"]),
        column("PROTO", &["/protocol", "/proto"]),
        column("SOURCE", &["/source", "/src"]),
        column("DESTINATION", &["/destination", "/dst"]),
        column("ACTION", &["/action", "/verdict"]),
        column("STATE", &["/state"]),
        column("PACKETS", &["/packets"]),
        wide("BYTES", &["/bytes"]),
        wide("VRF", &["/vrf"]),
        wide("IDLE", &["/idle_seconds", "/idle"]),
    ];
    let rows = collect(target, args, "/introspect/flows", &["flows"]).await?;
    show(format, &columns, &rows)
}

pub(crate) async fn drops(target: &TargetArgs, args: &HostArgs, format: Format) -> anyhow::Result<ExitCode> {
    let counters = [
        column("HOST", &["/host"]),
        column("INTERFACE", &["/interface", "/name"]),
        column("REASON", &["/reason"]),
        column("PACKETS", &["/packets", "/count"]),
        wide("BYTES", &["/bytes"]),
    ];
    let recent = [
        column("HOST", &["/host"]),
        column("INTERFACE", &["/interface"]),
        column("REASON", &["/reason"]),
        column("PROTO", &["/protocol", "/proto"]),
        column("SOURCE", &["/source", "/src"]),
        column("DESTINATION", &["/destination", "/dst"]),
        column("PORT", &["/destination_port", "/dport"]),
    ];
    let sums = collect(target, args, "/introspect/drops", &["counters", "drops"]).await?;
    let events = collect(target, args, "/introspect/drops", &["recent", "events"]).await?;
    if matches!(format, Format::Json | Format::Yaml) {
        output::value(format, &serde_json::json!({"counters": sums, "recent": events}))?;
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
    let columns = [
        column("HOST", &["/host"]),
        column("VRF", &["/vrf"]),
        column("PREFIX", &["/prefix"]),
        column("NEXT HOP", &["/next_hop", "/nexthop"]),
        column("LABEL", &["/label"]),
        column("ENCAPSULATION", &["/encapsulation", "/encap"]),
        wide("NETWORK", &["/virtual_network"]),
    ];
    show(format, &columns, &entries(host, answer, &["routes"]))
}

fn show(format: Format, columns: &[Column], rows: &[Value]) -> anyhow::Result<ExitCode> {
    output::list(format, columns, rows)?;
    Ok(ExitCode::SUCCESS)
}

/// Asks every host; one that does not answer is named on standard error and left out.
async fn collect(
    target: &TargetArgs,
    args: &HostArgs,
    path: &str,
    lists: &[&str],
) -> anyhow::Result<Vec<Value>> {
    let agents = Target::new(target)?.agents(args.host.as_deref()).await?;
    let answers =
        join_all(agents.iter().map(|(host, http)| async move { (host, http.get(path, &[]).await) })).await;
    let mut rows = Vec::new();
    for (host, answer) in answers {
        match answer {
            Ok(answer) => rows.extend(entries(host, &answer, lists)),
            Err(e) => eprintln!("weft: {host} left out: {e}"),
        }
    }
    Ok(rows)
}

/// The entries of an answer: the list itself, or the first of the named lists in it; each with its host.
fn entries(host: &str, answer: &Value, lists: &[&str]) -> Vec<Value> {
    let list = answer.as_array().or_else(|| lists.iter().find_map(|l| answer[*l].as_array()));
    let mut rows = list.cloned().unwrap_or_default();
    for row in &mut rows {
        if let Some(map) = row.as_object_mut() {
            map.insert("host".into(), host.into());
        }
    }
    rows
}
