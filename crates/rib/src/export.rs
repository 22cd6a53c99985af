//! What subscribers are told, when they ask for it.

use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use crate::instance::InstanceId;
use crate::path::Path;
use crate::peer::PeerId;
use crate::prefix::Prefix;
use crate::rib::Rib;

/// The new state of one route for one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Whom to tell.
    pub peer: PeerId,
    /// Name of the routing instance.
    pub ri: Arc<str>,
    /// The route.
    pub prefix: Prefix,
    /// All paths in use, or none: the peer is to forget the route.
    pub paths: Option<Vec<Arc<Path>>>,
}

impl Rib {
    /// The next update of any peer; peers take turns. `None` if every subscriber holds the present state.
    pub fn poll(&mut self) -> Option<Update> {
        loop {
            let after =
                self.last_polled.and_then(|last| self.ready.range((Excluded(last), Unbounded)).next());
            let peer = *after.or_else(|| self.ready.first())?;
            self.last_polled = Some(peer);
            if let Some(update) = self.poll_peer(peer) {
                return Some(update);
            }
        }
    }

    /// The next update of one peer: for callers that know which peers can take more. Changes made before it is asked for are
    /// merged into one.
    pub fn poll_peer(&mut self, peer: PeerId) -> Option<Update> {
        loop {
            let next = self.peers.get_mut(&peer).and_then(|state| state.next_dirty());
            let Some((id, prefix)) = next else {
                self.ready.remove(&peer);
                return None;
            };
            if let Some(update) = self.update(peer, id, prefix) {
                return Some(update);
            }
        }
    }

    /// Peers with updates to drain, possibly a few without.
    pub fn ready_peers(&self) -> impl Iterator<Item = PeerId> + '_ {
        self.ready.iter().copied()
    }

    /// Whether the peer may have updates to drain.
    pub fn is_ready(&self, peer: PeerId) -> bool {
        self.ready.contains(&peer)
    }

    /// The update that brings the peer's state of a route up to date, if it is not, noting it as sent.
    fn update(&mut self, peer: PeerId, id: InstanceId, prefix: Prefix) -> Option<Update> {
        let paths = self.paths_for(peer, id, &prefix);
        let instance = self.instances.get(&id)?;
        let subscription = self.peers.get_mut(&peer)?.subscriptions.get_mut(&id)?;
        let held = subscription.sent.get(&prefix);
        let same = match held {
            None => paths.is_empty(),
            Some(held) => {
                held.len() == paths.len()
                    && held.iter().zip(&paths).all(|(a, b)| Arc::ptr_eq(a, b) || a.same_to_agents(b))
            }
        };
        if same {
            return None;
        }
        let paths = if paths.is_empty() {
            subscription.sent.remove(&prefix);
            None
        } else {
            subscription.sent.insert(prefix, paths.clone());
            Some(paths)
        };
        Some(Update { peer, ri: Arc::clone(&instance.name), prefix, paths })
    }

    /// What the peer should hold for a route; empty for nothing.
    ///
    /// A peer is not told of a route whose only paths it announced itself into that very instance. (Its paths imported from
    /// another instance it is told of: only so can it route between two networks on one host.) A flood list never has the
    /// receiver's own path in it.
    fn paths_for(&self, peer: PeerId, id: InstanceId, prefix: &Prefix) -> Vec<Arc<Path>> {
        let receives = |p: &crate::peer::Peer| p.subscriptions.get(&id).is_some_and(|s| s.receive);
        if !self.peers.get(&peer).is_some_and(receives) {
            return Vec::new();
        }
        let Some(route) = self.instances.get(&id).and_then(|i| i.routes.get(prefix)) else {
            return Vec::new();
        };
        let own = |s: &&crate::instance::Selected| s.peer == peer && s.origin == id;
        if route.best.iter().all(|s| own(&s)) {
            return Vec::new();
        }
        let flood = prefix.is_flood();
        route.best.iter().filter(|s| !(flood && own(s))).map(|s| Arc::clone(&s.path)).collect()
    }

    pub(crate) fn mark(&mut self, peer: PeerId, id: InstanceId, prefix: Prefix) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.dirty.insert((id, prefix));
            self.ready.insert(peer);
        }
    }

    pub(crate) fn mark_subscribers(&mut self, id: InstanceId, prefix: Prefix) {
        let Some(instance) = self.instances.get(&id) else { return };
        for peer in &instance.subscribers {
            if let Some(state) = self.peers.get_mut(peer) {
                state.dirty.insert((id, prefix));
                self.ready.insert(*peer);
            }
        }
    }
}
