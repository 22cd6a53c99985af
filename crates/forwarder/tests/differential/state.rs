//! What is compared of flow tables: everything but times and the tunnel's source port.

use std::collections::BTreeMap;
use std::fmt::Debug;

use weft_forwarder::FlowRecord;
use weft_forwarder::dataplane::flow::{FLOW_DROP, FLOW_L2, FLOW_LOCAL, FLOW_REVERSE};
use weft_forwarder::dataplane::{DropReason, tcp};
use weft_forwarder::reference::{Conversation, Fate, Flow, FlowKey, TcpBits, Way};

/// A flow entry of the kernel in the model's terms; the model's stamps have no counterpart.
pub fn flow_of(record: &FlowRecord) -> (FlowKey, Flow) {
    let FlowRecord { zone, src, dst, protocol, sport, dport, flow } = *record;
    let conversation = Conversation { source: src, destination: dst, protocol, ports: (sport, dport) };
    let has = |bit| flow.flags & bit != 0;
    let tcp_has = |bit| flow.tcp & bit != 0;
    let reason = DropReason::from_u8(flow.reason);
    let fate =
        if has(FLOW_DROP) { Fate::Deny(reason.unwrap_or(DropReason::Internal)) } else { Fate::Forward };
    let way = Way {
        next_hop: flow.next_hop,
        bridged: has(FLOW_L2),
        mac: flow.dmac,
        identity: flow.destination_identity,
    };
    let tcp = TcpBits {
        syn: tcp_has(tcp::STATE_SYN),
        established: tcp_has(tcp::STATE_ESTABLISHED),
        fin: tcp_has(tcp::STATE_FIN),
        peer_fin: tcp_has(tcp::STATE_PEER_FIN),
        reset: tcp_has(tcp::STATE_RST),
    };
    let value = Flow {
        reverse: has(FLOW_REVERSE),
        fate,
        local: has(FLOW_LOCAL),
        way,
        in_ifindex: flow.in_ifindex,
        other_zone: flow.reverse_zone,
        source_identity: flow.source_identity,
        rule: flow.rule,
        slot: flow.slot,
        packets: flow.packets,
        bytes: flow.bytes,
        tcp,
        judged: Default::default(),
    };
    (FlowKey { zone, conversation }, value)
}

/// The model's flows without their stamps.
pub fn unstamped(flows: &BTreeMap<FlowKey, Flow>) -> BTreeMap<FlowKey, Flow> {
    flows.iter().map(|(key, flow)| (*key, Flow { judged: Default::default(), ..*flow })).collect()
}

/// The entries in which two tables differ: `None` when there are none.
pub fn difference<K: Ord + Debug, V: PartialEq + Debug>(
    kernel: &BTreeMap<K, V>,
    model: &BTreeMap<K, V>,
) -> Option<String> {
    let mut text = String::new();
    for key in kernel.keys().chain(model.keys().filter(|key| !kernel.contains_key(key))) {
        let (a, b) = (kernel.get(key), model.get(key));
        if a != b {
            text.push_str(&format!("\n  {key:?}\n    kernel {a:?}\n    model  {b:?}"));
        }
    }
    (!text.is_empty()).then_some(text)
}
