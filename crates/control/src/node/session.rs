//! Sessions: coming, what they say, and going.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use weft_model::defaults;
use weft_rib::{PeerId, RibError};
use weft_xmpp::items::RouteItem;
use weft_xmpp::stanza::{ConfigSubject, Stanza};

use super::{Action, Agent, Counters, MAX_REFUSALS, Node, PeerInput, Refusal, Session, SessionId};
use crate::routes;

impl Node {
    /// A session is established. Of two with the same name the newer stays if it is known to be the same agent (by its
    /// certificate, or coming from the same address), else the older.
    pub fn session_up(
        &mut self,
        id: SessionId,
        name: &str,
        address: SocketAddr,
        authenticated: bool,
        now: Instant,
    ) {
        if let Some(old) = self.agents.get(name).and_then(|agent| agent.session) {
            let same_host = self.sessions.get(&old).is_some_and(|s| s.address.ip() == address.ip());
            if !authenticated && !same_host {
                let reason = format!("an agent named {name} is connected from another address");
                self.refused(address, Some(name.to_owned()), reason.clone(), now);
                self.actions.push_back(Action::Close(id, reason));
                return;
            }
            self.close_at(old, "replaced by a newer session".to_owned(), now);
        }
        let peer = self.agent(name).peer;
        let stale = self.effective.stale;
        if let Some(agent) = self.agents.get_mut(name) {
            agent.session = Some(id);
            agent.sessions += 1;
            // It may never send end-of-RIB: what it has not announced again by then is not there any more.
            agent.sweep_at = agent.sweep_at.and_then(|_| now.checked_add(stale));
        }
        let session = Session {
            name: name.to_owned(),
            peer,
            address,
            authenticated,
            since: now,
            in_flight: 0,
            router: None,
            config: VecDeque::new(),
            carry: None,
            last_activity: now,
            end_of_rib_sent: false,
            end_of_rib_received: false,
            last_error: None,
            counters: Counters::default(),
        };
        self.sessions.insert(id, session);
        self.by_peer.insert(peer, id);
        tracing::info!(agent = name, %address, authenticated, "session up");
    }

    fn agent(&mut self, name: &str) -> &mut Agent {
        let next = PeerId(self.next_peer);
        let agents = &mut self.agents;
        if !agents.contains_key(name) {
            self.next_peer += 1;
        }
        agents.entry(name.to_owned()).or_insert(Agent {
            peer: next,
            session: None,
            sweep_at: None,
            sessions: 0,
            last_close: None,
        })
    }

    /// A session is over. Its paths stay for the time configured.
    pub fn session_down(&mut self, id: SessionId, reason: &str, now: Instant) {
        let Some(session) = self.sessions.remove(&id) else { return };
        tracing::info!(agent = session.name, reason, "session down");
        self.by_peer.remove(&session.peer);
        self.config_waiting.remove(&id);
        if let Some(router) = &session.router {
            self.compiler.unsubscribe_agent(router);
        }
        let stale = self.effective.stale;
        if stale.is_zero() {
            self.rib.peer_down(session.peer);
        } else {
            self.rib.peer_stale(session.peer);
        }
        let has_paths = self.rib.peer(session.peer).announced > 0;
        if let Some(agent) = self.agents.get_mut(&session.name) {
            agent.session = None;
            agent.last_close = Some((now, reason.to_owned()));
            agent.sweep_at = has_paths.then(|| now + stale);
        }
        self.forget_unused_agents();
    }

    /// Agents that are neither configured nor connected nor have paths are not remembered.
    pub(super) fn forget_unused_agents(&mut self) {
        let idle = |agent: &Agent| agent.session.is_none() && agent.sweep_at.is_none();
        let unused: Vec<String> = self
            .agents
            .iter()
            .filter(|(name, agent)| idle(agent) && !self.is_configured(name))
            .map(|(name, _)| name.clone())
            .collect();
        for name in unused {
            self.agents.remove(&name);
        }
    }

    /// Notes a connection that came to nothing.
    pub fn refused(&mut self, address: SocketAddr, name: Option<String>, reason: String, now: Instant) {
        tracing::warn!(%address, agent = name.as_deref().unwrap_or("?"), reason, "connection refused");
        if self.refusals.len() >= MAX_REFUSALS {
            self.refusals.pop_front();
        }
        self.refusals.push_back(Refusal { at: now, address, name, reason });
    }

    /// Ends a session from this side.
    pub(super) fn close_at(&mut self, id: SessionId, reason: String, now: Instant) {
        self.session_down(id, &reason, now);
        self.actions.push_back(Action::Close(id, reason));
    }

    /// Messages were written to a session's socket.
    pub fn sent(&mut self, id: SessionId, count: usize) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.in_flight = session.in_flight.saturating_sub(count);
        }
    }

    /// Takes in what an agent said. Of a session that is over it is ignored.
    pub fn input(&mut self, id: SessionId, input: PeerInput, now: Instant) {
        if !self.sessions.contains_key(&id) {
            return;
        }
        match input {
            PeerInput::Publish { ri, item } => self.publish(id, &ri, &item, now),
            PeerInput::Withdraw { ri, item } => self.withdraw(id, &ri, &item, now),
            PeerInput::Warning(text) => self.warn(id, text, now),
            PeerInput::Stanza(stanza) => self.stanza(id, stanza, now),
        }
    }

    fn stanza(&mut self, id: SessionId, stanza: Stanza, now: Instant) {
        match stanza {
            Stanza::SubscribeVrf { ri, instance_id, no_ribout, .. } => {
                // Only the low 16 bits are part of the route distinguisher.
                let number = (instance_id & 0xffff) as u16;
                self.subscribe(id, &ri, number, !no_ribout, now);
            }
            Stanza::UnsubscribeVrf { ri, .. } => self.unsubscribe(id, &ri, now),
            Stanza::SubscribeConfig { node, .. } => self.subscribe_config(id, node, now),
            Stanza::UnsubscribeConfig { node, .. } => self.unsubscribe_config(id, node, now),
            Stanza::EndOfRib => self.end_of_rib(id, now),
            other => self.warn(id, format!("unexpected stanza: {}", other.kind()), now),
        }
    }

    fn subscribe(&mut self, id: SessionId, ri: &str, number: u16, receive: bool, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.last_activity = now;
        match self.rib.subscribe(session.peer, ri, number, receive) {
            Ok(()) => {}
            Err(error @ RibError::AlreadySubscribed(_)) => self.close_at(id, error.to_string(), now),
            Err(error) => self.warn(id, error.to_string(), now),
        }
    }

    fn unsubscribe(&mut self, id: SessionId, ri: &str, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.last_activity = now;
        if session.carry.as_ref().is_some_and(|update| &*update.ri == ri) {
            session.carry = None;
        }
        if let Err(error) = self.rib.unsubscribe(session.peer, ri) {
            self.close_at(id, error.to_string(), now);
        }
    }

    fn publish(&mut self, id: SessionId, ri: &str, item: &RouteItem, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.last_activity = now;
        session.counters.publishes += 1;
        let result =
            routes::announced(ri, item).map_err(|e| e.to_string()).and_then(|(prefix, attributes)| {
                self.rib.announce(session.peer, ri, prefix, attributes).map_err(|e| e.to_string())
            });
        if let Err(error) = result {
            self.refuse_route(id, format!("route {} into {ri} refused: {error}", item.id()), now);
        }
    }

    fn withdraw(&mut self, id: SessionId, ri: &str, item: &RouteItem, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.last_activity = now;
        session.counters.withdraws += 1;
        match routes::prefix(item) {
            // Not subscribed any more: then the route is gone already.
            Ok(prefix) => drop(self.rib.withdraw(session.peer, ri, prefix)),
            Err(error) => {
                self.refuse_route(id, format!("withdraw of {} from {ri} refused: {error}", item.id()), now);
            }
        }
    }

    fn refuse_route(&mut self, id: SessionId, text: String, now: Instant) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.counters.routes_refused += 1;
        }
        self.warn(id, text, now);
    }

    fn warn(&mut self, id: SessionId, text: String, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.counters.warnings += 1;
        tracing::debug!(agent = session.name, text, "from agent");
        session.last_error = Some((now, text));
    }

    fn subscribe_config(&mut self, id: SessionId, subject: ConfigSubject, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let ops = match (&subject, &session.router) {
            (ConfigSubject::VirtualRouter(router), None) if own_router(&session.name, router) => {
                session.router = Some(router.clone());
                self.compiler.subscribe_agent(router)
            }
            (ConfigSubject::VirtualRouter(router), None) => {
                return self.warn(id, format!("configuration of {router} is not for this agent"), now);
            }
            (ConfigSubject::VirtualMachine(uuid), Some(router)) => self.compiler.subscribe_vm(router, *uuid),
            (ConfigSubject::VirtualMachine(uuid), None) => {
                let text = format!("virtual-machine {uuid} subscribed before the virtual-router: dropped");
                return self.warn(id, text, now);
            }
            (ConfigSubject::VirtualRouter(_), Some(_)) => {
                return self.warn(id, "virtual-router subscribed twice".to_owned(), now);
            }
            (ConfigSubject::Other(node), _) => {
                return self.warn(id, format!("cannot subscribe to {node}"), now);
            }
        };
        session.config.extend(ops);
        self.config_waiting.insert(id);
    }

    fn unsubscribe_config(&mut self, id: SessionId, subject: ConfigSubject, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match (&subject, &session.router) {
            (ConfigSubject::VirtualMachine(uuid), Some(router)) => {
                let ops = self.compiler.unsubscribe_vm(router, *uuid);
                session.config.extend(ops);
                self.config_waiting.insert(id);
            }
            (ConfigSubject::VirtualRouter(name), Some(router)) if name == router => {
                self.compiler.unsubscribe_agent(router);
                session.router = None;
                session.config.clear();
            }
            _ => self.warn(id, format!("not subscribed to {subject}"), now),
        }
    }

    fn end_of_rib(&mut self, id: SessionId, _now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.end_of_rib_received = true;
        let swept = self.rib.sweep_stale(session.peer);
        if let Some(agent) = self.agents.get_mut(&session.name) {
            agent.sweep_at = None;
        }
        tracing::info!(agent = session.name, swept = swept.removed, "end-of-RIB from agent");
    }
}

/// Whether a virtual-router is the one of the agent of that name.
fn own_router(agent: &str, router: &str) -> bool {
    router == agent || router == defaults::global_system_config().child(agent).to_string()
}
