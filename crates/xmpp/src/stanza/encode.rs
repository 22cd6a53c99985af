//! Stanzas to XML. One value may become several stanzas on the wire: long route and configuration
//! messages are split at the protocol's limits, items and retracts never share a message.

use super::{MAX_ITEMS_PER_MESSAGE, MAX_RETRACTS_PER_MESSAGE, Stanza};
use crate::config::{self, MAX_OBJECTS_PER_MESSAGE};
use crate::items::RouteTable;
use crate::writer::Writer;
use crate::{NS_PUBSUB, RESOURCE_BGP, RESOURCE_CONFIG};

/// Node string of an end-of-RIB.
pub(super) const END_OF_RIB_NODE: &str = "0/0/EndOfRib";

impl Stanza {
    /// Appends the stanza. `from` and `to` are bare addresses; the resource is added here.
    ///
    /// Returns how many stanzas were written: 0 for [`Stanza::Unsupported`] and empty messages.
    pub fn encode_into(&self, from: &str, to: &str, out: &mut String) -> usize {
        let envelope = Envelope { from, to };
        match self {
            Self::SubscribeVrf { ri, instance_id, no_ribout, id } => {
                envelope.vrf("subscribe", ri, *instance_id, *no_ribout, id.as_deref(), out)
            }
            Self::UnsubscribeVrf { ri, instance_id, id } => {
                envelope.vrf("unsubscribe", ri, *instance_id, false, id.as_deref(), out)
            }
            Self::PublishItem { node, item, id } => envelope.iq(RESOURCE_BGP, id.as_deref(), out, |w| {
                w.start("pubsub").attr("xmlns", NS_PUBSUB).start("publish").attr("node", node);
                if let Some(item) = item {
                    item.encode(None, w);
                }
                w.end("publish").end("pubsub");
            }),
            Self::Associate { ri, node, id } => {
                envelope.collection("associate", ri, node, id.as_deref(), out)
            }
            Self::Dissociate { ri, node, id } => {
                envelope.collection("dissociate", ri, node, id.as_deref(), out)
            }
            Self::SubscribeConfig { node, id } => {
                envelope.config_subscription("subscribe", &node.to_string(), id.as_deref(), out)
            }
            Self::UnsubscribeConfig { node, id } => {
                envelope.config_subscription("unsubscribe", &node.to_string(), id.as_deref(), out)
            }
            Self::RouteMessage { table, ri, items, retracts } => {
                envelope.routes(*table, ri, items, retracts, out)
            }
            Self::Config(ops) => ops.chunks(MAX_OBJECTS_PER_MESSAGE).fold(0, |written, chunk| {
                written + envelope.iq(RESOURCE_CONFIG, None, out, |w| config::encode_ops(chunk, w))
            }),
            Self::EndOfRib => envelope.message(END_OF_RIB_NODE, out, |_| {}),
            Self::Unsupported { .. } => 0,
        }
    }

    /// The stanza as a string of its own; see [`Stanza::encode_into`].
    #[must_use]
    pub fn encode(&self, from: &str, to: &str) -> String {
        let mut out = String::new();
        self.encode_into(from, to, &mut out);
        out
    }
}

/// Sender and receiver of a stanza.
struct Envelope<'a> {
    from: &'a str,
    to: &'a str,
}

impl Envelope<'_> {
    fn iq(
        &self,
        resource: &str,
        id: Option<&str>,
        out: &mut String,
        body: impl FnOnce(&mut Writer<'_>),
    ) -> usize {
        let mut w = Writer::new(out);
        w.start("iq").attr("type", "set").attr("from", self.from);
        w.attr("to", &format!("{}/{resource}", self.to));
        if let Some(id) = id {
            w.attr("id", id);
        }
        body(&mut w);
        w.end("iq");
        1
    }

    fn message(&self, node: &str, out: &mut String, body: impl FnOnce(&mut Writer<'_>)) -> usize {
        let mut w = Writer::new(out);
        w.start("message").attr("from", self.from).attr("to", &format!("{}/{RESOURCE_BGP}", self.to));
        w.start("event").attr("xmlns", NS_PUBSUB).start("items").attr("node", node);
        body(&mut w);
        w.end("items").end("event").end("message");
        1
    }

    fn vrf(
        &self,
        action: &str,
        ri: &str,
        instance_id: u32,
        no_ribout: bool,
        id: Option<&str>,
        out: &mut String,
    ) -> usize {
        self.iq(RESOURCE_BGP, id, out, |w| {
            w.start("pubsub").attr("xmlns", NS_PUBSUB).start(action).attr("node", ri);
            w.start("options").plain("instance-id", instance_id);
            if no_ribout {
                w.plain("no-ribout", true);
            }
            w.end("options").end(action).end("pubsub");
        })
    }

    fn collection(&self, action: &str, ri: &str, node: &str, id: Option<&str>, out: &mut String) -> usize {
        self.iq(RESOURCE_BGP, id, out, |w| {
            w.start("pubsub").attr("xmlns", NS_PUBSUB).start("collection").attr("node", ri);
            w.start(action).attr("node", node).end(action).end("collection").end("pubsub");
        })
    }

    fn config_subscription(&self, action: &str, node: &str, id: Option<&str>, out: &mut String) -> usize {
        self.iq(RESOURCE_CONFIG, id, out, |w| {
            w.start("pubsub").attr("xmlns", NS_PUBSUB);
            w.start(action).attr("node", node).end(action).end("pubsub");
        })
    }

    fn routes(
        &self,
        table: RouteTable,
        ri: &str,
        items: &[(String, crate::items::RouteItem)],
        retracts: &[String],
        out: &mut String,
    ) -> usize {
        let node = format!("{}/{}/{ri}", table.afi(), table.safi());
        let mut written = 0;
        for chunk in retracts.chunks(MAX_RETRACTS_PER_MESSAGE) {
            written += self.message(&node, out, |w| {
                for id in chunk {
                    w.start("retract").attr("id", id).end("retract");
                }
            });
        }
        for chunk in items.chunks(MAX_ITEMS_PER_MESSAGE) {
            written += self.message(&node, out, |w| {
                for (id, item) in chunk {
                    item.encode(Some(id), w);
                }
            });
        }
        written
    }
}
