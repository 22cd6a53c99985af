//! Measures the codec on one core: `cargo run --release -p weft-xmpp --example throughput`.
//!
//! Prints stanzas per second of CPU time (of the clock where /proc cannot be read) for encoding, parsing (bytes to tree, fed in 4 KiB chunks), and the whole
//! way through a server session (both stanzas of a publish), for items of the usual size.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::{Duration, Instant};

use weft_xmpp::fsm::{Input, Output, Session, SessionConfig};
use weft_xmpp::items::{Encap, Mobility, NextHop, RouteItem, UnicastItem};
use weft_xmpp::parser::{Limits, Parser};
use weft_xmpp::stanza::Stanza;

const ROUNDS: u32 = 100_000;
const CHUNK: usize = 4096;
const RI: &str = "default-domain:acme:web:web";
const HEADER: &str =
    "<?xml version='1.0'?><stream:stream from='h' xmlns:stream='http://etherx.jabber.org/streams'>";

fn item(i: u32) -> RouteItem {
    RouteItem::Unicast(UnicastItem {
        next_hops: vec![NextHop {
            label: 16 + i,
            encaps: BTreeSet::from([Encap::Gre, Encap::Udp, Encap::Vxlan]),
            virtual_network: "default-domain:acme:web".into(),
            ..NextHop::new(std::net::Ipv4Addr::new(192, 168, 0, 1).into())
        }],
        virtual_network: "default-domain:acme:web".into(),
        security_groups: vec![8_000_001, 8_000_002],
        mobility: Some(Mobility { seqno: 1, sticky: false }),
        sub_protocol: Some("interface".into()),
        ..UnicastItem::new(ipnet::Ipv4Net::from(std::net::Ipv4Addr::from(0x0a00_0000 + i)).into())
    })
}

/// Time this thread has spent on a CPU, so that other load on the machine does not count.
fn cpu_time(since: Instant) -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    match text.split(' ').next().map(str::parse) {
        Some(Ok(nanos)) => Duration::from_nanos(nanos),
        _ => since.elapsed(),
    }
}

fn report(what: &str, stanzas: u32, bytes: usize, (clock, cpu): (Instant, Duration)) {
    let seconds = cpu_time(clock).saturating_sub(cpu).as_secs_f64();
    println!(
        "{what:<28} {:>9.0} stanzas/s  {:>6.1} MB/s",
        f64::from(stanzas) / seconds,
        bytes as f64 / seconds / 1e6
    );
}

fn main() {
    let clock = Instant::now();
    let begin = || (clock, cpu_time(clock));
    let items: Vec<_> = (0..ROUNDS).map(item).collect();
    let start = begin();
    let mut text = String::from(HEADER);
    let mut stanzas = 0;
    for item in &items {
        let node = item.node(RI);
        let publish =
            Stanza::PublishItem { node: node.clone(), item: Some(Box::new(item.clone())), id: None };
        stanzas += publish.encode_into("h", weft_xmpp::CONTROL_JID, &mut text) as u32;
        let associate = Stanza::Associate { ri: RI.into(), node, id: None };
        stanzas += associate.encode_into("h", weft_xmpp::CONTROL_JID, &mut text) as u32;
    }
    report("encode publish (two stanzas)", stanzas, text.len(), start);

    let start = begin();
    let mut parser = Parser::new(Limits::default());
    for chunk in text.as_bytes().chunks(CHUNK) {
        parser.push(chunk);
        while let Ok(Some(event)) = parser.next_event() {
            black_box(event);
        }
    }
    report("parse to tree", stanzas, text.len(), start);

    let start = begin();
    let mut session = Session::server(SessionConfig { tls: false, ..SessionConfig::server() });
    session.handle(Input::Connected, clock);
    let mut published = 0;
    for chunk in text.as_bytes().chunks(CHUNK) {
        session.handle(Input::Bytes(chunk), clock);
        while let Some(output) = session.poll_output() {
            published += u32::from(matches!(black_box(output), Output::Publish { .. }));
        }
    }
    assert_eq!(published, ROUNDS);
    report("server session", stanzas, text.len(), start);

    let items: Vec<_> = items.into_iter().map(|i| (i.id(), i)).collect();
    let message = Stanza::RouteMessage { table: items[0].1.table(), ri: RI.into(), items, retracts: vec![] };
    let start = begin();
    let text = black_box(message.encode(weft_xmpp::CONTROL_JID, "h"));
    report("encode route items", ROUNDS, text.len(), start);
    let start = begin();
    let mut client = Session::client(SessionConfig { tls: false, ..SessionConfig::client("h") });
    client.handle(Input::Connected, clock);
    client.handle(Input::Bytes(HEADER.as_bytes()), clock);
    let mut received = 0;
    for chunk in text.as_bytes().chunks(CHUNK) {
        client.handle(Input::Bytes(chunk), clock);
        while let Some(output) = client.poll_output() {
            if let Output::Stanza(Stanza::RouteMessage { items, .. }) = black_box(output) {
                received += items.len() as u32;
            }
        }
    }
    assert_eq!(received, ROUNDS);
    report("client session (items)", ROUNDS, text.len(), start);
}
