//! Marking and unmarking: what goes in comes out, and no bytes make it panic.

#![allow(clippy::unwrap_used, clippy::panic)]

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name, RecordType};
use proptest::prelude::*;
use weft_dns::edns::{EdnsError, MAX_NETWORK, NETWORK_OPTION, decode, network, tag_query, untag_response};

fn query() -> Message {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_ascii("Web.Acme.example.").unwrap(), RecordType::AAAA));
    message
}

fn with_edns() -> Message {
    let (mut message, mut edns) = (query(), Edns::new());
    edns.set_max_payload(4000).set_dnssec_ok(true);
    edns.options_mut().insert(EdnsOption::Unknown(10, vec![1, 2, 3, 4, 5, 6, 7, 8]));
    message.set_edns(edns);
    message
}

#[test]
fn a_mark_adds_to_a_query_and_changes_nothing_else() {
    for plain in [query(), with_edns()] {
        let tagged = decode(&tag_query(&plain.to_vec().unwrap(), "d:p:net").unwrap()).unwrap();
        assert_eq!(network(&tagged), Ok(Some("d:p:net")));
        assert_eq!(tagged.queries, plain.queries);
        assert_eq!(tagged.metadata, plain.metadata);
        let edns = tagged.edns.unwrap();
        assert_eq!(edns.max_payload(), plain.max_payload());
        let others =
            edns.options().options.iter().filter(|(code, _)| *code != EdnsCode::Unknown(NETWORK_OPTION));
        assert_eq!(others.count(), plain.edns.map_or(0, |edns| edns.options().options.len()));
    }
}

#[test]
fn marks_that_were_there_are_gone() {
    let mut forged = with_edns();
    for name in ["d:x:a", "d:x:b"] {
        let option = EdnsOption::Unknown(NETWORK_OPTION, name.into());
        forged.edns.as_mut().unwrap().options_mut().insert(option);
    }
    let tagged = decode(&tag_query(&forged.to_vec().unwrap(), "d:p:net").unwrap()).unwrap();
    let marks = tagged.edns.as_ref().unwrap().options().get_all(EdnsCode::Unknown(NETWORK_OPTION)).len();
    assert_eq!((network(&tagged), marks), (Ok(Some("d:p:net")), 1));
}

#[test]
fn the_response_is_as_if_there_had_been_no_mark() {
    for plain in [query(), with_edns()] {
        let (bytes, mut response) = (plain.to_vec().unwrap(), plain.clone().into_response());
        response.edns = decode(&tag_query(&bytes, "d:p:net").unwrap()).unwrap().edns;
        let back = decode(&untag_response(&response.to_vec().unwrap(), &bytes).unwrap()).unwrap();
        assert_eq!(back.edns, plain.edns);
        assert_eq!(network(&back), Ok(None));
    }
}

#[test]
fn what_cannot_be_marked_is_an_error() {
    let bytes = query().to_vec().unwrap();
    let response = query().into_response().to_vec().unwrap();
    assert_eq!(tag_query(&response, "n"), Err(EdnsError::Direction("query")));
    assert_eq!(untag_response(&bytes, &bytes), Err(EdnsError::Direction("response")));
    assert!(matches!(tag_query(&bytes, &"n".repeat(MAX_NETWORK + 1)), Err(EdnsError::TooLong { .. })));
    assert!(matches!(tag_query(&[0; 5000], "n"), Err(EdnsError::TooLong { .. })));
    assert!(matches!(tag_query(&bytes[..20], "n"), Err(EdnsError::Malformed(_))));
    let mut broken = query();
    broken.set_edns(Edns::new());
    broken.edns.as_mut().unwrap().options_mut().insert(EdnsOption::Unknown(NETWORK_OPTION, vec![0xff]));
    assert!(network(&broken).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let good = query().to_vec().unwrap();
        let _ = tag_query(&bytes, "d:p:net");
        let _ = untag_response(&bytes, &good);
        let _ = untag_response(&good, &bytes);
    }

    #[test]
    fn damaged_messages_never_panic(
        edns in any::<bool>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let message = if edns { with_edns() } else { query() };
        let mut bytes = tag_query(&message.to_vec().unwrap(), "d:p:net").unwrap();
        for (place, value) in damage {
            *place.get_mut(&mut bytes) = value;
        }
        let _ = tag_query(&bytes, "d:q:other");
        let _ = untag_response(&bytes, &bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = tag_query(&bytes, "d:q:other");
    }
}
