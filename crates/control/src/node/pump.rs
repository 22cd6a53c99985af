//! Messages to agents: pulled from the queues when a connection can take them, never pushed.

use std::time::Instant;

use weft_rib::Update;
use weft_xmpp::config::MAX_OBJECTS_PER_MESSAGE;
use weft_xmpp::stanza::{MAX_ITEMS_PER_MESSAGE, MAX_RETRACTS_PER_MESSAGE, Stanza};

use super::{Action, Node, SessionId, WINDOW};
use crate::routes;

impl Node {
    /// Fills every connection that has room.
    pub fn pump(&mut self, now: Instant) {
        let routes = self.rib.ready_peers().filter_map(|peer| self.by_peer.get(&peer).copied());
        let carried = self.config_waiting.iter().copied();
        let mut ready: Vec<SessionId> = routes.chain(carried).collect();
        ready.sort_unstable();
        ready.dedup();
        for id in ready {
            self.fill(id, now);
        }
    }

    fn fill(&mut self, id: SessionId, now: Instant) {
        while self.sessions.get(&id).is_some_and(|s| s.in_flight < WINDOW) {
            let Some(stanza) = self.next_config(id, now).or_else(|| self.next_routes(id, now)) else {
                return;
            };
            self.send(id, stanza);
        }
        // What was carried over must not be forgotten while nothing else makes the session ready.
        if self.sessions.get(&id).is_some_and(|s| s.carry.is_some()) {
            self.config_waiting.insert(id);
        }
    }

    pub(super) fn send(&mut self, id: SessionId, stanza: Stanza) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.in_flight += 1;
            self.actions.push_back(Action::Send(id, stanza));
        }
    }

    fn next_config(&mut self, id: SessionId, now: Instant) -> Option<Stanza> {
        let session = self.sessions.get_mut(&id)?;
        if session.config.is_empty() {
            self.config_waiting.remove(&id);
            return None;
        }
        let count = session.config.len().min(MAX_OBJECTS_PER_MESSAGE);
        // The agent subscribes and announces in consequence.
        session.last_activity = now;
        session.counters.config_sent += count as u64;
        Some(Stanza::Config(session.config.drain(..count).collect()))
    }

    /// The next message of routes of one table: items or retracts, as many as one may hold.
    fn next_routes(&mut self, id: SessionId, now: Instant) -> Option<Stanza> {
        let session = self.sessions.get_mut(&id)?;
        let peer = session.peer;
        let first = session.carry.take().or_else(|| self.rib.poll_peer(peer))?;
        let (ri, table, reachable) = group(&first);
        let limit = if reachable { MAX_ITEMS_PER_MESSAGE } else { MAX_RETRACTS_PER_MESSAGE };
        let (mut items, mut retracts) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(update) = next.take() {
            match update.paths.as_deref().and_then(|paths| routes::item(&update.prefix, paths)) {
                Some(item) => items.push((routes::id(&update.prefix), item)),
                None => retracts.push(routes::id(&update.prefix)),
            }
            if items.len() + retracts.len() >= limit {
                break;
            }
            match self.rib.poll_peer(peer) {
                Some(update) if group(&update) == (ri.clone(), table, reachable) => next = Some(update),
                other => session.carry = other,
            }
        }
        session.last_activity = now;
        session.counters.routes_sent += items.len() as u64;
        session.counters.retracts_sent += retracts.len() as u64;
        Some(Stanza::RouteMessage { table: routes::table(table), ri: ri.to_string(), items, retracts })
    }
}

/// What may travel in one message.
fn group(update: &Update) -> (std::sync::Arc<str>, weft_rib::Table, bool) {
    (update.ri.clone(), update.prefix.table(), update.paths.is_some())
}
