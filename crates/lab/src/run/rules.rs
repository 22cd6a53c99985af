//! Rules of network policies and security groups, read from their REST objects in the plainest way: this is the yardstick
//! for what the system makes of the same objects, and shares no code with it.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::Value;

use crate::file::plan::{ProbeSpec, Proto};

/// One end of a connection.
#[derive(Debug, Clone)]
pub(super) struct End {
    pub(super) address: IpAddr,
    /// Full name of its network.
    pub(super) network: String,
    /// Full names of its security groups.
    pub(super) groups: Vec<String>,
}

/// Whether a rule of a policy fits; `network` is the one whose list is being read (`local`).
pub(super) fn policy_fits(rule: &Value, network: &str, from: &End, to: &End, probe: ProbeSpec) -> bool {
    let sides = |src: &End, dst: &End, (sport, dport): (u16, u16)| {
        address_fits(rule, "src_addresses", src, network)
            && address_fits(rule, "dst_addresses", dst, network)
            && ports_fit(rule, "src_ports", sport)
            && ports_fit(rule, "dst_ports", dport)
    };
    let reverse = rule["direction"] == "<>";
    protocol_fits(rule, from.address, probe)
        && (sides(from, to, (EPHEMERAL, probe.port)) || (reverse && sides(to, from, (probe.port, EPHEMERAL))))
}

/// Stands for a client's port: no rule of a lab names one.
const EPHEMERAL: u16 = 40_000;

/// Whether a rule of a security group lets the connection through at the near end; the near end has the address `local`.
pub(super) fn group_fits(rule: &Value, group: &str, ingress: bool, far: &End, probe: ProbeSpec) -> bool {
    let (near_side, far_side) =
        if ingress { ("dst_addresses", "src_addresses") } else { ("src_addresses", "dst_addresses") };
    let local = list(rule, near_side).iter().any(|a| a["security_group"] == "local");
    local
        && protocol_fits(rule, far.address, probe)
        && address_fits(rule, far_side, far, group)
        && ports_fit(rule, "dst_ports", probe.port)
}

pub(super) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn protocol_fits(rule: &Value, address: IpAddr, probe: ProbeSpec) -> bool {
    let ethertype = rule["ethertype"].as_str();
    if ethertype.is_some_and(|e| (e == "IPv6") == address.is_ipv4()) {
        return false;
    }
    let name = rule["protocol"].as_str().unwrap_or("any").to_lowercase();
    match (probe.proto, address) {
        _ if name == "any" => true,
        (Proto::Tcp, _) => matches!(name.as_str(), "tcp" | "6"),
        (Proto::Udp, _) => matches!(name.as_str(), "udp" | "17"),
        (Proto::Icmp, IpAddr::V4(_)) => matches!(name.as_str(), "icmp" | "1"),
        (Proto::Icmp, IpAddr::V6(_)) => {
            matches!(name.as_str(), "icmp6" | "icmpv6" | "ipv6-icmp" | "58")
                || (name == "icmp" && ethertype.is_some())
        }
    }
}

fn ports_fit(rule: &Value, key: &str, port: u16) -> bool {
    let ranges = list(rule, key);
    let bound = |range: &Value, key: &str, default: i64| range[key].as_i64().unwrap_or(default);
    ranges.is_empty()
        || ranges.iter().any(|r| {
            let (start, end) = (bound(r, "start_port", 0), bound(r, "end_port", 65_535));
            start == -1 || (start..=end).contains(&i64::from(port))
        })
}

fn address_fits(rule: &Value, key: &str, end: &End, own: &str) -> bool {
    list(rule, key).iter().any(|address| {
        let name = |key: &str| address[key].as_str();
        let named = |name: &str, has: &dyn Fn(&str) -> bool| {
            name == "any" || has(if name == "local" { own } else { name })
        };
        let subnets = std::iter::once(&address["subnet"]).chain(list(address, "subnet_list"));
        let prefixes: Vec<IpNet> = subnets.filter_map(prefix).collect();
        if !prefixes.is_empty() {
            return prefixes.iter().any(|p| p.contains(&end.address));
        }
        name("virtual_network").is_some_and(|n| named(n, &|n| end.network == n))
            || name("security_group").is_some_and(|n| named(n, &|n| end.groups.iter().any(|g| g == n)))
    })
}

fn prefix(subnet: &Value) -> Option<IpNet> {
    let address: IpAddr = subnet["ip_prefix"].as_str()?.parse().ok()?;
    let length = u8::try_from(subnet["ip_prefix_len"].as_u64()?).ok()?;
    IpNet::new(address, length).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn end(address: &str, network: &str) -> End {
        End { address: address.parse().unwrap(), network: network.into(), groups: vec!["g".into()] }
    }

    #[test]
    fn policies_match_names_prefixes_ports_and_directions() {
        let rule = json!({"direction": ">", "protocol": "tcp", "src_addresses": [{"virtual_network": "a"}],
            "dst_addresses": [{"subnet": {"ip_prefix": "10.2.0.0", "ip_prefix_len": 16}}], "dst_ports": [{"start_port": 80, "end_port": 90}]});
        let (a, b) = (end("10.1.0.1", "a"), end("10.2.0.1", "b"));
        let tcp = |port| ProbeSpec { proto: Proto::Tcp, port };
        assert!(policy_fits(&rule, "a", &a, &b, tcp(85)));
        assert!(!policy_fits(&rule, "a", &a, &b, tcp(91)));
        assert!(!policy_fits(&rule, "a", &b, &a, tcp(85)));
        assert!(!policy_fits(&rule, "a", &a, &b, ProbeSpec { proto: Proto::Udp, port: 85 }));
        let both = json!({"direction": "<>", "src_addresses": [{"virtual_network": "a"}], "dst_addresses": [{"virtual_network": "local"}]});
        assert!(policy_fits(&both, "b", &b, &a, tcp(1)));
        assert!(!policy_fits(&both, "c", &b, &a, tcp(1)));
    }

    #[test]
    fn groups_match_the_far_end() {
        let rule = json!({"ethertype": "IPv4", "protocol": "tcp", "src_addresses": [{"security_group": "g"}],
            "dst_addresses": [{"security_group": "local"}], "dst_ports": [{"start_port": 22, "end_port": 22}]});
        let ssh = ProbeSpec { proto: Proto::Tcp, port: 22 };
        assert!(group_fits(&rule, "h", true, &end("10.0.0.1", "n"), ssh));
        assert!(!group_fits(&rule, "h", false, &end("10.0.0.1", "n"), ssh));
        assert!(!group_fits(&rule, "h", true, &end("fd00::1", "n"), ssh));
    }
}
