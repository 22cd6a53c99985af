//! The sessions with the controllers: subscriptions, publications, the source of configuration, completeness.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use uuid::Uuid;
use weft_model::defaults::GLOBAL_SYSTEM_CONFIG;
use weft_xmpp::MASTER_ROUTING_INSTANCE;
use weft_xmpp::items::RouteItem;
use weft_xmpp::stanza::{ConfigSubject, Stanza};

use super::{AgentCore, CONFIG_QUIET, ROUTES_QUIET, ToController};

/// What one controller has been told, and when it last said something.
#[derive(Debug, Default)]
pub(super) struct SessionState {
    pub established: bool,
    /// Address or name, for people.
    pub peer: String,
    subscribed: BTreeMap<String, u16>,
    published: BTreeMap<(String, String), RouteItem>,
    machines: BTreeSet<Uuid>,
    end_of_rib_sent: bool,
    /// Last configuration from it, or when it was asked for.
    config_at: Option<Instant>,
    /// Last routes from it, or when they were asked for.
    routes_at: Option<Instant>,
    config_swept: bool,
    pub received_end_of_rib: bool,
}

fn send(stanza: Stanza) -> ToController {
    ToController::Send(stanza)
}

fn subscribe_vrf(ri: &str, instance_id: u16) -> ToController {
    send(Stanza::SubscribeVrf {
        ri: ri.to_owned(),
        instance_id: instance_id.into(),
        no_ribout: false,
        id: None,
    })
}

impl AgentCore {
    /// Stanzas flow with controller `n`.
    pub fn controller_up(&mut self, n: usize, peer: &str, now: Instant) {
        let Some(session) = self.sessions.get_mut(n) else { return };
        *session = SessionState {
            established: true,
            peer: peer.to_owned(),
            routes_at: Some(now),
            ..SessionState::default()
        };
        if let Some(routes) = self.routes.get_mut(n) {
            routes.connected();
        }
        self.routes_changed();
        self.outbox.push_back((n, subscribe_vrf(MASTER_ROUTING_INSTANCE, 0)));
        if self.config_source.is_none() {
            self.choose_config_source(n, now);
        }
        self.update_sessions();
    }

    /// The session with controller `n` is over.
    pub fn controller_down(&mut self, n: usize, now: Instant) {
        let Some(session) = self.sessions.get_mut(n) else { return };
        session.established = false;
        if let Some(routes) = self.routes.get_mut(n) {
            routes.disconnected();
        }
        self.routes_changed();
        self.outbox.retain(|(to, _)| *to != n);
        if self.config_source == Some(n) {
            self.config_source = None;
            if let Some(other) = self.sessions.iter().position(|s| s.established) {
                self.choose_config_source(other, now);
                self.update_sessions();
            }
        }
    }

    fn choose_config_source(&mut self, n: usize, now: Instant) {
        self.config_source = Some(n);
        self.mark_config_stale();
        if let Some(session) = self.sessions.get_mut(n) {
            session.config_at = Some(now);
            session.config_swept = false;
        }
        let router = format!("{GLOBAL_SYSTEM_CONFIG}:{}", self.name);
        let node = ConfigSubject::VirtualRouter(router);
        self.outbox.push_back((n, send(Stanza::SubscribeConfig { node, id: None })));
    }

    /// A stanza from controller `n`.
    pub fn stanza(&mut self, n: usize, stanza: Stanza, now: Instant) {
        match stanza {
            Stanza::Config(ops) => {
                if self.config_source != Some(n) {
                    return;
                }
                if let Some(session) = self.sessions.get_mut(n) {
                    session.config_at = Some(now);
                }
                ops.iter().for_each(|op| self.config_op(op));
            }
            Stanza::RouteMessage { table, ri, items, retracts } => {
                if let Some(session) = self.sessions.get_mut(n) {
                    session.routes_at = Some(now);
                }
                let changed = self.routes.get_mut(n).is_some_and(|r| r.apply(table, &ri, items, &retracts));
                if changed {
                    self.routes_changed();
                }
            }
            Stanza::EndOfRib => {
                if let Some(session) = self.sessions.get_mut(n) {
                    session.received_end_of_rib = true;
                }
            }
            _ => self.unexpected += 1,
        }
    }

    /// Time has passed: notice what has become complete.
    pub fn tick(&mut self, now: Instant) {
        let quiet = |since: Option<Instant>, enough| {
            since.is_some_and(|at| now.checked_duration_since(at).is_some_and(|d| d >= enough))
        };
        for n in 0..self.sessions.len() {
            let Some(session) = self.sessions.get_mut(n) else { continue };
            if !session.established {
                continue;
            }
            let complete = session.received_end_of_rib && quiet(session.routes_at, ROUTES_QUIET);
            let routes = self.routes.get_mut(n);
            if complete && let Some(routes) = routes.filter(|r| !r.is_complete()) {
                routes.end_of_rib();
                self.routes_changed();
            }
        }
        let Some(source) = self.config_source else { return };
        let Some(session) = self.sessions.get_mut(source) else { return };
        if !quiet(session.config_at, CONFIG_QUIET) {
            return;
        }
        if !session.config_swept {
            session.config_swept = true;
            self.sweep_config();
        }
        self.send_end_of_rib();
        let established = self.sessions.iter().zip(&self.routes).filter(|(s, _)| s.established);
        let mut complete = established.map(|(_, r)| r.is_complete());
        if complete.all(|one| one) {
            self.release_hold();
        }
    }

    /// Tell every controller, once, that all our routes have been published.
    fn send_end_of_rib(&mut self) {
        if self.needs_sync() {
            return;
        }
        for (n, session) in self.sessions.iter_mut().enumerate() {
            if session.established && !session.end_of_rib_sent {
                session.end_of_rib_sent = true;
                self.outbox.push_back((n, send(Stanza::EndOfRib)));
            }
        }
    }

    /// Bring every established session to the desired subscriptions and publications.
    pub(super) fn update_sessions(&mut self) {
        let desired = self.desired().clone();
        let source = self.config_source;
        let mut left = Vec::new();
        for (n, session) in self.sessions.iter_mut().enumerate().filter(|(_, s)| s.established) {
            let mut out = Vec::new();
            if source == Some(n) {
                session.subscribe_machines(&self.machines, &mut out);
            }
            session.withdraw(&desired.published, &mut out);
            if session.update_vrfs(&desired.subscriptions, &mut out, &mut left, n) {
                session.routes_at = None; // starts again with the next message or tick
            }
            session.publish(&desired.published, &mut out);
            self.outbox.extend(out.into_iter().map(|message| (n, message)));
        }
        for (n, ri) in left {
            if let Some(routes) = self.routes.get_mut(n) {
                routes.unsubscribed(&ri);
            }
        }
    }

    /// Note when subscriptions were last changed; called by the owner after [`AgentCore::sync`].
    pub fn stamp_subscriptions(&mut self, now: Instant) {
        for session in self.sessions.iter_mut().filter(|s| s.established && s.routes_at.is_none()) {
            session.routes_at = Some(now);
        }
    }
}

impl SessionState {
    fn subscribe_machines(&mut self, machines: &BTreeSet<Uuid>, out: &mut Vec<ToController>) {
        for gone in self.machines.difference(machines) {
            let node = ConfigSubject::VirtualMachine(*gone);
            out.push(send(Stanza::UnsubscribeConfig { node, id: None }));
        }
        for new in machines.difference(&self.machines) {
            let node = ConfigSubject::VirtualMachine(*new);
            out.push(send(Stanza::SubscribeConfig { node, id: None }));
        }
        self.machines.clone_from(machines);
    }

    fn withdraw(&mut self, wanted: &BTreeMap<(String, String), RouteItem>, out: &mut Vec<ToController>) {
        self.published.retain(|key, item| {
            let keep = wanted.contains_key(key);
            if !keep {
                out.push(ToController::Withdraw { ri: key.0.clone(), item: Box::new(item.clone()) });
            }
            keep
        });
    }

    fn publish(&mut self, wanted: &BTreeMap<(String, String), RouteItem>, out: &mut Vec<ToController>) {
        for (key, item) in wanted {
            let old = self.published.get(key);
            if old == Some(item) {
                continue;
            }
            // Another ethernet tag is another route under the same node string.
            if let Some(old) = old.filter(|old| old.key() != item.key()) {
                out.push(ToController::Withdraw { ri: key.0.clone(), item: Box::new(old.clone()) });
            }
            out.push(ToController::Publish { ri: key.0.clone(), item: Box::new(item.clone()) });
            self.published.insert(key.clone(), item.clone());
        }
    }

    /// Returns whether a subscription was added.
    fn update_vrfs(
        &mut self,
        wanted: &BTreeMap<String, u16>,
        out: &mut Vec<ToController>,
        left: &mut Vec<(usize, String)>,
        n: usize,
    ) -> bool {
        let mut added = false;
        self.subscribed.retain(|ri, id| {
            let keep = wanted.get(ri) == Some(id);
            if !keep {
                let instance_id = (*id).into();
                out.push(send(Stanza::UnsubscribeVrf { ri: ri.clone(), instance_id, id: None }));
                left.push((n, ri.clone()));
            }
            keep
        });
        for (ri, id) in wanted {
            if !self.subscribed.contains_key(ri) {
                out.push(subscribe_vrf(ri, *id));
                self.subscribed.insert(ri.clone(), *id);
                added = true;
            }
        }
        added
    }
}
