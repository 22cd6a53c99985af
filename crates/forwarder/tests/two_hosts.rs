//! Packets between two hosts in namespaces, through every encapsulation.

mod common;

use common::*;
use weft_forwarder::dataplane::DropReason;

fn both_ways(mode: Mode) {
    let p = pair(mode);
    for to in [&p.w2.ip4, &p.w2.ip6] {
        assert!(p.w1.ping(to), "{mode:?} {to}: {:?} {:?}", drops(&p.a), drops(&p.b));
    }
    assert!(p.w2.ping(&p.w1.ip4), "{mode:?}: {:?} {:?}", drops(&p.a), drops(&p.b));
    assert!(p.w1.ping("10.0.0.1") && p.w1.ping("fd00::1"), "gateway echo: {:?}", drops(&p.a));
}

fn drops(host: &Host) -> Vec<(u32, DropReason, u64)> {
    use weft_forwarder::Datapath;
    let mut drops = host.dp().drops().expect("drops");
    drops.sort();
    drops.iter().map(|d| (d.slot, d.reason, d.packets)).collect()
}

#[test]
fn mpls_l3() {
    both_ways(Mode::MplsL3);
}

#[test]
fn mpls_l2() {
    both_ways(Mode::MplsL2);
}

#[test]
fn vxlan_bridged() {
    both_ways(Mode::VxlanL2);
}

#[test]
fn vxlan_routed() {
    both_ways(Mode::VxlanL3);
}
