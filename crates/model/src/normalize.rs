//! Bringing checked structures into their one stored form; named by `normalized by` in declarations.

use ipnet::IpNet;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// `SubnetType`: the prefix must be an address, the length must fit it; host bits are cleared.
pub(crate) fn subnet(fields: &mut Map<String, Value>) -> Result<(), String> {
    let Some(text) = fields.get("ip_prefix").and_then(Value::as_str) else { return Ok(()) };
    let address: IpAddr = text.parse().map_err(|_| format!("ip_prefix {text:?} is not an IP address"))?;
    let Some(length) = fields.get("ip_prefix_len").and_then(Value::as_i64) else { return Ok(()) };
    let net = u8::try_from(length).ok().and_then(|length| IpNet::new(address, length).ok());
    let net = net.ok_or_else(|| format!("ip_prefix_len {length} does not fit {text}"))?;
    fields.insert("ip_prefix".into(), Value::String(net.network().to_string()));
    Ok(())
}
