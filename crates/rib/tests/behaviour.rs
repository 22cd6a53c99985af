//! Single behaviours, one by one.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use weft_model::RouteTarget;
use weft_rib::{Attributes, Criterion, EncapSet, Limits, PeerId, Prefix, RiConfig, Rib, RibError};

const A: PeerId = PeerId(1);
const B: PeerId = PeerId(2);
const C: PeerId = PeerId(3);

fn instance(name: &str, import: &[u32], export: &[u32]) -> RiConfig {
    let set = |n: &[u32]| n.iter().map(|n| RouteTarget::new(64512, *n).unwrap()).collect::<BTreeSet<_>>();
    RiConfig {
        name: name.into(),
        virtual_network: format!("vn-{name}"),
        import: set(import),
        export: set(export),
    }
}

fn host(peer: PeerId) -> Attributes {
    Attributes::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, peer.0 as u8)), 20, EncapSet::UDP)
}

fn v4(text: &str) -> Prefix {
    Prefix::unicast(text.parse().unwrap())
}

fn red_and_blue() -> Rib {
    let mut rib = Rib::new(Limits::default());
    rib.configure(instance("red", &[1, 2], &[1]));
    rib.configure(instance("blue", &[1, 2], &[2]));
    rib
}

#[test]
fn imported_paths_keep_origin_and_distinguisher() {
    let mut rib = red_and_blue();
    rib.subscribe(A, "red", 7, true).unwrap();
    rib.subscribe(B, "blue", 1, true).unwrap();
    rib.announce(A, "red", v4("10.0.0.3/32"), host(A)).unwrap();
    let update = rib.poll().unwrap();
    assert_eq!((update.peer, &*update.ri), (B, "blue"));
    let paths = update.paths.unwrap();
    assert_eq!(&*paths[0].origin_vn, "vn-red");
    assert_eq!(paths[0].rd.to_string(), "192.0.2.1:7");
    assert_eq!(rib.poll(), None, "the announcer is not told of its own path");
}

#[test]
fn own_path_comes_back_in_another_instance() {
    let mut rib = red_and_blue();
    rib.subscribe(A, "red", 1, true).unwrap();
    rib.subscribe(A, "blue", 2, true).unwrap();
    rib.announce(A, "red", v4("10.0.0.3/32"), host(A)).unwrap();
    let update = rib.poll().unwrap();
    assert_eq!(&*update.ri, "blue");
    assert_eq!(rib.poll(), None);
}

#[test]
fn equal_paths_are_used_together_and_better_ones_alone() {
    let mut rib = red_and_blue();
    for peer in [A, B, C] {
        rib.subscribe(peer, "red", 1, true).unwrap();
    }
    rib.announce(A, "red", v4("10.0.0.3/32"), host(A)).unwrap();
    rib.announce(B, "red", v4("10.0.0.3/32"), host(B)).unwrap();
    let to_c = std::iter::from_fn(|| rib.poll()).find(|u| u.peer == C).unwrap();
    assert_eq!(to_c.paths.unwrap().len(), 2);
    let better = Attributes { local_pref: 200, ..host(B) };
    rib.announce(B, "red", v4("10.0.0.3/32"), better).unwrap();
    let to_c = std::iter::from_fn(|| rib.poll()).find(|u| u.peer == C).unwrap();
    assert_eq!(to_c.paths.unwrap().len(), 1);
    let route = rib.routes("red").next().unwrap();
    assert_eq!(route.paths[1].lost_by, Some(Criterion::LocalPreference));
}

#[test]
fn restart_of_an_agent_is_not_seen_by_others() {
    let mut rib = red_and_blue();
    for peer in [A, B] {
        rib.subscribe(peer, "red", 1, true).unwrap();
    }
    rib.announce(A, "red", v4("10.0.0.3/32"), host(A)).unwrap();
    rib.announce(A, "red", v4("10.0.0.4/32"), host(A)).unwrap();
    while rib.poll().is_some() {}
    rib.peer_stale(A);
    assert_eq!(rib.poll(), None);
    rib.subscribe(A, "red", 9, true).unwrap();
    rib.announce(A, "red", v4("10.0.0.3/32"), host(A)).unwrap();
    assert_eq!(rib.poll(), None, "another instance id is nothing agents are told");
    assert_eq!(rib.sweep_stale(A).removed, 1);
    let update = rib.poll().unwrap();
    assert_eq!((update.prefix, update.paths), (v4("10.0.0.4/32"), None));
}

#[test]
fn instance_ids_given_anew_in_another_order_are_not_seen_by_others() {
    let mut rib = red_and_blue();
    rib.configure(instance("green", &[1, 2], &[]));
    rib.subscribe(B, "green", 1, true).unwrap();
    let both = |rib: &mut Rib, numbers: [u16; 2]| {
        for (name, number) in ["red", "blue"].into_iter().zip(numbers) {
            rib.subscribe(A, name, number, false).unwrap();
            rib.announce(A, name, v4("10.0.0.3/32"), host(A)).unwrap();
        }
    };
    both(&mut rib, [1, 2]);
    assert_eq!(std::iter::from_fn(|| rib.poll()).last().unwrap().paths.unwrap().len(), 2);
    rib.peer_stale(A);
    both(&mut rib, [2, 1]);
    assert_eq!(rib.poll(), None, "the same two paths, whatever their distinguishers");
}

#[test]
fn stale_path_yields_to_one_that_appears_later_but_not_to_its_companions() {
    let mut rib = red_and_blue();
    for peer in [A, B, C] {
        rib.subscribe(peer, "red", 1, true).unwrap();
    }
    let prefix = v4("10.0.0.3/32");
    rib.announce(A, "red", prefix, host(A)).unwrap();
    rib.announce(B, "red", prefix, host(B)).unwrap();
    rib.peer_stale(A);
    let used = |rib: &Rib| rib.routes("red").next().unwrap().paths.iter().filter(|p| p.selected).count();
    assert_eq!(used(&rib), 2, "companions stay together");
    rib.announce(C, "red", prefix, host(C)).unwrap();
    let route = rib.routes("red").next().unwrap();
    let lost: Vec<_> = route.paths.iter().filter_map(|p| p.lost_by).collect();
    assert_eq!(lost, [Criterion::Superseded]);
}

#[test]
fn updates_are_coalesced() {
    let mut rib = red_and_blue();
    rib.subscribe(A, "red", 1, true).unwrap();
    rib.subscribe(B, "red", 1, true).unwrap();
    for label in 16..1000 {
        let path = Attributes { label, ..host(A) };
        rib.announce(A, "red", v4("10.0.0.3/32"), path).unwrap();
    }
    let update = rib.poll().unwrap();
    assert_eq!(update.paths.unwrap()[0].attributes.label, 999);
    rib.announce(A, "red", v4("10.0.0.9/32"), host(A)).unwrap();
    rib.withdraw(A, "red", v4("10.0.0.9/32")).unwrap();
    assert_eq!(rib.poll(), None, "what came and went was never told");
}

#[test]
fn parked_subscription_and_routes_take_effect_with_the_instance() {
    let mut rib = Rib::new(Limits { parked_routes: 1, ..Limits::default() });
    rib.subscribe(A, "late", 1, true).unwrap();
    rib.subscribe(B, "late", 1, true).unwrap();
    rib.announce(A, "late", v4("10.0.0.3/32"), host(A)).unwrap();
    let second = rib.announce(A, "late", v4("10.0.0.4/32"), host(A));
    assert_eq!(second, Err(RibError::TooManyParkedRoutes(1)));
    assert_eq!(rib.poll(), None);
    rib.configure(instance("late", &[1], &[1]));
    let update = rib.poll().unwrap();
    assert_eq!(update.peer, B);
    assert_eq!(&*update.paths.unwrap()[0].origin_vn, "vn-late");
    rib.remove("late");
    assert_eq!(rib.poll().unwrap().paths, None);
}

#[test]
fn flood_list_has_everyone_but_the_receiver_and_stays_in_its_network() {
    let mut rib = red_and_blue();
    let flood = Prefix::Evpn { tag: 0, mac: [0xff; 6], ip: None };
    for peer in [A, B, C] {
        rib.subscribe(peer, "red", 1, true).unwrap();
        rib.announce(peer, "red", flood, host(peer)).unwrap();
    }
    rib.subscribe(A, "blue", 2, true).unwrap();
    let updates: Vec<_> = std::iter::from_fn(|| rib.poll()).collect();
    assert_eq!(updates.len(), 3);
    for update in updates {
        assert_eq!(&*update.ri, "red");
        let members: Vec<_> = update.paths.unwrap().iter().map(|p| p.attributes.next_hop).collect();
        assert_eq!(members.len(), 2);
        assert!(!members.contains(&host(update.peer).next_hop));
    }
}

#[test]
fn bounds_are_kept() {
    let mut rib = Rib::new(Limits { routes: 2, parked_routes: 9, subscriptions: 1 });
    rib.configure(instance("red", &[], &[]));
    rib.subscribe(A, "red", 1, true).unwrap();
    assert_eq!(rib.subscribe(A, "blue", 1, true), Err(RibError::TooManySubscriptions(1)));
    rib.announce(A, "red", v4("10.0.0.1/32"), host(A)).unwrap();
    rib.announce(A, "red", v4("10.0.0.2/32"), host(A)).unwrap();
    rib.announce(A, "red", v4("10.0.0.2/32"), host(A)).unwrap();
    let third = rib.announce(A, "red", v4("10.0.0.3/32"), host(A));
    assert_eq!(third, Err(RibError::TooManyRoutes(2)));
    let stranger = rib.announce(B, "red", v4("10.0.0.3/32"), host(B));
    assert_eq!(stranger, Err(RibError::NotSubscribed("red".into())));
}
