//! Policy, restart, large sends, fragments, bad input: what a forwarder must do beyond carrying a ping.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use common::*;
use weft_forwarder::dataplane::DropReason;
use weft_forwarder::dataplane::tables::IF_POLICY;
use weft_forwarder::{AgeOptions, Datapath};

/// A UDP socket of a workload, connected both ways.
fn udp(p: &Pair) -> (UdpSocket, UdpSocket) {
    let (a, b) = (format!("{}:4000", p.w1.ip4), format!("{}:5000", p.w2.ip4));
    let one = p.w1.ns.enter(|| UdpSocket::bind(&a).expect("bind"));
    let two = p.w2.ns.enter(|| UdpSocket::bind(&b).expect("bind"));
    one.connect(&b).expect("connect");
    two.connect(&a).expect("connect");
    two.set_read_timeout(Some(Duration::from_millis(500))).expect("timeout");
    (one, two)
}

fn crosses(one: &UdpSocket, two: &UdpSocket) -> bool {
    let _ = one.send(b"hello");
    two.recv(&mut [0; 16]).is_ok()
}

#[test]
fn denied_flow_is_counted_and_told_with_its_rule() {
    let p = pair(Mode::MplsL3);
    p.a.deny(IDENTITY, IDENTITY, 77);
    assert!(!p.w1.ping(&p.w2.ip4));
    assert!(p.a.drops(DropReason::Policy) >= 1);
    assert_eq!(p.a.drop_slots(DropReason::Policy).into_iter().collect::<Vec<_>>(), [11]);
    let events = p.a.dp().poll_events(100).expect("events");
    let event = events.iter().find(|e| e.reason == DropReason::Policy as u8).expect("an event");
    assert_eq!((event.rule, event.slot, event.family, event.protocol), (77, 11, 4, 1));
    assert_eq!((event.src[3], event.dst[3]), (11, 12));
    assert!(p.a.dp().flows().expect("flows").is_empty(), "a denied packet makes no flow");
}

#[test]
fn receivers_policy_is_judged_on_its_host() {
    let p = pair(Mode::MplsL3);
    p.b.deny(IDENTITY, IDENTITY, 78);
    assert!(!p.w1.ping(&p.w2.ip4));
    assert_eq!(p.b.drop_slots(DropReason::Policy).into_iter().collect::<Vec<_>>(), [12]);
}

#[test]
fn no_verdict_means_no() {
    let p = pair(Mode::MplsL3);
    p.a.route_as(VRF, &p.w2, 212, false, 999);
    p.a.dp().bump_vrf(VRF).expect("bump");
    assert!(!p.w1.ping(&p.w2.ip4));
    assert!(p.a.drops(DropReason::NoVerdict) >= 1);
}

#[test]
fn policy_change_stops_and_restores_an_established_flow() {
    let p = pair(Mode::MplsL3);
    let (one, two) = udp(&p);
    assert!(crosses(&one, &two) && crosses(&one, &two));
    p.a.deny(IDENTITY, IDENTITY, 5);
    assert!(crosses(&one, &two), "nothing changes before the bump");
    p.a.dp().bump_vrf(VRF).expect("bump");
    assert!(!crosses(&one, &two), "the next packet is judged again");
    assert!(!crosses(&one, &two));
    p.a.allow(IDENTITY, IDENTITY);
    p.a.dp().bump_vrf(VRF).expect("bump");
    assert!(crosses(&one, &two));
}

#[test]
fn two_workloads_on_one_host() {
    let (a, _b) = two_hosts();
    let (w1, w2) = (Workload::new(&a, 21), Workload::new(&a, 22));
    for w in [&w1, &w2] {
        a.add_workload(w, FLAGS);
        a.route(VRF, w, 100 + w.slot, w.slot == 21);
    }
    a.allow(IDENTITY, IDENTITY);
    assert!(w1.ping(&w2.ip4) && w1.ping(&w2.ip6) && w2.ping(&w1.ip4) && w2.ping(&w1.ip6));
    a.deny(IDENTITY, IDENTITY, 3);
    a.dp().bump_vrf(VRF).expect("bump");
    assert!(!w1.ping(&w2.ip4));
}

#[test]
fn interface_without_policy_keeps_no_flow() {
    let p = pair(Mode::MplsL3);
    p.a.add_workload(&p.w1, FLAGS & !IF_POLICY);
    assert!(p.w1.ping(&p.w2.ip4) && p.w1.ping(&p.w2.ip6));
    assert!(p.a.dp().flows().expect("flows").is_empty());
    assert!(!p.b.dp().flows().expect("flows").is_empty());
}

#[test]
fn spoofed_source_is_dropped() {
    let p = pair(Mode::MplsL3);
    p.w1.ns.sh("ip addr add 10.0.0.99/24 dev eth0");
    assert!(!p.w1.ns.ok(&format!("ping -c 1 -W 1 -I 10.0.0.99 {}", p.w2.ip4)));
    assert!(p.a.drops(DropReason::SpoofedSource) >= 1);
    assert_eq!(p.a.drop_slots(DropReason::SpoofedSource).into_iter().collect::<Vec<_>>(), [11]);
    assert!(p.w1.ping(&p.w2.ip4));
}

#[test]
fn restart_loses_nothing() {
    let mut p = pair(Mode::MplsL3);
    let (one, two) = udp(&p);
    assert!(crosses(&one, &two));
    let sender = std::thread::spawn(move || {
        let start = Instant::now();
        let mut sent = 0u32;
        while start.elapsed() < Duration::from_secs(6) {
            one.send(&sent.to_be_bytes()).expect("send");
            sent += 1;
            std::thread::sleep(Duration::from_millis(1));
        }
        sent
    });
    let receiver = std::thread::spawn(move || {
        let mut got = 0u32;
        while two.recv(&mut [0; 16]).is_ok() {
            got += 1;
        }
        got
    });
    std::thread::sleep(Duration::from_millis(300));
    p.a.forwarder = None;
    std::thread::sleep(Duration::from_millis(500));
    p.a.open();
    assert_eq!(p.a.dp().interfaces().expect("interfaces").len(), 1, "the tables are adopted");
    let (sent, got) = (sender.join().expect("sender"), receiver.join().expect("receiver"));
    assert_eq!(sent, got);
    assert_eq!(p.a.dp().attached_workloads().expect("links"), [p.a.ns.ifindex("tap11")]);
}

fn bulk(mode: Mode) {
    let p = pair(mode);
    let address = format!("{}:7000", p.w2.ip4);
    let listener = p.w2.ns.enter(|| TcpListener::bind(&address).expect("bind"));
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let mut buffer = vec![0; 1 << 18];
        let mut total = 0usize;
        while let Ok(count) = stream.read(&mut buffer) {
            if count == 0 {
                break;
            }
            total += count;
        }
        total
    });
    let before = rx(&p.b);
    let mut stream = p.w1.ns.enter(|| TcpStream::connect(&address).expect("connect"));
    let block = vec![7; 1 << 18];
    for _ in 0..64 {
        stream.write_all(&block).expect("write");
    }
    drop(stream);
    assert_eq!(server.join().expect("server"), 64 << 18);
    let after = rx(&p.b);
    let mean = (after.1 - before.1) / (after.0 - before.0);
    assert!(mean > 4000, "{mode:?}: segments arrive whole: {mean} bytes a packet");
    std::thread::sleep(Duration::from_millis(100));
    let flows = p.a.dp().flows().expect("flows");
    assert!(flows.iter().all(|f| f.protocol != 6), "a closed connection leaves no flow: {flows:?}");
}

fn rx(host: &Host) -> (u64, u64) {
    let counters = host.dp().counters().expect("counters");
    let slot = counters.iter().find(|c| c.slot == FABRIC_SLOT);
    slot.map_or((0, 0), |c| (c.counters.rx_packets, c.counters.rx_bytes))
}

#[test]
fn large_sends_stay_whole_in_mpls() {
    bulk(Mode::MplsL3);
}

#[test]
fn large_sends_stay_whole_in_mpls_l2() {
    bulk(Mode::MplsL2);
}

#[test]
fn large_sends_stay_whole_in_vxlan() {
    bulk(Mode::VxlanL2);
}

#[test]
fn fragments_follow_their_head() {
    let p = pair(Mode::MplsL3);
    for to in [&p.w2.ip4, &p.w2.ip6] {
        assert!(p.w1.ns.ok(&format!("ping -c 1 -W 1 -s 4000 {to}")), "{to}");
    }
    assert_eq!(p.a.drops(DropReason::FragmentWithoutHead), 0);
}

#[test]
fn idle_sessions_age() {
    let p = pair(Mode::MplsL3);
    assert!(p.w1.ping(&p.w2.ip4) && p.w1.ping(&p.w2.ip6));
    let flows = p.a.dp().flows().expect("flows").len();
    assert_eq!(flows, 4);
    let keep = AgeOptions::default();
    let report = p.a.dp().age(&keep).expect("age");
    assert_eq!((report.scanned >= 4, report.removed, report.complete), (true, 0, true));
    std::thread::sleep(Duration::from_millis(30));
    let all = AgeOptions { idle: Duration::from_millis(10), ..keep };
    assert_eq!(p.a.dp().age(&all).expect("age").removed, 4);
    assert!(p.a.dp().flows().expect("flows").is_empty());
}

#[test]
fn the_hosts_own_traffic_passes() {
    let p = pair(Mode::MplsL3);
    assert!(p.a.ns.ok("ping -c 1 -W 1 192.0.2.2"));
}

#[test]
fn addresses_overlap_without_leaking() {
    let p = pair(Mode::MplsL3);
    // A second network with the same addresses: its workload may not reach the first network's.
    let mut other = Workload::new(&p.a, 31);
    other.vrf = 2;
    other.identity = 8;
    p.a.add_workload(&other, FLAGS);
    p.a.gateway(2);
    p.a.route(2, &other, 131, false);
    p.a.allow(8, 8);
    p.a.allow(8, IDENTITY);
    assert!(other.ping("10.0.0.1"));
    assert!(!other.ping(&p.w1.ip4) && !other.ping(&p.w2.ip4));
}
