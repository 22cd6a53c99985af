//! Access-control lists in the form the policy compiler works on.

use ipnet::IpNet;
use serde::Serialize;
use uuid::{Uuid, uuid};
use weft_model::types::{AclEntriesType, AclRuleType, AddressType, PortType, SubnetType};

/// The rule that is taken to stand at the end of every access list: deny what nothing matched.
pub const NO_MATCH_RULE: Uuid = uuid!("00000000-0000-0000-0000-000000000002");

/// What a rule does with the traffic it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let it through.
    Pass,
    /// Drop it.
    Deny,
}

/// Address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Family {
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct PortRange {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

impl PortRange {
    /// All ports.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// Whether `port` is within the range.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }

    /// -1 (or nothing) stands for any port, as in the existing system.
    fn from_config(ports: Option<&PortType>) -> Option<Self> {
        let Some(ports) = ports else { return Some(Self::ALL) };
        let (first, last) = (ports.start_port.unwrap_or(-1), ports.end_port.unwrap_or(-1));
        if first == -1 {
            return Some(Self::ALL);
        }
        let first = u16::try_from(first).ok()?;
        let last = u16::try_from(if last == -1 { first.into() } else { last }).ok()?;
        (first <= last).then_some(Self { first, last })
    }
}

/// What one end of the traffic must be. Everything stated must hold; nothing stated matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Selector {
    /// Member of this virtual network.
    pub network: Option<String>,
    /// Member of the security group of this number.
    pub security_group: Option<u32>,
    /// Address within one of these.
    pub subnets: Option<Vec<IpNet>>,
}

impl Selector {
    fn from_config(address: Option<&AddressType>) -> Result<Self, String> {
        let Some(address) = address else { return Ok(Self::default()) };
        let named = |text: &Option<String>| text.clone().filter(|t| !t.is_empty() && t != "any");
        let security_group = match address.security_group.as_deref() {
            None | Some("" | "-1" | "any") => None,
            Some(id) => Some(id.parse().map_err(|_| format!("security group {id:?} is not a number"))?),
        };
        let mut subnets = Vec::new();
        for subnet in address.subnet.iter().chain(&address.subnet_list) {
            subnets.push(subnet_of(subnet).ok_or_else(|| format!("bad subnet {subnet:?}"))?);
        }
        Ok(Self {
            network: named(&address.virtual_network),
            security_group,
            subnets: (!subnets.is_empty()).then_some(subnets),
        })
    }
}

/// `subnet` as a prefix, if it is one.
pub(super) fn subnet_of(subnet: &SubnetType) -> Option<IpNet> {
    let address = subnet.ip_prefix.as_deref()?.parse().ok()?;
    let length = u8::try_from(subnet.ip_prefix_len?).ok()?;
    IpNet::new(address, length).ok().map(|net| net.trunc())
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// Identifies the rule to operators.
    pub uuid: Uuid,
    /// IP protocol; `None` for any.
    pub protocol: Option<u8>,
    /// Address family; `None` for both.
    pub family: Option<Family>,
    /// The sender.
    pub source: Selector,
    /// The receiver.
    pub destination: Selector,
    /// Source ports, for protocols that have them.
    pub source_ports: PortRange,
    /// Destination ports, for protocols that have them.
    pub destination_ports: PortRange,
    /// The rule also matches with sender and receiver exchanged (ports as they stand).
    pub bidirectional: bool,
    /// What happens.
    pub action: Action,
}

/// An ordered list of rules: the first that matches decides, and no match denies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Acl {
    /// The list's name.
    pub name: String,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

impl Acl {
    /// The list in `entries`. A rule that cannot be understood is reported in `problems` and replaced: a pass rule by
    /// nothing, a deny rule by one that denies everything (so that a mistake never opens what a rule meant to close).
    pub fn from_config(name: &str, entries: &AclEntriesType, problems: &mut Vec<String>) -> Self {
        let mut rules = Vec::with_capacity(entries.acl_rule.len());
        for (n, rule) in entries.acl_rule.iter().enumerate() {
            match rule_from(rule) {
                Ok(rule) => rules.push(rule),
                Err(reason) => {
                    problems.push(format!("access list {name}, rule {n}: {reason}"));
                    if action_of(rule) == Action::Deny {
                        rules.push(deny_all(uuid_of(rule)));
                    }
                }
            }
        }
        Self { name: name.to_owned(), rules }
    }
}

fn deny_all(uuid: Uuid) -> Rule {
    Rule {
        uuid,
        protocol: None,
        family: None,
        source: Selector::default(),
        destination: Selector::default(),
        source_ports: PortRange::ALL,
        destination_ports: PortRange::ALL,
        bidirectional: false,
        action: Action::Deny,
    }
}

fn uuid_of(rule: &AclRuleType) -> Uuid {
    let text = rule.rule_uuid.as_deref().unwrap_or_default();
    Uuid::parse_str(text).unwrap_or(Uuid::nil())
}

fn action_of(rule: &AclRuleType) -> Action {
    let action = rule.action_list.as_ref().and_then(|a| a.simple_action.as_deref());
    if action == Some("deny") { Action::Deny } else { Action::Pass }
}

fn rule_from(rule: &AclRuleType) -> Result<Rule, String> {
    let condition = rule.match_condition.clone().unwrap_or_default();
    let ports = |p: &Option<PortType>| PortRange::from_config(p.as_ref()).ok_or("bad port range");
    Ok(Rule {
        uuid: uuid_of(rule),
        protocol: protocol_number(condition.protocol.as_deref())?,
        family: match condition.ethertype.as_deref() {
            Some("IPv4") => Some(Family::Inet),
            Some("IPv6") => Some(Family::Inet6),
            _ => None,
        },
        source: Selector::from_config(condition.src_address.as_ref())?,
        destination: Selector::from_config(condition.dst_address.as_ref())?,
        source_ports: ports(&condition.src_port)?,
        destination_ports: ports(&condition.dst_port)?,
        bidirectional: rule.direction.as_deref() == Some("<>"),
        action: action_of(rule),
    })
}

/// `any`, a name or a number. Of `icmp` the number is that of IPv4; the compiler adds ICMPv6 beside it.
fn protocol_number(text: Option<&str>) -> Result<Option<u8>, String> {
    let Some(text) = text else { return Ok(None) };
    match text.to_ascii_lowercase().as_str() {
        "any" | "" => Ok(None),
        "icmp" => Ok(Some(1)),
        "tcp" => Ok(Some(6)),
        "udp" => Ok(Some(17)),
        "icmp6" | "icmpv6" | "ipv6-icmp" => Ok(Some(58)),
        "sctp" => Ok(Some(132)),
        number => number.parse().map(Some).map_err(|_| format!("unknown protocol {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn acl(rules: serde_json::Value) -> (Acl, Vec<String>) {
        let entries: AclEntriesType = serde_json::from_value(json!({ "acl_rule": rules })).unwrap();
        let mut problems = Vec::new();
        let acl = Acl::from_config("a", &entries, &mut problems);
        (acl, problems)
    }

    #[test]
    fn reads_a_rule() {
        let (acl, problems) = acl(json!([{
            "rule_uuid": "00000000-0000-0000-0000-0000000000aa",
            "direction": "<>",
            "action_list": {"simple_action": "pass"},
            "match_condition": {
                "protocol": "tcp", "ethertype": "IPv4",
                "src_address": {"virtual_network": "d:p:a"}, "src_port": {"start_port": -1, "end_port": -1},
                "dst_address": {"subnet": {"ip_prefix": "10.1.2.3", "ip_prefix_len": 24}},
                "dst_port": {"start_port": 80, "end_port": 81}
            }
        }]));
        assert!(problems.is_empty());
        let rule = &acl.rules[0];
        assert_eq!((rule.protocol, rule.family, rule.bidirectional), (Some(6), Some(Family::Inet), true));
        assert_eq!(rule.source.network.as_deref(), Some("d:p:a"));
        assert_eq!(rule.destination.subnets, Some(vec!["10.1.2.0/24".parse().unwrap()]));
        assert_eq!(rule.destination_ports, PortRange { first: 80, last: 81 });
        assert_eq!(rule.source_ports, PortRange::ALL);
    }

    #[test]
    fn what_is_not_understood_closes_rather_than_opens() {
        let (acl, problems) = acl(json!([
            {"action_list": {"simple_action": "pass"}, "match_condition": {"protocol": "quic"}},
            {"action_list": {"simple_action": "deny"}, "match_condition": {"dst_port": {"start_port": 9, "end_port": 3}}}
        ]));
        assert_eq!(problems.len(), 2);
        assert_eq!(acl.rules.len(), 1);
        assert_eq!(acl.rules[0].action, Action::Deny);
        assert_eq!(acl.rules[0].destination_ports, PortRange::ALL);
    }
}
