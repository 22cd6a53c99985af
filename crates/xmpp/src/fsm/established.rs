//! The established session: stanzas in and out.

use std::time::Instant;

use super::handshake::error_text;
use super::types::{CloseReason, Output, Role, Warning};
use super::{Session, State};
use crate::element::Element;
use crate::items::{RouteItem, RouteTable, parse_node};
use crate::stanza::Stanza;

impl Session {
    /// A stanza from the peer.
    pub(super) fn stanza(&mut self, element: &Element) {
        self.stats.stanzas_received += 1;
        match element.local_name() {
            "error" => return self.close(CloseReason::RemoteError(error_text(element))),
            "features" if element.child("starttls").is_none() => return,
            // A client without TLS is established before it sees that the server wants it.
            "features" | "starttls" => return self.close(CloseReason::TlsMismatch),
            _ => {}
        }
        match Stanza::decode(element) {
            Ok(stanza) => self.received(stanza),
            Err(error) => self.close(CloseReason::BadStanza(error)),
        }
    }

    fn received(&mut self, stanza: Stanza) {
        let for_role = match &stanza {
            Stanza::RouteMessage { .. } | Stanza::Config(_) => Some(Role::Client),
            Stanza::EndOfRib | Stanza::Unsupported { .. } => None,
            _ => Some(Role::Server),
        };
        if for_role.is_some_and(|role| role != self.role) {
            return self.warn(Warning::WrongDirection { what: stanza.kind() });
        }
        match stanza {
            Stanza::PublishItem { node, item, .. } => {
                if let Some(warning) = self.pending.hold(node, item) {
                    self.warn(warning);
                }
            }
            Stanza::Associate { ri, node, .. } => self.collection(ri, node, true),
            Stanza::Dissociate { ri, node, .. } => self.collection(ri, node, false),
            Stanza::Unsupported { what } => self.warn(Warning::Unsupported { what }),
            stanza => self.emit(Output::Stanza(stanza)),
        }
    }

    /// The second stanza of a publish or withdraw.
    fn collection(&mut self, ri: String, node: String, associate: bool) {
        let Some(payload) = self.pending.take(&node) else {
            return self.unmatched(node);
        };
        let Some(item) = payload else {
            return self.emit(Output::Stanza(Stanza::EndOfRib));
        };
        if !associate {
            self.stats.withdraws += 1;
            return self.emit(Output::Withdraw { ri, item });
        }
        match item.next_hops().len() {
            1 => {
                self.stats.publishes += 1;
                self.emit(Output::Publish { ri, item });
            }
            count => self.warn(Warning::NextHopCount { node, count }),
        }
    }

    fn unmatched(&mut self, node: String) {
        // The first stanza of a table not carried here was not held, and that was counted already.
        if let Some((afi, safi, _)) = parse_node(&node)
            && RouteTable::from_afi_safi(afi, safi).is_none()
            && (afi, safi) != (0, 0)
        {
            return;
        }
        let dropped: Vec<_> = self.pending.drop_all().collect();
        dropped.into_iter().for_each(|warning| self.warn(warning));
        self.warn(Warning::UnmatchedCollection { node });
    }

    /// Sends a stanza of the owner's.
    pub(super) fn send(&mut self, stanza: &Stanza, now: Instant) {
        if self.state != State::Established {
            return self.warn(Warning::NotEstablished { what: stanza.kind() });
        }
        let numbered = self.numbered(stanza);
        let stanza = numbered.as_ref().unwrap_or(stanza);
        let to = self.peer.as_deref().unwrap_or_default();
        let written = stanza.encode_into(&self.config.local, to, &mut self.pending_send);
        self.stats.stanzas_sent += written as u64;
        if written > 0 {
            self.wrote(now);
        }
    }

    /// Sends both stanzas of a publish or withdraw.
    pub(super) fn send_route(&mut self, ri: &str, item: RouteItem, announce: bool, now: Instant) {
        let (ri, node) = (ri.to_owned(), item.node(ri));
        let second = if announce {
            Stanza::Associate { ri, node: node.clone(), id: None }
        } else {
            Stanza::Dissociate { ri, node: node.clone(), id: None }
        };
        self.send(&Stanza::PublishItem { node, item: Some(Box::new(item)), id: None }, now);
        self.send(&second, now);
    }

    /// The stanza with an id, if its kind has one and it has none yet.
    fn numbered(&mut self, stanza: &Stanza) -> Option<Stanza> {
        let counter = match stanza {
            Stanza::SubscribeVrf { id: None, .. } | Stanza::UnsubscribeVrf { id: None, .. } => {
                &mut self.next_subscribe
            }
            Stanza::PublishItem { id: None, .. }
            | Stanza::Associate { id: None, .. }
            | Stanza::Dissociate { id: None, .. } => &mut self.next_publish,
            _ => return None,
        };
        *counter += 1;
        let number = *counter;
        let mut stanza = stanza.clone();
        match &mut stanza {
            Stanza::SubscribeVrf { id, .. } | Stanza::UnsubscribeVrf { id, .. } => {
                *id = Some(format!("subscribe{number}"));
            }
            Stanza::PublishItem { id, .. } => *id = Some(format!("pubsub{number}")),
            Stanza::Associate { id, .. } | Stanza::Dissociate { id, .. } => {
                *id = Some(format!("collection{number}"));
            }
            _ => {}
        }
        Some(stanza)
    }
}
