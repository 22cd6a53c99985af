//! Short forms of a lab file as the REST objects they stand for.

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use weft_model::defaults;

use super::format::{
    Direction, Network, Policy, PolicyRule, Ports, RuleAction, RuleProto, SecurityGroup, SecurityRule,
    Verbatim,
};
use super::resolve::{Mistake, full_name};

fn wrapped(type_name: &str, object: Value) -> Verbatim {
    let mut map = Map::new();
    map.insert(type_name.to_owned(), object);
    map
}

/// A project in the default domain.
pub(crate) fn tenant(name: &str) -> Verbatim {
    wrapped("project", json!({"fq_name": [defaults::DOMAIN, name], "parent_type": "domain"}))
}

/// A virtual network with its subnets in the default IPAM.
pub(crate) fn network(network: &Network) -> Verbatim {
    let subnets: Vec<Value> = network.subnets.iter().map(subnet).collect();
    let ipam = defaults::in_default_project(defaults::NETWORK_IPAM);
    let mut object = json!({
        "fq_name": full_name(network.tenant.as_deref(), &network.name),
        "parent_type": "project",
        "network_ipam_refs": [{"to": ipam, "attr": {"ipam_subnets": subnets}}],
    });
    if let Some(properties) = &network.properties {
        object["virtual_network_properties"] = Value::Object(properties.clone());
    }
    wrapped("virtual-network", object)
}

fn subnet(subnet: &IpNet) -> Value {
    json!({"subnet": {"ip_prefix": subnet.network(), "ip_prefix_len": subnet.prefix_len()}})
}

/// Adds a policy to the references of a network's object.
pub(crate) fn attach(fields: &mut Map<String, Value>, policy: &[String]) {
    let refs = fields.entry("network_policy_refs").or_insert_with(|| json!([]));
    if let Some(list) = refs.as_array_mut() {
        let sequence = json!({"sequence": {"major": list.len(), "minor": 0}});
        list.push(json!({"to": policy, "attr": sequence}));
    }
}

/// A network policy; `network` finds the full name of a network.
pub(crate) fn policy(
    policy: &Policy,
    network: &dyn Fn(&str) -> Result<Vec<String>, Mistake>,
) -> Result<Verbatim, Mistake> {
    let mut rules = Vec::new();
    for rule in &policy.rules {
        rules.extend(policy_rule(rule, network)?);
    }
    let object = json!({
        "fq_name": full_name(policy.tenant.as_deref(), &policy.name),
        "parent_type": "project",
        "network_policy_entries": {"policy_rule": rules},
    });
    Ok(wrapped("network-policy", object))
}

/// A rule of a policy; ICMP is two, since IPv6 has a protocol of its own for it.
fn policy_rule(
    rule: &PolicyRule,
    network: &dyn Fn(&str) -> Result<Vec<String>, Mistake>,
) -> Result<Vec<Value>, Mistake> {
    let address = |name: &str| -> Result<Value, Mistake> {
        if let Ok(prefix) = name.parse::<IpNet>() {
            return Ok(subnet(&prefix));
        }
        let name = if matches!(name, "any" | "local") { name.to_owned() } else { network(name)?.join(":") };
        Ok(json!({"virtual_network": name}))
    };
    let action = match rule.action {
        RuleAction::Pass => "pass",
        RuleAction::Deny => "deny",
    };
    let one = json!({
        "direction": if rule.both { "<>" } else { ">" },
        "protocol": protocol(rule.proto),
        "src_addresses": [address(&rule.from)?],
        "dst_addresses": [address(&rule.to)?],
        "src_ports": ports(rule.src_port),
        "dst_ports": ports(rule.port),
        "action_list": {"simple_action": action},
    });
    if rule.proto != RuleProto::Icmp {
        return Ok(vec![one]);
    }
    let of = |ethertype: &str| {
        let mut rule = one.clone();
        rule["ethertype"] = json!(ethertype);
        rule
    };
    Ok(vec![of("IPv4"), of("IPv6")])
}

/// A security group: every rule for IPv4 and for IPv6 as far as its far end has that family.
pub(crate) fn security_group(group: &SecurityGroup) -> Result<Verbatim, String> {
    let mut rules = Vec::new();
    for rule in &group.rules {
        rules.extend(security_rule(rule, group.tenant.as_deref()));
    }
    let object = json!({
        "fq_name": full_name(group.tenant.as_deref(), &group.name),
        "parent_type": "project",
        "security_group_entries": {"policy_rule": rules},
    });
    Ok(wrapped("security-group", object))
}

fn security_rule(rule: &SecurityRule, tenant: Option<&str>) -> Vec<Value> {
    let local = json!([{"security_group": "local"}]);
    let one = |ethertype: &str, remote: Value| {
        let (src, dst) = match rule.direction {
            Direction::Ingress => (json!([remote]), local.clone()),
            Direction::Egress => (local.clone(), json!([remote])),
        };
        let any = ports(None);
        json!({"direction": ">", "ethertype": ethertype, "protocol": protocol(rule.proto),
            "src_addresses": src, "dst_addresses": dst, "src_ports": any, "dst_ports": ports(rule.port)})
    };
    if let Ok(prefix) = rule.remote.parse::<IpNet>() {
        let ethertype = if prefix.addr().is_ipv4() { "IPv4" } else { "IPv6" };
        return vec![one(ethertype, subnet(&prefix))];
    }
    if rule.remote == "any" {
        let v4 = json!({"subnet": {"ip_prefix": "0.0.0.0", "ip_prefix_len": 0}});
        let v6 = json!({"subnet": {"ip_prefix": "::", "ip_prefix_len": 0}});
        return vec![one("IPv4", v4), one("IPv6", v6)];
    }
    let group = if rule.remote.contains(':') {
        rule.remote.clone()
    } else {
        full_name(tenant, &rule.remote).join(":")
    };
    let group = json!({"security_group": group});
    vec![one("IPv4", group.clone()), one("IPv6", group)]
}

fn protocol(proto: RuleProto) -> &'static str {
    match proto {
        RuleProto::Any => "any",
        RuleProto::Icmp => "icmp",
        RuleProto::Tcp => "tcp",
        RuleProto::Udp => "udp",
    }
}

fn ports(ports: Option<Ports>) -> Value {
    match ports {
        None => json!([{"start_port": -1, "end_port": -1}]),
        Some(Ports { first, last }) => json!([{"start_port": first, "end_port": last}]),
    }
}
