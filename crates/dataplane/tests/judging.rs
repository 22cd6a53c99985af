//! Routes, reverse-path check and precedence of verdicts, on small tables.

use std::collections::BTreeMap;

use weft_dataplane::flow::{FlowKey, FlowKey4};
use weft_dataplane::judge::{Entry, Judgement, Link, Tables, judge};
use weft_dataplane::tables::*;
use weft_dataplane::verdict::{ACTION_ALLOW, ACTION_DENY, ACTION_LIST};
use weft_dataplane::{Direction, DropReason, Pod, PortRule, RuleList, Verdict, VerdictKey};

/// Tables with exact IPv4 routes only: enough to judge with.
#[derive(Default)]
struct Plain {
    routes: BTreeMap<(u16, [u8; 4]), Route>,
    bridge: BTreeMap<BridgeKey, BridgeEntry>,
    next_hops: BTreeMap<u32, NextHop>,
    verdicts: Vec<(VerdictKey, Verdict)>,
    lists: BTreeMap<u32, RuleList>,
}

fn bits(key: &VerdictKey) -> u128 {
    let mut bytes = [0; 16];
    bytes[..12].copy_from_slice(&key.as_bytes()[4..]);
    u128::from_be_bytes(bytes)
}

impl Tables for Plain {
    fn route4(&self, vrf: u16, addr: [u8; 4]) -> Option<&Route> {
        self.routes.get(&(vrf, addr))
    }

    fn route6(&self, _: u16, _: &[u8; 16]) -> Option<&Route> {
        None
    }

    fn bridge(&self, key: &BridgeKey) -> Option<&BridgeEntry> {
        self.bridge.get(key)
    }

    fn next_hop(&self, index: u32) -> Option<&NextHop> {
        self.next_hops.get(&index)
    }

    fn verdict(&self, key: &VerdictKey) -> Option<&Verdict> {
        let covers = |entry: &VerdictKey| {
            let shift = 128 - entry.prefix_len;
            bits(entry) >> shift == bits(key) >> shift
        };
        let matching = self.verdicts.iter().filter(|(entry, _)| covers(entry));
        matching.max_by_key(|(entry, _)| entry.prefix_len).map(|(_, verdict)| verdict)
    }

    fn rule_list(&self, index: u32) -> Option<&RuleList> {
        self.lists.get(&index)
    }

    fn generation(&self, vrf: u16) -> u32 {
        u32::from(vrf) * 10
    }
}

const LINK: Link = Link { bridged: false, dst: [0; 6], src: [0; 6] };
const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];

fn interface(flags: u32) -> Interface {
    Interface { kind: INTERFACE_WORKLOAD, vrf: 1, flags, identity: 7, slot: 3, ..Interface::zeroed() }
}

fn local(ifindex: u32, identity: u32) -> NextHop {
    NextHop { kind: NEXT_HOP_INTERFACE, flags: NH_POLICY, vrf: 1, ifindex, identity, ..NextHop::zeroed() }
}

fn route(next_hop: u32, identity: u32) -> Route {
    Route { next_hop, identity, ..Route::zeroed() }
}

/// A (identity 7, interface 5) and B (identity 8, interface 6), both here.
fn tables() -> Plain {
    let mut t = Plain::default();
    t.next_hops.insert(1, local(5, 7));
    t.next_hops.insert(2, local(6, 8));
    t.routes.insert((1, A), route(1, 7));
    t.routes.insert((1, B), route(2, 8));
    t
}

fn tcp_key(sport: u16, dport: u16) -> FlowKey4 {
    let (sport, dport) = (sport.to_be_bytes(), dport.to_be_bytes());
    FlowKey4 { src: A, dst: B, sport, dport, zone: 1, protocol: 6, reserved: 0 }
}

fn ask(t: &Plain, interface: &Interface, key: &FlowKey4, reverse: bool) -> Result<Judgement, DropReason> {
    let ifindex = if key.src == A { 5 } else { 6 };
    let mut judgement = Judgement::EMPTY;
    judge(t, Entry::Workload { ifindex, interface }, key, &LINK, reverse, &mut judgement)?;
    Ok(judgement)
}

fn verdict(action: u32, rule: u32, list: u32) -> Verdict {
    Verdict { action, rule, list }
}

#[test]
fn both_ends_must_allow_and_the_rule_is_named() {
    let mut t = tables();
    let sender = interface(IF_POLICY | IF_RPF);
    let key = tcp_key(1000, 80);
    assert_eq!(ask(&t, &sender, &key, false).map(|j| j.denied), Ok(Some(DropReason::NoVerdict)));
    t.verdicts.push((VerdictKey::pair(7, 8, Direction::Egress), verdict(ACTION_ALLOW, 1, 0)));
    assert_eq!(ask(&t, &sender, &key, false).map(|j| j.denied), Ok(Some(DropReason::NoVerdict)));
    t.verdicts.push((VerdictKey::pair(8, 7, Direction::Ingress), verdict(ACTION_DENY, 2, 0)));
    let denied = ask(&t, &sender, &key, false).expect("judged");
    assert_eq!((denied.denied, denied.rule), (Some(DropReason::Policy), 2));
    t.verdicts.push((VerdictKey::ports(8, 7, Direction::Ingress, 6, 80, 16), verdict(ACTION_ALLOW, 3, 0)));
    let allowed = ask(&t, &sender, &key, false).expect("judged");
    assert_eq!((allowed.denied, allowed.rule, allowed.local), (None, 3, true));
    assert_eq!((allowed.way.next_hop, allowed.back.next_hop, allowed.back_ifindex), (2, 1, 6));
    let other_port = ask(&t, &sender, &tcp_key(1000, 81), false).expect("judged");
    assert_eq!(other_port.denied, Some(DropReason::Policy));
}

#[test]
fn answers_follow_the_openers_verdict() {
    let mut t = tables();
    t.verdicts.push((VerdictKey::ports(7, 8, Direction::Egress, 6, 80, 16), verdict(ACTION_ALLOW, 1, 0)));
    t.verdicts.push((VerdictKey::ports(8, 7, Direction::Ingress, 6, 80, 16), verdict(ACTION_ALLOW, 1, 0)));
    let answer = tcp_key(1000, 80).reversed(1);
    let b = Interface { identity: 8, ..interface(IF_POLICY) };
    assert_eq!(ask(&t, &b, &answer, true).map(|j| j.denied), Ok(None));
    assert_eq!(ask(&t, &b, &answer, false).map(|j| j.denied), Ok(Some(DropReason::NoVerdict)));
}

#[test]
fn source_ports_are_decided_by_the_first_match() {
    let mut t = tables();
    let rule = |source_low, source_high, action: u32, rule| {
        let action = action as u16;
        PortRule { source_low, source_high, action, reserved: 0, rule }
    };
    let mut list = RuleList::zeroed();
    list.count = 2;
    list.rules[0] = rule(100, 200, ACTION_DENY, 11);
    list.rules[1] = rule(0, 1000, ACTION_ALLOW, 12);
    list.rules[2] = rule(0, 65535, ACTION_ALLOW, 13);
    t.lists.insert(4, list);
    t.verdicts.push((VerdictKey::pair(7, 8, Direction::Egress), verdict(ACTION_LIST, 9, 4)));
    t.verdicts.push((VerdictKey::pair(8, 7, Direction::Ingress), verdict(ACTION_ALLOW, 0, 0)));
    let judged = |sport| {
        let j = ask(&t, &interface(IF_POLICY), &tcp_key(sport, 80), false).expect("judged");
        (j.denied.is_none(), j.rule)
    };
    assert_eq!([judged(150), judged(500), judged(5000)], [(false, 11), (true, 12), (false, 9)]);
    t.lists.clear();
    let missing = ask(&t, &interface(IF_POLICY), &tcp_key(1, 80), false);
    assert_eq!(missing, Err(DropReason::RuleListMissing));
}

#[test]
fn the_source_must_be_the_interfaces_own() {
    let mut t = tables();
    let sender = interface(IF_RPF);
    let key = FlowKey4 { src: [10, 0, 0, 9], ..tcp_key(1, 2) };
    let mut judgement = Judgement::EMPTY;
    let entry = Entry::Workload { ifindex: 5, interface: &sender };
    assert_eq!(judge(&t, entry, &key, &LINK, false, &mut judgement), Err(DropReason::SpoofedSource));
    t.routes.insert((1, key.src), route(2, 8));
    assert_eq!(judge(&t, entry, &key, &LINK, false, &mut judgement), Err(DropReason::SpoofedSource));
    t.routes.insert((1, key.src), route(1, 7));
    assert_eq!(judge(&t, entry, &key, &LINK, false, &mut judgement), Ok(()));
}

#[test]
fn bridged_frames_go_by_mac_and_are_judged_by_address() {
    let mut t = tables();
    let link = Link { bridged: true, dst: [2, 0, 0, 0, 0, 2], src: [2, 0, 0, 0, 0, 1] };
    let sender = interface(IF_POLICY | IF_RPF);
    let entry = Entry::Workload { ifindex: 5, interface: &sender };
    let (key, mut j) = (tcp_key(1, 2), Judgement::EMPTY);
    assert_eq!(judge(&t, entry, &key, &link, false, &mut j), Err(DropReason::UnknownUnicast));
    t.bridge.insert(BridgeKey { vrf: 1, mac: link.dst }, BridgeEntry { next_hop: 2, identity: 99 });
    assert_eq!(judge(&t, entry, &key, &link, false, &mut j), Ok(()));
    assert_eq!((j.way.next_hop, j.way.identity, j.way.bridged, j.way.dmac), (2, 8, true, link.dst));
    assert!(!j.back.bridged, "the sender's MAC is not known: its answers are routed");
}
