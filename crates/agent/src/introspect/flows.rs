//! The flow table.

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};
use weft_dataplane::DropReason;
use weft_dataplane::flow::{FLOW_DROP, FLOW_L2, FLOW_LOCAL, FLOW_REVERSE};
use weft_forwarder::FlowRecord;

use super::{Answer, Failed, Parameters, interfaces};
use crate::desired::Names;
use crate::engine::AgentHandle;

pub(super) async fn flows(State(agent): State<AgentHandle>, Query(parameters): Query<Parameters>) -> Answer {
    let desired = agent.shared.desired.borrow().clone();
    let datapath = agent.shared.datapath.clone();
    // A full table is a quarter of a million entries: not on the engine's time.
    let read = tokio::task::spawn_blocking(move || datapath.flows()).await;
    let records = read.map_err(Failed::internal)?.map_err(Failed::internal)?;
    let vrf = parameters.vrf.as_deref();
    let in_vrf = |r: &&FlowRecord| {
        vrf.is_none_or(|v| desired.names.vrfs.get(&r.zone).is_some_and(|n| n == v) || v.parse() == Ok(r.zone))
    };
    let total = records.len();
    let shown = records.iter().filter(in_vrf).take(parameters.limit());
    let list: Vec<Value> = shown.map(|r| describe(r, &desired.names)).collect();
    Ok(Json(json!({"total": total, "flows": list})))
}

fn describe(record: &FlowRecord, names: &Names) -> Value {
    let flow = &record.flow;
    let network = |n: u32| names.identities.get(&n).map(|i| i.network.as_str());
    let dropped = flow.flags & FLOW_DROP != 0;
    let reason = DropReason::from_u8(flow.reason).filter(|_| dropped);
    json!({
        "vrf": names.vrfs.get(&record.zone), "zone": record.zone,
        "source": record.src, "destination": record.dst, "protocol": record.protocol,
        "source_port": record.sport, "destination_port": record.dport,
        "direction": if flow.flags & FLOW_REVERSE != 0 { "reverse" } else { "forward" },
        "action": if dropped { "drop" } else { "forward" },
        "reason": reason.map(DropReason::name),
        "bridged": flow.flags & FLOW_L2 != 0, "local": flow.flags & FLOW_LOCAL != 0,
        "packets": flow.packets, "bytes": flow.bytes,
        "interface": interfaces::slot_name(names, flow.slot), "next_hop": flow.next_hop,
        "source_network": network(flow.source_identity), "destination_network": network(flow.destination_identity),
        "rule": names.rules.get(&flow.rule), "tcp": flow.tcp,
        "udp_source_port": u16::from_be_bytes(flow.source_port),
        "last_seen_ms": flow.last_seen / 1_000_000, "created_ms": flow.created / 1_000_000,
    })
}
