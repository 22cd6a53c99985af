//! Liberal in what is accepted: forms other implementations send, missing optional fields, kinds not
//! carried here; and what must be refused.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;

use weft_xmpp::DecodeError;
use weft_xmpp::items::{Encap, Mobility, RouteItem};
use weft_xmpp::parser::{Limits, ParseError, StreamEvent, parse_all};
use weft_xmpp::stanza::{BytesError, Stanza, decode_bytes};

fn publish(entry: &str, node: &str) -> Result<RouteItem, BytesError> {
    let text = format!(
        "<iq type='set' from='a6s17'\n to='network-control@contrailsystems.com/bgp-peer' id='request1'>\n\t\
         <pubsub xmlns='http://jabber.org/protocol/pubsub'>\n\t\t<publish node='{node}'>\n\t\t\t<item>\n{entry}\n\
         </item></publish></pubsub>\n</iq>"
    );
    match decode_bytes(text.as_bytes())? {
        Stanza::PublishItem { item: Some(item), .. } => Ok(*item),
        other => panic!("{other:?}"),
    }
}

#[test]
fn bare_unicast_entry_gets_the_defaults() {
    let item = publish(
        "<entry xmlns='http://ietf.org/protocol/bgpvpn'><nlri><address>10.1.2.1</address></nlri>
         <next-hops><next-hop><address> 10.0.0.1 </address><label>10000</label></next-hop></next-hops>
         <something-new>x</something-new></entry>",
        "1/1/vrf/10.1.2.1",
    );
    let Ok(RouteItem::Unicast(item)) = item else { panic!("{item:?}") };
    assert_eq!(item.prefix.to_string(), "10.1.2.1/32");
    assert_eq!((item.local_preference, item.med, item.version), (100, 0, 1));
    assert_eq!(item.next_hops[0].encaps, BTreeSet::from([Encap::Gre]));
    assert!(item.mobility.is_none());
}

#[test]
fn unknown_encapsulations_make_a_next_hop_infeasible() {
    let item = publish(
        "<entry><nlri><address>10.1.2.1/32</address></nlri><next-hops><next-hop><address>10.0.0.1</address>
         <label>5</label><tunnel-encapsulation-list><tunnel-encapsulation>geneve</tunnel-encapsulation>
         </tunnel-encapsulation-list></next-hop></next-hops></entry>",
        "1/1/vrf/10.1.2.1/32",
    )
    .unwrap();
    assert!(!item.next_hops()[0].is_feasible());
}

#[test]
fn old_sequence_number_and_signed_med() {
    let item = publish(
        "<entry><nlri><address>10.1.2.1/32</address></nlri><sequence-number>4</sequence-number><med>-101</med></entry>",
        "1/1/vrf/10.1.2.1/32",
    );
    let Ok(RouteItem::Unicast(item)) = item else { panic!("{item:?}") };
    assert_eq!(item.mobility, Some(Mobility { seqno: 4, sticky: false }));
    assert_eq!(item.med, u32::MAX - 100);
}

#[test]
fn evpn_of_the_existing_system_states_no_group_as_zero() {
    let item = publish(
        "<entry><nlri><af>25</af><safi>242</safi><ethernet-tag>0</ethernet-tag><mac>00:00:00:00:00:01</mac>
         <group>0.0.0.0</group><source>0.0.0.0</source></nlri></entry>",
        "25/242/00:00:00:00:00:01,0.0.0.0/32",
    );
    let Ok(RouteItem::Evpn(item)) = item else { panic!("{item:?}") };
    assert_eq!((item.group, item.source), (None, None));
    assert_eq!(item.address.to_string(), "0.0.0.0/32");
}

#[test]
fn broken_items_are_typed_errors() {
    for (entry, node) in [
        ("<entry/>", "1/1/v/10.0.0.0/8"),
        ("<entry><nlri><address>10.0.0.0/40</address></nlri></entry>", "1/1/v/x"),
        ("<entry><nlri><address>fd00::/64</address></nlri></entry>", "1/1/v/x"),
        ("<entry><nlri><address>1.1.1.1</address></nlri><med>x</med></entry>", "1/1/v/x"),
        ("<entry><nlri><address>1.1.1.1</address></nlri><med>4294967296</med></entry>", "1/1/v/x"),
        ("<entry><nlri><mac>00:00</mac></nlri></entry>", "25/242/x"),
        ("<entry/>", "nonsense"),
    ] {
        assert!(matches!(publish(entry, node), Err(BytesError::Decode(_))), "{entry} {node}");
    }
}

#[test]
fn kinds_not_carried_are_reported_not_refused() {
    for text in [
        "<iq type='set' to='x/bgp-peer'><pubsub><publish node='1/241/v/224.0.0.1'><item><entry/></item></publish></pubsub></iq>",
        "<iq type='result'/>",
        "<message to='x'><body>hello</body></message>",
        "<message><event><items node='1/241/v'><item id='x'/></items></event></message>",
    ] {
        assert!(matches!(decode_bytes(text.as_bytes()), Ok(Stanza::Unsupported { .. })), "{text}");
    }
}

#[test]
fn foreign_elements_are_refused() {
    for text in [
        "<presence/>",
        "<iq type='set'/>",
        "<iq type='set'><pubsub/></iq>",
        "<iq type='set'><config><x/></config></iq>",
    ] {
        assert!(matches!(decode_bytes(text.as_bytes()), Err(BytesError::Decode(_))), "{text}");
    }
    let error = decode_bytes(b"<iq type='set'><config><update><node type='a'/></update></config></iq>");
    let missing = DecodeError::MissingElement { parent: "node".into(), child: "name" };
    assert_eq!(error, Err(BytesError::Decode(missing)));
}

#[test]
fn unknown_configuration_keeps_text_and_lists() {
    let text = "<iq type='set' to='h/config'><config><update><node type='new-type'><name>n</name>
        <a-b>1</a-b><list>x</list><list>y</list><s><t>z</t></s><name>again</name></node></update></config></iq>";
    let Ok(Stanza::Config(ops)) = decode_bytes(text.as_bytes()) else { panic!() };
    let weft_xmpp::config::ConfigElement::Node(node) = ops[0].element() else { panic!() };
    assert_eq!(
        serde_json::Value::Object(node.properties.clone()),
        serde_json::json!({"a_b": "1", "list": ["x", "y"], "s": {"t": "z"}, "name": "again"})
    );
}

const OPEN: &str =
    "<?xml version='1.0'?><stream:stream from='h' xmlns:stream='http://etherx.jabber.org/streams' >";

#[track_caller]
fn refused(rest: &[u8], expected: &ParseError) {
    let mut bytes = OPEN.as_bytes().to_vec();
    bytes.extend_from_slice(rest);
    let limits = Limits { stanza_bytes: 400, depth: 4, attributes: 3, elements: 20 };
    let (events, error) = parse_all(&bytes, limits);
    assert_eq!(events.len(), 1, "{:?}", String::from_utf8_lossy(rest));
    assert_eq!(error.as_ref(), Some(expected), "{:?}", String::from_utf8_lossy(rest));
}

#[test]
fn hostile_xml_is_refused() {
    refused(b"<!DOCTYPE a [<!ENTITY b 'c'>]>", &ParseError::ForbiddenMarkup);
    refused(b"<a><!-- c --></a>", &ParseError::ForbiddenMarkup);
    refused(b"<a><![CDATA[x]]></a>", &ParseError::ForbiddenMarkup);
    refused(b"<a><?php x ?></a>", &ParseError::ForbiddenMarkup);
    refused(b"<?xml version='1.0'?>", &ParseError::ForbiddenMarkup);
    refused(b"<a>&b;</a>", &ParseError::UnknownEntity);
    refused(b"<a x='&b;'/>", &ParseError::UnknownEntity);
    refused(b"<a>&#0;</a>", &ParseError::IllegalCharacter);
    refused(b"<a>\x01</a>", &ParseError::IllegalCharacter);
    refused(b"<a>\xff</a>", &ParseError::InvalidUtf8);
    refused(b"<a></b>", &ParseError::MismatchedTag);
    refused(b"</b>", &ParseError::MismatchedTag);
    refused(b"<stream:stream>", &ParseError::MismatchedTag);
    refused(b"<a x='1' x='2'/>", &ParseError::DuplicateAttribute);
    refused(b"<a x='1' y='2' z='3' w='4'/>", &ParseError::TooManyAttributes(3));
    refused(b"<a><a><a><a><a></a></a></a></a></a>", &ParseError::TooDeep(4));
    refused(format!("<a>{}</a>", "<b/>".repeat(20)).as_bytes(), &ParseError::TooManyElements(20));
    refused(format!("<a>{}", "x".repeat(500)).as_bytes(), &ParseError::TooLong(400));
    refused(b"text", &ParseError::StrayText);
    refused(b"\xc8\x81", &ParseError::StrayText);
    refused(b"<a <b>", &ParseError::Malformed);
    refused(b"<a x=1/>", &ParseError::Malformed);
    refused(b"<1a/>", &ParseError::Malformed);
    refused(b"</a/>", &ParseError::Malformed);
    for bytes in [&b"<iq/>"[..], b"hello", b"\x16\x03\x01", b"<stream:stream/>"] {
        assert_eq!(parse_all(bytes, Limits::default()), (vec![], Some(ParseError::NoStreamHeader)));
    }
}

#[test]
fn keepalives_and_references_between_and_inside_stanzas() {
    let text = format!(
        "{OPEN}\u{200} \r\n\t<a x='1&amp;&#x41;\n'>&lt;&#66;\r\n&quot;</a>\u{200}\u{200}<b/> </stream:stream>"
    );
    let (events, error) = parse_all(text.as_bytes(), Limits::default());
    assert_eq!(error, None);
    let [StreamEvent::Open(open), StreamEvent::Stanza(a), StreamEvent::Stanza(b), StreamEvent::Close] =
        &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(open.attribute("from"), Some("h"));
    assert_eq!((a.attribute("x"), a.text.as_str()), (Some("1&A "), "<B\n\""));
    assert_eq!(b.name, "b");
}
