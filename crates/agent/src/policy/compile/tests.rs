//! Compiled entries against the plain evaluator, on random rules and flows.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::config::{Family, PortRange, Selector};
use crate::policy::evaluate::{Flow, evaluate};

const NETWORKS: [&str; 3] = ["d:p:a", "d:p:b", "d:p:c"];
const PREFIXES: [&str; 4] = ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "fd00::/16"];

fn selector() -> impl Strategy<Value = Selector> {
    (
        option::of(0..NETWORKS.len()),
        option::weighted(0.3, 1u32..4),
        option::weighted(0.3, vec(0..PREFIXES.len(), 1..3)),
    )
        .prop_map(|(network, security_group, subnets)| Selector {
            network: network.map(|n| NETWORKS[n].to_owned()),
            security_group,
            subnets: subnets.map(|s| s.into_iter().map(|n| PREFIXES[n].parse().unwrap()).collect()),
        })
}

fn ports() -> impl Strategy<Value = PortRange> {
    prop_oneof![
        3 => Just(PortRange::ALL),
        2 => (0u16..40, 0u16..40).prop_map(|(a, b)| PortRange { first: a.min(b), last: a.max(b) }),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(a, b)| PortRange { first: a.min(b), last: a.max(b) }),
    ]
}

fn protocol() -> impl Strategy<Value = u8> {
    prop_oneof![Just(6u8), Just(17), Just(1), Just(58), Just(132), Just(89)]
}

prop_compose! {
    fn rule()(
        uuid in 1u128..1000,
        protocol in option::of(protocol()),
        family in option::weighted(0.2, prop_oneof![Just(Family::Inet), Just(Family::Inet6)]),
        source in selector(),
        destination in selector(),
        source_ports in ports(),
        destination_ports in ports(),
        bidirectional in any::<bool>(),
        pass in any::<bool>(),
    ) -> Rule {
        Rule {
            uuid: Uuid::from_u128(uuid),
            protocol, family, source, destination, source_ports, destination_ports, bidirectional,
            action: if pass { Action::Pass } else { Action::Deny },
        }
    }
}

fn identity(v6: bool) -> impl Strategy<Value = IdentitySet> {
    (
        0..NETWORKS.len(),
        proptest::collection::btree_set(1u32..4, 0..3),
        proptest::collection::btree_set(0..PREFIXES.len(), 0..4),
    )
        .prop_map(move |(network, groups, prefixes)| IdentitySet {
            network: NETWORKS[network].to_owned(),
            groups,
            prefixes: prefixes.into_iter().map(|n| PREFIXES[n].parse().unwrap()).collect(),
            v6: Some(v6),
        })
}

/// The longest-prefix lookup of the forwarder, done slowly.
fn look_up(compiled: &Compiled, flow: Flow) -> Decision {
    let port = if has_ports(flow.protocol) { flow.destination_port } else { 0 };
    let hit = compiled
        .iter()
        .filter(|(slot, _)| match slot {
            Slot::Any => true,
            Slot::Ports { protocol, port: p, bits } => {
                let shift = 16 - u32::from(*bits);
                *protocol == flow.protocol && (u32::from(*p) >> shift) == (u32::from(port) >> shift)
            }
        })
        .max_by_key(|(slot, _)| match slot {
            Slot::Any => 0,
            Slot::Ports { bits, .. } => 1 + u32::from(*bits),
        })
        .unwrap();
    match &hit.1 {
        Outcome::Plain(decision) => *decision,
        Outcome::BySource(list) => {
            assert!(list.parts.len() <= RULE_LIST_ENTRIES);
            let hit = list.parts.iter().find(|(a, b, _)| (*a..=*b).contains(&flow.source_port));
            hit.map_or(Decision { allow: false, rule: list.otherwise }, |(_, _, d)| *d)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn tables_say_what_the_rules_say(
        gates in vec(vec(rule(), 0..10).prop_map(|rules| Gate { rules }), 0..3),
        v6 in any::<bool>(),
        ends in any::<bool>().prop_flat_map(|v6| (identity(v6), identity(v6))),
        egress in any::<bool>(),
        flows in vec((protocol(), prop_oneof![0u16..45, any::<u16>()], prop_oneof![0u16..45, any::<u16>()]), 1..40),
    ) {
        let (mut near, far) = ends;
        if v6 { near.v6 = None; }
        let direction = if egress { Direction::Egress } else { Direction::Ingress };
        let compiled = compile(&near, &far, direction, &gates);
        let slots: BTreeSet<_> = compiled.iter().map(|(slot, _)| *slot).collect();
        prop_assert_eq!(slots.len(), compiled.len(), "a key appears twice");
        for (protocol, source_port, destination_port) in flows {
            let flow = Flow { protocol, source_port, destination_port };
            let (action, rule) = evaluate(&near, &far, direction, &gates, flow);
            let got = look_up(&compiled, flow);
            prop_assert_eq!((got.allow, got.rule), (action == Action::Pass, rule), "{:?}", flow);
        }
    }

    #[test]
    fn prefixes_cover_exactly(a in any::<u16>(), b in any::<u16>()) {
        let (first, last) = (a.min(b), a.max(b));
        let mut next = u32::from(first);
        for (port, bits) in prefixes(first, last) {
            prop_assert_eq!(u32::from(port), next);
            prop_assert!(bits <= 16);
            next += 1u32 << (16 - bits);
        }
        prop_assert_eq!(next, u32::from(last) + 1);
    }
}

#[test]
fn too_many_source_ranges_deny_the_rest() {
    let parts: Vec<_> = (0..40u16)
        .map(|n| {
            let last = if n == 39 { u16::MAX } else { n * 10 + 9 };
            (n * 10, last, Decision { allow: n % 2 == 0, rule: Some(Uuid::from_u128(n.into())) })
        })
        .collect();
    let list = shorten(parts.clone());
    assert_eq!(list.parts.len(), RULE_LIST_ENTRIES);
    for (first, last, decision) in &parts {
        for port in [*first, *last] {
            let got = list.parts.iter().any(|(a, b, d)| d.allow && (*a..=*b).contains(&port));
            assert!(!got || decision.allow, "port {port} opened");
        }
    }
}

#[test]
fn the_answering_half_of_a_two_way_rule_fits_with_many_ports() {
    let rule = |n: u16| Rule {
        uuid: Uuid::from_u128(n.into()),
        protocol: Some(6),
        family: None,
        source: Selector::default(),
        destination: Selector::default(),
        source_ports: PortRange { first: n * 100, last: n * 100 },
        destination_ports: PortRange::ALL,
        bidirectional: false,
        action: Action::Pass,
    };
    let gate = Gate { rules: (1..=16).map(rule).collect() };
    let set = IdentitySet::default();
    let compiled = compile(&set, &set, Direction::Egress, &[gate]);
    for n in 1..=16 {
        let flow = Flow { protocol: 6, source_port: n * 100, destination_port: 5 };
        assert!(look_up(&compiled, flow).allow);
        assert!(!look_up(&compiled, Flow { source_port: n * 100 + 1, ..flow }).allow);
    }
}
