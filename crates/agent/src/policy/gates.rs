//! The access lists that traffic of an interface must pass.

use std::collections::BTreeSet;

use ipnet::IpNet;
use weft_dataplane::Direction;

use crate::config::{Acl, Interface, Rule, Selector, View};

/// One list: the first rule that matches decides, no match denies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// The rules, in order.
    pub rules: Vec<Rule>,
}

/// The gates of one interface; traffic must pass all of a direction. No gate lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// For flows that the interface opens.
    pub egress: Vec<Gate>,
    /// For flows opened towards it.
    pub ingress: Vec<Gate>,
}

impl Gates {
    /// The gates of `interface`: its network's access lists, then its security groups together.
    pub fn of(interface: &Interface, view: &View) -> Self {
        let mut gates = Self::default();
        if interface.disable_policy {
            return gates;
        }
        if let Some(network) = view.networks.get(&interface.network) {
            for acl in &network.acls {
                gates.egress.push(Gate { rules: acl.rules.clone() });
                gates.ingress.push(Gate { rules: acl.rules.clone() });
            }
        }
        if interface.port_security && !interface.security_groups.is_empty() {
            gates.egress.push(group_gate(interface, view, Direction::Egress));
            gates.ingress.push(group_gate(interface, view, Direction::Ingress));
        }
        gates
    }

    /// The gates for flows of `direction`.
    pub fn of_direction(&self, direction: Direction) -> &[Gate] {
        match direction {
            Direction::Egress => &self.egress,
            Direction::Ingress => &self.ingress,
        }
    }

    /// Whether everything passes.
    pub fn is_open(&self) -> bool {
        self.egress.is_empty() && self.ingress.is_empty()
    }

    /// Every prefix that a rule mentions.
    pub fn prefixes(&self) -> BTreeSet<IpNet> {
        let rules = self.egress.iter().chain(&self.ingress).flat_map(|g| &g.rules);
        let selectors = rules.flat_map(|r| [&r.source, &r.destination]);
        selectors.flat_map(selector_prefixes).copied().collect()
    }
}

fn selector_prefixes(selector: &Selector) -> impl Iterator<Item = &IpNet> {
    selector.subnets.iter().flatten()
}

/// All of an interface's groups are one gate: what any of them lets pass, passes. A group whose list has not arrived
/// lets nothing pass.
fn group_gate(interface: &Interface, view: &View, direction: Direction) -> Gate {
    let groups = interface.security_groups.iter().filter_map(|name| view.security_groups.get(name));
    let acls = groups.filter_map(|group| match direction {
        Direction::Egress => group.egress.as_ref(),
        Direction::Ingress => group.ingress.as_ref(),
    });
    Gate { rules: acls.flat_map(|acl: &Acl| acl.rules.iter().cloned()).collect() }
}
