//! The base itself: what peers do to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use weft_model::RouteTarget;

use crate::error::RibError;
use crate::instance::{Entry, Instance, InstanceId, RiConfig};
use crate::path::{Attributes, Path, RouteDistinguisher};
use crate::peer::{Peer, PeerId, Subscription};
use crate::prefix::Prefix;

/// Bounds per peer. What exceeds one is refused with an error that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Announced routes.
    pub routes: usize,
    /// Announced routes in instances that are not configured; they count as announced routes too.
    pub parked_routes: usize,
    /// Subscriptions.
    pub subscriptions: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { routes: 262_144, parked_routes: 16_384, subscriptions: 4_096 }
    }
}

/// How many paths a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sweep {
    /// Paths that were stale and are gone.
    pub removed: usize,
}

/// The routing information base. See the crate's documentation for what always holds.
#[derive(Debug, Default)]
pub struct Rib {
    limits: Limits,
    pub(crate) names: HashMap<Arc<str>, InstanceId>,
    pub(crate) instances: BTreeMap<InstanceId, Instance>,
    pub(crate) peers: BTreeMap<PeerId, Peer>,
    pub(crate) importing: HashMap<RouteTarget, BTreeSet<InstanceId>>,
    pub(crate) exporting: HashMap<RouteTarget, BTreeSet<InstanceId>>,
    /// Peers with something to drain, and the last one drained.
    pub(crate) ready: BTreeSet<PeerId>,
    pub(crate) last_polled: Option<PeerId>,
    next_instance: u64,
    /// Counts announcements and losses of sessions: orders the two.
    clock: u64,
}

impl Rib {
    /// An empty base with the given bounds.
    pub fn new(limits: Limits) -> Self {
        Rib { limits, ..Rib::default() }
    }

    /// Adds an instance or changes one; subscriptions and announcements that waited for it take effect.
    pub fn configure(&mut self, config: RiConfig) {
        let id = self.instance_id(&config.name);
        self.reconfigure(id, Some(config));
    }

    /// Removes an instance. Its routes are retracted from subscribers; subscriptions and announcements of peers are parked.
    pub fn remove(&mut self, name: &str) {
        if let Some(id) = self.names.get(name).copied() {
            self.reconfigure(id, None);
            self.drop_instance_if_unused(id);
        }
    }

    /// Subscribes `peer` to an instance, configured or not. `instance_id` becomes part of the route distinguisher of what it
    /// announces there; with `receive` false the peer announces only.
    ///
    /// # Errors
    /// The peer is subscribed already, or has too many subscriptions.
    pub fn subscribe(
        &mut self,
        peer: PeerId,
        ri: &str,
        instance_id: u16,
        receive: bool,
    ) -> Result<(), RibError> {
        if let Some(known) = self.peers.get(&peer) {
            if known.subscriptions.len() >= self.limits.subscriptions {
                return Err(RibError::TooManySubscriptions(self.limits.subscriptions));
            }
            let id = self.names.get(ri);
            if id.is_some_and(|id| known.subscriptions.contains_key(id)) {
                return Err(RibError::AlreadySubscribed(ri.to_owned()));
            }
        }
        let id = self.instance_id(ri);
        let subscription = Subscription { instance_id, receive, sent: HashMap::new() };
        self.peers.entry(peer).or_default().subscriptions.insert(id, subscription);
        let Some(instance) = self.instances.get_mut(&id) else { return Ok(()) };
        instance.subscribers.insert(peer);
        let known: Vec<Prefix> = instance.routes.keys().copied().collect();
        for prefix in known {
            self.mark(peer, id, prefix);
        }
        Ok(())
    }

    /// Ends a subscription; what the peer announced into the instance goes with it. No retracts are sent: the peer forgets
    /// the instance by itself.
    ///
    /// # Errors
    /// The peer is not subscribed.
    pub fn unsubscribe(&mut self, peer: PeerId, ri: &str) -> Result<(), RibError> {
        let id = self.subscribed(peer, ri)?;
        self.drop_subscription(peer, id);
        let announced: Vec<Prefix> = self
            .peers
            .get(&peer)
            .map(|p| p.announced.iter().filter(|(ri, _)| *ri == id).map(|(_, prefix)| *prefix).collect())
            .unwrap_or_default();
        for prefix in announced {
            self.withdraw_primary(peer, id, prefix);
        }
        self.drop_instance_if_unused(id);
        self.drop_peer_if_unused(peer);
        Ok(())
    }

    /// Adds or changes a peer's path to `prefix`.
    ///
    /// # Errors
    /// The peer is not subscribed to the instance, or one of its bounds is reached.
    pub fn announce(
        &mut self,
        peer: PeerId,
        ri: &str,
        prefix: Prefix,
        attributes: Attributes,
    ) -> Result<(), RibError> {
        let id = self.subscribed(peer, ri)?;
        let (Some(instance), Some(state)) = (self.instances.get(&id), self.peers.get_mut(&peer)) else {
            return Err(RibError::NotSubscribed(ri.to_owned()));
        };
        let key = (id, prefix);
        if !state.announced.contains(&key) {
            if state.announced.len() >= self.limits.routes {
                return Err(RibError::TooManyRoutes(self.limits.routes));
            }
            if !instance.active() {
                if state.parked >= self.limits.parked_routes {
                    return Err(RibError::TooManyParkedRoutes(self.limits.parked_routes));
                }
                state.parked += 1;
            }
            state.announced.insert(key);
        }
        state.stale.remove(&key);
        let number = state.subscriptions.get(&id).map_or(0, |s| s.instance_id);
        self.clock += 1;
        let old = instance.routes.get(&prefix).and_then(|route| route.find(peer, id));
        let entry = Entry {
            peer,
            origin: id,
            path: Arc::new(Path {
                rd: RouteDistinguisher::new(attributes.next_hop, number),
                attributes,
                origin_vn: Arc::clone(&instance.virtual_network),
            }),
            appeared: old.map_or(self.clock, |old| old.appeared),
            stale_since: None,
        };
        self.replicate(prefix, &entry);
        Ok(())
    }

    /// Withdraws a peer's path. Withdrawing what was not announced is no error: true if there was such a path.
    ///
    /// # Errors
    /// The peer is not subscribed to the instance.
    pub fn withdraw(&mut self, peer: PeerId, ri: &str, prefix: Prefix) -> Result<bool, RibError> {
        let id = self.subscribed(peer, ri)?;
        let known = self.peers.get(&peer).is_some_and(|p| p.announced.contains(&(id, prefix)));
        if known {
            self.withdraw_primary(peer, id, prefix);
        }
        Ok(known)
    }

    /// The peer's session is gone for good: its subscriptions and paths go.
    pub fn peer_down(&mut self, peer: PeerId) {
        self.drop_subscriptions(peer);
        let announced: Vec<_> =
            self.peers.get(&peer).map(|p| p.announced.iter().copied().collect()).unwrap_or_default();
        for (id, prefix) in announced {
            self.withdraw_primary(peer, id, prefix);
            self.drop_instance_if_unused(id);
        }
        self.drop_peer_if_unused(peer);
    }

    /// The peer's session is gone but it is expected back: its subscriptions go, its paths stay in use, marked stale, until
    /// they are announced again or swept.
    pub fn peer_stale(&mut self, peer: PeerId) {
        self.drop_subscriptions(peer);
        self.clock += 1;
        let clock = self.clock;
        let Some(state) = self.peers.get_mut(&peer) else { return };
        let fresh: Vec<_> = state.announced.difference(&state.stale).copied().collect();
        state.stale.extend(fresh.iter().copied());
        for (id, prefix) in fresh {
            self.change_primary(peer, id, prefix, |entry| entry.stale_since = Some(clock));
        }
        self.drop_peer_if_unused(peer);
    }

    /// Removes what is still stale: at the peer's end-of-RIB or when it has not come back in time.
    pub fn sweep_stale(&mut self, peer: PeerId) -> Sweep {
        let stale: Vec<_> =
            self.peers.get(&peer).map(|p| p.stale.iter().copied().collect()).unwrap_or_default();
        for (id, prefix) in &stale {
            self.withdraw_primary(peer, *id, *prefix);
            self.drop_instance_if_unused(*id);
        }
        self.drop_peer_if_unused(peer);
        Sweep { removed: stale.len() }
    }

    /// The id of an instance, made if it is not known.
    fn instance_id(&mut self, name: &str) -> InstanceId {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = InstanceId(self.next_instance);
        self.next_instance += 1;
        let name: Arc<str> = Arc::from(name);
        self.names.insert(Arc::clone(&name), id);
        self.instances.insert(id, Instance::new(name));
        id
    }

    fn subscribed(&self, peer: PeerId, ri: &str) -> Result<InstanceId, RibError> {
        let id = self.names.get(ri).copied();
        id.filter(|id| self.peers.get(&peer).is_some_and(|p| p.subscriptions.contains_key(id)))
            .ok_or_else(|| RibError::NotSubscribed(ri.to_owned()))
    }

    fn drop_subscription(&mut self, peer: PeerId, id: InstanceId) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.subscriptions.remove(&id);
        }
        if let Some(instance) = self.instances.get_mut(&id) {
            instance.subscribers.remove(&peer);
        }
    }

    fn drop_subscriptions(&mut self, peer: PeerId) {
        let Some(state) = self.peers.get_mut(&peer) else { return };
        state.dirty.clear();
        self.ready.remove(&peer);
        let subscribed: Vec<InstanceId> = state.subscriptions.keys().copied().collect();
        for id in subscribed {
            self.drop_subscription(peer, id);
            self.drop_instance_if_unused(id);
        }
    }

    pub(crate) fn drop_instance_if_unused(&mut self, id: InstanceId) {
        if let Some(instance) = self.instances.get(&id).filter(|i| i.is_unused()) {
            self.names.remove(&instance.name);
            self.instances.remove(&id);
        }
    }

    fn drop_peer_if_unused(&mut self, peer: PeerId) {
        if self.peers.get(&peer).is_some_and(Peer::is_unused) {
            self.peers.remove(&peer);
            self.ready.remove(&peer);
        }
    }
}
