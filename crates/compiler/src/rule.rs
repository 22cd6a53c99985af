//! Rules as configured, checked and brought into one form.

use crate::ProblemKind;
use std::net::IpAddr;
use weft_model::types::{ActionListType, AddressType, PolicyRuleType, PortType, SubnetType};

/// The name that stands for every network or every security group.
pub(crate) const ANY: &str = "any";
/// The name that stands for the network or security group the rule belongs to.
pub(crate) const LOCAL: &str = "local";

/// Protocols by name, as numbers (IANA), for IPv4.
const PROTOCOLS: &[(&str, &str)] = &[
    ("any", "any"),
    ("icmp", "1"),
    ("igmp", "2"),
    ("tcp", "6"),
    ("udp", "17"),
    ("gre", "47"),
    ("esp", "50"),
    ("ah", "51"),
    ("icmp6", "58"),
    ("icmpv6", "58"),
    ("ipv6-icmp", "58"),
    ("sctp", "132"),
];

/// Whose rules they are; decides on defaults and on what an address may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RuleKind {
    /// Of a network policy.
    Policy,
    /// Of a security group.
    Group,
}

/// A rule that can be expanded.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    /// Position in the policy, from 0.
    pub(crate) index: usize,
    pub(crate) uuid: Option<String>,
    pub(crate) bidirectional: bool,
    /// A number as text, or `any`.
    pub(crate) protocol: String,
    pub(crate) ethertype: Option<String>,
    pub(crate) sources: Vec<AddressType>,
    pub(crate) destinations: Vec<AddressType>,
    pub(crate) source_ports: Vec<PortType>,
    pub(crate) destination_ports: Vec<PortType>,
    pub(crate) action: ActionListType,
}

impl Rule {
    pub(crate) fn is_pass(&self) -> bool {
        self.action.simple_action.as_deref() == Some("pass")
    }

    /// Checks a configured rule.
    pub(crate) fn new(kind: RuleKind, index: usize, rule: &PolicyRuleType) -> Result<Self, ProblemKind> {
        let action = match kind {
            RuleKind::Policy => policy_action(rule)?,
            RuleKind::Group => ActionListType { simple_action: Some("pass".into()), ..Default::default() },
        };
        if rule.src_addresses.is_empty() {
            return Err(ProblemKind::Incomplete("source address"));
        }
        if rule.dst_addresses.is_empty() {
            return Err(ProblemKind::Incomplete("destination address"));
        }
        rule.src_addresses.iter().chain(&rule.dst_addresses).try_for_each(|a| check_address(kind, a))?;
        Ok(Self {
            index,
            uuid: rule.rule_uuid.clone(),
            bidirectional: rule.direction.as_deref() == Some("<>"),
            protocol: protocol(rule.protocol.as_deref().unwrap_or(ANY), rule.ethertype.as_deref())?,
            ethertype: rule.ethertype.clone(),
            sources: rule.src_addresses.clone(),
            destinations: rule.dst_addresses.clone(),
            source_ports: ports(kind, &rule.src_ports)?,
            destination_ports: ports(kind, &rule.dst_ports)?,
            action,
        })
    }
}

/// A policy rule must say what to do; what this version cannot do is refused rather than ignored.
fn policy_action(rule: &PolicyRuleType) -> Result<ActionListType, ProblemKind> {
    let action = rule.action_list.clone().ok_or(ProblemKind::Incomplete("action"))?;
    if !action.apply_service.is_empty() {
        return Err(ProblemKind::Unsupported("a service chain"));
    }
    if action.simple_action.is_none() {
        return Err(ProblemKind::Incomplete("simple action"));
    }
    Ok(action)
}

fn protocol(text: &str, ethertype: Option<&str>) -> Result<String, ProblemKind> {
    let lower = text.to_ascii_lowercase();
    if lower == "icmp" && ethertype == Some("IPv6") {
        return Ok("58".into());
    }
    if let Some((_, number)) = PROTOCOLS.iter().find(|(name, _)| *name == lower) {
        return Ok((*number).into());
    }
    let number: Result<u8, _> = lower.parse();
    number.map(|n| n.to_string()).map_err(|_| ProblemKind::Protocol(text.chars().take(64).collect()))
}

/// All ports, as the existing system writes it: -1 in network policies, the whole range in security groups.
pub(crate) fn all_ports(kind: RuleKind) -> PortType {
    let (start, end) = match kind {
        RuleKind::Policy => (-1, -1),
        RuleKind::Group => (0, i64::from(u16::MAX)),
    };
    PortType { start_port: Some(start), end_port: Some(end) }
}

fn ports(kind: RuleKind, list: &[PortType]) -> Result<Vec<PortType>, ProblemKind> {
    if list.is_empty() {
        return Ok(vec![all_ports(kind)]);
    }
    list.iter()
        .map(|ports| match (ports.start_port, ports.end_port) {
            (None, None) => Ok(all_ports(kind)),
            (start, end) => {
                let start = start.unwrap_or(0);
                let end = end.unwrap_or(i64::from(u16::MAX));
                let any = start == -1;
                let legal = (0..=i64::from(u16::MAX)).contains(&start)
                    && (start..=i64::from(u16::MAX)).contains(&end);
                if any {
                    Ok(all_ports(kind))
                } else if legal {
                    Ok(PortType { start_port: Some(start), end_port: Some(end) })
                } else {
                    Err(ProblemKind::Ports { start, end })
                }
            }
        })
        .collect()
}

fn check_address(kind: RuleKind, address: &AddressType) -> Result<(), ProblemKind> {
    let bad = |text: &str| Err(ProblemKind::Address(text.into()));
    let subnets = address.subnet.iter().chain(&address.subnet_list);
    for subnet in subnets.clone() {
        if prefix(subnet).is_none() {
            return bad(&format!("{subnet:?} is not a prefix"));
        }
    }
    let named = match kind {
        RuleKind::Policy if address.security_group.is_some() => {
            return Err(ProblemKind::Unsupported("a security group in a network policy"));
        }
        RuleKind::Group if address.virtual_network.is_some() || address.network_policy.is_some() => {
            return Err(ProblemKind::Unsupported("a network in a security group"));
        }
        RuleKind::Policy => address.virtual_network.is_some() || address.network_policy.is_some(),
        RuleKind::Group => address.security_group.is_some(),
    };
    if address.virtual_network.is_some() && address.network_policy.is_some() {
        return bad("both a network and a network policy");
    }
    if !named && subnets.count() == 0 {
        return bad("it names nothing");
    }
    Ok(())
}

/// A configured subnet as a prefix.
pub(crate) fn prefix(subnet: &SubnetType) -> Option<ipnet::IpNet> {
    let address: IpAddr = subnet.ip_prefix.as_deref()?.parse().ok()?;
    let length = u8::try_from(subnet.ip_prefix_len?).ok()?;
    ipnet::IpNet::new(address, length).ok()
}
