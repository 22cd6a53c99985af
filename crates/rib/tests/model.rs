//! Random sequences of operations against an obvious model that computes everything from scratch: after any sequence the
//! tables, and what each subscriber holds from replaying its updates, are what configuration, subscriptions and
//! announcements say.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use weft_model::RouteTarget;
use weft_rib::{Attributes, EncapSet, Limits, PeerId, Prefix, RiConfig, Rib};

const PEERS: u64 = 3;
const INSTANCES: usize = 4;

fn name(ri: usize) -> String {
    format!("ri{ri}")
}

fn prefixes() -> Vec<Prefix> {
    vec![
        Prefix::unicast("10.0.0.0/24".parse().unwrap()),
        Prefix::unicast("10.0.0.3/32".parse().unwrap()),
        Prefix::unicast("fd00::3/128".parse().unwrap()),
        Prefix::Evpn { tag: 0, mac: [2, 0, 0, 0, 0, 1], ip: None },
        Prefix::Evpn { tag: 7, mac: [2, 0, 0, 0, 0, 1], ip: Some("10.0.0.3/32".parse().unwrap()) },
        Prefix::Evpn { tag: 0, mac: [0xff; 6], ip: None },
        Prefix::Evpn { tag: 0, mac: [0; 6], ip: Some("10.0.0.0/24".parse().unwrap()) },
    ]
}

#[derive(Debug, Clone)]
enum Op {
    Configure(usize, u8, u8, u8),
    Remove(usize),
    Subscribe(u64, usize, u16, bool),
    Unsubscribe(u64, usize),
    Announce(u64, usize, usize, Choice),
    Withdraw(u64, usize, usize),
    Down(u64),
    Stale(u64),
    Sweep(u64),
    Drain(u8),
    DrainPeer(u64, u8),
}

#[derive(Debug, Clone)]
struct Choice {
    local_pref: bool,
    med: bool,
    sticky: bool,
    seq: bool,
    usable: bool,
    group: u8,
}

fn choice() -> impl Strategy<Value = Choice> {
    (
        prop::bool::weighted(0.3),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.9),
        0u8..2,
    )
        .prop_map(|(local_pref, med, sticky, seq, usable, group)| Choice {
            local_pref,
            med,
            sticky,
            seq,
            usable,
            group,
        })
}

fn op() -> impl Strategy<Value = Op> {
    let ri = 0..INSTANCES;
    let peer = 0..PEERS;
    let prefix = 0..prefixes().len();
    prop_oneof![
        4 => (ri.clone(), 0u8..8, 0u8..8, 0u8..2).prop_map(|(a, b, c, d)| Op::Configure(a, b, c, d)),
        1 => ri.clone().prop_map(Op::Remove),
        6 => (peer.clone(), ri.clone(), 1u16..3, prop::bool::weighted(0.9)).prop_map(|(a, b, c, d)| Op::Subscribe(a, b, c, d)),
        1 => (peer.clone(), ri.clone()).prop_map(|(a, b)| Op::Unsubscribe(a, b)),
        12 => (peer.clone(), ri.clone(), prefix.clone(), choice()).prop_map(|(a, b, c, d)| Op::Announce(a, b, c, d)),
        4 => (peer.clone(), ri, prefix).prop_map(|(a, b, c)| Op::Withdraw(a, b, c)),
        1 => peer.clone().prop_map(Op::Down),
        1 => peer.clone().prop_map(Op::Stale),
        1 => peer.clone().prop_map(Op::Sweep),
        2 => (0u8..10).prop_map(Op::Drain),
        1 => (peer, 0u8..10).prop_map(|(a, b)| Op::DrainPeer(a, b)),
    ]
}

fn targets(bits: u8) -> BTreeSet<RouteTarget> {
    (0..3)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(|bit| RouteTarget::new(64512, 8_000_000 + bit).unwrap())
        .collect()
}

fn attributes(peer: u64, choice: &Choice) -> Attributes {
    let next_hop = IpAddr::V4(Ipv4Addr::new(192, 0, 2, peer as u8));
    let encaps = if choice.usable { EncapSet::UDP } else { EncapSet::EMPTY };
    Attributes {
        local_pref: if choice.local_pref { 200 } else { 100 },
        med: u32::from(choice.med),
        sticky: choice.sticky,
        mobility_seq: u32::from(choice.seq),
        security_groups: vec![u32::from(choice.group)],
        ..Attributes::new(next_hop, 16 + u32::from(choice.group), encaps)
    }
}

#[derive(Debug, Clone)]
struct Announcement {
    attributes: Attributes,
    first_seen: u64,
    stale_since: Option<u64>,
}

#[derive(Default)]
struct Model {
    configs: BTreeMap<usize, (u8, u8, u8)>,
    subscriptions: BTreeMap<(u64, usize), bool>,
    announcements: BTreeMap<(u64, usize, Prefix), Announcement>,
    clock: u64,
}

/// What is compared of a path in use: its announcer, where it was announced, what it says, and its network.
type Usable = (u64, usize, String, String);

impl Model {
    fn network(&self, ri: usize) -> String {
        self.configs.get(&ri).map(|c| format!("vn{}", c.2)).unwrap_or_default()
    }

    fn imports(&self, to: usize, from: usize, prefix: &Prefix) -> bool {
        let (Some(a), Some(b)) = (self.configs.get(&to), self.configs.get(&from)) else { return false };
        let mac_route = matches!(prefix, Prefix::Evpn { mac, .. } if mac.iter().any(|b| *b != 0));
        to == from || (a.0 & b.1 != 0 && (!mac_route || a.2 == b.2))
    }

    fn used(&self, ri: usize, prefix: &Prefix) -> Vec<Usable> {
        let all: Vec<_> = self
            .announcements
            .iter()
            .filter(|((_, from, p), a)| {
                p == prefix && self.imports(ri, *from, p) && !a.attributes.encaps.is_empty()
            })
            .collect();
        let rank = |a: &Announcement| {
            let x = &a.attributes;
            (x.local_pref, x.sticky, x.mobility_seq, std::cmp::Reverse(x.med))
        };
        let best = all.iter().map(|(_, a)| rank(a)).max();
        let flood = prefix.is_flood();
        let equal: Vec<_> = all.into_iter().filter(|(_, a)| flood || Some(rank(a)) == best).collect();
        let newest = equal.iter().map(|(_, a)| a.first_seen).max().unwrap_or(0);
        equal
            .into_iter()
            .filter(|(_, a)| flood || a.stale_since.is_none_or(|since| newest < since))
            .map(|((peer, from, _), a)| (*peer, *from, format!("{:?}", a.attributes), self.network(*from)))
            .collect()
    }

    fn held(&self, peer: u64, ri: usize) -> Held {
        let mut held = BTreeMap::new();
        if self.subscriptions.get(&(peer, ri)) != Some(&true) {
            return held;
        }
        for prefix in prefixes() {
            let mut used = self.used(ri, &prefix);
            let own = |u: &Usable| u.0 == peer && u.1 == ri;
            if prefix.is_flood() || used.iter().all(own) {
                used.retain(|u| !own(u));
            }
            let mut paths: Vec<_> = used.into_iter().map(|(_, _, a, vn)| (a, vn)).collect();
            paths.sort();
            if !paths.is_empty() {
                held.insert(prefix, paths);
            }
        }
        held
    }
}

/// The routes a subscriber holds: per prefix, what each path says and its network.
type Held = BTreeMap<Prefix, Vec<(String, String)>>;

/// Both sides, and what subscribers hold from the updates they drained.
struct Run {
    rib: Rib,
    model: Model,
    replay: BTreeMap<(u64, usize), Held>,
}

impl Run {
    fn new() -> Self {
        Run { rib: Rib::new(Limits::default()), model: Model::default(), replay: BTreeMap::new() }
    }

    fn absorb(&mut self, update: weft_rib::Update) {
        let ri: usize = update.ri.trim_start_matches("ri").parse().unwrap();
        let table = self.replay.entry((update.peer.0, ri)).or_default();
        match update.paths {
            Some(paths) => {
                let mut paths: Vec<_> =
                    paths.iter().map(|p| (format!("{:?}", p.attributes), p.origin_vn.to_string())).collect();
                paths.sort();
                let old = table.insert(update.prefix, paths.clone());
                assert_ne!(old, Some(paths), "an update that changes nothing");
            }
            None => assert!(table.remove(&update.prefix).is_some(), "a retract of what was not held"),
        }
    }

    fn end_session(&mut self, peer: u64) {
        self.model.subscriptions.retain(|(p, _), _| *p != peer);
        self.replay.retain(|(p, _), _| *p != peer);
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Configure(ri, import, export, vn) => {
                self.model.configs.insert(*ri, (*import, *export, *vn));
                self.rib.configure(RiConfig {
                    name: name(*ri),
                    virtual_network: format!("vn{vn}"),
                    import: targets(*import),
                    export: targets(*export),
                });
            }
            Op::Remove(ri) => {
                self.model.configs.remove(ri);
                self.rib.remove(&name(*ri));
            }
            Op::Drain(count) => {
                for _ in 0..*count {
                    let Some(update) = self.rib.poll() else { break };
                    self.absorb(update);
                }
            }
            Op::DrainPeer(peer, count) => {
                for _ in 0..*count {
                    let Some(update) = self.rib.poll_peer(PeerId(*peer)) else { break };
                    assert_eq!(update.peer, PeerId(*peer));
                    self.absorb(update);
                }
            }
            other => self.apply_peer(other),
        }
    }

    fn apply_peer(&mut self, op: &Op) {
        match op {
            Op::Subscribe(peer, ri, number, receive) => {
                let fresh = !self.model.subscriptions.contains_key(&(*peer, *ri));
                let result = self.rib.subscribe(PeerId(*peer), &name(*ri), *number, *receive);
                assert_eq!(result.is_ok(), fresh);
                self.model.subscriptions.entry((*peer, *ri)).or_insert(*receive);
            }
            Op::Unsubscribe(peer, ri) => {
                let known = self.model.subscriptions.remove(&(*peer, *ri)).is_some();
                assert_eq!(self.rib.unsubscribe(PeerId(*peer), &name(*ri)).is_ok(), known);
                if known {
                    self.model.announcements.retain(|(p, r, _), _| p != peer || r != ri);
                    self.replay.remove(&(*peer, *ri));
                }
            }
            Op::Announce(peer, ri, prefix, choice) => self.announce(*peer, *ri, *prefix, choice),
            Op::Withdraw(peer, ri, prefix) => {
                let prefix = prefixes()[*prefix];
                if self.rib.withdraw(PeerId(*peer), &name(*ri), prefix).is_ok() {
                    self.model.announcements.remove(&(*peer, *ri, prefix));
                }
            }
            Op::Down(peer) => {
                self.rib.peer_down(PeerId(*peer));
                self.model.announcements.retain(|(p, ..), _| p != peer);
                self.end_session(*peer);
            }
            Op::Stale(peer) => {
                self.rib.peer_stale(PeerId(*peer));
                self.model.clock += 1;
                let clock = self.model.clock;
                for ((p, ..), a) in &mut self.model.announcements {
                    if p == peer {
                        a.stale_since.get_or_insert(clock);
                    }
                }
                self.end_session(*peer);
            }
            Op::Sweep(peer) => {
                let before = self.model.announcements.len();
                self.model.announcements.retain(|(p, ..), a| p != peer || a.stale_since.is_none());
                let removed = before - self.model.announcements.len();
                assert_eq!(self.rib.sweep_stale(PeerId(*peer)).removed, removed);
            }
            _ => unreachable!(),
        }
    }

    fn announce(&mut self, peer: u64, ri: usize, prefix: usize, choice: &Choice) {
        let prefix = prefixes()[prefix];
        let attributes = attributes(peer, choice);
        let allowed = self.model.subscriptions.contains_key(&(peer, ri));
        let result = self.rib.announce(PeerId(peer), &name(ri), prefix, attributes.clone());
        assert_eq!(result.is_ok(), allowed);
        if allowed {
            self.model.clock += 1;
            let first_seen = self.model.clock;
            let slot = self.model.announcements.entry((peer, ri, prefix)).or_insert(Announcement {
                attributes: attributes.clone(),
                first_seen,
                stale_since: None,
            });
            slot.attributes = attributes;
            slot.stale_since = None;
        }
    }

    fn check_tables(&self) {
        for ri in 0..INSTANCES {
            let mut expected: BTreeMap<Prefix, Vec<Usable>> = BTreeMap::new();
            for prefix in prefixes() {
                let mut used = self.model.used(ri, &prefix);
                used.sort();
                if !used.is_empty() {
                    expected.insert(prefix, used);
                }
            }
            let mut seen: BTreeMap<Prefix, Vec<Usable>> = BTreeMap::new();
            for route in self.rib.routes(&name(ri)) {
                assert!(!route.paths.is_empty());
                let selected = route.paths.iter().filter(|p| p.selected);
                let mut used: Vec<Usable> = selected
                    .map(|p| {
                        let origin = p.origin.trim_start_matches("ri").parse().unwrap();
                        (p.peer.0, origin, format!("{:?}", p.path.attributes), p.path.origin_vn.to_string())
                    })
                    .collect();
                used.sort();
                if !used.is_empty() {
                    seen.insert(route.prefix, used);
                }
            }
            assert_eq!(seen, expected, "routes in use of {}", name(ri));
        }
    }

    fn check_subscribers(&mut self) {
        while let Some(update) = self.rib.poll() {
            self.absorb(update);
        }
        for peer in 0..PEERS {
            for ri in 0..INSTANCES {
                let held = self.replay.get(&(peer, ri)).cloned().unwrap_or_default();
                assert_eq!(held, self.model.held(peer, ri), "peer {peer} in {}", name(ri));
            }
            let mine = self.model.announcements.iter().filter(|((p, ..), _)| *p == peer);
            let parked = mine.clone().filter(|((_, ri, _), _)| !self.model.configs.contains_key(ri)).count();
            let view = self.rib.peer(PeerId(peer));
            assert_eq!((view.announced, view.parked), (mine.count(), parked));
            assert_eq!(view.waiting, 0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]
    #[test]
    fn same_as_from_scratch(ops in prop::collection::vec(op(), 1..120)) {
        let mut run = Run::new();
        for (at, op) in ops.iter().enumerate() {
            run.apply(op);
            run.check_tables();
            if at % 16 == 15 {
                run.check_subscribers();
            }
        }
        run.check_subscribers();
        for peer in 0..PEERS {
            run.apply(&Op::Down(peer));
        }
        for ri in 0..INSTANCES {
            run.apply(&Op::Remove(ri));
        }
        prop_assert_eq!(run.rib.instances().count(), 0, "nothing is left behind");
    }
}
