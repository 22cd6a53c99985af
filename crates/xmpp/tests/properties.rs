//! Properties: what is sent is read back the same; the chunks of the stream do not matter; no bytes
//! make anything panic.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{item, op, text};
use proptest::collection::vec;
use proptest::prelude::*;
use weft_xmpp::fsm::{fuzz_client, fuzz_server};
use weft_xmpp::items::{RouteItem, RouteKey, RouteTable};
use weft_xmpp::parser::{Limits, ParseError, Parser, StreamEvent, parse_all};
use weft_xmpp::stanza::{
    ConfigSubject, MAX_ITEMS_PER_MESSAGE, MAX_RETRACTS_PER_MESSAGE, Stanza, decode_bytes,
};

const OPEN: &str = "<?xml version='1.0'?><stream:stream from='h' to='c' xmlns:stream='s'>";

/// Runs bytes through a parser in chunks of the given sizes, over and over.
fn parse_chunked(bytes: &[u8], sizes: &[usize], limits: Limits) -> (Vec<StreamEvent>, Option<ParseError>) {
    let mut parser = Parser::new(limits);
    let (mut events, mut rest, mut sizes) = (Vec::new(), bytes, sizes.iter().cycle());
    while !rest.is_empty() {
        let size = sizes.next().copied().unwrap_or(1).clamp(1, rest.len());
        let (chunk, tail) = rest.split_at(size);
        rest = tail;
        parser.push(chunk);
        loop {
            match parser.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

/// A stream of real stanzas and keepalives.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        item().prop_map(|i| publish("a:b:c", i).encode("h", "c")),
        vec(op(), 1..3).prop_map(|ops| Stanza::Config(ops).encode("c", "h")),
        Just(Stanza::EndOfRib.encode("c", "h")),
        Just("\u{200}".to_owned()),
        Just(" \r\n".to_owned()),
    ];
    vec(piece, 0..6).prop_map(|pieces| format!("{OPEN}{}", pieces.concat()).into_bytes())
}

fn publish(ri: &str, item: RouteItem) -> Stanza {
    Stanza::PublishItem { node: item.node(ri), item: Some(Box::new(item)), id: None }
}

fn mutate(mut bytes: Vec<u8>, changes: &[(usize, u8)]) -> Vec<u8> {
    let len = bytes.len();
    for (at, to) in changes {
        bytes[at % len] = *to;
    }
    bytes
}

/// Bytes likely to change how XML reads.
fn nasty_byte() -> impl Strategy<Value = u8> {
    prop_oneof![proptest::sample::select(b"<>/&;!?'\"= -\0\xc8\x80\xff]".to_vec()), any::<u8>()]
}

fn small_limits() -> impl Strategy<Value = Limits> {
    prop_oneof![
        Just(Limits::default()),
        (50..3000usize, 1..12usize, 1..6usize, 1..60usize).prop_map(
            |(stanza_bytes, depth, attributes, elements)| {
                Limits { stanza_bytes, depth, attributes, elements }
            }
        )
    ]
}

proptest! {
    #[test]
    fn published_items_survive(item in item(), ri in text()) {
        let stanza = publish(&ri, item.clone());
        prop_assert_eq!(decode_bytes(stanza.encode("h", "c").as_bytes()), Ok(stanza));
        prop_assert_eq!(RouteKey::parse(item.table(), &item.id()), Ok(item.key()));
    }

    #[test]
    fn route_messages_survive(items in vec(item(), 1..6), ri in text(), retracts in vec(text(), 0..4)) {
        let table = items[0].table();
        let items: Vec<_> = items.into_iter().filter(|i| i.table() == table).map(|i| (i.id(), i)).collect();
        let message = Stanza::RouteMessage { table, ri: ri.clone(), items, retracts: vec![] };
        prop_assert_eq!(decode_bytes(message.encode("c", "h").as_bytes()), Ok(message));
        if !retracts.is_empty() {
            let message = Stanza::RouteMessage { table, ri, items: vec![], retracts };
            prop_assert_eq!(decode_bytes(message.encode("c", "h").as_bytes()), Ok(message));
        }
    }

    #[test]
    fn configuration_survives(ops in vec(op(), 1..8)) {
        let stanza = Stanza::Config(ops);
        prop_assert_eq!(decode_bytes(stanza.encode("c", "h").as_bytes()), Ok(stanza));
    }

    #[test]
    fn subscriptions_survive(node in text(), instance_id: u32, no_ribout: bool, id in proptest::option::of(text())) {
        for stanza in [
            Stanza::SubscribeVrf { ri: node.clone(), instance_id, no_ribout, id: id.clone() },
            Stanza::UnsubscribeVrf { ri: node.clone(), instance_id, id: id.clone() },
            Stanza::SubscribeConfig { node: ConfigSubject::parse(&node), id: id.clone() },
            Stanza::UnsubscribeConfig { node: ConfigSubject::parse(&node), id: id.clone() },
            Stanza::Associate { ri: node.clone(), node: node.clone(), id: id.clone() },
            Stanza::Dissociate { ri: node.clone(), node, id },
        ] {
            prop_assert_eq!(decode_bytes(stanza.encode("h", "c").as_bytes()), Ok(stanza));
        }
    }

    #[test]
    fn chunks_do_not_matter(
        bytes in stream(),
        changes in vec((any::<usize>(), nasty_byte()), 0..3),
        sizes in vec(1..200usize, 1..20),
        limits in small_limits(),
    ) {
        let bytes = mutate(bytes, &changes);
        let whole = parse_all(&bytes, limits);
        prop_assert_eq!(&parse_chunked(&bytes, &sizes, limits), &whole);
        prop_assert_eq!(&parse_chunked(&bytes, &[1], limits), &whole);
    }

    #[test]
    fn changed_streams_never_panic(bytes in stream(), changes in vec((any::<usize>(), nasty_byte()), 1..8)) {
        let rest = mutate(bytes, &changes).split_off(OPEN.len());
        let _ = fuzz_server(&rest);
        let _ = fuzz_client(&rest);
        let _ = decode_bytes(&rest);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300), nasty in vec(nasty_byte(), 0..100)) {
        for bytes in [bytes, nasty] {
            let _ = decode_bytes(&bytes);
            let _ = fuzz_server(&bytes);
            let _ = fuzz_client(&bytes);
            let text = String::from_utf8_lossy(&bytes);
            for table in RouteTable::ALL {
                let _ = RouteKey::parse(table, &text);
            }
        }
    }
}

#[test]
fn long_messages_are_split_and_never_mixed() {
    let items: Vec<_> = (0..70u32)
        .map(|i| {
            RouteItem::Unicast(weft_xmpp::items::UnicastItem::new(
                ipnet::Ipv4Net::new(i.into(), 32).unwrap().into(),
            ))
        })
        .map(|i| (i.id(), i))
        .collect();
    let retracts: Vec<_> = (0..600).map(|i| format!("10.0.{}.{}/32", i / 256, i % 256)).collect();
    let message = Stanza::RouteMessage {
        table: RouteTable::Inet,
        ri: "r".into(),
        items: items.clone(),
        retracts: retracts.clone(),
    };
    let mut text = OPEN.to_owned();
    assert_eq!(message.encode_into("c", "h", &mut text), 6);
    let (events, error) = parse_all(text.as_bytes(), Limits::default());
    assert_eq!(error, None);
    let (mut all_items, mut all_retracts) = (Vec::new(), Vec::new());
    for event in events.iter().skip(1) {
        let StreamEvent::Stanza(element) = event else { panic!() };
        let Ok(Stanza::RouteMessage { items, retracts, .. }) = Stanza::decode(element) else { panic!() };
        assert!(items.is_empty() != retracts.is_empty());
        assert!(items.len() <= MAX_ITEMS_PER_MESSAGE && retracts.len() <= MAX_RETRACTS_PER_MESSAGE);
        all_items.extend(items);
        all_retracts.extend(retracts);
    }
    assert_eq!((all_items, all_retracts), (items, retracts));
}
