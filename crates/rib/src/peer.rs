//! Per-peer state: subscriptions, what was announced, what waits to be sent.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use crate::instance::InstanceId;
use crate::path::Path;
use crate::prefix::Prefix;

/// A source and receiver of routes. The number is the caller's and stays the same when a peer reconnects, so that what
/// it announces again replaces what it announced before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {}", self.0)
    }
}

/// One peer's subscription to one instance.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// Becomes the number of the route distinguisher.
    pub(crate) instance_id: u16,
    /// Whether routes are sent to the peer at all.
    pub(crate) receive: bool,
    /// What the peer holds: what the updates drained so far amount to.
    pub(crate) sent: HashMap<Prefix, Vec<Arc<Path>>>,
}

/// A place in a peer's queue of routes to look at.
pub(crate) type Dirty = (InstanceId, Prefix);

/// All that belongs to one peer.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub(crate) subscriptions: BTreeMap<InstanceId, Subscription>,
    /// The primary paths of this peer.
    pub(crate) announced: BTreeSet<(InstanceId, Prefix)>,
    /// Those of them in instances that are not configured.
    pub(crate) parked: usize,
    /// Those of them that were announced before the peer's present session.
    pub(crate) stale: BTreeSet<(InstanceId, Prefix)>,
    /// Routes whose state the peer may not hold.
    pub(crate) dirty: BTreeSet<Dirty>,
    /// The last place drained: draining goes round, so that a busy route cannot starve the others.
    pub(crate) cursor: Option<Dirty>,
}

impl Peer {
    /// Takes the next place to look at.
    pub(crate) fn next_dirty(&mut self) -> Option<Dirty> {
        use std::ops::Bound::{Excluded, Unbounded};
        let after =
            self.cursor.and_then(|cursor| self.dirty.range((Excluded(cursor), Unbounded)).next().copied());
        let next = after.or_else(|| self.dirty.first().copied())?;
        self.dirty.remove(&next);
        self.cursor = Some(next);
        Some(next)
    }

    /// Whether nothing is left that would need the entry.
    pub(crate) fn is_unused(&self) -> bool {
        self.subscriptions.is_empty() && self.announced.is_empty()
    }
}
