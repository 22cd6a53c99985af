//! An independent XML parser as oracle: on real stanzas with bytes changed, both accept the same ones
//! and read the same tree from them. (A bare carriage return is left out: XML allows it, the oracle does not.)

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{item, op};
use proptest::collection::vec;
use proptest::prelude::*;
use rxml::{Parse, RawEvent, RawParser};
use weft_xmpp::element::Element;
use weft_xmpp::parser::{Limits, ParseError, StreamEvent, parse_all};
use weft_xmpp::stanza::Stanza;

const DECLARATION: &str = "<?xml version='1.0'?>";
const HEADER: &str = "<s:stream xmlns:s='s'>";

/// The tree the oracle reads, `None` if it refuses.
fn oracle(text: &[u8]) -> Option<Element> {
    let bytes = [DECLARATION.as_bytes(), text].concat();
    let (mut parser, mut rest) = (RawParser::new(), bytes.as_slice());
    let (mut stack, mut root) = (Vec::<Element>::new(), None);
    let name = |(prefix, local): (Option<rxml::NcName>, rxml::NcName)| match prefix {
        Some(prefix) => format!("{prefix}:{local}"),
        None => local.to_string(),
    };
    loop {
        match parser.parse(&mut rest, true).ok()? {
            None => return root,
            Some(RawEvent::ElementHeadOpen(_, qname)) => stack.push(Element::new(name(qname))),
            Some(RawEvent::Attribute(_, qname, value)) => {
                stack.last_mut()?.attributes.push((name(qname), value.to_string()));
            }
            Some(RawEvent::Text(_, text)) => stack.last_mut()?.text.push_str(&text),
            Some(RawEvent::ElementFoot(_)) => {
                let mut element = stack.pop()?;
                if !element.children.is_empty() && element.text.trim_ascii().is_empty() {
                    element.text.clear();
                }
                match stack.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => root = Some(element),
                }
            }
            Some(_) => {}
        }
    }
}

/// The tree this crate reads, going the whole way through the stream parser.
fn ours(text: &[u8]) -> Result<Element, Option<ParseError>> {
    let (events, error) = parse_all(&[HEADER.as_bytes(), text].concat(), Limits::default());
    match (events.as_slice(), error) {
        ([StreamEvent::Open(_), StreamEvent::Stanza(element)], None) => Ok(element.clone()),
        (_, error) => Err(error),
    }
}

fn compare(text: &[u8]) -> Result<(), TestCaseError> {
    let shown = String::from_utf8_lossy(text);
    match (ours(text), oracle(text)) {
        (Ok(ours), Some(oracle)) => prop_assert_eq!(ours, oracle, "{}", shown),
        // Refused here on purpose (CDATA, comments), or by checks the oracle leaves to a later stage.
        (Err(Some(ParseError::ForbiddenMarkup | ParseError::DuplicateAttribute)), Some(_)) => {}
        (Err(error), Some(_)) => prop_assert!(false, "refused only here: {error:?} {shown:?}"),
        (Ok(_), None) => prop_assert!(false, "accepted only here: {shown:?}"),
        (Err(_), None) => {}
    }
    Ok(())
}

proptest! {
    #[test]
    fn the_oracle_agrees(
        stanza in prop_oneof![
            item().prop_map(|i| Stanza::PublishItem { node: i.node("a"), item: Some(Box::new(i)), id: None }),
            vec(op(), 1..3).prop_map(Stanza::Config),
        ],
        changes in vec((any::<usize>(), proptest::sample::select(b"<>/&;#x!?'\"= \n:-a\x00\xc8\x80\xff]".to_vec())), 0..3),
    ) {
        let mut bytes = stanza.encode("h", "c").into_bytes();
        let len = bytes.len();
        for (at, to) in changes {
            bytes[at % len] = to;
        }
        compare(&bytes)?;
    }
}
