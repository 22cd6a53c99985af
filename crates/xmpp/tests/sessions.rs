//! Client and server sessions against each other over an in-memory pipe with random chunking, plain and
//! with TLS negotiation; and each against a misbehaving peer.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use common::{item, op};
use proptest::collection::vec;
use proptest::prelude::*;
use weft_xmpp::fsm::{CloseReason, Input, MAX_PENDING_PUBLISHES, Output, Session, SessionConfig, Warning};
use weft_xmpp::items::{NextHop, RouteItem, UnicastItem};
use weft_xmpp::stanza::{ConfigSubject, Stanza};

const HEADER: &str = "<?xml version='1.0'?><stream:stream from='host1' to='network-control@contrailsystems.com' \
    version='1.0' xml:lang='en' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' >";

/// Both ends of a connection, the bytes under way, and what each side reported.
struct Pipe {
    ends: [Session; 2],
    wires: [VecDeque<u8>; 2],
    tls: [bool; 2],
    seen: [Vec<Output>; 2],
    now: Instant,
    sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

const CLIENT: usize = 0;
const SERVER: usize = 1;

impl Pipe {
    fn new(tls: bool, sizes: Vec<usize>) -> Self {
        let client = Session::client(SessionConfig { tls, ..SessionConfig::client("host1") });
        let server = Session::server(SessionConfig { tls, ..SessionConfig::server() });
        let mut pipe = Self {
            ends: [client, server],
            wires: Default::default(),
            tls: [false; 2],
            seen: Default::default(),
            now: Instant::now(),
            sizes: sizes.into_iter().cycle(),
        };
        pipe.input(SERVER, Input::Connected);
        pipe.input(CLIENT, Input::Connected);
        pipe
    }

    fn input(&mut self, side: usize, input: Input<'_>) {
        self.ends[side].handle(input, self.now);
        while let Some(output) = self.ends[side].poll_output() {
            match output {
                Output::Send(bytes) => self.wires[1 - side].extend(bytes),
                Output::StartTls => self.tls[side] = true,
                other => self.seen[side].push(other),
            }
        }
    }

    /// Moves bytes until nothing is under way; the "TLS handshake" happens when both sides want it.
    fn run(&mut self) {
        loop {
            if self.tls == [true, true] {
                assert!(self.wires.iter().all(VecDeque::is_empty), "bytes in the clear after negotiation");
                self.tls = [false; 2];
                self.input(SERVER, Input::TlsReady);
                self.input(CLIENT, Input::TlsReady);
            }
            let Some(side) = (0..2).find(|s| !self.wires[*s].is_empty()) else { return };
            let size = self.sizes.next().unwrap().clamp(1, self.wires[side].len());
            let chunk: Vec<u8> = self.wires[side].drain(..size).collect();
            self.input(side, Input::Bytes(&chunk));
        }
    }
}

fn with_one_hop(mut item: RouteItem) -> RouteItem {
    let hops = match &mut item {
        RouteItem::Unicast(i) => &mut i.next_hops,
        RouteItem::Evpn(i) => &mut i.next_hops,
    };
    hops.truncate(1);
    if hops.is_empty() {
        hops.push(NextHop::new("10.0.0.1".parse().unwrap()));
    }
    item
}

proptest! {
    #[test]
    fn everything_sent_arrives_in_order(
        tls: bool,
        sizes in vec(1..400usize, 1..20),
        routes in vec((item(), any::<bool>()), 0..5),
        ops in vec(op(), 1..20),
        down in item(),
    ) {
        let mut pipe = Pipe::new(tls, sizes);
        pipe.run();
        prop_assert_eq!(&pipe.seen[CLIENT], &[Output::Established { peer: weft_xmpp::CONTROL_JID.into() }]);
        prop_assert_eq!(&pipe.seen[SERVER], &[Output::Established { peer: "host1".into() }]);
        pipe.seen = Default::default();
        let subscribe = Stanza::SubscribeConfig { node: ConfigSubject::VirtualRouter("g:host1".into()), id: None };
        pipe.input(CLIENT, Input::Send(subscribe.clone()));
        let mut expected = vec![Output::Stanza(subscribe)];
        for (item, announce) in routes {
            let item = Box::new(with_one_hop(item));
            let ri = "a:b:c".to_owned();
            pipe.input(CLIENT, if announce {
                Input::Publish { ri: ri.clone(), item: item.clone() }
            } else {
                Input::Withdraw { ri: ri.clone(), item: item.clone() }
            });
            expected.push(if announce { Output::Publish { ri, item } } else { Output::Withdraw { ri, item } });
        }
        pipe.input(CLIENT, Input::Send(Stanza::EndOfRib));
        expected.push(Output::Stanza(Stanza::EndOfRib));
        let message = Stanza::RouteMessage {
            table: down.table(), ri: "a:b:c".into(), items: vec![(down.id(), down)], retracts: vec![],
        };
        pipe.input(SERVER, Input::Send(message.clone()));
        pipe.input(SERVER, Input::Send(Stanza::Config(ops.clone())));
        pipe.run();
        prop_assert_eq!(&pipe.seen[SERVER], &expected);
        prop_assert_eq!(&pipe.seen[CLIENT][0], &Output::Stanza(message));
        let received: Vec<_> = pipe.seen[CLIENT][1..].iter().flat_map(|output| match output {
            Output::Stanza(Stanza::Config(ops)) => { assert!(ops.len() <= 16); ops.clone() }
            other => panic!("{other:?}"),
        }).collect();
        prop_assert_eq!(received, ops);
        pipe.input(CLIENT, Input::Close);
        pipe.run();
        prop_assert_eq!(pipe.seen[CLIENT].last(), Some(&Output::Closed { reason: CloseReason::Local }));
        prop_assert_eq!(pipe.seen[SERVER].last(), Some(&Output::Closed { reason: CloseReason::Remote }));
    }
}

fn drain(session: &mut Session) -> Vec<Output> {
    std::iter::from_fn(|| session.poll_output()).collect()
}

/// A server session, and what it says to bytes that follow the header.
fn server(tls: bool, bytes: &[u8]) -> (Session, Vec<Output>) {
    let mut session = Session::server(SessionConfig { tls, ..SessionConfig::server() });
    let now = Instant::now();
    session.handle(Input::Connected, now);
    session.handle(Input::Bytes(HEADER.as_bytes()), now);
    drain(&mut session);
    session.handle(Input::Bytes(bytes), now);
    let outputs = drain(&mut session);
    (session, outputs)
}

#[track_caller]
fn closes(tls: bool, bytes: &[u8], expected: impl Fn(&CloseReason) -> bool) {
    let (mut session, outputs) = server(tls, bytes);
    match outputs.last() {
        Some(Output::Closed { reason }) if expected(reason) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(session.next_timeout(), None);
    session.handle(Input::Bytes(b"more"), Instant::now());
    assert_eq!(session.poll_output(), None, "nothing follows the end");
}

#[test]
fn malformed_stanzas_close_the_stream_with_a_reason() {
    closes(false, b"<iq type='set'><pubsub></iq>", |r| matches!(r, CloseReason::Malformed(_)));
    closes(false, b"<!DOCTYPE x>", |r| matches!(r, CloseReason::Malformed(_)));
    closes(false, b"<iq type='set'/>", |r| matches!(r, CloseReason::BadStanza(_)));
    closes(false, b"<stream:error><conflict/></stream:error>", |r| {
        *r == CloseReason::RemoteError("conflict".into())
    });
    closes(false, b"<starttls/>", |r| *r == CloseReason::TlsMismatch);
    closes(true, b"<iq type='set'/>", |r| *r == CloseReason::TlsMismatch);
    closes(true, b"<starttls/><iq/>", |r| *r == CloseReason::UnexpectedData);
    closes(true, b"</stream:stream>", |r| *r == CloseReason::Remote);
}

#[test]
fn tls_server_sends_the_negotiation_of_the_existing_system() {
    let mut session = Session::server(SessionConfig::server());
    let now = Instant::now();
    session.handle(Input::Connected, now);
    session.handle(Input::Bytes(HEADER.as_bytes()), now);
    let Some(Output::Send(bytes)) = session.poll_output() else { panic!() };
    assert_eq!(
        bytes,
        "<?xml version='1.0'?><stream:stream from=\"network-control@contrailsystems.com\" to=\"host1\" id=\"++123\" \
         version=\"1.0\" xml:lang=\"en\" xmlns=\"jabber:client\" xmlns:stream=\"http://etherx.jabber.org/streams\">\
         <stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls></stream:features>"
    );
    session.handle(Input::Bytes(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"), now);
    let proceed = Output::Send("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>".into());
    assert_eq!(drain(&mut session), [proceed, Output::StartTls]);
    session.handle(Input::TlsReady, now);
    let other = HEADER.replace("host1", "host2");
    session.handle(Input::Bytes(other.as_bytes()), now);
    let reason = CloseReason::BadPeerName("host2".into());
    assert_eq!(drain(&mut session).last(), Some(&Output::Closed { reason }));
}

#[test]
fn headers_without_name_or_of_another_sub_cluster_are_refused() {
    for (header, sub_cluster) in [
        (HEADER.replace("host1", ""), None),
        (HEADER.replace("host1", "a b"), None),
        (HEADER.replace("jabber:client", "pod7"), None),
        (HEADER.to_owned(), Some("pod7".to_owned())),
    ] {
        let mut session =
            Session::server(SessionConfig { tls: false, sub_cluster, ..SessionConfig::server() });
        session.handle(Input::Connected, Instant::now());
        session.handle(Input::Bytes(header.as_bytes()), Instant::now());
        let outputs = drain(&mut session);
        assert!(
            matches!(
                &outputs[..],
                [Output::Closed { reason: CloseReason::BadPeerName(_) | CloseReason::SubCluster(_) }]
            ),
            "{outputs:?}"
        );
    }
}

#[test]
fn one_sided_tls_is_refused() {
    for (client_tls, server_tls) in [(true, false), (false, true)] {
        let mut pipe = Pipe::new(false, vec![64]);
        pipe.ends[CLIENT] =
            Session::client(SessionConfig { tls: client_tls, ..SessionConfig::client("host1") });
        pipe.ends[SERVER] = Session::server(SessionConfig { tls: server_tls, ..SessionConfig::server() });
        pipe.wires = Default::default();
        pipe.input(SERVER, Input::Connected);
        pipe.input(CLIENT, Input::Connected);
        pipe.run();
        pipe.input(CLIENT, Input::Send(Stanza::EndOfRib));
        pipe.input(SERVER, Input::Send(Stanza::EndOfRib));
        pipe.run();
        let delivered = pipe.seen.iter().flatten().any(|o| matches!(o, Output::Stanza(_)));
        assert!(!delivered, "{:?}", pipe.seen);
        let mismatch = Output::Closed { reason: CloseReason::TlsMismatch };
        assert!(pipe.seen.iter().flatten().any(|o| *o == mismatch), "{:?}", pipe.seen);
    }
}

fn route() -> RouteItem {
    RouteItem::Unicast(UnicastItem {
        next_hops: vec![NextHop::new("10.0.0.1".parse().unwrap())],
        ..UnicastItem::new("10.1.1.3/32".parse().unwrap())
    })
}

fn first(node: &str, item: Option<RouteItem>) -> String {
    Stanza::PublishItem { node: node.into(), item: item.map(Box::new), id: None }.encode("host1", "c")
}

fn second(node: &str) -> String {
    Stanza::Associate { ri: "v".into(), node: node.into(), id: None }.encode("host1", "c")
}

#[test]
fn wrong_order_and_mismatch_drop_both_stanzas() {
    let (a, b) = ("1/1/v/10.1.1.3/32", "1/1/v/10.1.1.4/32");
    let orphan = |n: &str| Output::Warning(Warning::OrphanPublish { node: n.into() });
    let unmatched = |n: &str| Output::Warning(Warning::UnmatchedCollection { node: n.into() });
    let publish = || Output::Publish { ri: "v".into(), item: Box::new(route()) };
    let (_, outputs) = server(false, (second(a) + &first(a, Some(route()))).as_bytes());
    assert_eq!(outputs, [unmatched(a)]);
    let (session, outputs) = server(
        false,
        (first(a, Some(route())) + &second(b) + &second(a) + &first(b, Some(route())) + &second(b))
            .as_bytes(),
    );
    assert_eq!(outputs, [orphan(a), unmatched(b), unmatched(a), publish()]);
    let stats = session.stats();
    assert_eq!((stats.orphan_publishes, stats.unmatched_collections, stats.publishes), (1, 2, 1));
}

#[test]
fn held_publishes_are_bounded() {
    let many: String =
        (0..MAX_PENDING_PUBLISHES * 4).map(|i| first(&format!("1/1/v/{i}"), Some(route()))).collect();
    let (session, _) = server(false, many.as_bytes());
    assert_eq!(session.stats().orphan_publishes as usize, MAX_PENDING_PUBLISHES * 3);
}

#[test]
fn both_forms_of_end_of_rib() {
    let iq = first("0/0/EndOfRib", None) + &second("0/0/EndOfRib");
    for text in [iq, Stanza::EndOfRib.encode("host1", "c")] {
        assert_eq!(server(false, text.as_bytes()).1, [Output::Stanza(Stanza::EndOfRib)]);
    }
}

#[test]
fn unsupported_and_misdirected_stanzas_do_not_end_the_session() {
    let multicast = "<iq type='set' to='c/bgp-peer'><pubsub><publish node='1/241/v/224.0.0.1'><item><entry/></item>\
        </publish></pubsub></iq>";
    let text = multicast.to_owned()
        + &second("1/241/v/224.0.0.1")
        + &Stanza::Config(vec![weft_xmpp::config::ConfigOp::Update(weft_xmpp::config::ConfigElement::Link(
            weft_xmpp::config::ConfigLink::default(),
        ))])
        .encode("c", "h");
    let (session, outputs) = server(false, text.as_bytes());
    assert_eq!(
        outputs,
        [
            Output::Warning(Warning::Unsupported { what: "publish 1/241".into() }),
            Output::Warning(Warning::WrongDirection { what: "config" })
        ]
    );
    assert!(session.is_established());
}

#[test]
fn several_next_hops_are_not_published() {
    let mut item = route();
    if let RouteItem::Unicast(item) = &mut item {
        item.next_hops.push(item.next_hops[0].clone());
    }
    let node = item.node("v");
    let (_, outputs) = server(false, (first(&node, Some(item)) + &second(&node)).as_bytes());
    assert_eq!(outputs, [Output::Warning(Warning::NextHopCount { node, count: 2 })]);
}

#[test]
fn open_hold_and_keepalive_timers() {
    let start = Instant::now();
    let mut session = Session::server(SessionConfig { tls: false, ..SessionConfig::server() });
    session.handle(Input::Send(Stanza::EndOfRib), start);
    assert_eq!(drain(&mut session), [Output::Warning(Warning::NotEstablished { what: "end-of-rib" })]);
    session.handle(Input::Connected, start);
    assert_eq!(session.next_timeout(), Some(start + Duration::from_secs(15)));
    let opened = start + Duration::from_secs(5);
    session.handle(Input::Bytes(HEADER.as_bytes()), opened);
    drain(&mut session);
    assert_eq!(session.next_timeout(), Some(opened + Duration::from_secs(30)));
    session.handle(Input::Timer, opened + Duration::from_secs(30));
    assert_eq!(drain(&mut session), [Output::Send(" ".into())]);
    // Anything received counts as a sign of life.
    session.handle(Input::Bytes("\u{200}".as_bytes()), opened + Duration::from_secs(60));
    session.handle(Input::Timer, opened + Duration::from_secs(149));
    assert!(session.is_established());
    session.handle(Input::Timer, opened + Duration::from_secs(150));
    assert_eq!(drain(&mut session).last(), Some(&Output::Closed { reason: CloseReason::HoldTimeout }));

    let mut silent = Session::client(SessionConfig::client("host1"));
    silent.handle(Input::Connected, start);
    silent.handle(Input::Timer, start + Duration::from_secs(15));
    assert_eq!(drain(&mut silent).last(), Some(&Output::Closed { reason: CloseReason::OpenTimeout }));
}
