//! Rules of network policies and security groups: identity, protocol, ports, addresses.

use super::{property, set};
use crate::ApiError;
use uuid::Uuid;
use weft_model::Object;
use weft_model::types::{AddressType, PolicyEntriesType, PolicyRuleType, PortType};

/// Protocols known by name.
const PROTOCOLS: &[&str] =
    &["any", "icmp", "icmp6", "ipv6-icmp", "tcp", "udp", "sctp", "gre", "esp", "ah", "igmp"];

/// Whose rules they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A network policy's.
    Policy,
    /// A security group's: one side is `local`.
    SecurityGroup,
}

/// Checks all rules of a property, and gives each an identity.
pub(super) fn put(object: &mut Object, name: &str, kind: Kind) -> Result<(), ApiError> {
    let Some(mut entries) = property::<PolicyEntriesType>(object, name)? else { return Ok(()) };
    let mut seen = std::collections::BTreeSet::new();
    for (index, rule) in entries.policy_rule.iter_mut().enumerate() {
        let fail = |what: String| ApiError::bad_request(format!("{name}.policy_rule[{index}]: {what}"));
        check(rule, kind).map_err(fail)?;
        let uuid = match rule.rule_uuid.as_deref().filter(|u| !u.is_empty()) {
            Some(text) => {
                Uuid::parse_str(text).map_err(|_| fail(format!("rule_uuid {text:?} is not a uuid")))?
            }
            None => Uuid::new_v4(),
        };
        if !seen.insert(uuid) {
            return Err(fail(format!("rule_uuid {uuid} occurs twice")));
        }
        rule.rule_uuid = Some(uuid.to_string());
    }
    set(object, name, &entries)
}

fn check(rule: &PolicyRuleType, kind: Kind) -> Result<(), String> {
    let protocol = rule.protocol.as_deref().unwrap_or("any").to_ascii_lowercase();
    if !PROTOCOLS.contains(&protocol.as_str()) && protocol.parse::<u8>().is_err() {
        return Err(format!("protocol {protocol:?} is neither a known name nor a number from 0 to 255"));
    }
    for ports in rule.src_ports.iter().chain(&rule.dst_ports) {
        check_ports(ports)?;
    }
    if rule.src_addresses.is_empty() || rule.dst_addresses.is_empty() {
        return Err("src_addresses and dst_addresses must not be empty".into());
    }
    for address in rule.src_addresses.iter().chain(&rule.dst_addresses) {
        check_address(address)?;
    }
    let local = |list: &[AddressType]| list.iter().any(|a| a.security_group.as_deref() == Some("local"));
    if kind == Kind::SecurityGroup && !local(&rule.src_addresses) && !local(&rule.dst_addresses) {
        return Err("at least one of source or destination addresses must be 'local'".into());
    }
    Ok(())
}

fn check_ports(ports: &PortType) -> Result<(), String> {
    let start = ports.start_port.unwrap_or(-1);
    let end = ports.end_port.unwrap_or(start);
    if start > end {
        return Err(format!("start_port {start} is above end_port {end}"));
    }
    Ok(())
}

fn check_address(address: &AddressType) -> Result<(), String> {
    let subnets = address.subnet.iter().chain(&address.subnet_list);
    for subnet in subnets.clone() {
        if subnet.ip_prefix.is_none() || subnet.ip_prefix_len.is_none() {
            return Err("a subnet needs ip_prefix and ip_prefix_len".into());
        }
    }
    let names = [&address.virtual_network, &address.security_group, &address.network_policy];
    let named = names.into_iter().any(|n| n.as_deref().is_some_and(|n| !n.is_empty()));
    if !named && subnets.count() == 0 {
        return Err(
            "an address is empty: give subnet, virtual_network, security_group or network_policy".into()
        );
    }
    Ok(())
}
