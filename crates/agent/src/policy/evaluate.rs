//! The meaning of the access lists, said plainly: one packet, rule by rule. The judge of [`super::compile`].

use uuid::Uuid;
use weft_dataplane::Direction;

use super::compile::has_ports;
use super::gates::Gate;
use super::identity::IdentitySet;
use crate::config::{Action, Family, NO_MATCH_RULE, Rule};

/// What identifies a flow for policy: the packet that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// IP protocol.
    pub protocol: u8,
    /// Source port (0 without ports).
    pub source_port: u16,
    /// Destination port (0 without ports).
    pub destination_port: u16,
}

/// The verdict on `flow` between `near` and `far`, and the rule that decided (none if no gate stands).
pub fn evaluate(
    near: &IdentitySet,
    far: &IdentitySet,
    direction: Direction,
    gates: &[Gate],
    flow: Flow,
) -> (Action, Option<Uuid>) {
    let mut decided = (Action::Pass, None);
    for gate in gates {
        let (action, rule) = match gate.rules.iter().find(|r| rule_matches(r, near, far, direction, flow)) {
            Some(rule) => (rule.action, rule.uuid),
            None => (Action::Deny, NO_MATCH_RULE),
        };
        if action == Action::Deny {
            return (action, Some(rule));
        }
        decided = (decided.0, decided.1.or(Some(rule)));
    }
    decided
}

/// Whether `rule` matches `flow`.
pub fn rule_matches(
    rule: &Rule,
    near: &IdentitySet,
    far: &IdentitySet,
    direction: Direction,
    flow: Flow,
) -> bool {
    let ports = !has_ports(flow.protocol)
        || (rule.source_ports.contains(flow.source_port)
            && rule.destination_ports.contains(flow.destination_port));
    rule.protocol.is_none_or(|p| p == flow.protocol) && ports && concerns(rule, near, far, direction)
}

/// Whether `rule` can match anything between these two, whatever protocol and ports.
pub fn concerns(rule: &Rule, near: &IdentitySet, far: &IdentitySet, direction: Direction) -> bool {
    let family = if far.v6.or(near.v6) == Some(true) { Family::Inet6 } else { Family::Inet };
    if rule.family.is_some_and(|f| f != family) {
        return false;
    }
    let (source, destination) = match direction {
        Direction::Egress => (near, far),
        Direction::Ingress => (far, near),
    };
    let forward = source.matches(&rule.source, family) && destination.matches(&rule.destination, family);
    forward
        || (rule.bidirectional
            && source.matches(&rule.destination, family)
            && destination.matches(&rule.source, family))
}
