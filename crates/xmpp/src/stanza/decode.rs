//! XML to stanzas. What is well-formed but not carried here comes out as [`Stanza::Unsupported`]; what
//! is meant for this implementation and broken is an error, which closes the stream.

use super::encode::END_OF_RIB_NODE;
use super::{ConfigSubject, MAX_ITEMS_ACCEPTED, Stanza};
use crate::config;
use crate::element::Element;
use crate::error::DecodeError;
use crate::items::{RouteItem, RouteTable, parse_boolean, parse_node, parse_number};
use crate::parser::{Limits, ParseError, parse_stanza};
use crate::{RESOURCE_BGP, RESOURCE_CONFIG};

impl Stanza {
    /// Reads a stanza.
    ///
    /// # Errors
    /// The element is no stanza of the protocol, or lacks or garbles what its kind needs.
    pub fn decode(element: &Element) -> Result<Self, DecodeError> {
        match element.local_name() {
            "iq" => iq(element),
            "message" => message(element),
            other => Err(DecodeError::UnexpectedElement(other.chars().take(64).collect())),
        }
    }
}

/// Why bytes are no stanza; see [`decode_bytes`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// The XML is malformed or refused.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// The XML is no stanza of the protocol.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// Reads one whole stanza from bytes, with the default limits.
///
/// # Errors
/// The bytes are not well-formed XML within the limits, or no stanza of the protocol.
pub fn decode_bytes(bytes: &[u8]) -> Result<Stanza, BytesError> {
    Ok(Stanza::decode(&parse_stanza(bytes, Limits::default())?)?)
}

fn unsupported(what: impl Into<String>) -> Stanza {
    Stanza::Unsupported { what: what.into().chars().take(64).collect() }
}

fn iq(element: &Element) -> Result<Stanza, DecodeError> {
    match element.attribute("type") {
        Some("set") => {}
        other => return Ok(unsupported(format!("iq {}", other.unwrap_or("without type")))),
    }
    if let Some(config) = element.child("config") {
        return Ok(Stanza::Config(config::decode_ops(config)?));
    }
    let pubsub = element.require("pubsub")?;
    let id = element.attribute("id").map(str::to_owned);
    for action in &pubsub.children {
        match action.local_name() {
            "subscribe" => return subscription(element, pubsub, action, true, id),
            "unsubscribe" => return subscription(element, pubsub, action, false, id),
            "publish" => return publish(action, id),
            "collection" => return collection(action, id),
            _ => {}
        }
    }
    Err(DecodeError::missing("pubsub", "subscribe"))
}

/// Whether a subscription concerns configuration: by the resource addressed, else by the node's form.
fn is_config(element: &Element, node: &str) -> bool {
    match element.attribute("to").and_then(|to| to.rsplit_once('/')) {
        Some((_, RESOURCE_CONFIG)) => true,
        Some((_, RESOURCE_BGP)) => false,
        _ => !matches!(ConfigSubject::parse(node), ConfigSubject::Other(_)),
    }
}

fn subscription(
    element: &Element,
    pubsub: &Element,
    action: &Element,
    subscribe: bool,
    id: Option<String>,
) -> Result<Stanza, DecodeError> {
    let node = action.require_attribute("node")?;
    if is_config(element, node) {
        let node = ConfigSubject::parse(node);
        return Ok(if subscribe {
            Stanza::SubscribeConfig { node, id }
        } else {
            Stanza::UnsubscribeConfig { node, id }
        });
    }
    // Options stand inside the action here, beside it in general XMPP.
    let options = action.child("options").or_else(|| pubsub.child("options"));
    let option = |name| options.and_then(|o| o.child_text(name));
    let instance_id = option("instance-id").map_or(Ok(0), |t| parse_number("instance-id", t))?;
    let ri = node.to_owned();
    if !subscribe {
        return Ok(Stanza::UnsubscribeVrf { ri, instance_id, id });
    }
    let no_ribout = option("no-ribout").map_or(Ok(false), |t| parse_boolean("no-ribout", t))?;
    Ok(Stanza::SubscribeVrf { ri, instance_id, no_ribout, id })
}

fn publish(action: &Element, id: Option<String>) -> Result<Stanza, DecodeError> {
    let node = action.require_attribute("node")?;
    let Some(item) = action.child("item") else {
        return Ok(Stanza::PublishItem { node: node.to_owned(), item: None, id });
    };
    let (afi, safi, _) = parse_node(node).ok_or_else(|| DecodeError::invalid("node", node))?;
    let Some(table) = RouteTable::from_afi_safi(afi, safi) else {
        return Ok(unsupported(format!("publish {afi}/{safi}")));
    };
    let item = Some(Box::new(RouteItem::decode(table, item)?));
    Ok(Stanza::PublishItem { node: node.to_owned(), item, id })
}

fn collection(action: &Element, id: Option<String>) -> Result<Stanza, DecodeError> {
    let ri = action.require_attribute("node")?.to_owned();
    if let Some(associate) = action.child("associate") {
        let node = associate.require_attribute("node")?.to_owned();
        return Ok(Stanza::Associate { ri, node, id });
    }
    let node = action.require("dissociate")?.require_attribute("node")?.to_owned();
    Ok(Stanza::Dissociate { ri, node, id })
}

fn message(element: &Element) -> Result<Stanza, DecodeError> {
    let Some(items) = element.child("event").and_then(|event| event.child("items")) else {
        return Ok(unsupported("message without event items"));
    };
    let node = items.require_attribute("node")?;
    if node == END_OF_RIB_NODE {
        return Ok(Stanza::EndOfRib);
    }
    let (afi, safi, ri) = parse_node(node).ok_or_else(|| DecodeError::invalid("node", node))?;
    let Some(table) = RouteTable::from_afi_safi(afi, safi) else {
        return Ok(unsupported(format!("message {afi}/{safi}")));
    };
    route_message(items, table, ri)
}

fn route_message(element: &Element, table: RouteTable, ri: &str) -> Result<Stanza, DecodeError> {
    if element.children.len() > MAX_ITEMS_ACCEPTED {
        return Err(DecodeError::TooMany { field: "items", limit: MAX_ITEMS_ACCEPTED });
    }
    let (mut items, mut retracts) = (Vec::new(), Vec::new());
    for child in &element.children {
        match child.local_name() {
            "item" => {
                let item = RouteItem::decode(table, child)?;
                let id = child.attribute("id").map_or_else(|| item.id(), str::to_owned);
                items.push((id, item));
            }
            "retract" => retracts.push(child.require_attribute("id")?.to_owned()),
            other => return Err(DecodeError::UnexpectedElement(other.chars().take(64).collect())),
        }
    }
    Ok(Stanza::RouteMessage { table, ri: ri.to_owned(), items, retracts })
}
