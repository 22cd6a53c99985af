//! IP protocols by name, and port ranges of services.

use super::values::{at, text};
use crate::ApiError;
use serde_json::Value;

/// Names of the IANA protocol register, in lower case. `any` is 0, as the agents of the existing system expect.
const NAMES: &[(&str, i64)] = &[
    ("any", 0),
    ("hopopt", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ggp", 3),
    ("ipv4", 4),
    ("st", 5),
    ("tcp", 6),
    ("cbt", 7),
    ("egp", 8),
    ("igp", 9),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmp6", 58),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("eigrp", 88),
    ("ospf", 89),
    ("ospfigp", 89),
    ("ipip", 94),
    ("etherip", 97),
    ("encap", 98),
    ("pim", 103),
    ("ipcomp", 108),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
    ("mpls-in-ip", 137),
];

/// The number of a protocol given by name or number.
pub(super) fn number(protocol: &str) -> Option<i64> {
    if protocol.chars().all(|c| c.is_ascii_digit()) {
        return protocol.parse::<u8>().ok().map(i64::from);
    }
    let name = protocol.to_lowercase();
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, id)| *id)
}

/// Checks a service of a rule or of a group, and completes the protocol's number.
pub(super) fn complete_service(service: &mut Value, what: &str) -> Result<(), ApiError> {
    for ports in ["src_ports", "dst_ports"] {
        let range = at(service, &[ports]);
        let port = |name: &str| at(range, &[name]).as_i64();
        let start = port("start_port").unwrap_or(-1);
        let end = port("end_port").unwrap_or(start);
        if start > end {
            return Err(ApiError::bad_request(format!(
                "{what}.{ports}: start_port {start} is above end_port {end}"
            )));
        }
    }
    let Some(protocol) = text(service, "protocol") else { return Ok(()) };
    let id = number(protocol)
        .ok_or_else(|| ApiError::bad_request(format!("{what}.protocol: Invalid protocol: {protocol:?}")))?;
    if let Value::Object(service) = service {
        service.insert("protocol_id".into(), id.into());
    }
    Ok(())
}
