//! Probes and streams over plain routes: two namespaces joined by a veth. Needs root.

use std::net::IpAddr;
use std::time::Duration;

use super::shot::{Outcome, Shot};
use super::stations::Stations;
use super::stream::Stream;
use crate::file::plan::{Expect, ProbeSpec, Proto};
use crate::{Netns, ip};

/// Two namespaces, `a` and `b`, removed again whatever happens.
struct Pair {
    a: Netns,
    b: Netns,
}

impl Pair {
    fn new(test: &str) -> Self {
        let name = |end: &str| format!("weft-t-{}-{test}-{end}", std::process::id());
        let (a, b) = (name("a"), name("b"));
        ip::batch(None, &[format!("netns add {a}"), format!("netns add {b}")]).unwrap();
        let pair = Self { a: Netns::new(&a), b: Netns::new(&b) };
        let quiet = [("net/ipv6/conf/default/accept_dad", "0"), ("net/ipv6/conf/default/dad_transmits", "0")];
        pair.a.sysctl(&quiet).unwrap();
        pair.b.sysctl(&quiet).unwrap();
        ip::batch(Some(&a), &[format!("link add eth0 type veth peer name eth0 netns {b}")]).unwrap();
        for (namespace, host) in [(&a, 1), (&b, 2)] {
            let lines = [
                "link set lo up".to_owned(),
                "link set eth0 up".to_owned(),
                format!("address add 192.0.2.{host}/24 dev eth0"),
                format!("address add 2001:db8::{host}/64 dev eth0"),
            ];
            ip::batch(Some(namespace), &lines).unwrap();
        }
        pair
    }

    fn link(&self, state: &str) {
        ip::batch(Some(self.b.name()), &[format!("link set eth0 {state}")]).unwrap();
    }

    fn shot(&self, stations: &mut Stations, to: &str, probe: ProbeSpec) -> Shot {
        let ledger = stations.ledger.clone();
        stations.serve("b", &self.b, probe).unwrap();
        let station = stations.station("a", &self.a).unwrap();
        Shot::from(station, ledger, to.parse::<IpAddr>().unwrap(), probe, 100)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = ip::batch(None, &[format!("netns delete {}", self.a.name())]);
        let _ = ip::batch(None, &[format!("netns delete {}", self.b.name())]);
    }
}

fn probes() -> [ProbeSpec; 3] {
    [(Proto::Icmp, 0), (Proto::Tcp, 80), (Proto::Udp, 80)].map(|(proto, port)| ProbeSpec { proto, port })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_probe_passes_and_is_refused() {
    let pair = Pair::new("probe");
    let mut stations = Stations::new();
    for probe in probes() {
        for to in ["192.0.2.2", "2001:db8::2"] {
            let outcome = pair.shot(&mut stations, to, probe).fire().await.unwrap();
            assert!(outcome.passed(Some("b")), "{probe} to {to}: {outcome:?}");
            assert!(!outcome.passed(Some("c")), "another target is not reached");
        }
    }
    // The own address: answered, but not by b.
    let own: Outcome = pair.shot(&mut stations, "192.0.2.1", probes()[0]).fire().await.unwrap();
    assert!(own.answered && !own.passed(Some("b")) && !own.leaked(Some("b")));
    assert_eq!(own.describe(Some("b")), "drop (that address is a's there, who answered)");
    pair.link("down");
    for probe in probes() {
        let outcome = pair.shot(&mut stations, "192.0.2.2", probe).fire().await.unwrap();
        assert!(!outcome.answered && outcome.seen_by.is_empty(), "{probe}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_counts_what_is_lost() {
    let pair = Pair::new("stream");
    let mut stations = Stations::new();
    let shot = pair.shot(&mut stations, "192.0.2.2", probes()[2]);
    let stream = Stream::start(shot, 500);
    assert!(stream.becomes(Expect::Pass, Duration::from_secs(2)).await.is_some());
    pair.link("down");
    assert!(stream.becomes(Expect::Drop, Duration::from_secs(1)).await.is_some());
    assert!(stream.becomes(Expect::Pass, Duration::from_millis(100)).await.is_none());
    pair.link("up");
    assert!(stream.becomes(Expect::Pass, Duration::from_secs(5)).await.is_some());
    let tally = stream.finish().await;
    assert!(tally.lost() > 0 && tally.lost() < tally.sent, "{tally}");
    // Where the link goes down or up, a request may have passed and its answer not.
    assert!(tally.lost() - tally.lost_forward <= 2, "{tally}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undisturbed_stream_loses_nothing() {
    let pair = Pair::new("calm");
    let mut stations = Stations::new();
    for probe in probes() {
        let stream = Stream::start(pair.shot(&mut stations, "2001:db8::2", probe), 1000);
        tokio::time::sleep(Duration::from_millis(700)).await;
        let tally = stream.finish().await;
        assert!(tally.lost() == 0 && tally.sent > 300, "{probe}: {tally}");
    }
}
